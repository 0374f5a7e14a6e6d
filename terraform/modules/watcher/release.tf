# The zip file that the function runs: one that was built here, or that of a release.

locals {
  base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

  # The release's sum as S3 and Lambda write it, which is base64, since no function of Terraform decodes hexadecimal digits:
  # three of them are two digits of base64, and the last one is followed by two bits of zero and padding (RFC 4648, section 4).
  release_checksum = var.release == null ? null : join("", concat(
    [
      for digits in regexall("[0-9a-f]{3}", var.release.sha256) :
      join("", [for six_bits in [floor(parseint(digits, 16) / 64), parseint(digits, 16) % 64] : substr(local.base64_digits, six_bits, 1)])
    ],
    [substr(local.base64_digits, parseint(substr(var.release.sha256, 63, 1), 16) * 4, 1), "="],
  ))

  zip_in_s3 = try(var.release.s3_bucket, null) != null
  zip_file  = var.release == null ? var.lambda_zip : var.release.file
  zip_key   = !local.zip_in_s3 ? null : coalesce(var.release.s3_key, "jvb-watcher/v${var.release.version}/jvb-watcher-lambda-${var.lambda_architecture}.zip")
}
