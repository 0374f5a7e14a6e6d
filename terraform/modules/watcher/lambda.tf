locals {
  # A scale-up emits dozens of events within seconds, and one reconciliation handles them all. Waiting for one second
  # is short beside the minutes that a target takes to become healthy, and saves most of the invocations.
  batching_window = 1
  batch_size      = 100

  # The minimum of an event source mapping. More concurrent invocations would only observe the same resources. With this
  # setting Lambda keeps five polls open while the queue is empty, instead of scaling down to two (Lambda Developer Guide,
  # "Configuring scaling behavior for SQS event source mappings"): $0.16 a month, where SQS's free tier is used up.
  concurrency = 2

  # All variables of a function have 4 KB (AWS Lambda developer guide, "Lambda quotas"). Lambda measures them as JSON, so that
  # a quotation mark or a line break counts twice (github-aws-runners/terraform-aws-github-runner, issue 3594, shows the text
  # that it measures). The queue's URL is known only after its creation; it is this long, or shorter.
  largest_environment = 4096
  environment_size = length(jsonencode(merge(local.environment, {
    JVB_WATCHER_QUEUE = "https://sqs.${local.region}.amazonaws.com.cn/${local.account}/${local.name}"
  })))
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:Nothing here reads traces; the log has each failed call, and the calls and the duration of each reconciliation.
  #checkov:skip=CKV_AWS_115:lambda_reserved_concurrency sets a limit; concurrent invocations do no harm.
  #checkov:skip=CKV_AWS_116:A lost tick is followed by the next within a minute; the queue of events has a dead-letter queue.
  #checkov:skip=CKV_AWS_117:The function calls only AWS's public endpoints; in a VPC it would need VPC endpoints, which cost more than the idle platform.
  #checkov:skip=CKV_AWS_173:The environment holds no secrets, and Lambda encrypts it with its own keys.
  #checkov:skip=CKV_AWS_272:Code signing needs a signing profile of the account that builds the zip file.
  count = local.on_lambda ? 1 : 0

  function_name = local.name
  description   = local.is_fleet ? "Converges load balancers to the state of ${local.subject}" : "Converges ${local.services[0].load_balancer} to the state of ${local.subject}"
  role          = aws_iam_role.this.arn

  filename          = local.zip_file
  s3_bucket         = local.zip_in_s3 ? var.release.s3_bucket : null
  s3_key            = local.zip_key
  s3_object_version = local.zip_in_s3 ? var.release.s3_object_version : null
  source_code_hash  = local.zip_in_s3 ? local.release_checksum : filebase64sha256(local.zip_file)
  runtime           = "provided.al2023"
  handler           = "bootstrap"
  architectures     = [var.lambda_architecture]

  memory_size                    = var.lambda_memory
  timeout                        = var.lambda_timeout
  reserved_concurrent_executions = var.lambda_reserved_concurrency

  layers = var.config_layer_arn == null ? null : [var.config_layer_arn]

  environment {
    variables = local.environment
  }

  # The program logs JSON lines, some of them metrics (EMF), which Lambda must not wrap.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  tags = local.tags

  # The function must not run before its role has its permissions.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy.log, aws_iam_role_policy_attachment.services]

  lifecycle {
    precondition {
      condition     = !local.zip_in_s3 || try(var.release.s3_checksum == local.release_checksum, false)
      error_message = "The object ${coalesce(local.zip_key, "null")} in S3 is not the zip file of the release: its SHA-256 is ${try(coalesce(var.release.s3_checksum), "null")}, that of the release ${coalesce(local.release_checksum, "null")}. Upload the release's zip file with aws s3api put-object --checksum-algorithm SHA256."
    }

    precondition {
      condition     = local.environment_size <= local.largest_environment
      error_message = "The function's variables have ${local.environment_size} characters, and Lambda accepts ${local.largest_environment} in all: ${length(local.services)} services don't fit in. Watch tagged services with discover, or put the output config_text into the file jvb-watcher.toml of a layer and set config_layer_arn, or use several watchers, each with a name of its own."
    }
  }
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

# A failed tick is not retried: the next one follows within a minute.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = local.on_lambda ? 1 : 0

  function_name                = aws_lambda_function.this[0].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}
