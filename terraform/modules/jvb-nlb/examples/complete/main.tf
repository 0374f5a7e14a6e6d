# A load balancer with a name, a fixed address, access logs, and callers of one network only.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

module "jvb_nlb" {
  source = "../.."

  project_name           = "jitsi"
  vpc_id                 = "vpc-0a1b2c3d4e5f60718"
  subnet_ids             = ["subnet-0a1b2c3d4e5f60718"]
  eip_allocation_ids     = ["eipalloc-0a1b2c3d4e5f60718"]
  task_security_group_id = "sg-0a1b2c3d4e5f60718"
  ports                  = { web = 8000, media = 10000, health = 8080 }

  certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
  ssl_policy      = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
  domain          = "meet.example.org"
  zone_id         = "Z0123456789ABCDEFGHIJ"

  allowed_cidrs         = ["192.0.2.0/24"]
  web_health_check_path = "/"
  deregistration_delay  = 30
  access_logs           = { bucket = "our-access-logs", prefix = "jitsi" }

  tags = { Team = "conferences" }
}

output "url" {
  description = "URL of the platform."
  value       = module.jvb_nlb.url
}
