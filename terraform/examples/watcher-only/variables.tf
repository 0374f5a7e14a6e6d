variable "region" {
  description = "AWS region."
  type        = string
}

variable "project" {
  description = "Project name."
  type        = string
}

variable "lambda_zip" {
  description = "Path of a zip file for Lambda, in place of the one that packaging/package has built. Not used with release."
  type        = string
  default     = null
}

variable "lambda_architecture" {
  description = "Architecture of the zip file: arm64 (cheaper), or x86_64, which packaging/package builds on an x86-64 machine."
  type        = string
  default     = "arm64"
}

variable "release" {
  description = "Release to run in place of lambda_zip: its version, the SHA-256 of jvb-watcher-lambda-ARCHITECTURE.zip in its SHA256SUMS, and the path of that download."
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
