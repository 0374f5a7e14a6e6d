# The watcher of one service or of many: EventBridge sends events to a queue, from which the program receives them, as a
# Lambda function or as a worker on Fargate. One file per topic: services.tf, rule.tf, queue.tf, role.tf, release.tf,
# lambda.tf, fargate.tf, log.tf, alarms.tf, dashboard.tf, queries.tf.

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  name = coalesce(var.name, var.project == null ? "jvb-watcher" : "${var.project}-jvb-watcher")

  on_lambda  = var.runtime == "lambda"
  on_fargate = var.runtime == "fargate"

  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id
  here      = "${local.region}:${local.account}"

  # The names of IAM roles and of dashboards are the account's, those of all other resources the region's.
  account_wide_name = "${local.name}-${local.region}"

  tags = merge(var.project == null ? {} : { Project = var.project }, { Name = local.name }, var.tags)

  # The program's configuration, the same for both runtimes.
  environment = merge({
    JVB_WATCHER_QUEUE             = aws_sqs_queue.events.url
    JVB_WATCHER_OWNER_TAG         = "${var.owner_tag.key}=${var.owner_tag.value}"
    JVB_WATCHER_TEARDOWN          = var.teardown
    JVB_WATCHER_IDLE_GRACE        = var.idle_grace
    JVB_WATCHER_UNUSED_GRACE      = var.unused_grace
    JVB_WATCHER_RESYNC_INTERVAL   = var.resync_interval
    JVB_WATCHER_LOG_FORMAT        = "json"
    JVB_WATCHER_LOG_LEVEL         = var.log_level
    JVB_WATCHER_METRICS           = var.metrics ? "emf" : "off"
    JVB_WATCHER_METRICS_NAMESPACE = var.metrics_namespace

    JVB_WATCHER_ALLOW_SEVERAL_BRIDGES = tostring(var.allow_several_bridges)

    JVB_WATCHER_STOP_NOTICE      = var.stop_notice
    JVB_WATCHER_FIRST_CALL_GRACE = var.first_call_grace
    JVB_WATCHER_USE_THRESHOLD    = tostring(var.use_threshold)
    }, {
    for name, value in {
      JVB_WATCHER_PROJECT          = var.project
      JVB_WATCHER_PUBLISH_EVENTS   = var.publish_events_bus
      JVB_WATCHER_STOP_WHEN_UNUSED = var.stop_when_unused
      JVB_WATCHER_USE_PROTOCOLS    = var.use_protocols == null ? null : join(",", var.use_protocols)
      # Absent, not false: the option conflicts with that of stop_when_unused, whatever its value.
      JVB_WATCHER_NO_USAGE = var.usage ? null : "true"
    } : name => value if value != null
  }, local.environment_of_services)
}
