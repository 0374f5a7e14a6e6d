variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "project_name" {
  description = "Project name, from which the names of all resources derive."
  type        = string
  default     = "jitsi"
}

variable "zone" {
  description = "Name of an existing public hosted zone in Route 53, e.g. example.org."
  type        = string
}

variable "domain" {
  description = "Name of the platform in that zone, e.g. meet.example.org."
  type        = string

  validation {
    condition     = var.domain == var.zone || endswith(var.domain, ".${var.zone}")
    error_message = "The domain ${var.domain} must be in the zone ${var.zone}."
  }
}

variable "vpc_cidr" {
  description = "CIDR block of the VPC."
  type        = string
  default     = "10.0.0.0/16"
}

variable "availability_zone" {
  description = "Availability zone of tasks and load balancer. Defaults to the region's zone a. To leave a zone that has failed, destroy ../calls, change this and apply."
  type        = string
  default     = null
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

variable "stop_when_unused" {
  description = "Time without calls after which the watcher stops the service, e.g. 20m; at least 5m. Never if null."
  type        = string
  default     = null
}
