variable "region" {
  description = "AWS region."
  type        = string
}

variable "lambda_zip" {
  description = "Path of the zip file that packaging/package builds. Not used with release."
  type        = string
  default     = "../../../target/package/jvb-watcher-lambda-arm64.zip"
}

variable "release" {
  description = "Release to run in place of lambda_zip: its version, the SHA-256 of jvb-watcher-lambda-arm64.zip in its SHA256SUMS, and the path of that download."
  type = object({
    version = string
    sha256  = string
    file    = string
  })
  default = null
}

variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that alarms notify. No notifications if null."
  type        = string
  default     = null
}
