variable "region" {
  description = "The AWS region."
  type        = string
}

variable "project" {
  description = "The platform's project name."
  type        = string
}

variable "lambda_zip" {
  description = "Path of the zip that packaging/package makes."
  type        = string
  default     = "../../../target/package/jvb-watcher-lambda-arm64.zip"
}

variable "alarm_topic_arn" {
  description = "The SNS topic that alarms go to; nowhere if null."
  type        = string
  default     = null
}
