locals {
  # AWS recommends six times the function's timeout, plus the batching window.
  visibility_timeout = local.on_lambda ? 6 * var.lambda_timeout + local.batching_window : 60

  # An event only triggers a reconciliation, and the next one converges whatever was missed: older events are of no use.
  retention = 24 * 60 * 60

  # The maximum of SQS, so that an operator has time to find the message.
  dead_letter_retention = 14 * 24 * 60 * 60
}

resource "aws_sqs_queue" "events" {
  name                       = local.name
  visibility_timeout_seconds = local.visibility_timeout
  message_retention_seconds  = local.retention
  receive_wait_time_seconds  = 20
  # SQS's own keys are free.
  sqs_managed_sse_enabled = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = 5
  })

  tags = local.tags

  # Errors in a list of services.
  lifecycle {
    precondition {
      condition     = length(local.listed_twice) == 0
      error_message = "A service is listed twice, as CLUSTER/SERVICE: ${join(", ", local.listed_twice)}."
    }
    precondition {
      condition     = length(local.shared_load_balancers) == 0
      error_message = "Two services have the same load balancer, ${join(", ", local.shared_load_balancers)}, and each would delete that of the other: give each a load_balancer of its own."
    }
    precondition {
      condition     = length(local.shared_metrics) == 0
      error_message = "Two services in different clusters have the same project and name, ${join(", ", local.shared_metrics)}, so their metrics and alarms would be the same: give each a project of its own, and cluster, service and load_balancer where these don't derive from it."
    }
  }
}

# Receives messages that the program could not parse and events that EventBridge could not deliver.
resource "aws_sqs_queue" "dead_letter" {
  name                      = "${local.name}-dead"
  message_retention_seconds = local.dead_letter_retention
  sqs_managed_sse_enabled   = true
  tags                      = merge(local.tags, { Name = "${local.name}-dead" })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letter" {
  queue_url = aws_sqs_queue.dead_letter.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.events.arn]
  })
}

locals {
  queues = {
    events      = aws_sqs_queue.events
    dead_letter = aws_sqs_queue.dead_letter
  }
}

# The rule sends events to the queue, and undeliverable ones to the dead-letter queue. No other principal may send.
resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheRuleSends"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.tasks.arn } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
