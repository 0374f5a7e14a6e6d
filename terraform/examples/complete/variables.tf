variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "project_name" {
  description = "Project name."
  type        = string
  default     = "jitsi"
}

variable "vpc_cidr" {
  description = "CIDR block of the VPC."
  type        = string
  default     = "10.0.0.0/16"
}

variable "nlb_enabled" {
  description = "Whether to create the load balancer."
  type        = bool
  default     = false
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
