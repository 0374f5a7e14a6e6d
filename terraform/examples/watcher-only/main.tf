# The watcher for an existing platform.

provider "aws" {
  region = var.region
}

module "jvb_watcher" {
  source = "../../modules/watcher"

  project         = var.project
  lambda_zip      = var.release == null ? var.lambda_zip : null
  release         = var.release
  alarm_topic_arn = var.alarm_topic_arn
}
