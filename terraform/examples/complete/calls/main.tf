# The part of the platform that exists only while calls run: load balancer, target groups, listeners and DNS record.
# `jvb-watcher up` applies this configuration, and the watcher deletes the load balancer. It takes everything from the
# outputs of ../platform, so that it needs no variables.

data "terraform_remote_state" "platform" {
  backend = "local"
  config  = { path = var.platform_state }
}

locals {
  platform = data.terraform_remote_state.platform.outputs
}

provider "aws" {
  region = local.platform.region
}

module "jvb_nlb" {
  source = "../../../modules/jvb-nlb"

  project_name           = local.platform.project_name
  vpc_id                 = local.platform.vpc_id
  subnet_ids             = [local.platform.subnet_id]
  task_security_group_id = local.platform.task_security_group_id
  ports                  = local.platform.ports
  certificate_arn        = local.platform.certificate_arn
  domain                 = local.platform.domain
  zone_id                = local.platform.zone_id
  allowed_cidrs          = var.allowed_cidrs
}
