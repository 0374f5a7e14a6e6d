locals {
  notify = compact([var.alarm_topic_arn])

  seconds_of = { s = 1, m = 60, h = 3600 }

  # The one service, each service of a list, or all that are discovered.
  watched = concat(local.services, [
    for service in [merge(local.rules_by_default, { project = "", service = "", load_balancer = "" })] : service if local.is_discovered
  ])

  seconds = [for service in local.watched : {
    for name, duration in {
      idle_grace       = service.idle_grace == "until-paid-hour" ? "${58 * 60}s" : service.idle_grace
      resync_interval  = local.on_lambda ? "60s" : service.resync_interval
      stop_when_unused = service.stop_when_unused == null ? "0s" : service.stop_when_unused
      first_call_grace = service.first_call_grace
      stop_notice      = service.stop_notice
    } : name => tonumber(trim(duration, "smh")) * local.seconds_of[substr(duration, -1, 1)]
  }]

  # Within this time the watcher deletes an idle load balancer: the grace period, which until-paid-hour extends to 58 minutes
  # at most, the time between two reconciliations, and two minutes (docs/guarantees.md).
  minutes_to_deletion    = [for seconds in local.seconds : ceil((seconds.idle_grace + seconds.resync_interval) / 60) + 2]
  deleted_within_minutes = max(local.minutes_to_deletion...)
  idle_alarm_minutes     = [for minutes in local.minutes_to_deletion : coalesce(var.idle_alarm_minutes, max(30, minutes + 10))]

  # The latest time at which an unused service is stopped: at the end of the window or of the grace for the first call,
  # after the notice. The margin is for CloudWatch's lateness, the announcement, and the time that tasks take to start,
  # from which the grace counts.
  unused_alarm_minutes = [for index, service in local.watched : coalesce(
    service.stop_when_unused == null ? var.unused_alarm_minutes : ceil(
      (max(local.seconds[index].stop_when_unused, local.seconds[index].first_call_grace) + local.seconds[index].stop_notice) / 60 + 15
    ), 0
  )]

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

  # Conditions that only jvb-watcher's custom metrics show, of each service. For a worker on Fargate, no metric of AWS's own
  # shows whether the program works; for one service of many, none of the function's does.
  alarms_of_services = [for index, service in local.watched : { for kind, alarm in {
    no-heartbeat = {
      description = "jvb-watcher has not reconciled ${local.is_discovered ? "any service " : local.alarm_subjects[index]}for ten minutes, so it would not delete an idle load balancer. ${local.on_lambda ? "Look for reconcile_failed in its log, and give the function a longer timeout if its invocations run out of time." : "Check that a task of the service ${local.name} runs, and read its log."}"
      metric      = "Reconciles"
      statistic   = "Sum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      periods     = 2
      missing     = "breaching"
      # A service that is no longer discovered is none that isn't reconciled: only all of them together are.
      wanted  = local.on_fargate || local.is_listed
      grouped = false
    }
    reconcile-failures = {
      description = "jvb-watcher's reconciliations ${local.is_fleet ? "of ${local.alarm_subjects[index]}" : ""}have failed for ten minutes. The event reconcile_failed in its log names the call and the resource, and the missing action if access is denied."
      metric      = "ReconcileFailures"
      statistic   = "Sum"
      comparison  = "GreaterThanOrEqualToThreshold"
      threshold   = 3
      periods     = 2
      missing     = "notBreaching"
      wanted      = local.on_fargate || local.is_fleet
      grouped     = true
    }
    load-balancer-idle = {
      description = "${local.is_discovered ? "The load balancer of a service" : service.load_balancer} has been idle for more than ${local.idle_alarm_minutes[index]} minutes and still costs money. The event finding in jvb-watcher's log gives the reason why it is not deleted."
      metric      = "IdleSeconds"
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = local.idle_alarm_minutes[index] * 60
      periods     = 1
      missing     = "notBreaching"
      wanted      = true
      grouped     = true
    }
    findings = {
      description = "jvb-watcher has reported a finding ${local.is_fleet ? "about ${local.alarm_subjects[index]}" : ""}for fifteen minutes. The event finding in its log describes the condition and the remedy."
      metric      = "Findings"
      statistic   = "Minimum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      periods     = 3
      missing     = "notBreaching"
      wanted      = true
      grouped     = true
    }
    unused = {
      description = "${local.is_discovered ? "A service" : service.service} has been unused for more than ${local.unused_alarm_minutes[index]} minutes and is still up, ${
        service.stop_when_unused != null
        ? "although stop_when_unused is ${service.stop_when_unused}. A hold, the missing owner tag, an unhealthy target or a missing permission keeps it up: run jvb-watcher status, and look for reconcile_failed in the log."
        : "and costs money. Stop it with jvb-watcher down, or set stop_when_unused to have the watcher do so."
      }"
      metric     = "UnusedSeconds"
      statistic  = "Maximum"
      comparison = "GreaterThanThreshold"
      threshold  = local.unused_alarm_minutes[index] * 60
      periods    = 1
      # The metric is published only while the service is up and its usage is known.
      missing = "notBreaching"
      wanted  = service.usage && var.unused_alarm_minutes != null
      grouped = true
    }
    } : "${kind}${local.alarm_suffixes[index]}" => {
    description = alarm.description
    namespace   = local.is_discovered ? null : var.metrics_namespace
    metric      = local.is_discovered ? null : alarm.metric
    dimensions  = local.is_discovered ? null : tomap({ Project = service.project, Service = service.service })
    statistic   = local.is_discovered ? null : alarm.statistic
    comparison  = alarm.comparison
    threshold   = alarm.threshold
    period      = local.is_discovered ? null : 300
    periods     = alarm.periods
    missing     = alarm.missing
    # An alarm can't use SEARCH, but a query of Metrics Insights: each service is a contributor of its own, those with the
    # highest values first, because a query returns at most 500 (Amazon CloudWatch user guide, "Create a CloudWatch alarm
    # based on a Metrics Insights query" and "Metrics Insights quotas").
    queries = local.is_discovered ? [join(" ", concat(
      ["SELECT ${local.functions[alarm.statistic]}(${alarm.metric}) FROM SCHEMA(\"${var.metrics_namespace}\", Project, Service)"],
      alarm.grouped ? ["GROUP BY Project, Service ORDER BY ${local.functions[alarm.statistic]}() DESC"] : [],
    ))] : []
  } if var.metrics && alarm.wanted }]

  functions = { Maximum = "MAX", Minimum = "MIN", Sum = "SUM" }

  alarm_suffixes = [for service in local.watched : local.is_discovered ? "/any" : local.is_listed ? "/${service.project}/${service.service}" : ""]
  alarm_subjects = [for service in local.watched : local.is_discovered ? "a service " : local.is_listed ? "${service.service} " : ""]

  alarms = merge(concat(
    [for name, alarm in merge(local.alarms_of_queues, local.on_lambda ? local.alarms_of_function : {}) : { (name) = merge(alarm, { queries = [] }) }],
    local.alarms_of_services,
  )...)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if var.alarms }

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

  dynamic "metric_query" {
    for_each = each.value.queries

    content {
      id          = "q1"
      expression  = metric_query.value
      period      = 300
      return_data = true
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-${each.key}" })
}
