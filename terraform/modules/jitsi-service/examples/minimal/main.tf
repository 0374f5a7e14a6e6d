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

  project_name = "jitsi"
  domain       = "meet.example.org"
  vpc_id       = "vpc-0a1b2c3d4e5f60718"
  subnet_ids   = ["subnet-0a1b2c3d4e5f60718"]
}
