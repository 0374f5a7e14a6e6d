# One watcher for two platforms that exist: one queue, one rule, one function.

provider "aws" {
  region = var.region
}

module "jvb_watcher" {
  source = "../../modules/watcher"

  name                = "jitsi-fleet"
  lambda_architecture = var.lambda_architecture
  release             = var.release
  alarm_topic_arn     = var.alarm_topic_arn

  lambda_zip = var.release != null ? null : coalesce(
    var.lambda_zip, "../../../target/package/jvb-watcher-lambda-${var.lambda_architecture}.zip"
  )

  # For those that don't set them themselves.
  idle_grace       = "3m"
  stop_when_unused = "20m"

  services = [
    # Cluster meet-cluster, service meet-service, load balancer meet-jvb-nlb.
    { project = "meet" },
    {
      project    = "webinar"
      cluster    = "shared-cluster"
      idle_grace = "until-paid-hour"
    },
  ]
}
