resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts the log with its own keys; a KMS key costs $1 a month, and log_kms_key_arn sets one.
  #checkov:skip=CKV_AWS_338:The log is for operations, not for audit; log_retention_days sets its retention.
  name              = local.on_lambda ? "/aws/lambda/${local.name}" : "/ecs/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = local.tags
}
