mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-west-1:111122223333:jitsi-jvb-watcher"
      id  = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-jvb-watcher"
      url = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-jvb-watcher"
    }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/jitsi-jvb-watcher" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:jitsi-jvb-watcher" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/jitsi-jvb-watcher:1" }
  }
}

variables {
  project    = "jitsi"
  lambda_zip = "jvb-watcher-lambda-arm64.zip"
}

run "names_derive_from_the_project" {
  assert {
    condition     = aws_sqs_queue.events.name == "jitsi-jvb-watcher" && aws_sqs_queue.dead_letter.name == "jitsi-jvb-watcher-dead"
    error_message = "the queues' names"
  }
  assert {
    condition     = aws_cloudwatch_event_rule.tasks.name == "jitsi-jvb-watcher" && aws_iam_role.this.name == "jitsi-jvb-watcher"
    error_message = "the rule's and the role's names"
  }
  assert {
    condition     = aws_sqs_queue.events.tags == tomap({ Project = "jitsi", Name = "jitsi-jvb-watcher" })
    error_message = "the tags"
  }
}

run "a_second_service_gets_names_of_its_own" {
  variables {
    name          = "jitsi-two"
    service       = "jitsi-two-service"
    load_balancer = "jitsi-two-nlb"
    target_groups = ["jitsi-two-*"]
  }
  assert {
    condition = alltrue([
      aws_sqs_queue.events.name == "jitsi-two",
      aws_sqs_queue.dead_letter.name == "jitsi-two-dead",
      aws_cloudwatch_event_rule.tasks.name == "jitsi-two",
      aws_cloudwatch_event_rule.tick[0].name == "jitsi-two-tick",
      aws_iam_role.this.name == "jitsi-two",
      aws_lambda_function.this[0].function_name == "jitsi-two",
      aws_cloudwatch_log_group.this.name == "/aws/lambda/jitsi-two",
      aws_cloudwatch_dashboard.this[0].dashboard_name == "jitsi-two",
      alltrue([for name in output.alarm_names : startswith(name, "jitsi-two-")]),
    ])
    error_message = "a name is shared with the first"
  }
}

run "the_rule_is_narrowed_to_the_cluster_and_the_service" {
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.tasks.event_pattern) == {
      source        = ["aws.ecs"]
      "detail-type" = ["ECS Task State Change"]
      detail = {
        clusterArn = ["arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster"]
        group      = ["service:jitsi-service"]
      }
    }
    error_message = "the pattern"
  }
  assert {
    condition     = aws_cloudwatch_event_target.queue.dead_letter_config[0].arn == aws_sqs_queue.dead_letter.arn
    error_message = "what can't be delivered goes to the dead-letter queue"
  }
  assert {
    condition     = aws_cloudwatch_event_target.queue.retry_policy[0].maximum_event_age_in_seconds == 3600
    error_message = "the retry policy"
  }
}

run "queues_are_encrypted_and_closed" {
  assert {
    condition     = aws_sqs_queue.events.sqs_managed_sse_enabled && aws_sqs_queue.dead_letter.sqs_managed_sse_enabled
    error_message = "the encryption"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.events.redrive_policy).maxReceiveCount == 5
    error_message = "the redrive policy"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letter.redrive_allow_policy).redrivePermission == "byQueue"
    error_message = "the redrive-allow policy"
  }
  assert {
    condition = alltrue([for policy in aws_sqs_queue_policy.this : alltrue([
      length(jsondecode(policy.policy).Statement) == 2,
      jsondecode(policy.policy).Statement[0].Principal == { Service = "events.amazonaws.com" },
      jsondecode(policy.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == aws_cloudwatch_event_rule.tasks.arn,
      jsondecode(policy.policy).Statement[1].Effect == "Deny",
      jsondecode(policy.policy).Statement[1].Condition.Bool["aws:SecureTransport"] == "false",
    ])])
    error_message = "the access policies"
  }
  assert {
    condition     = aws_sqs_queue.events.visibility_timeout_seconds >= 6 * aws_lambda_function.this[0].timeout
    error_message = "AWS advises six times the function's timeout"
  }
}

run "the_policy_is_limited_to_what_is_the_projects" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      jsonencode(statement.Resource) != jsonencode("*") || contains(["ReadLoadBalancers", "ListItsTasks", "FindTheRule"], statement.Sid)
    ])
    error_message = "a statement is for everything"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      !strcontains(jsonencode(statement.Action), "*")
    ])
    error_message = "an action has a wildcard"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement if statement.Sid == "DeleteTheLoadBalancer"
      ][0] == {
      Sid       = "DeleteTheLoadBalancer"
      Effect    = "Allow"
      Action    = "elasticloadbalancing:DeleteLoadBalancer"
      Resource  = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/*"
      Condition = { StringEquals = { "aws:ResourceTag/Lifecycle" = "on-demand" } }
    }
    error_message = "the deletion of the load balancer"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Resource == [for kind in ["udp", "tcp"] : "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-${kind}*/*"]
      if contains(["ChangeTargets", "MarkTargetGroups", "DeleteMarkedTargetGroups"], statement.Sid)
    ])
    error_message = "the target groups"
  }
  assert {
    condition     = output.policy == aws_iam_role_policy.this.policy
    error_message = "the output is the policy"
  }
}

run "events_for_others_go_to_one_bus_and_only_when_asked_for" {
  variables {
    publish_events_bus = "operations"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement if statement.Sid == "PublishEvents"
      ][0] == {
      Sid      = "PublishEvents"
      Effect   = "Allow"
      Action   = "events:PutEvents"
      Resource = "arn:aws:events:eu-west-1:111122223333:event-bus/operations"
    }
    error_message = "the bus"
  }
  assert {
    condition     = aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_PUBLISH_EVENTS"] == "operations"
    error_message = "what the program is told"
  }
}

run "without_a_bus_nothing_may_be_put_on_any" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid != "PublishEvents"
    ])
    error_message = "the permission is there"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this[0].environment[0].variables), "JVB_WATCHER_PUBLISH_EVENTS")
    error_message = "the program is told of a bus"
  }
}

run "what_is_not_torn_down_may_not_be_deleted" {
  variables {
    teardown = "load-balancer"
  }
  assert {
    condition     = strcontains(output.policy, "DeleteLoadBalancer") && !strcontains(output.policy, "DeleteTargetGroup")
    error_message = "the target groups stay"
  }
}

run "with_the_teardown_off_nothing_may_be_marked_or_deleted" {
  variables {
    teardown = "off"
  }
  assert {
    condition     = !strcontains(output.policy, "elasticloadbalancing:Delete")
    error_message = "nothing is deleted"
  }
  assert {
    condition     = !strcontains(output.policy, "AddTags") && !strcontains(output.policy, "RemoveTags")
    error_message = "nothing is marked"
  }
}

run "as_a_function_it_takes_batches_and_a_tick_a_minute" {
  assert {
    condition     = aws_lambda_function.this[0].runtime == "provided.al2023" && aws_lambda_function.this[0].architectures == tolist(["arm64"])
    error_message = "the function's form"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.events[0].function_response_types == tolist(["ReportBatchItemFailures"])
    error_message = "partial batch failures are reported"
  }
  assert {
    condition     = aws_cloudwatch_event_rule.tick[0].schedule_expression == "rate(1 minute)"
    error_message = "the tick"
  }
  assert {
    condition     = aws_lambda_permission.tick[0].principal == "events.amazonaws.com" && aws_lambda_permission.tick[0].source_arn == aws_cloudwatch_event_rule.tick[0].arn
    error_message = "only the tick may invoke it"
  }
  assert {
    condition = alltrue([
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_PROJECT"] == "jitsi",
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_OWNER_TAG"] == "Lifecycle=on-demand",
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_METRICS"] == "emf",
    ])
    error_message = "its environment"
  }
  assert {
    condition     = length(aws_ecs_service.this) == 0 && length(aws_ecs_task_definition.this) == 0
    error_message = "nothing runs on Fargate"
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 90
    error_message = "the log is not kept for ever"
  }
}

run "as_a_worker_it_runs_on_fargate" {
  variables {
    runtime    = "fargate"
    image      = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/jvb-watcher:0.1.0"
    lambda_zip = null
    subnet_ids = ["subnet-1"]
  }
  assert {
    condition     = length(aws_lambda_function.this) == 0 && length(aws_cloudwatch_event_rule.tick) == 0 && length(aws_lambda_event_source_mapping.events) == 0
    error_message = "there is no function, and nothing ticks"
  }
  assert {
    condition     = aws_ecs_service.this[0].desired_count == 1 && aws_ecs_service.this[0].cluster == "arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster"
    error_message = "the worker's service"
  }
  assert {
    condition = alltrue([for container in jsondecode(aws_ecs_task_definition.this[0].container_definitions) : alltrue([
      container.readonlyRootFilesystem,
      container.user == "65532:65532",
      container.healthCheck.command == ["CMD", "/usr/local/bin/jvb-watcher", "health"],
      container.command == ["run"],
    ])])
    error_message = "the container"
  }
  assert {
    condition     = aws_ecs_task_definition.this[0].task_role_arn == aws_iam_role.this.arn && length(aws_iam_role.execution) == 1
    error_message = "the roles"
  }
  assert {
    condition     = strcontains(output.policy, "sqs:ChangeMessageVisibility")
    error_message = "a worker hides the messages in hand"
  }
  assert {
    condition     = contains(output.alarm_names, "jitsi-jvb-watcher-no-heartbeat") && aws_cloudwatch_metric_alarm.this["no-heartbeat"].namespace == "jvb-watcher"
    error_message = "its heartbeat is its own metric"
  }
}

run "alarms_tell_of_what_must_not_go_unseen" {
  variables {
    alarm_topic_arn = "arn:aws:sns:eu-west-1:111122223333:operators"
  }
  assert {
    condition = output.alarm_names == tolist([
      "jitsi-jvb-watcher-dead-letters",
      "jitsi-jvb-watcher-events-waiting",
      "jitsi-jvb-watcher-findings",
      "jitsi-jvb-watcher-load-balancer-idle",
      "jitsi-jvb-watcher-no-heartbeat",
      "jitsi-jvb-watcher-reconcile-failures",
    ])
    error_message = "the alarms"
  }
  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.this :
      tolist(alarm.alarm_actions) == tolist(["arn:aws:sns:eu-west-1:111122223333:operators"]) && tolist(alarm.ok_actions) == tolist(alarm.alarm_actions)
    ])
    error_message = "who is told"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["no-heartbeat"].treat_missing_data == "breaching"
    error_message = "silence is an alarm"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["load-balancer-idle"].threshold == 1800
    error_message = "the idle alarm's threshold"
  }
}

run "without_metrics_of_its_own_the_alarms_that_need_them_go" {
  variables {
    metrics = false
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : startswith(alarm.namespace, "AWS/")])
    error_message = "an alarm waits for metrics that never come"
  }
  assert {
    condition     = aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_METRICS"] == "off"
    error_message = "the program is told"
  }
}

run "everything_for_the_eye_can_be_left_out" {
  variables {
    alarms        = false
    dashboard     = false
    saved_queries = false
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0 && length(aws_cloudwatch_dashboard.this) == 0 && length(aws_cloudwatch_query_definition.this) == 0
    error_message = "something is left"
  }
}

run "a_project_that_is_too_long_is_refused" {
  command = plan
  variables {
    project = "a-project-whose-name-is-longer"
  }
  expect_failures = [var.project]
}

run "a_function_without_its_zip_is_refused" {
  command = plan
  variables {
    lambda_zip = null
  }
  expect_failures = [var.lambda_zip]
}

run "a_worker_without_image_or_subnets_is_refused" {
  command = plan
  variables {
    runtime = "fargate"
  }
  expect_failures = [var.image, var.subnet_ids]
}

run "a_pattern_for_every_target_group_is_refused" {
  command = plan
  variables {
    target_groups = ["*"]
  }
  expect_failures = [var.target_groups]
}

run "other_wrong_inputs_are_refused" {
  command = plan
  variables {
    runtime                     = "ec2"
    teardown                    = "everything"
    idle_grace                  = "1 minute"
    unused_grace                = "0s"
    lambda_timeout              = 3
    lambda_memory               = 64
    lambda_architecture         = "riscv"
    lambda_reserved_concurrency = 0
    log_level                   = "trace"
    log_retention_days          = 2
    metrics_namespace           = "AWS/Lambda"
    publish_events_bus          = "arn:aws:sns:eu-west-1:111122223333:operators"
    alarm_topic_arn             = "operators"
    idle_alarm_minutes          = 0
  }
  expect_failures = [
    var.runtime, var.teardown, var.idle_grace, var.unused_grace, var.lambda_timeout, var.lambda_memory,
    var.lambda_architecture, var.lambda_reserved_concurrency, var.log_level, var.log_retention_days,
    var.metrics_namespace, var.publish_events_bus, var.alarm_topic_arn, var.idle_alarm_minutes,
  ]
}
