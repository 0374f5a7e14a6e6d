locals {
  task_events = ["ECS Task State Change"]
  # Why tasks don't start. An event about a deployment names its service in resources only.
  service_events = ["ECS Service Action", "ECS Deployment State Change"]
  failures = [
    "SERVICE_TASK_START_IMPAIRED",
    "SERVICE_TASK_PLACEMENT_FAILURE",
    "SERVICE_TASK_CONFIGURATION_FAILURE",
    "SERVICE_DEPLOYMENT_FAILED",
  ]

  # The quota "Event pattern size" is 2,048 characters (Amazon EventBridge user guide, "Amazon EventBridge quotas").
  longest_pattern = 2048

  # The tasks of the services by name, or of all services of the clusters.
  groups_by_name = [for service in local.services : "service:${service.service}"]
  all_groups     = [{ prefix = "service:" }]

  # The services by name, all of the clusters, or all of the account in this region: failures are rare.
  services_by_name     = [for service in local.services : "${local.ecs_arn}:service/${service.cluster}/${service.service}"]
  services_of_clusters = [for cluster in local.clusters : { prefix = "${local.ecs_arn}:service/${cluster}/" }]
  all_services         = [{ prefix = "${local.ecs_arn}:service/" }]

  # From narrow to wide. What is matched beyond the services is received, and deleted as foreign.
  event_patterns = [
    for match in [
      { groups = local.groups_by_name, services = local.services_by_name },
      { groups = local.groups_by_name, services = local.services_of_clusters },
      { groups = local.all_groups, services = local.services_of_clusters },
      { groups = local.all_groups, services = local.all_services },
      ] : {
      source = ["aws.ecs"]
      "$or" = [
        {
          "detail-type" = local.task_events
          detail = {
            clusterArn = local.cluster_arns
            group      = match.groups
          }
        },
        {
          "detail-type" = local.service_events
          resources     = match.services
          detail        = { eventName = local.failures }
        },
      ]
    } if length(match.groups) > 0
  ]
  short_patterns = [for pattern in local.event_patterns : jsonencode(pattern) if length(jsonencode(pattern)) <= local.longest_pattern]

  # The last one is refused by a precondition where it is too long.
  event_pattern = try(local.short_patterns[0], jsonencode(reverse(local.event_patterns)[0]))
}

resource "aws_cloudwatch_event_rule" "tasks" {
  name          = local.name
  description   = "Task state changes and failures of ${local.subject}, for jvb-watcher"
  event_pattern = local.event_pattern
  tags          = local.tags

  lifecycle {
    precondition {
      condition     = length(local.event_pattern) <= local.longest_pattern
      error_message = "The event pattern has ${length(local.event_pattern)} characters, and EventBridge accepts ${local.longest_pattern}: the services are in too many clusters (${length(local.clusters)}). Put more services into one cluster, or use several watchers, each with a name of its own."
    }
  }
}

resource "aws_cloudwatch_event_target" "queue" {
  rule      = aws_cloudwatch_event_rule.tasks.name
  target_id = "queue"
  arn       = aws_sqs_queue.events.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter.arn
  }

  # After an hour an event is of no use any more: the regular reconciliations have converged whatever it announced.
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }
}

# A Lambda function has no timer of its own. Scheduled rules are free.
resource "aws_cloudwatch_event_rule" "tick" {
  count = local.on_lambda ? 1 : 0

  name                = "${local.name}-tick"
  description         = "Triggers a reconciliation by jvb-watcher once a minute"
  schedule_expression = "rate(1 minute)"
  tags                = merge(local.tags, { Name = "${local.name}-tick" })
}

resource "aws_cloudwatch_event_target" "tick" {
  count = local.on_lambda ? 1 : 0

  rule      = aws_cloudwatch_event_rule.tick[0].name
  target_id = "function"
  arn       = aws_lambda_function.this[0].arn

  # The next tick follows within a minute.
  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 0
  }
}
