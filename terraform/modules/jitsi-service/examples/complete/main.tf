# A service in private subnets, with authentication, a TURN server's secret, and a smaller log.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

module "jitsi_service" {
  source = "../.."

  project_name     = "jitsi"
  domain           = "meet.example.org"
  vpc_id           = "vpc-0a1b2c3d4e5f60718"
  subnet_ids       = ["subnet-0a1b2c3d4e5f60718"]
  assign_public_ip = false # with a NAT gateway

  cpu              = 4096
  memory           = 8192
  cpu_architecture = "X86_64"
  fargate_spot     = true

  environment = {
    all = { ENABLE_AUTH = "1", ENABLE_GUESTS = "1", AUTH_TYPE = "internal" }
    web = { ENABLE_P2P = "false" }
  }
  secrets = {
    prosody = { TURN_CREDENTIALS = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/turn" }
  }

  advertise_ips      = ["198.51.100.7"]
  container_insights = true
  log_retention_days = 14

  tags = { Team = "conferences" }
}

output "security_group_id" {
  description = "ID of the tasks' security group, for the module jvb-nlb."
  value       = module.jitsi_service.security_group_id
}
