# A complete platform: network, ECS service with no tasks, optional load balancer, and the watcher.

provider "aws" {
  region = var.region
}

module "jitsi_service" {
  source = "../../modules/jitsi-service"

  project_name = var.project_name
  vpc_id       = aws_vpc.jitsi.id
  vpc_cidr     = aws_vpc.jitsi.cidr_block
  subnet_ids   = aws_subnet.public[*].id
}

# Created by a scale-up, deleted by jvb-watcher. `nlb_enabled = false` keeps an ordinary apply from creating it while the
# service is idle.
module "jvb_nlb" {
  source = "../../modules/jvb-nlb"
  count  = var.nlb_enabled ? 1 : 0

  project_name      = var.project_name
  vpc_id            = aws_vpc.jitsi.id
  subnet_ids        = aws_subnet.public[*].id
  security_group_id = module.jitsi_service.security_group_id
  tcp_fallback      = true
}

module "jvb_watcher" {
  source = "../../modules/watcher"

  project         = var.project_name
  lambda_zip      = var.lambda_zip
  alarm_topic_arn = var.alarm_topic_arn
}
