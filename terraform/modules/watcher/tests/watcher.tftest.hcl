mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias = "second_region"

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "us-east-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  project = "jitsi"
  # Any file will do: nothing is uploaded.
  lambda_zip = "lambda.tf"
}

run "names_derive_from_the_project" {
  assert {
    condition     = aws_sqs_queue.events.name == "jitsi-jvb-watcher" && aws_sqs_queue.dead_letter.name == "jitsi-jvb-watcher-dead"
    error_message = "the queue names don't derive from the project"
  }
  assert {
    condition     = aws_cloudwatch_event_rule.tasks.name == "jitsi-jvb-watcher" && aws_iam_role.this.name == "jitsi-jvb-watcher-eu-west-1"
    error_message = "the names of rule and role don't derive from the project"
  }
  assert {
    condition     = aws_sqs_queue.events.tags == tomap({ Project = "jitsi", Name = "jitsi-jvb-watcher" })
    error_message = "the queue has the wrong tags"
  }
}

run "a_second_service_gets_separate_names" {
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
      aws_iam_role.this.name == "jitsi-two-eu-west-1",
      aws_lambda_function.this[0].function_name == "jitsi-two",
      aws_cloudwatch_log_group.this.name == "/aws/lambda/jitsi-two",
      aws_cloudwatch_dashboard.this[0].dashboard_name == "jitsi-two-eu-west-1",
      alltrue([for name in output.alarm_names : startswith(name, "jitsi-two-")]),
    ])
    error_message = "a name is shared with the first service"
  }
}

run "a_second_region_gets_separate_names_for_what_belongs_to_the_account" {
  command = plan
  providers = {
    aws = aws.second_region
  }
  variables {
    runtime    = "fargate"
    image      = "jvb-watcher:1"
    subnet_ids = ["subnet-1"]
  }
  assert {
    condition     = aws_iam_role.this.name == "jitsi-jvb-watcher-us-east-1" && aws_iam_role.execution[0].name == "jitsi-jvb-watcher-execution-us-east-1"
    error_message = "the name of an IAM role does not contain the region"
  }
  assert {
    condition     = aws_cloudwatch_dashboard.this[0].dashboard_name == "jitsi-jvb-watcher-us-east-1"
    error_message = "the name of the dashboard does not contain the region"
  }
}

run "the_rule_matches_only_the_cluster_and_the_service" {
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.tasks.event_pattern) == {
      source = ["aws.ecs"]
      "$or" = [
        {
          "detail-type" = ["ECS Task State Change"]
          detail = {
            clusterArn = ["arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster"]
            group      = ["service:jitsi-service"]
          }
        },
        {
          "detail-type" = ["ECS Service Action", "ECS Deployment State Change"]
          resources     = ["arn:aws:ecs:eu-west-1:111122223333:service/jitsi-cluster/jitsi-service"]
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
    error_message = "the rule has the wrong event pattern"
  }
  assert {
    condition     = aws_cloudwatch_event_target.queue.dead_letter_config[0].arn == aws_sqs_queue.dead_letter.arn
    error_message = "undeliverable events don't go to the dead-letter queue"
  }
  assert {
    condition     = aws_cloudwatch_event_target.queue.retry_policy[0].maximum_event_age_in_seconds == 3600
    error_message = "the target has the wrong retry policy"
  }
}

run "queues_are_encrypted_and_restricted" {
  assert {
    condition     = aws_sqs_queue.events.sqs_managed_sse_enabled && aws_sqs_queue.dead_letter.sqs_managed_sse_enabled
    error_message = "a queue is not encrypted"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.events.redrive_policy).maxReceiveCount == 5
    error_message = "the queue has the wrong redrive policy"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letter.redrive_allow_policy).redrivePermission == "byQueue"
    error_message = "the dead-letter queue has the wrong redrive-allow policy"
  }
  assert {
    condition = alltrue([for policy in aws_sqs_queue_policy.this : alltrue([
      length(jsondecode(policy.policy).Statement) == 2,
      jsondecode(policy.policy).Statement[0].Principal == { Service = "events.amazonaws.com" },
      jsondecode(policy.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == aws_cloudwatch_event_rule.tasks.arn,
      jsondecode(policy.policy).Statement[1].Effect == "Deny",
      jsondecode(policy.policy).Statement[1].Condition.Bool["aws:SecureTransport"] == "false",
    ])])
    error_message = "a queue has the wrong access policy"
  }
  assert {
    condition     = aws_sqs_queue.events.visibility_timeout_seconds >= 6 * aws_lambda_function.this[0].timeout
    error_message = "the visibility timeout is shorter than AWS's recommendation of six times the function's timeout"
  }
}

run "the_policy_is_limited_to_the_projects_resources" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      jsonencode(statement.Resource) != jsonencode("*") || contains(["ReadLoadBalancers", "ReadUsage", "ReadTaskDefinitions", "ListItsTasks", "FindTheRule"], statement.Sid)
    ])
    error_message = "a statement applies to all resources"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      !strcontains(jsonencode(statement.Action), "*")
    ])
    error_message = "an action contains a wildcard"
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
    error_message = "the statement for deleting the load balancer is wrong"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      statement.Resource == [for kind in ["udp", "tcp", "web"] : "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-${kind}*/*"]
      if contains(["ChangeTargets", "MarkTargetGroups", "DeleteMarkedTargetGroups"], statement.Sid)
    ])
    error_message = "a statement applies to the wrong target groups"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Condition if statement.Sid == "DeleteMarkedTargetGroups"
      ][0] == {
      StringEquals = { "aws:ResourceTag/Lifecycle" = "on-demand" }
      Null         = { "aws:ResourceTag/jvb-watcher:idle-since" = "false" }
    }
    error_message = "target groups can be deleted without the owner tag, which the role cannot write, or without the mark"
  }
  assert {
    condition     = output.policy == aws_iam_role_policy.this.policy
    error_message = "the output differs from the policy"
  }
}

run "events_are_published_to_the_configured_bus" {
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
    error_message = "the statement for publishing events is wrong"
  }
  assert {
    condition     = aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_PUBLISH_EVENTS"] == "operations"
    error_message = "the program does not get the bus"
  }
}

run "without_a_bus_publishing_is_not_allowed" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid != "PublishEvents"
    ])
    error_message = "the policy allows events:PutEvents"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this[0].environment[0].variables), "JVB_WATCHER_PUBLISH_EVENTS")
    error_message = "the program gets a bus"
  }
}

run "by_default_usage_is_read_and_nothing_is_stopped" {
  assert {
    condition = [
      for statement in jsondecode(output.policy).Statement : statement if statement.Sid == "ReadUsage"
      ][0] == {
      Sid      = "ReadUsage"
      Effect   = "Allow"
      Action   = "cloudwatch:GetMetricData"
      Resource = "*"
    }
    error_message = "the statement for reading the usage is wrong"
  }
  assert {
    condition = alltrue([
      for action in ["ecs:UpdateService", "ecs:ListTagsForResource", "ecs:TagResource", "ecs:UntagResource", "jvb-watcher:stop-at"] :
      !strcontains(output.policy, action)
    ])
    error_message = "the policy allows a part of a stop"
  }
  assert {
    condition = alltrue([
      for name in ["JVB_WATCHER_STOP_WHEN_UNUSED", "JVB_WATCHER_USE_PROTOCOLS", "JVB_WATCHER_NO_USAGE"] :
      !contains(keys(aws_lambda_function.this[0].environment[0].variables), name)
    ])
    error_message = "the program gets an option that was not set"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["unused"].threshold == 3600 && aws_cloudwatch_metric_alarm.this["unused"].metric_name == "UnusedSeconds"
    error_message = "the alarm for an unused service does not follow unused_alarm_minutes"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["unused"].treat_missing_data == "notBreaching" && strcontains(aws_cloudwatch_metric_alarm.this["unused"].alarm_description, "for more than 60 minutes")
    error_message = "the alarm for an unused service must end with the metric, and state its time"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "UnusedSeconds")
    error_message = "the dashboard does not show the usage"
  }
}

run "an_unused_service_is_stopped_by_the_function" {
  variables {
    stop_when_unused = "10m"
    stop_notice      = "5m"
    first_call_grace = "1h"
    use_threshold    = 2
    use_protocols    = ["udp", "tls"]
  }
  assert {
    condition = {
      for name, value in aws_lambda_function.this[0].environment[0].variables : name => value
      if can(regex("_(STOP|FIRST|USE)_", name))
      } == {
      JVB_WATCHER_STOP_WHEN_UNUSED = "10m"
      JVB_WATCHER_STOP_NOTICE      = "5m"
      JVB_WATCHER_FIRST_CALL_GRACE = "1h"
      JVB_WATCHER_USE_THRESHOLD    = "2"
      JVB_WATCHER_USE_PROTOCOLS    = "udp,tls"
    }
    error_message = "the function has the wrong environment"
  }
  assert {
    condition = [
      for statement in jsondecode(output.policy).Statement : statement
      if contains(["ReadTheLease", "WriteTheLease", "ScaleToZero"], statement.Sid)
      ] == [
      {
        Sid      = "ReadTheLease"
        Effect   = "Allow"
        Action   = "ecs:ListTagsForResource"
        Resource = "arn:aws:ecs:eu-west-1:111122223333:service/jitsi-cluster/jitsi-service"
      },
      {
        Sid       = "WriteTheLease"
        Effect    = "Allow"
        Action    = ["ecs:TagResource", "ecs:UntagResource"]
        Resource  = "arn:aws:ecs:eu-west-1:111122223333:service/jitsi-cluster/jitsi-service"
        Condition = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:operation"] } }
      },
      {
        Sid      = "ScaleToZero"
        Effect   = "Allow"
        Action   = "ecs:UpdateService"
        Resource = "arn:aws:ecs:eu-west-1:111122223333:service/jitsi-cluster/jitsi-service"
      },
    ]
    error_message = "the stop is not limited to the one service and the lease's tag"
  }
  assert {
    condition = [
      for statement in jsondecode(output.policy).Statement : statement if statement.Sid == "AnnounceStops"
      ][0] == {
      Sid      = "AnnounceStops"
      Effect   = "Allow"
      Action   = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
      Resource = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/*"
      Condition = {
        StringEquals                = { "aws:ResourceTag/Lifecycle" = "on-demand" }
        "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:stop-at"] }
      }
    }
    error_message = "the statement for announcing a stop is wrong"
  }
  assert {
    # The grace for the first call, the notice, and a quarter of an hour.
    condition     = aws_cloudwatch_metric_alarm.this["unused"].threshold == (60 + 5 + 15) * 60
    error_message = "the alarm does not follow from the latest time of the stop"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.this["unused"].alarm_description, "although stop_when_unused is 10m")
    error_message = "the alarm's description does not say that the service should have been stopped"
  }
}

run "an_unused_service_is_stopped_by_the_worker" {
  variables {
    runtime          = "fargate"
    image            = "jvb-watcher:1"
    subnet_ids       = ["subnet-1"]
    stop_when_unused = "1h"
    teardown         = "off"
    use_protocols    = ["all"]
  }
  assert {
    condition = {
      for variable in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment : variable.name => variable.value
      if can(regex("_(STOP|FIRST|USE)_", variable.name))
      } == {
      JVB_WATCHER_STOP_WHEN_UNUSED = "1h"
      JVB_WATCHER_STOP_NOTICE      = "2m"
      JVB_WATCHER_FIRST_CALL_GRACE = "30m"
      JVB_WATCHER_USE_THRESHOLD    = "1"
      JVB_WATCHER_USE_PROTOCOLS    = "all"
    }
    error_message = "the worker has the wrong environment"
  }
  assert {
    condition     = strcontains(output.policy, "ecs:UpdateService") && strcontains(output.policy, "jvb-watcher:stop-at") && !strcontains(output.policy, "jvb-watcher:idle-since")
    error_message = "with teardown off the watcher may announce and stop, but not mark"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["unused"].threshold == (60 + 2 + 15) * 60
    error_message = "the alarm does not follow from the latest time of the stop"
  }
}

run "without_usage_nothing_asks_for_it" {
  variables {
    usage = false
  }
  assert {
    condition     = aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_NO_USAGE"] == "true"
    error_message = "the program reads the usage"
  }
  assert {
    condition     = !strcontains(output.policy, "cloudwatch:")
    error_message = "the policy allows reading metrics"
  }
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "unused")
    error_message = "an alarm uses a metric that nothing publishes"
  }
  assert {
    condition     = !strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "UnusedSeconds")
    error_message = "the dashboard shows a metric that nothing publishes"
  }
}

run "the_alarm_for_an_unused_service_can_be_omitted" {
  variables {
    unused_alarm_minutes = null
    stop_when_unused     = "300s"
  }
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "unused")
    error_message = "the alarm is created"
  }
}

run "a_stop_without_usage_is_rejected" {
  command = plan
  variables {
    usage            = false
    stop_when_unused = "20m"
  }
  expect_failures = [var.stop_when_unused]
}

run "a_stop_after_less_than_five_minutes_is_rejected" {
  command = plan
  variables {
    stop_when_unused = "299s"
    stop_notice      = "61m"
  }
  expect_failures = [var.stop_when_unused, var.stop_notice]
}

run "the_shortest_stop_and_the_longest_notice_are_accepted" {
  command = plan
  variables {
    stop_when_unused = "5m"
    stop_notice      = "3600s"
    use_threshold    = 0
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["unused"].threshold == (30 + 60 + 15) * 60
    error_message = "the alarm does not follow from the latest time of the stop"
  }
}

run "teardown_load_balancer_does_not_allow_deleting_target_groups" {
  variables {
    teardown = "load-balancer"
  }
  assert {
    condition     = strcontains(output.policy, "DeleteLoadBalancer") && !strcontains(output.policy, "DeleteTargetGroup")
    error_message = "the policy must allow DeleteLoadBalancer and not DeleteTargetGroup"
  }
}

run "teardown_off_allows_neither_marking_nor_deleting" {
  variables {
    teardown = "off"
  }
  assert {
    condition     = !strcontains(output.policy, "elasticloadbalancing:Delete")
    error_message = "the policy allows deleting"
  }
  assert {
    condition     = !strcontains(output.policy, "AddTags") && !strcontains(output.policy, "RemoveTags")
    error_message = "the policy allows tagging"
  }
}

run "the_function_is_invoked_by_batches_and_by_a_tick_a_minute" {
  assert {
    condition     = aws_lambda_function.this[0].runtime == "provided.al2023" && aws_lambda_function.this[0].architectures == tolist(["arm64"])
    error_message = "the function has the wrong runtime or architecture"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.events[0].function_response_types == tolist(["ReportBatchItemFailures"])
    error_message = "the event source mapping does not report partial batch failures"
  }
  assert {
    condition     = aws_cloudwatch_event_rule.tick[0].schedule_expression == "rate(1 minute)"
    error_message = "the tick has the wrong schedule"
  }
  assert {
    condition     = aws_lambda_permission.tick[0].principal == "events.amazonaws.com" && aws_lambda_permission.tick[0].source_arn == aws_cloudwatch_event_rule.tick[0].arn
    error_message = "another principal than the tick may invoke the function"
  }
  assert {
    condition = alltrue([
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_PROJECT"] == "jitsi",
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_OWNER_TAG"] == "Lifecycle=on-demand",
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_METRICS"] == "emf",
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_ALLOW_SEVERAL_BRIDGES"] == "false",
    ])
    error_message = "the function has the wrong environment"
  }
  assert {
    condition     = length(aws_ecs_service.this) == 0 && length(aws_ecs_task_definition.this) == 0
    error_message = "a Fargate worker is created beside the function"
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 90
    error_message = "the log has the wrong retention"
  }
}

run "the_worker_runs_on_fargate" {
  variables {
    runtime    = "fargate"
    image      = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/jvb-watcher:0.1.0"
    lambda_zip = null
    subnet_ids = ["subnet-1"]
  }
  assert {
    condition     = length(aws_lambda_function.this) == 0 && length(aws_cloudwatch_event_rule.tick) == 0 && length(aws_lambda_event_source_mapping.events) == 0
    error_message = "a function or its triggers are created beside the worker"
  }
  assert {
    condition     = aws_ecs_service.this[0].desired_count == 1 && aws_ecs_service.this[0].cluster == "arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster"
    error_message = "the worker's service has the wrong desired count or cluster"
  }
  assert {
    condition = alltrue([for container in jsondecode(aws_ecs_task_definition.this[0].container_definitions) : alltrue([
      container.readonlyRootFilesystem,
      container.user == "65532:65532",
      container.healthCheck.command == ["CMD", "/usr/local/bin/jvb-watcher", "health"],
      container.command == ["run"],
    ])])
    error_message = "the container definition is wrong"
  }
  assert {
    condition     = aws_ecs_task_definition.this[0].task_role_arn == aws_iam_role.this.arn && length(aws_iam_role.execution) == 1
    error_message = "the task has the wrong roles"
  }
  assert {
    condition     = strcontains(output.policy, "sqs:ChangeMessageVisibility")
    error_message = "the policy does not allow changing the visibility of messages"
  }
  assert {
    condition     = contains(output.alarm_names, "jitsi-jvb-watcher-no-heartbeat") && aws_cloudwatch_metric_alarm.this["no-heartbeat"].namespace == "jvb-watcher"
    error_message = "the heartbeat alarm does not use the worker's own metric"
  }
}

run "alarms_notify_the_topic" {
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
      "jitsi-jvb-watcher-unused",
    ])
    error_message = "the wrong alarms are created"
  }
  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.this :
      tolist(alarm.alarm_actions) == tolist(["arn:aws:sns:eu-west-1:111122223333:operators"]) && tolist(alarm.ok_actions) == tolist(alarm.alarm_actions)
    ])
    error_message = "an alarm does not notify the topic"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["no-heartbeat"].treat_missing_data == "breaching"
    error_message = "missing heartbeats don't raise the alarm"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["load-balancer-idle"].threshold == 1800
    error_message = "the idle alarm has the wrong threshold"
  }
}

run "a_grace_until_the_paid_hour_raises_no_alarm_each_evening" {
  command = plan
  variables {
    idle_grace = "until-paid-hour"
  }
  assert {
    # The grace period of 58 minutes, a tick, two minutes, and ten to spare.
    condition     = aws_cloudwatch_metric_alarm.this["load-balancer-idle"].threshold == 71 * 60
    error_message = "the idle alarm does not follow the idle grace"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.this["load-balancer-idle"].alarm_description, "more than 71 minutes")
    error_message = "the idle alarm describes another time than its threshold"
  }
}

run "a_long_grace_raises_no_alarm_before_it_ends" {
  command = plan
  variables {
    idle_grace = "2h"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["load-balancer-idle"].threshold == 133 * 60
    error_message = "the idle alarm does not follow the idle grace"
  }
}

run "a_workers_interval_counts_too" {
  command = plan
  variables {
    runtime         = "fargate"
    image           = "jvb-watcher:1"
    subnet_ids      = ["subnet-1"]
    resync_interval = "45m"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["load-balancer-idle"].threshold == 58 * 60
    error_message = "the idle alarm does not follow the resync interval"
  }
}

run "the_earliest_idle_alarm_is_accepted" {
  command = plan
  variables {
    idle_grace         = "until-paid-hour"
    idle_alarm_minutes = 61
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["load-balancer-idle"].threshold == 61 * 60
    error_message = "the idle alarm does not have the given threshold"
  }
}

run "an_idle_alarm_before_the_end_of_the_paid_hour_is_rejected" {
  command = plan
  variables {
    idle_grace         = "until-paid-hour"
    idle_alarm_minutes = 60
  }
  expect_failures = [var.idle_alarm_minutes]
}

run "an_idle_alarm_before_the_end_of_the_grace_period_is_rejected" {
  command = plan
  variables {
    idle_grace         = "150s"
    idle_alarm_minutes = 5
  }
  expect_failures = [var.idle_alarm_minutes]
}

run "without_custom_metrics_no_alarm_uses_them" {
  variables {
    metrics = false
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : startswith(alarm.namespace, "AWS/")])
    error_message = "an alarm uses metrics that nothing publishes"
  }
  assert {
    condition     = aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_METRICS"] == "off"
    error_message = "the program publishes metrics"
  }
}

run "alarms_dashboard_and_queries_can_be_disabled" {
  variables {
    alarms        = false
    dashboard     = false
    saved_queries = false
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0 && length(aws_cloudwatch_dashboard.this) == 0 && length(aws_cloudwatch_query_definition.this) == 0
    error_message = "an alarm, a dashboard or a query is created"
  }
}

run "a_project_name_that_is_too_long_is_rejected" {
  command = plan
  variables {
    project = "a-project-whose-name-is-longer"
  }
  expect_failures = [var.project]
}

run "a_function_without_a_zip_file_is_rejected" {
  command = plan
  variables {
    lambda_zip = null
  }
  expect_failures = [var.lambda_zip]
}

run "a_missing_zip_file_is_rejected" {
  command = plan
  variables {
    lambda_zip = "not-built.zip"
  }
  expect_failures = [var.lambda_zip]
}

run "a_worker_needs_no_zip_file" {
  command = plan
  variables {
    runtime    = "fargate"
    image      = "jvb-watcher:1"
    subnet_ids = ["subnet-1"]
    lambda_zip = "not-built.zip"
  }
  assert {
    condition     = length(aws_lambda_function.this) == 0
    error_message = "a function is created"
  }
}

run "a_worker_without_image_or_subnets_is_rejected" {
  command = plan
  variables {
    runtime = "fargate"
  }
  expect_failures = [var.image, var.subnet_ids]
}

run "a_pattern_for_every_target_group_is_rejected" {
  command = plan
  variables {
    target_groups = ["*"]
  }
  expect_failures = [var.target_groups]
}

run "other_invalid_inputs_are_rejected" {
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
    stop_when_unused            = "20 minutes"
    stop_notice                 = "0s"
    first_call_grace            = "soon"
    use_threshold               = 1.5
    use_protocols               = ["all", "udp"]
    unused_alarm_minutes        = 90
  }
  expect_failures = [
    var.runtime, var.teardown, var.idle_grace, var.unused_grace, var.lambda_timeout, var.lambda_memory,
    var.lambda_architecture, var.lambda_reserved_concurrency, var.log_level, var.log_retention_days,
    var.metrics_namespace, var.publish_events_bus, var.alarm_topic_arn,
    var.stop_when_unused, var.stop_notice, var.first_call_grace, var.use_threshold, var.use_protocols,
    var.unused_alarm_minutes,
  ]
}
