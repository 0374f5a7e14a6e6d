locals {
  # A scale-up of some tasks gives dozens of events within seconds, and one look serves them all. A second's wait is
  # little beside the minutes that a target takes to become healthy, and saves most of the invocations.
  batching_window = 1
  batch_size      = 100

  # The fewest that the event source mapping takes. More at once would only look at the same things.
  concurrency = 2
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:A trace of a function that calls AWS and nothing else shows nothing that its log doesn't.
  #checkov:skip=CKV_AWS_115:lambda_reserved_concurrency sets a limit; any number may run at once without harm.
  #checkov:skip=CKV_AWS_116:Ticks need no dead-letter queue, the next comes in a minute; messages have one at their queue.
  #checkov:skip=CKV_AWS_117:It talks to AWS's public endpoints only; in a VPC it would need endpoints that cost more than it saves.
  #checkov:skip=CKV_AWS_173:There are no secrets in its environment, and Lambda encrypts it with keys of its own.
  #checkov:skip=CKV_AWS_272:The zip is built by whoever applies this; code signing needs a signing profile of theirs.
  count = local.on_lambda ? 1 : 0

  function_name = local.name
  description   = "Keeps ${local.load_balancer} true to ${local.service}"
  role          = aws_iam_role.this.arn

  filename         = var.lambda_zip
  source_code_hash = try(filebase64sha256(var.lambda_zip), null)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.lambda_architecture]

  memory_size                    = var.lambda_memory
  timeout                        = var.lambda_timeout
  reserved_concurrent_executions = var.lambda_reserved_concurrency

  environment {
    variables = local.environment
  }

  # The program writes JSON lines itself, metrics among them; Lambda must pass them on as they are.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  tags = local.tags

  # It must not run before it may do what it does.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy.log]
}

resource "aws_lambda_event_source_mapping" "events" {
  count = local.on_lambda ? 1 : 0

  event_source_arn                   = aws_sqs_queue.events.arn
  function_name                      = aws_lambda_function.this[0].arn
  batch_size                         = local.batch_size
  maximum_batching_window_in_seconds = local.batching_window
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = local.concurrency
  }

  tags = local.tags
}

resource "aws_lambda_permission" "tick" {
  count = local.on_lambda ? 1 : 0

  statement_id  = "tick"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[0].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.tick[0].arn
}

# A tick that failed is not tried again: the next one comes in a minute.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = local.on_lambda ? 1 : 0

  function_name                = aws_lambda_function.this[0].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}
