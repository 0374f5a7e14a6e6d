locals {
  event_pattern = {
    source = ["aws.ecs"]
    "$or" = [
      {
        "detail-type" = ["ECS Task State Change"]
        detail = {
          clusterArn = [local.cluster_arn]
          group      = ["service:${local.service}"]
        }
      },
      {
        # Why tasks don't start. An event about a deployment names its service in resources only.
        "detail-type" = ["ECS Service Action", "ECS Deployment State Change"]
        resources     = ["arn:${local.partition}:ecs:${local.here}:service/${local.cluster}/${local.service}"]
        detail = {
          eventName = [
            "SERVICE_TASK_START_IMPAIRED",
            "SERVICE_TASK_PLACEMENT_FAILURE",
            "SERVICE_TASK_CONFIGURATION_FAILURE",
            "SERVICE_DEPLOYMENT_FAILED",
          ]
        }
      },
    ]
  }
}

resource "aws_cloudwatch_event_rule" "tasks" {
  name          = local.name
  description   = "Task state changes and failures of ${local.service}, for jvb-watcher"
  event_pattern = jsonencode(local.event_pattern)
  tags          = local.tags
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
