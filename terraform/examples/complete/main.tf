# The whole platform from nothing: network, service at zero, load balancer behind a switch, and the watcher.

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

# Made by a scale-up (terraform apply -target=module.jvb_nlb), deleted by jvb-watcher. `nlb_enabled = false` keeps an
# ordinary apply from making it while nobody calls.
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
