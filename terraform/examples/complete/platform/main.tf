# The part of the platform that always exists: network, certificate, the ECS service with no tasks, and the watcher.
# Nothing here refers to the load balancer, so an apply never touches calls. The load balancer is the configuration
# ../calls.

provider "aws" {
  region = var.region
}

module "jitsi_service" {
  source = "../../../modules/jitsi-service"

  project_name = var.project_name
  vpc_id       = aws_vpc.jitsi.id
  subnet_ids   = [aws_subnet.public.id]
  domain       = var.domain
}

module "jvb_watcher" {
  source = "../../../modules/watcher"

  project             = var.project_name
  lambda_architecture = var.lambda_architecture
  release             = var.release
  alarm_topic_arn     = var.alarm_topic_arn
  stop_when_unused    = var.stop_when_unused

  lambda_zip = var.release != null ? null : coalesce(
    var.lambda_zip, "../../../../target/package/jvb-watcher-lambda-${var.lambda_architecture}.zip"
  )
}
