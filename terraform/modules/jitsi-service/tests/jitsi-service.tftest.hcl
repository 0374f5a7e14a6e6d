mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi-eu-west-1-execution" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = {
      id  = "arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster"
      arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster"
    }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/jitsi:1" }
  }
  mock_resource "aws_service_discovery_http_namespace" {
    defaults = { arn = "arn:aws:servicediscovery:eu-west-1:111122223333:namespace/ns-1" }
  }
}

mock_provider "aws" {
  alias = "frankfurt"

  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi-eu-central-1-execution" }
  }
}

variables {
  project_name = "jitsi"
  vpc_id       = "vpc-1"
  subnet_ids   = ["subnet-1"]
  domain       = "meet.example.org"
}

run "the_service_has_no_tasks_and_never_two" {
  assert {
    condition     = output.service_name == "jitsi-service" && output.cluster_name == "jitsi-cluster"
    error_message = "the names differ from jvb-watcher's defaults"
  }
  assert {
    condition     = aws_ecs_service.jitsi.desired_count == 0 && length(aws_ecs_service.jitsi.load_balancer) == 0
    error_message = "the service has the wrong desired count or a load balancer"
  }
  assert {
    condition     = aws_ecs_service.jitsi.deployment_minimum_healthy_percent == 0 && aws_ecs_service.jitsi.deployment_maximum_percent == 100 && aws_ecs_service.jitsi.availability_zone_rebalancing == "DISABLED"
    error_message = "a deployment or a rebalancing can run two conference servers side by side"
  }
  assert {
    condition     = aws_ecs_service.jitsi.launch_type == "FARGATE" && length(aws_ecs_service.jitsi.capacity_provider_strategy) == 0 && aws_ecs_service.jitsi.network_configuration[0].assign_public_ip
    error_message = "the service has the wrong launch type or no public address"
  }
  assert {
    condition     = aws_ecs_task_definition.jitsi.cpu == "2048" && aws_ecs_task_definition.jitsi.memory == "4096" && aws_ecs_task_definition.jitsi.runtime_platform[0].cpu_architecture == "ARM64"
    error_message = "the task has the wrong size or architecture"
  }
}

run "a_task_may_start_before_the_load_balancer_is_active" {
  assert {
    condition     = aws_ecs_service.jitsi.tags["jvb-watcher-bridge-address"] == "awaited"
    error_message = "the service doesn't say that its bridge waits for the domain's address"
  }
}

run "a_bridge_with_fixed_addresses_waits_for_nothing" {
  variables {
    advertise_ips = ["192.0.2.1"]
  }
  assert {
    condition     = aws_ecs_service.jitsi.tags["jvb-watcher-bridge-address"] == "fixed"
    error_message = "the service doesn't say that its bridge needs no address"
  }
}

run "optional_resources_are_not_created_by_default" {
  assert {
    condition     = length(aws_ecs_service.jitsi.service_connect_configuration) == 0 && output.namespace_arn == null && length(aws_iam_role_policy.secrets) == 0 && length(aws_ecs_cluster_capacity_providers.jitsi) == 0
    error_message = "Service Connect, a policy for secrets or capacity providers are created by default"
  }
}

run "a_task_starts_in_order" {
  assert {
    condition = { for name, container in output.container_definitions : name => join(",", [for dependency in try(container.dependsOn, []) : "${dependency.containerName} ${dependency.condition}"]) } == {
      prepare = "", prosody = "prepare SUCCESS", jicofo = "prosody HEALTHY", jvb = "prosody HEALTHY", web = "prosody HEALTHY"
    }
    error_message = "the containers start in the wrong order"
  }
  assert {
    condition     = alltrue([for name, container in output.container_definitions : container.essential == (name != "prepare")])
    error_message = "the task outlives one of its containers, or ends with prepare"
  }
  # A dependency without a health check, or without a time limit, could keep the task PENDING for ever.
  assert {
    condition     = alltrue([for name in ["prepare", "prosody"] : output.container_definitions[name].startTimeout == 120]) && alltrue([for name in ["web", "prosody", "jicofo", "jvb"] : length(output.container_definitions[name].healthCheck.command) > 1])
    error_message = "a container that others wait for has no time limit or no health check"
  }
}

run "the_bridge_may_wait_for_its_address" {
  variables {
    advertise_wait_seconds = 90
  }
  assert {
    condition     = alltrue([for name in ["jvb", "jicofo"] : output.container_definitions[name].healthCheck.startPeriod > 90 && output.container_definitions[name].healthCheck.startPeriod <= 300])
    error_message = "ECS counts failed health checks while the bridge waits, or refuses the start period"
  }
  assert {
    condition     = slice(output.container_definitions.jvb.command, 6, 10) == ["advertise", "meet.example.org", "90", "/init"]
    error_message = "the bridge resolves another domain, or waits for another time"
  }
}

run "only_the_load_balancer_may_let_callers_in" {
  assert {
    condition     = length(aws_security_group.jitsi.ingress) == 0 && aws_vpc_security_group_egress_rule.jitsi.ip_protocol == "-1"
    error_message = "the tasks' security group has inbound rules of its own"
  }
}

run "root_file_systems_are_read_only" {
  assert {
    condition     = alltrue([for container in output.container_definitions : container.readonlyRootFilesystem])
    error_message = "a container may write to its root file system"
  }
}

run "root_file_systems_may_be_writable" {
  variables {
    readonly_root_filesystem = false
  }
  assert {
    condition     = !anytrue([for container in output.container_definitions : container.readonlyRootFilesystem])
    error_message = "readonly_root_filesystem has no effect"
  }
}

run "fixed_addresses_and_ports_reach_the_containers" {
  variables {
    advertise_ips = ["192.0.2.1", "192.0.2.2#443"]
    ports         = { media = 20000 }
    environment   = { all = { TZ = "UTC" }, web = { ENABLE_P2P = "false" }, jvb = { JVB_REQUIRE_VALID_ADDRESS = "0" } }
  }
  assert {
    condition = alltrue([
      for name, value in { JVB_ADVERTISE_IPS = "192.0.2.1,192.0.2.2#443", JVB_PORT = "20000", TZ = "UTC", JVB_REQUIRE_VALID_ADDRESS = "0", XMPP_SERVER = "127.0.0.1" } :
      contains(output.container_definitions.jvb.environment, { name = name, value = value })
    ])
    error_message = "the bridge has the wrong environment"
  }
  assert {
    condition     = [for port in output.container_definitions.jvb.portMappings : "${port.protocol} ${port.containerPort} ${port.hostPort}"] == ["udp 20000 20000", "tcp 8080 8080"] && output.ports == { web = 8000, media = 20000, health = 8080 }
    error_message = "the bridge or the outputs have the wrong ports"
  }
  assert {
    condition     = contains(output.container_definitions.web.environment, { name = "ENABLE_P2P", value = "false" }) && contains(output.container_definitions.prosody.environment, { name = "TZ", value = "UTC" })
    error_message = "web or prosody has the wrong environment"
  }
}

run "the_heaps_fit_into_the_memory" {
  variables {
    cpu    = 4096
    memory = 16384
  }
  assert {
    condition     = contains(output.container_definitions.jvb.environment, { name = "VIDEOBRIDGE_MAX_MEMORY", value = "6144m" }) && contains(output.container_definitions.jicofo.environment, { name = "JICOFO_MAX_MEMORY", value = "2048m" })
    error_message = "the Java heaps don't follow the task's memory"
  }
  assert {
    condition     = output.task_size == { cpu = 4096, memory = 16384, architecture = "ARM64", spot = false }
    error_message = "the output has the wrong size"
  }
}

run "all_images_are_of_one_release" {
  variables {
    registry      = "mirror.example.org:5000/jitsi"
    jitsi_release = "stable-11200"
  }
  assert {
    condition     = toset([for container in output.container_definitions : container.image]) == toset([for name in ["web", "prosody", "jicofo", "jvb"] : "mirror.example.org:5000/jitsi/${name}:stable-11200"])
    error_message = "the images have other names or tags"
  }
}

run "secrets_are_references_that_the_execution_role_may_read" {
  variables {
    secrets = {
      prosody = {
        JVB_AUTH_PASSWORD = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jvb"
        TURN_CREDENTIALS  = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:jitsi/turn-AbCdEf:credentials::"
      }
      jvb = {
        JVB_AUTH_PASSWORD = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jvb"
      }
    }
    extra_secrets        = ["arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jigasi"]
    secrets_kms_key_arns = ["arn:aws:kms:eu-west-1:111122223333:key/1"]
  }
  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.secrets[0].policy).Statement : statement.Action => statement.Resource } == {
      "ssm:GetParameters"             = ["arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jvb", "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jigasi"]
      "secretsmanager:GetSecretValue" = ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:jitsi/turn-AbCdEf"]
      "kms:Decrypt"                   = ["arn:aws:kms:eu-west-1:111122223333:key/1"]
    }
    error_message = "the execution role may read the wrong secrets"
  }
  assert {
    condition     = { for secret in output.container_definitions.prosody.secrets : secret.name => secret.valueFrom } == { for name, arn in var.secrets.prosody : name => arn } && { for secret in output.container_definitions.jvb.secrets : secret.name => secret.valueFrom } == { for name, arn in var.secrets.jvb : name => arn } && length(output.container_definitions.web.secrets) == 0
    error_message = "the containers refer to the wrong secrets"
  }
}

run "extra_containers_join_the_task" {
  variables {
    extra_containers = [
      { name = "turn", image = "coturn:1", essential = true, portMappings = [{ containerPort = 5349, protocol = "tcp" }] },
      { name = "quiet", image = "quiet:1", logConfiguration = { logDriver = "awsfirelens" } },
    ]
  }
  assert {
    condition     = output.container_definitions.turn.logConfiguration.options["awslogs-stream-prefix"] == "turn" && output.container_definitions.turn.portMappings[0].containerPort == 5349 && output.container_definitions.quiet.logConfiguration.logDriver == "awsfirelens"
    error_message = "an extra container is missing or changed"
  }
}

run "spot_is_an_option" {
  variables {
    fargate_spot = true
  }
  assert {
    condition     = [for strategy in aws_ecs_service.jitsi.capacity_provider_strategy : strategy.capacity_provider] == ["FARGATE_SPOT"] && tolist(aws_ecs_cluster_capacity_providers.jitsi[0].capacity_providers) == tolist(["FARGATE_SPOT"])
    error_message = "the service doesn't run on Fargate Spot"
  }
}

run "service_connect_is_an_option" {
  variables {
    service_connect = true
  }
  assert {
    condition     = aws_ecs_service.jitsi.service_connect_configuration[0].namespace == output.namespace_arn && contains([for port in output.container_definitions.web.portMappings : port.name], aws_ecs_service.jitsi.service_connect_configuration[0].service[0].port_name)
    error_message = "Service Connect has no namespace, or refers to a port that doesn't exist"
  }
  assert {
    condition     = aws_ecs_service.jitsi.service_connect_configuration[0].log_configuration[0].log_driver == "awslogs" && aws_ecs_service.jitsi.service_connect_configuration[0].service[0].client_alias[0].port == 8000
    error_message = "Service Connect doesn't log, or its clients use another port"
  }
}

run "a_second_project_in_the_account" {
  variables {
    project_name = "other"
  }
  assert {
    condition     = aws_iam_role.execution.name == "other-eu-west-1-execution" && aws_iam_role.task.name == "other-eu-west-1-task" && aws_cloudwatch_log_group.jitsi.name == "/ecs/other" && aws_ecs_task_definition.jitsi.family == "other"
    error_message = "a second project would have a name of the first"
  }
}

run "a_second_region_in_the_account" {
  providers = { aws = aws.frankfurt }

  assert {
    condition     = output.execution_role_name == "jitsi-eu-central-1-execution" && output.task_role_name == "jitsi-eu-central-1-task"
    error_message = "IAM is global: a second region would have a role name of the first"
  }
}

run "the_minimal_example_is_valid" {
  module {
    source = "./examples/minimal"
  }
}

run "the_complete_example_is_valid" {
  module {
    source = "./examples/complete"
  }
}

run "invalid_inputs_are_rejected" {
  command = plan
  variables {
    project_name           = "Jitsi"
    subnet_ids             = []
    domain                 = "https://meet.example.org"
    jitsi_release          = "latest"
    registry               = "ghcr.io/jitsi/"
    ports                  = { web = 80 }
    cpu                    = 512
    cpu_architecture       = "arm64"
    environment            = { all = { PUBLIC_URL = "https://other.example.org" } }
    advertise_ips          = ["meet.example.org"]
    advertise_wait_seconds = 600
    log_retention_days     = 2
    extra_containers       = [{ name = "turn" }]
    secrets                = { prosody = { TURN_CREDENTIALS = "not an ARN" } }
    extra_secrets          = ["arn:aws:s3:::bucket"]
  }
  expect_failures = [
    var.project_name, var.subnet_ids, var.domain, var.jitsi_release, var.registry, var.ports, var.cpu, var.cpu_architecture,
    var.environment, var.advertise_ips, var.advertise_wait_seconds, var.log_retention_days, var.extra_containers,
    var.secrets, var.extra_secrets,
  ]
}

run "old_releases_passwords_and_clashes_are_rejected" {
  command = plan
  variables {
    jitsi_release    = "stable-11031"
    ports            = { web = 8080 }
    memory           = 2048
    environment      = { jvb = { JVB_AUTH_PASSWORD = "in the state" } }
    advertise_ips    = ["2001:db8::1"]
    extra_containers = [{ name = "jvb", image = "another:1" }]
    secrets          = { jvb = { JVB_AUTH_PASSWORD = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jvb" } }
  }
  expect_failures = [var.jitsi_release, var.ports, var.memory, var.environment, var.advertise_ips, var.extra_containers, var.secrets]
}

run "secrets_of_unknown_containers_are_rejected" {
  command = plan
  variables {
    secrets = { jigasi = { JIGASI_XMPP_PASSWORD = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/jigasi" } }
  }
  expect_failures = [var.secrets]
}

run "a_variable_is_either_secret_or_not" {
  command = plan
  variables {
    environment = { prosody = { TURN_USERNAME = "turn" } }
    secrets     = { prosody = { TURN_USERNAME = "arn:aws:ssm:eu-west-1:111122223333:parameter/jitsi/turn" } }
  }
  expect_failures = [aws_ecs_task_definition.jitsi]
}
