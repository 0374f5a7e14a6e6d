# The watcher of two services, with most of what can be set. The zip file is in S3, and a plan fails if the object's sum is not
# the release's.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

module "jvb_watcher" {
  source = "../.."

  name = "jitsi-fleet"

  release = {
    version     = var.release_version
    sha256      = var.release_sha256
    s3_bucket   = var.release_bucket
    s3_checksum = var.release_checksum
  }
  lambda_architecture         = "arm64"
  lambda_memory               = 256
  lambda_timeout              = 120
  lambda_reserved_concurrency = 4

  # For those that don't set it themselves.
  idle_grace       = "3m"
  stop_when_unused = "20m"
  stop_notice      = "5m"
  first_call_grace = "45m"

  services = [
    { project = "meet" },
    {
      service       = "lectures"
      cluster       = "shared-cluster"
      load_balancer = "lectures-nlb"
      target_groups = ["lectures-*"]
      owner_tag     = { key = "Team", value = "lectures" }
      idle_grace    = "until-paid-hour"
      use_protocols = ["udp", "tls"]
    },
  ]

  log_level          = "debug"
  log_retention_days = 30
  metrics_namespace  = "jitsi-fleet"
  publish_events_bus = "default"
  alarm_topic_arn    = var.alarm_topic_arn

  tags = { Team = "conferences" }
}

variable "release_version" {
  description = "Version of the release, e.g. 0.1.0."
  type        = string
}

variable "release_sha256" {
  description = "SHA-256 of jvb-watcher-lambda-arm64.zip in the release's SHA256SUMS."
  type        = string
}

variable "release_bucket" {
  description = "Bucket in the function's region with the zip file as jvb-watcher/vVERSION/jvb-watcher-lambda-arm64.zip."
  type        = string
}

variable "release_checksum" {
  description = "Base64 SHA-256 of that object: data.aws_s3_object with checksum_mode ENABLED returns it as checksum_sha256."
  type        = string
}

variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that alarms notify. No notifications if null."
  type        = string
  default     = null
}

output "alarms" {
  description = "Names of the alarms."
  value       = module.jvb_watcher.alarm_names
}

output "config_text" {
  description = "The list of services as the program reads it."
  value       = module.jvb_watcher.config_text
}
