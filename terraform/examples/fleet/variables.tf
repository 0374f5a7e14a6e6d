variable "region" {
  description = "AWS region."
  type        = string
}

variable "lambda_zip" {
  description = "Path of the zip file that packaging/package builds."
  type        = string
  default     = "../../../target/package/jvb-watcher-lambda-arm64.zip"
}

variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that alarms notify. No notifications if null."
  type        = string
  default     = null
}
