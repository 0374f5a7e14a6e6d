locals {
  notify = compact([var.alarm_topic_arn])

  own_dimensions = { Project = var.project, Service = local.service }

  seconds_of = { s = 1, m = 60, h = 3600 }

  # Within these seconds the watcher deletes an idle load balancer: the grace period, which until-paid-hour extends to 58
  # minutes at most, the time between two reconciliations, and two minutes (docs/guarantees.md).
  idle_grace_seconds      = var.idle_grace == "until-paid-hour" ? 58 * 60 : local.seconds.idle_grace
  reconciled_each_seconds = local.on_lambda ? 60 : local.seconds.resync_interval
  deleted_within_minutes  = ceil((local.idle_grace_seconds + local.reconciled_each_seconds) / 60) + 2
  idle_alarm_minutes      = coalesce(var.idle_alarm_minutes, max(30, local.deleted_within_minutes + 10))

  # AWS's own metrics are free, custom metrics are not: an alarm uses the former where one exists.
  alarms_of_queues = {
    dead-letters = {
      description = "${local.name}-dead holds messages that jvb-watcher could not parse or EventBridge could not deliver. Read them to find their sender, then purge the queue."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = "${local.name}-dead" }
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      period      = 300
      periods     = 1
      missing     = "notBreaching"
    }
    events-waiting = {
      description = "Events have waited for more than ten minutes: jvb-watcher doesn't receive them, or its reconciliations fail. Look for poll_failed and reconcile_failed in its log."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = local.name }
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 600
      period      = 300
      periods     = 2
      missing     = "notBreaching"
    }
  }

  alarms_of_function = {
    no-heartbeat = {
      description = "jvb-watcher has not run for ten minutes, so it would not delete an idle load balancer. Check that the rule ${local.name}-tick is enabled and that the function's reserved concurrency is not zero."
      namespace   = "AWS/Lambda"
      metric      = "Invocations"
      dimensions  = { FunctionName = local.name }
      statistic   = "Sum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      period      = 300
      periods     = 2
      missing     = "breaching"
    }
    reconcile-failures = {
      description = "jvb-watcher's reconciliations have failed for ten minutes. The event reconcile_failed in its log names the call and the resource, and the missing action if access is denied."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = local.name }
      statistic   = "Sum"
      comparison  = "GreaterThanOrEqualToThreshold"
      # Of the five ticks in a period.
      threshold = 3
      period    = 300
      periods   = 2
      missing   = "notBreaching"
    }
  }

  # For a worker on Fargate, no metric of AWS's own shows whether the program works.
  alarms_of_worker = {
    no-heartbeat = {
      description = "jvb-watcher has not reconciled for ten minutes, so it would not delete an idle load balancer. Check that a task of the service ${local.name} runs, and read its log."
      namespace   = var.metrics_namespace
      metric      = "Reconciles"
      dimensions  = local.own_dimensions
      statistic   = "Sum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      period      = 300
      periods     = 2
      missing     = "breaching"
    }
    reconcile-failures = {
      description = "jvb-watcher's reconciliations have failed for ten minutes. The event reconcile_failed in its log names the call and the resource, and the missing action if access is denied."
      namespace   = var.metrics_namespace
      metric      = "ReconcileFailures"
      dimensions  = local.own_dimensions
      statistic   = "Sum"
      comparison  = "GreaterThanOrEqualToThreshold"
      threshold   = 3
      period      = 300
      periods     = 2
      missing     = "notBreaching"
    }
  }

  # Conditions that only jvb-watcher's custom metrics show.
  alarms_of_program = {
    load-balancer-idle = {
      description = "${local.load_balancer} has been idle for more than ${local.idle_alarm_minutes} minutes and still costs money. The event finding in jvb-watcher's log gives the reason why it is not deleted."
      namespace   = var.metrics_namespace
      metric      = "IdleSeconds"
      dimensions  = local.own_dimensions
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = local.idle_alarm_minutes * 60
      period      = 300
      periods     = 1
      missing     = "notBreaching"
    }
    findings = {
      description = "jvb-watcher has reported a finding for fifteen minutes. The event finding in its log describes the condition and the remedy."
      namespace   = var.metrics_namespace
      metric      = "Findings"
      dimensions  = local.own_dimensions
      statistic   = "Minimum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      period      = 300
      periods     = 3
      missing     = "notBreaching"
    }
  }

  seconds = {
    for name, duration in {
      idle_grace       = var.idle_grace == "until-paid-hour" ? "0s" : var.idle_grace
      resync_interval  = var.resync_interval
      stop_when_unused = coalesce(var.stop_when_unused, "0s")
      first_call_grace = var.first_call_grace
      stop_notice      = var.stop_notice
    } : name => tonumber(trim(duration, "smh")) * local.seconds_of[substr(duration, -1, 1)]
  }

  # The latest time at which an unused service is stopped: at the end of the window or of the grace for the first call,
  # after the notice. The margin is for CloudWatch's lateness, the announcement, and the time that tasks take to start,
  # from which the grace counts.
  unused_alarm_minutes = !local.stops_when_unused ? var.unused_alarm_minutes : ceil(
    (max(local.seconds.stop_when_unused, local.seconds.first_call_grace) + local.seconds.stop_notice) / 60 + 15
  )

  unused_alarm_advice = (
    local.stops_when_unused
    ? "although stop_when_unused is ${coalesce(var.stop_when_unused, "null")}. A hold, the missing owner tag, an unhealthy target or a missing permission keeps it up: run jvb-watcher status, and look for reconcile_failed in the log."
    : "and costs money. Stop it with jvb-watcher down, or set stop_when_unused to have the watcher do so."
  )

  alarms_of_usage = {
    unused = {
      description = "${local.service} has been unused for more than ${coalesce(local.unused_alarm_minutes, 0)} minutes and is still up, ${local.unused_alarm_advice}"
      namespace   = var.metrics_namespace
      metric      = "UnusedSeconds"
      dimensions  = local.own_dimensions
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = coalesce(local.unused_alarm_minutes, 0) * 60
      period      = 300
      periods     = 1
      # The metric is published only while the service is up and its usage is known.
      missing = "notBreaching"
    }
  }

  alarms = merge(
    local.alarms_of_queues,
    local.on_lambda ? local.alarms_of_function : {},
    local.on_fargate && var.metrics ? local.alarms_of_worker : {},
    var.metrics ? local.alarms_of_program : {},
    var.metrics && var.usage && var.unused_alarm_minutes != null ? local.alarms_of_usage : {},
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.alarms ? local.alarms : {}

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = local.notify
  ok_actions          = local.notify

  tags = merge(local.tags, { Name = "${local.name}-${each.key}" })
}
