# The watcher for an existing platform.

provider "aws" {
  region = var.region
}

module "jvb_watcher" {
  source = "../../modules/watcher"

  project             = var.project
  lambda_architecture = var.lambda_architecture
  release             = var.release
  alarm_topic_arn     = var.alarm_topic_arn

  lambda_zip = var.release != null ? null : coalesce(
    var.lambda_zip, "../../../target/package/jvb-watcher-lambda-${var.lambda_architecture}.zip"
  )
}
