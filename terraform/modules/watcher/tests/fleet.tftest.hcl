mock_provider "aws" {
  # So that the plan contains the whole policy.
  override_during = plan
  source          = "./tests/mocks"
}

variables {
  # Any file will do: nothing is uploaded.
  lambda_zip = "lambda.tf"
  image      = "jvb-watcher:1"
  subnet_ids = ["subnet-1"]
}

run "a_list_of_services" {
  command = plan
  variables {
    cluster = "shared"
    services = [
      { service = "meet", load_balancer = "meet-nlb", stop_when_unused = "15m" },
      { project = "acme", cluster = "acme-cluster", teardown = "load-balancer", idle_grace = "until-paid-hour", usage = false },
    ]
  }
  assert {
    condition     = output.config_text == <<-EOT
      [defaults]
      cluster="shared"
      [[service]]
      load-balancer="meet-nlb"
      service="meet"
      stop-when-unused="15m"
      [[service]]
      cluster="acme-cluster"
      idle-grace="until-paid-hour"
      no-usage=true
      project="acme"
      teardown="load-balancer"
    EOT
    error_message = "the configuration is wrong: ${output.config_text}"
  }
  assert {
    condition = {
      for name, value in aws_lambda_function.this[0].environment[0].variables : name => value
      if can(regex("_(PROJECT|CLUSTER|SERVICE|LOAD_BALANCER|CONFIG|CONFIG_TEXT|DISCOVER|IDLE_GRACE|STOP_WHEN_UNUSED|QUEUE)$", name))
      } == {
      JVB_WATCHER_CONFIG_TEXT = output.config_text
      JVB_WATCHER_IDLE_GRACE  = "60s"
      JVB_WATCHER_QUEUE       = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-jvb-watcher"
    }
    error_message = "the function has the wrong environment"
  }
  assert {
    condition = alltrue([
      aws_sqs_queue.events.name == "jvb-watcher",
      aws_iam_role.this.name == "jvb-watcher-eu-west-1",
      aws_sqs_queue.events.tags == tomap({ Name = "jvb-watcher" }),
      aws_lambda_function.this[0].description == "Converges load balancers to the state of 2 services",
    ])
    error_message = "the names of a watcher without a project are wrong"
  }
  assert {
    condition = jsondecode(output.event_pattern) == {
      source = ["aws.ecs"]
      "$or" = [
        {
          "detail-type" = ["ECS Task State Change"]
          detail = {
            clusterArn = ["arn:aws:ecs:eu-west-1:111122223333:cluster/shared", "arn:aws:ecs:eu-west-1:111122223333:cluster/acme-cluster"]
            group      = ["service:meet", "service:acme-service"]
          }
        },
        {
          "detail-type" = ["ECS Service Action", "ECS Deployment State Change"]
          resources     = ["arn:aws:ecs:eu-west-1:111122223333:service/shared/meet", "arn:aws:ecs:eu-west-1:111122223333:service/acme-cluster/acme-service"]
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
    condition = length(aws_sqs_queue_policy.this) == 2 && alltrue([for policy in aws_sqs_queue_policy.this : alltrue([
      length(jsondecode(policy.policy).Statement) == 2,
      jsondecode(policy.policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.tasks.arn } },
      jsondecode(policy.policy).Statement[1].Effect == "Deny",
    ])])
    error_message = "another sender than the rule may send messages"
  }
  assert {
    condition = {
      for statement in jsondecode(output.policy).Statement : statement.Sid => statement.Resource
      if contains(["ReadTheService", "MarkTheLoadBalancer", "DeleteTheLoadBalancer", "DeleteMarkedTargetGroups", "AnnounceStops", "ReadTheLease", "WriteTheLease", "ScaleToZero"], statement.Sid)
      } == {
      ReadTheService           = ["arn:aws:ecs:eu-west-1:111122223333:service/shared/meet", "arn:aws:ecs:eu-west-1:111122223333:service/acme-cluster/acme-service"]
      MarkTheLoadBalancer      = [for name in ["meet-nlb", "acme-jvb-nlb"] : "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/${name}/*"]
      DeleteTheLoadBalancer    = [for name in ["meet-nlb", "acme-jvb-nlb"] : "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/${name}/*"]
      DeleteMarkedTargetGroups = [for kind in ["udp", "tcp", "web"] : "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/meet-jvb-${kind}*/*"]
      AnnounceStops            = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/meet-nlb/*"
      ReadTheLease             = "arn:aws:ecs:eu-west-1:111122223333:service/shared/meet"
      WriteTheLease            = "arn:aws:ecs:eu-west-1:111122223333:service/shared/meet"
      ScaleToZero              = "arn:aws:ecs:eu-west-1:111122223333:service/shared/meet"
    }
    error_message = "the policy names the wrong services, load balancers or target groups"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(output.policy).Statement :
      jsonencode(statement.Resource) != jsonencode("*") || contains(["ReadLoadBalancers", "ReadUsage", "ReadTaskDefinitions", "ListItsTasks", "FindTheRule"], statement.Sid)
    ])
    error_message = "a statement applies to all resources"
  }
  assert {
    condition = sort(concat(
      jsondecode(aws_iam_role_policy.this.policy).Statement[*].Sid,
      flatten([for policy in aws_iam_policy.services : jsondecode(policy.policy).Statement[*].Sid]),
    )) == sort(jsondecode(output.policy).Statement[*].Sid)
    error_message = "the policies together are not the output"
  }
  assert {
    condition     = length(aws_iam_policy.services) == 1 && length(aws_iam_role_policy_attachment.services) == 1 && aws_iam_role_policy_attachment.services[0].role == aws_iam_role.this.name
    error_message = "the role lacks the policy of the services"
  }
  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.threshold if alarm.namespace == "jvb-watcher" } == {
      "no-heartbeat/meet/meet"               = 1
      "reconcile-failures/meet/meet"         = 3
      "findings/meet/meet"                   = 0
      "load-balancer-idle/meet/meet"         = 30 * 60
      "unused/meet/meet"                     = (30 + 2 + 15) * 60
      "no-heartbeat/acme/acme-service"       = 1
      "reconcile-failures/acme/acme-service" = 3
      "findings/acme/acme-service"           = 0
      "load-balancer-idle/acme/acme-service" = 71 * 60
    }
    error_message = "a service lacks an alarm, or has one with another service's threshold"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["findings/acme/acme-service"].dimensions == tomap({ Project = "acme", Service = "acme-service" })
    error_message = "an alarm has other dimensions than the service's metrics"
  }
  assert {
    condition     = contains(output.alarm_names, "jvb-watcher-no-heartbeat") && contains(output.alarm_names, "jvb-watcher-unused/meet/meet")
    error_message = "an alarm of the process or of a service is missing"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "SEARCH('{\\\"jvb-watcher\\\",Project,Service} MetricName=\\\"HealthyTargets\\\"', 'Maximum', 60)")
    error_message = "the dashboard does not show the metrics of all services"
  }
}

run "every_option_of_a_service_is_one_of_the_program" {
  command = plan
  variables {
    runtime = "fargate"
    services = [{
      project               = "acme"
      cluster               = "c"
      service               = "s"
      load_balancer         = "l"
      target_groups         = ["x-*"]
      owner_tag             = { key = "A \"q\" \\ <&>", value = "ü\t\u007f" }
      teardown              = "all"
      idle_grace            = "2m"
      unused_grace          = "20m"
      resync_interval       = "5m"
      allow_several_bridges = true
      usage                 = true
      use_protocols         = ["udp", "tls"]
      use_threshold         = 0
      stop_when_unused      = "15m"
      stop_notice           = "1m"
      first_call_grace      = "1h"
    }]
  }
  assert {
    condition     = output.config_text == <<-EOT
      [[service]]
      allow-several-bridges=true
      cluster="c"
      first-call-grace="1h"
      idle-grace="2m"
      load-balancer="l"
      no-usage=false
      owner-tag="A \"q\" \\ \u003c\u0026\u003e=ü\t\u007F"
      project="acme"
      resync-interval="5m"
      service="s"
      stop-notice="1m"
      stop-when-unused="15m"
      teardown="all"
      unused-grace="20m"
      use-protocols="udp,tls"
      use-threshold=0
    EOT
    error_message = "an option is missing or not TOML: ${output.config_text}"
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment, { name = "JVB_WATCHER_CONFIG_TEXT", value = output.config_text })
    error_message = "the worker does not get the list"
  }
  assert {
    condition     = aws_ecs_service.this[0].cluster == "arn:aws:ecs:eu-west-1:111122223333:cluster/c"
    error_message = "the worker does not run in the only cluster"
  }
  assert {
    condition = [
      for statement in jsondecode(output.policy).Statement : statement if statement.Sid == "DeleteMarkedTargetGroups"
      ][0] == {
      Sid      = "DeleteMarkedTargetGroups"
      Effect   = "Allow"
      Action   = "elasticloadbalancing:DeleteTargetGroup"
      Resource = ["arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/x-*/*"]
      Condition = {
        StringEquals = { "aws:ResourceTag/A \"q\" \\ <&>" = "ü\t\u007f" }
        Null         = { "aws:ResourceTag/jvb-watcher:idle-since" = "false" }
      }
    }
    error_message = "the policy does not follow the service's owner tag and target groups"
  }
  assert {
    # The interval of the service, its grace period, two minutes, and ten to spare.
    condition     = aws_cloudwatch_metric_alarm.this["load-balancer-idle/acme/s"].threshold == max(30, 2 + 5 + 2 + 10) * 60 && aws_cloudwatch_metric_alarm.this["unused/acme/s"].threshold == (60 + 1 + 15) * 60
    error_message = "an alarm does not follow the service's options"
  }
}

run "services_with_another_owner_tag_have_statements_of_their_own" {
  command = plan
  variables {
    runtime = "fargate"
    cluster = "c"
    services = [
      { project = "a" },
      { project = "b", owner_tag = { key = "Team", value = "b" } },
      { project = "c", teardown = "off" },
    ]
  }
  assert {
    condition = {
      for statement in jsondecode(output.policy).Statement : statement.Sid => [statement.Resource, statement.Condition.StringEquals]
      if startswith(statement.Sid, "DeleteTheLoadBalancer")
      } == {
      DeleteTheLoadBalancer  = ["arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/a-jvb-nlb/*", { "aws:ResourceTag/Lifecycle" = "on-demand" }]
      DeleteTheLoadBalancer2 = ["arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/b-jvb-nlb/*", { "aws:ResourceTag/Team" = "b" }]
    }
    error_message = "a load balancer can be deleted with another service's owner tag, or with teardown off"
  }
  assert {
    condition     = length(distinct(jsondecode(output.policy).Statement[*].Sid)) == length(jsondecode(output.policy).Statement)
    error_message = "two statements have the same ID"
  }
}

run "many_services_in_one_cluster" {
  command = plan
  variables {
    cluster  = "shared"
    services = [for number in range(20) : { project = "project-${number}", cluster = "shared" }]
  }
  assert {
    condition = alltrue([
      jsondecode(output.event_pattern)["$or"][0].detail.group == [for number in range(20) : "service:project-${number}-service"],
      jsondecode(output.event_pattern)["$or"][1].resources == [{ prefix = "arn:aws:ecs:eu-west-1:111122223333:service/shared/" }],
      length(output.event_pattern) <= 2048,
    ])
    error_message = "the pattern is not the narrowest that EventBridge accepts"
  }
  assert {
    condition = alltrue([
      length(aws_iam_policy.services) > 1,
      length(aws_iam_policy.services) == length(aws_iam_role_policy_attachment.services),
      alltrue([for policy in aws_iam_policy.services : length(policy.policy) <= 6144]),
      length(distinct(aws_iam_policy.services[*].name)) == length(aws_iam_policy.services),
      length(flatten([for statement in jsondecode(output.policy).Statement : statement.Resource if startswith(statement.Sid, "DeleteTheLoadBalancer")])) == 20,
    ])
    error_message = "the policies are too long, or lack a service"
  }
}

run "more_services_than_the_pattern_can_name" {
  command = plan
  variables {
    runtime  = "fargate"
    services = [for number in range(80) : { service = "conference-${number}", cluster = "shared", target_groups = ["s${number}-*"], teardown = "off" }]
  }
  assert {
    condition     = jsondecode(output.event_pattern)["$or"][0].detail == { clusterArn = ["arn:aws:ecs:eu-west-1:111122223333:cluster/shared"], group = [{ prefix = "service:" }] }
    error_message = "the pattern does not match the services of the cluster"
  }
}

run "services_in_many_clusters" {
  command = plan
  variables {
    services = [for number in range(20) : { project = "p${number}" }]
  }
  assert {
    condition = alltrue([
      length(jsondecode(output.event_pattern)["$or"][0].detail.clusterArn) == 20,
      jsondecode(output.event_pattern)["$or"][1].resources == [{ prefix = "arn:aws:ecs:eu-west-1:111122223333:service/" }],
      length(output.event_pattern) <= 2048,
    ])
    error_message = "the pattern does not list the clusters"
  }
}

run "too_many_clusters_are_rejected" {
  command = plan
  variables {
    runtime             = "fargate"
    fargate_cluster_arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/tools"
    services            = [for number in range(40) : { project = "p${number}", target_groups = ["p${number}-*"], teardown = "off" }]
  }
  expect_failures = [aws_cloudwatch_event_rule.tasks]
}

run "too_many_services_for_the_roles_policies_are_rejected" {
  command = plan
  variables {
    runtime  = "fargate"
    services = [for number in range(60) : { project = "p${number}", cluster = "shared" }]
  }
  expect_failures = [aws_iam_policy.services]
}

run "a_list_that_a_functions_variables_cannot_hold_is_rejected" {
  command = plan
  variables {
    services = [for number in range(20) : {
      project       = "p${number}", cluster = "shared", idle_grace = "until-paid-hour", unused_grace = "30m", use_threshold = 3
      use_protocols = ["udp", "tls"], stop_notice = "5m", first_call_grace = "1h"
    }]
  }
  expect_failures = [aws_lambda_function.this]
}

run "a_layer_can_hold_it" {
  command = plan
  variables {
    config_layer_arn = "arn:aws:lambda:eu-west-1:111122223333:layer:jvb-watcher:1"
    services = [for number in range(20) : {
      project       = "p${number}", cluster = "shared", idle_grace = "until-paid-hour", unused_grace = "30m", use_threshold = 3
      use_protocols = ["udp", "tls"], stop_notice = "5m", first_call_grace = "1h"
    }]
  }
  assert {
    condition = alltrue([
      aws_lambda_function.this[0].layers == tolist(["arn:aws:lambda:eu-west-1:111122223333:layer:jvb-watcher:1"]),
      aws_lambda_function.this[0].environment[0].variables["JVB_WATCHER_CONFIG"] == "/opt/jvb-watcher.toml",
      !contains(keys(aws_lambda_function.this[0].environment[0].variables), "JVB_WATCHER_CONFIG_TEXT"),
      startswith(output.config_text, "[[service]]\n"),
    ])
    error_message = "the function does not read the list in the layer"
  }
}

run "a_service_that_is_listed_twice_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a" }, { project = "other", cluster = "a-cluster", service = "a-service", load_balancer = "b" }]
  }
  expect_failures = [aws_sqs_queue.events]
}

run "two_services_with_one_load_balancer_are_rejected" {
  command = plan
  variables {
    services = [{ project = "a" }, { project = "b", load_balancer = "a-jvb-nlb" }]
  }
  expect_failures = [aws_sqs_queue.events]
}

run "two_services_with_the_same_metrics_are_rejected" {
  command = plan
  variables {
    services = [{ service = "meet", cluster = "a", load_balancer = "a" }, { service = "meet", cluster = "b", load_balancer = "b" }]
  }
  expect_failures = [aws_sqs_queue.events]
}

run "the_same_name_in_two_clusters_is_accepted_with_projects" {
  command = plan
  variables {
    services = [{ project = "a", service = "meet" }, { project = "b", service = "meet" }]
  }
  assert {
    condition     = length([for name in output.alarm_names : name if endswith(name, "/meet")]) == 10
    error_message = "two services share alarms"
  }
}

run "tagged_services_of_clusters" {
  command = plan
  variables {
    discover = ["one", "two"]
  }
  assert {
    condition = {
      for name, value in aws_lambda_function.this[0].environment[0].variables : name => value
      if can(regex("_(PROJECT|CLUSTER|SERVICE|LOAD_BALANCER|CONFIG|CONFIG_TEXT|DISCOVER)$", name))
    } == { JVB_WATCHER_DISCOVER = "one,two" }
    error_message = "the function has the wrong environment"
  }
  assert {
    condition = [for part in jsondecode(output.event_pattern)["$or"] : try(part.detail.clusterArn, part.resources)] == [
      ["arn:aws:ecs:eu-west-1:111122223333:cluster/one", "arn:aws:ecs:eu-west-1:111122223333:cluster/two"],
      [{ prefix = "arn:aws:ecs:eu-west-1:111122223333:service/one/" }, { prefix = "arn:aws:ecs:eu-west-1:111122223333:service/two/" }],
    ]
    error_message = "the rule has the wrong event pattern"
  }
  assert {
    condition = {
      for statement in jsondecode(output.policy).Statement : statement.Sid => [statement.Resource, statement.Condition]
      if contains(["DiscoverServices", "ChangeTargets", "MarkTargetGroups", "DeleteTheLoadBalancer", "WriteTheLease", "ScaleToZero"], statement.Sid)
      } == {
      DiscoverServices = ["*", { ArnEquals = { "ecs:cluster" = [for name in ["one", "two"] : "arn:aws:ecs:eu-west-1:111122223333:cluster/${name}"] } }]
      ChangeTargets    = [["arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/*/*"], { StringEquals = { "aws:ResourceTag/Lifecycle" = "on-demand" } }]
      MarkTargetGroups = [["arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/*/*"], {
        StringEquals                = { "aws:ResourceTag/Lifecycle" = "on-demand" }
        "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:idle-since", "jvb-watcher:load-balancer"] }
      }]
      DeleteTheLoadBalancer = ["arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/*/*", { StringEquals = { "aws:ResourceTag/Lifecycle" = "on-demand" } }]
      WriteTheLease = [[for name in ["one", "two"] : "arn:aws:ecs:eu-west-1:111122223333:service/${name}/*"], {
        Null                        = { "aws:ResourceTag/jvb-watcher:load-balancer" = "false", "aws:ResourceTag/jvb-watcher:stop-when-unused" = "false" }
        "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:operation"] }
      }]
      ScaleToZero = [[for name in ["one", "two"] : "arn:aws:ecs:eu-west-1:111122223333:service/${name}/*"], {
        Null = { "aws:ResourceTag/jvb-watcher:load-balancer" = "false", "aws:ResourceTag/jvb-watcher:stop-when-unused" = "false" }
      }]
    }
    error_message = "a statement is not limited to the clusters and by the tags"
  }
  assert {
    condition     = aws_iam_role_policy.this.policy == output.policy && length(aws_iam_policy.services) == 0
    error_message = "the output differs from the policy"
  }
  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.metric_query[0].expression if endswith(name, "/any")
      } == {
      "findings/any"           = "SELECT MIN(Findings) FROM SCHEMA(\"jvb-watcher\", Project, Service) GROUP BY Project, Service ORDER BY MIN() DESC"
      "load-balancer-idle/any" = "SELECT MAX(IdleSeconds) FROM SCHEMA(\"jvb-watcher\", Project, Service) GROUP BY Project, Service ORDER BY MAX() DESC"
      "reconcile-failures/any" = "SELECT SUM(ReconcileFailures) FROM SCHEMA(\"jvb-watcher\", Project, Service) GROUP BY Project, Service ORDER BY SUM() DESC"
      "unused/any"             = "SELECT MAX(UnusedSeconds) FROM SCHEMA(\"jvb-watcher\", Project, Service) GROUP BY Project, Service ORDER BY MAX() DESC"
    }
    error_message = "the alarms don't query the metrics of all services"
  }
}

run "tagged_services_are_stopped_where_the_module_says_so" {
  command = plan
  variables {
    runtime          = "fargate"
    discover         = ["one"]
    stop_when_unused = "10m"
    teardown         = "load-balancer"
    target_groups    = ["acme-*"]
  }
  assert {
    condition = {
      for statement in jsondecode(output.policy).Statement : statement.Sid => try(statement.Condition, null)
      if contains(["ChangeTargets", "ScaleToZero", "DeleteMarkedTargetGroups", "ListItsTasks"], statement.Sid)
      } == {
      ChangeTargets = null
      ScaleToZero   = { Null = { "aws:ResourceTag/jvb-watcher:load-balancer" = "false" } }
      ListItsTasks  = { ArnEquals = { "ecs:cluster" = "arn:aws:ecs:eu-west-1:111122223333:cluster/one" } }
    }
    error_message = "the policy does not follow stop_when_unused, target_groups or teardown"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["no-heartbeat/any"].metric_query[0].expression == "SELECT SUM(Reconciles) FROM SCHEMA(\"jvb-watcher\", Project, Service)" && aws_cloudwatch_metric_alarm.this["no-heartbeat/any"].treat_missing_data == "breaching"
    error_message = "no alarm shows that the worker does nothing"
  }
}

# docs/fleet.md names this number, and the next two.
run "a_dozen_clusters_to_discover_are_accepted" {
  command = plan
  variables {
    discover = [for number in range(12) : "cluster-${number}"]
  }
  assert {
    condition     = length(aws_iam_role_policy.this.policy) <= 10240 - 500 && length(output.event_pattern) <= 2048
    error_message = "the policy or the pattern is too long"
  }
}

run "forty_services_are_accepted" {
  command = plan
  variables {
    services = [for number in range(40) : { project = "meet-${number}", cluster = "shared" }]
  }
  assert {
    condition     = length(aws_iam_policy.services) == 10
    error_message = "the role has another number of policies"
  }
}

run "twenty_services_that_are_stopped_when_unused_are_accepted" {
  command = plan
  variables {
    stop_when_unused = "20m"
    services         = [for number in range(20) : { project = "platform-${number}" }]
  }
  assert {
    condition     = length(aws_iam_policy.services) == 10
    error_message = "the role has another number of policies"
  }
}

run "too_many_clusters_to_discover_are_rejected" {
  command = plan
  variables {
    discover = [for number in range(25) : "cluster-${number}"]
  }
  expect_failures = [aws_iam_role_policy.this]
}

run "a_worker_for_several_clusters_needs_one_of_its_own" {
  command = plan
  variables {
    runtime  = "fargate"
    discover = ["one", "two"]
  }
  expect_failures = [var.fargate_cluster_arn]
}

run "nothing_to_watch_is_rejected" {
  command         = plan
  expect_failures = [var.project]
}

run "a_list_and_clusters_together_are_rejected" {
  command = plan
  variables {
    services = [{ project = "a", cluster = "one" }]
    discover = ["one"]
  }
  expect_failures = [var.services]
}

run "names_of_one_service_beside_a_list_are_rejected" {
  command = plan
  variables {
    services      = [{ project = "a" }]
    service       = "b"
    load_balancer = "b"
    target_groups = ["b-*"]
  }
  expect_failures = [var.service, var.load_balancer, var.target_groups]
}

run "a_cluster_beside_clusters_to_discover_is_rejected" {
  command = plan
  variables {
    discover = ["one"]
    cluster  = "one"
  }
  expect_failures = [var.cluster]
}

run "an_empty_list_is_rejected" {
  command = plan
  variables {
    services = []
  }
  expect_failures = [var.services]
}

run "a_service_without_a_name_is_rejected" {
  command = plan
  variables {
    services = [{ cluster = "c", load_balancer = "l" }]
  }
  expect_failures = [var.services]
}

run "an_unknown_teardown_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", teardown = "everything" }]
  }
  expect_failures = [var.services]
}

run "the_arn_of_a_service_is_rejected" {
  command = plan
  variables {
    services = [{ service = "arn:aws:ecs:eu-west-1:111122223333:service/c/s", load_balancer = "l" }]
  }
  expect_failures = [var.services]
}

run "a_name_from_which_no_load_balancers_name_derives_is_rejected" {
  command = plan
  variables {
    services = [{ service = "meet_one" }]
  }
  expect_failures = [var.services]
}

run "a_pattern_for_every_target_group_in_a_list_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", target_groups = ["*"] }]
  }
  expect_failures = [var.services]
}

run "a_grace_without_a_unit_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", idle_grace = "60" }]
  }
  expect_failures = [var.services]
}

run "an_interval_of_zero_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", resync_interval = "0s" }]
  }
  expect_failures = [var.services]
}

run "a_stop_of_a_service_after_less_than_five_minutes_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", stop_when_unused = "4m" }]
  }
  expect_failures = [var.services]
}

run "a_notice_of_more_than_an_hour_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", stop_notice = "2h" }]
  }
  expect_failures = [var.services]
}

run "a_stop_of_a_service_without_usage_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", stop_when_unused = "20m", usage = false }]
  }
  expect_failures = [var.services]
}

run "an_unknown_protocol_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", use_protocols = ["sctp"] }]
  }
  expect_failures = [var.services]
}

run "a_broken_threshold_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", use_threshold = 0.5 }]
  }
  expect_failures = [var.services]
}

run "an_owner_tag_with_an_equals_sign_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a", owner_tag = { key = "a=b", value = "c" } }]
  }
  expect_failures = [var.services]
}

run "a_project_with_a_blank_is_rejected" {
  command = plan
  variables {
    services = [{ project = "a b", load_balancer = "l" }]
  }
  expect_failures = [var.services]
}

run "the_arn_of_a_cluster_to_discover_is_rejected" {
  command = plan
  variables {
    discover = ["arn:aws:ecs:eu-west-1:111122223333:cluster/one"]
  }
  expect_failures = [var.discover]
}

run "a_cluster_that_is_named_twice_is_rejected" {
  command = plan
  variables {
    discover = ["one", "one"]
  }
  expect_failures = [var.discover]
}

run "a_layer_without_a_version_is_rejected" {
  command = plan
  variables {
    services         = [{ project = "a" }]
    config_layer_arn = "arn:aws:lambda:eu-west-1:111122223333:layer:jvb-watcher"
  }
  expect_failures = [var.config_layer_arn]
}

run "a_layer_for_a_worker_is_rejected" {
  command = plan
  variables {
    runtime          = "fargate"
    services         = [{ project = "a" }]
    config_layer_arn = "arn:aws:lambda:eu-west-1:111122223333:layer:jvb-watcher:1"
  }
  expect_failures = [var.config_layer_arn]
}
