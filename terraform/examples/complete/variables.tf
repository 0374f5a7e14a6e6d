variable "region" {
  description = "The AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "project_name" {
  description = "The platform's project name."
  type        = string
  default     = "jitsi"
}

variable "vpc_cidr" {
  description = "The network's addresses."
  type        = string
  default     = "10.0.0.0/16"
}

variable "nlb_enabled" {
  description = "Whether the load balancer is to exist."
  type        = bool
  default     = false
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
