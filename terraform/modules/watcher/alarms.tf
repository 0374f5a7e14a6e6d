locals {
  notify = compact([var.alarm_topic_arn])

  own_dimensions = { Project = var.project, Service = local.service }

  # Each rests on what AWS measures for nothing, where there is such a thing; metrics of one's own cost money.
  alarms_of_queues = {
    dead-letters = {
      description = "Messages that nobody can read, or that EventBridge could not deliver, are in ${local.name}-dead. Read them: who sends them? Then purge the queue."
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
      description = "Events have waited for more than ten minutes: jvb-watcher doesn't take them, or its looks fail. See its log for reconcile_failed and poll_failed."
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
      description = "jvb-watcher has not run for ten minutes, so nobody would see an idle load balancer. Is the rule ${local.name}-tick enabled, and the function's concurrency above zero?"
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
      description = "jvb-watcher's looks have failed for ten minutes. Its log says on which call and resource (reconcile_failed), and which action it lacks if access is denied."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = local.name }
      statistic   = "Sum"
      comparison  = "GreaterThanOrEqualToThreshold"
      # Of five ticks.
      threshold = 3
      period    = 300
      periods   = 2
      missing   = "notBreaching"
    }
  }

  # On Fargate nothing of AWS's own says whether the program works; so these need its metrics.
  alarms_of_worker = {
    no-heartbeat = {
      description = "jvb-watcher has not looked for ten minutes, so nobody would see an idle load balancer. Does the task of ${local.name} run, and what does its log say?"
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
      description = "jvb-watcher's looks have failed for ten minutes. Its log says on which call and resource (reconcile_failed), and which action it lacks if access is denied."
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

  # What only the program can know.
  alarms_of_program = {
    load-balancer-idle = {
      description = "${local.load_balancer} has stood idle for more than ${var.idle_alarm_minutes} minutes, and costs money for nobody. The finding in jvb-watcher's log says why it is not deleted."
      namespace   = var.metrics_namespace
      metric      = "IdleSeconds"
      dimensions  = local.own_dimensions
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = var.idle_alarm_minutes * 60
      period      = 300
      periods     = 1
      missing     = "notBreaching"
    }
    findings = {
      description = "For fifteen minutes something has been as a person should know of. The event finding in jvb-watcher's log says what it is, and what to do."
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

  alarms = merge(
    local.alarms_of_queues,
    local.on_lambda ? local.alarms_of_function : {},
    local.on_fargate && var.metrics ? local.alarms_of_worker : {},
    var.metrics ? local.alarms_of_program : {},
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
