# A load balancer without a name of its own: create a CNAME record for nlb_dns_name.

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
  task_security_group_id = "sg-0a1b2c3d4e5f60718"
  ports                  = { web = 8000, media = 10000, health = 8080 }
  certificate_arn        = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
}

output "nlb_dns_name" {
  description = "DNS name of the load balancer."
  value       = module.jvb_nlb.nlb_dns_name
}
