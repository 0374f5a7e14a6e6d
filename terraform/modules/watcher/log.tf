resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts the log with keys of its own; a KMS key costs $1 a month, and log_kms_key_arn takes one.
  #checkov:skip=CKV_AWS_338:The log is for operating, not for audit; log_retention_days sets how long it is kept.
  name              = local.on_lambda ? "/aws/lambda/${local.name}" : "/ecs/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = local.tags
}
