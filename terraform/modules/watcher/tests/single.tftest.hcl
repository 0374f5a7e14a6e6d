mock_provider "aws" {
  # So that the plan contains the whole policy.
  override_during = plan
  source          = "./tests/mocks"
}

# The plan for one service is the one that it was before the module could watch several, so that an upgrade changes nothing. A
# deliberate change of the plan changes its hash here.

variables {
  project    = "jitsi"
  lambda_zip = "lambda.tf" # must exist
  image      = "jvb-watcher:1"
  subnet_ids = ["subnet-1"]
}

run "the_function" {
  command = plan
  variables {
    runtime = "lambda"
  }
  assert {
    condition     = sha256(output.policy) == "e8563d82586ee6c8d8f9a43c6017af61ae53bf03fb6fd7e32b1836b80b1cffb9"
    error_message = "the policy has changed"
  }
  assert {
    condition     = sha256(jsonencode(aws_lambda_function.this[0].environment[0].variables)) == "851d041ff8c24abf3b72dd2a33d785e4200aae314bf85a25ed200d460e8ae1ed"
    error_message = "the program's variables have changed"
  }
  assert {
    condition     = sha256(output.event_pattern) == "22c632e8223cb440f814b5cbd7e3ebf632e963c4a7650eece10f7b747b311e91"
    error_message = "the event pattern has changed"
  }
  assert {
    condition = sha256(jsonencode({ for name, alarm in aws_cloudwatch_metric_alarm.this : name => [
      alarm.alarm_name, alarm.alarm_description, alarm.namespace, alarm.metric_name, alarm.dimensions, alarm.statistic,
      alarm.comparison_operator, alarm.threshold, alarm.period, alarm.evaluation_periods, alarm.treat_missing_data, alarm.metric_query
    ] })) == "5fc4a7a68e1564c89410a21881d692a36622fb6bb3ba753934b622585cf4dfcd"
    error_message = "the alarms have changed"
  }
  assert {
    condition     = sha256(aws_cloudwatch_dashboard.this[0].dashboard_body) == "aaa1286fbf3002799dd5216114341f3787180a442358ba0efefb049447b61a11"
    error_message = "the dashboard has changed"
  }
  assert {
    condition = sha256(jsonencode([
      aws_sqs_queue.events.name, aws_sqs_queue.events.tags, aws_sqs_queue.events.visibility_timeout_seconds,
      aws_cloudwatch_event_rule.tasks.name, aws_cloudwatch_event_rule.tasks.description,
      aws_iam_role.this.name, aws_iam_role.this.description, aws_iam_role_policy.this.name,
      aws_lambda_function.this[0].function_name, aws_lambda_function.this[0].description
    ])) == "3f5a3ffd895b231c6e16641556247369883802a87347841a1d6a49cf6abcde69"
    error_message = "a name or a description has changed"
  }
  assert {
    condition     = length(aws_iam_policy.services) == 0 && length(aws_iam_role_policy_attachment.services) == 0 && output.config_text == null
    error_message = "something of a list is created"
  }
}

run "the_function_that_stops_and_keeps" {
  command = plan
  variables {
    runtime          = "lambda"
    stop_when_unused = "10m"
    teardown         = "off"
    use_protocols    = ["udp"]
  }
  assert {
    condition     = sha256(output.policy) == "d0032f99e5cb376bee2ee13f1b872078f5a4dbb9852a1fe3b56e3e7b8dc95121"
    error_message = "the policy has changed"
  }
  assert {
    condition     = sha256(jsonencode(aws_lambda_function.this[0].environment[0].variables)) == "e854f5def2b6b9a36208f9aeb06f46258fbbbf9058d3a55cdfcd699b7b8eb309"
    error_message = "the program's variables have changed"
  }
  assert {
    condition     = sha256(output.event_pattern) == "22c632e8223cb440f814b5cbd7e3ebf632e963c4a7650eece10f7b747b311e91"
    error_message = "the event pattern has changed"
  }
  assert {
    condition = sha256(jsonencode({ for name, alarm in aws_cloudwatch_metric_alarm.this : name => [
      alarm.alarm_name, alarm.alarm_description, alarm.namespace, alarm.metric_name, alarm.dimensions, alarm.statistic,
      alarm.comparison_operator, alarm.threshold, alarm.period, alarm.evaluation_periods, alarm.treat_missing_data, alarm.metric_query
    ] })) == "420eb380e758b1929f03646a50966312860c46132548926e00a19db8849d2679"
    error_message = "the alarms have changed"
  }
  assert {
    condition     = sha256(aws_cloudwatch_dashboard.this[0].dashboard_body) == "aaa1286fbf3002799dd5216114341f3787180a442358ba0efefb049447b61a11"
    error_message = "the dashboard has changed"
  }
  assert {
    condition = sha256(jsonencode([
      aws_sqs_queue.events.name, aws_sqs_queue.events.tags, aws_sqs_queue.events.visibility_timeout_seconds,
      aws_cloudwatch_event_rule.tasks.name, aws_cloudwatch_event_rule.tasks.description,
      aws_iam_role.this.name, aws_iam_role.this.description, aws_iam_role_policy.this.name,
      aws_lambda_function.this[0].function_name, aws_lambda_function.this[0].description
    ])) == "3f5a3ffd895b231c6e16641556247369883802a87347841a1d6a49cf6abcde69"
    error_message = "a name or a description has changed"
  }
}

run "the_worker" {
  command = plan
  variables {
    runtime = "fargate"
  }
  assert {
    condition     = sha256(output.policy) == "c33c59aa36b37f9955a4bf1f79f7d712f860033e1281e0f968526d21eb0b3ea5"
    error_message = "the policy has changed"
  }
  assert {
    condition     = sha256(jsonencode({ for variable in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment : variable.name => variable.value })) == "36d9d3d72e000ea5f4005645dcf1606682a5254f0942e8bd17963c750d0f7756"
    error_message = "the program's variables have changed"
  }
  assert {
    condition     = sha256(output.event_pattern) == "22c632e8223cb440f814b5cbd7e3ebf632e963c4a7650eece10f7b747b311e91"
    error_message = "the event pattern has changed"
  }
  assert {
    condition = sha256(jsonencode({ for name, alarm in aws_cloudwatch_metric_alarm.this : name => [
      alarm.alarm_name, alarm.alarm_description, alarm.namespace, alarm.metric_name, alarm.dimensions, alarm.statistic,
      alarm.comparison_operator, alarm.threshold, alarm.period, alarm.evaluation_periods, alarm.treat_missing_data, alarm.metric_query
    ] })) == "fdeab1030176cade622ee4e2421275f461e633c6704e167232b9d3029db8fc0d"
    error_message = "the alarms have changed"
  }
  assert {
    condition     = sha256(aws_cloudwatch_dashboard.this[0].dashboard_body) == "982f64251640c1803818cfde59c6152ce31e6de0d1bc42d191ef76b9614d5cfa"
    error_message = "the dashboard has changed"
  }
  assert {
    condition = sha256(jsonencode([
      aws_sqs_queue.events.name, aws_sqs_queue.events.tags, aws_sqs_queue.events.visibility_timeout_seconds,
      aws_cloudwatch_event_rule.tasks.name, aws_cloudwatch_event_rule.tasks.description,
      aws_iam_role.this.name, aws_iam_role.this.description, aws_iam_role_policy.this.name,
      aws_ecs_service.this[0].name, aws_ecs_service.this[0].cluster, aws_ecs_task_definition.this[0].family
    ])) == "7e2566caa74bb4b6af0be685c7b9fd34e3887443f6c7b28a420ab2afc0b35bfa"
    error_message = "a name or a description has changed"
  }
}

run "the_worker_of_other_names" {
  command = plan
  variables {
    runtime            = "fargate"
    name               = "two"
    cluster            = "c"
    service            = "s"
    load_balancer      = "l"
    target_groups      = ["x-*"]
    owner_tag          = { key = "a", value = "b" }
    idle_grace         = "until-paid-hour"
    teardown           = "load-balancer"
    publish_events_bus = "ops"
    usage              = false
  }
  assert {
    condition     = sha256(output.policy) == "a769a201fdcafffd2efb24fa4c74bfcaa043d57434ae83e17f9202a14c226f30"
    error_message = "the policy has changed"
  }
  assert {
    condition     = sha256(jsonencode({ for variable in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment : variable.name => variable.value })) == "d03d572f43d6f88d63e897e82cc9ce551d90561201c3a8774855074699ea4581"
    error_message = "the program's variables have changed"
  }
  assert {
    condition     = sha256(output.event_pattern) == "08e799a7e40b2e8706acdaef53819ea99d10fa90b5844f0d4f98a881ecf3e174"
    error_message = "the event pattern has changed"
  }
  assert {
    condition = sha256(jsonencode({ for name, alarm in aws_cloudwatch_metric_alarm.this : name => [
      alarm.alarm_name, alarm.alarm_description, alarm.namespace, alarm.metric_name, alarm.dimensions, alarm.statistic,
      alarm.comparison_operator, alarm.threshold, alarm.period, alarm.evaluation_periods, alarm.treat_missing_data, alarm.metric_query
    ] })) == "d25c4fc63a54515f01980a24fb7a014c966d1eba21ecded854e90a1bce638962"
    error_message = "the alarms have changed"
  }
  assert {
    condition     = sha256(aws_cloudwatch_dashboard.this[0].dashboard_body) == "e4b8ea3032eeeaac288aed01473bf0c4794c070babc68540ebde6616b8099471"
    error_message = "the dashboard has changed"
  }
  assert {
    condition = sha256(jsonencode([
      aws_sqs_queue.events.name, aws_sqs_queue.events.tags, aws_sqs_queue.events.visibility_timeout_seconds,
      aws_cloudwatch_event_rule.tasks.name, aws_cloudwatch_event_rule.tasks.description,
      aws_iam_role.this.name, aws_iam_role.this.description, aws_iam_role_policy.this.name,
      aws_ecs_service.this[0].name, aws_ecs_service.this[0].cluster, aws_ecs_task_definition.this[0].family
    ])) == "c87c105391bb18cabf0c5a621f3b45cbc548506f7e63b06fa5ca1f918bc895e8"
    error_message = "a name or a description has changed"
  }
}
