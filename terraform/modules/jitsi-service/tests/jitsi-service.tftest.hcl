mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi-execution" }
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
  mock_resource "aws_service_discovery_private_dns_namespace" {
    defaults = { arn = "arn:aws:servicediscovery:eu-west-1:111122223333:namespace/ns-1" }
  }
}

variables {
  project_name = "jitsi"
  vpc_id       = "vpc-1"
  vpc_cidr     = "10.0.0.0/16"
  subnet_ids   = ["subnet-1"]
}

run "the_service_stands_at_zero" {
  assert {
    condition     = aws_ecs_service.jitsi.name == "jitsi-service" && aws_ecs_cluster.jitsi.name == "jitsi-cluster"
    error_message = "the names from which jvb-watcher derives what it watches"
  }
  assert {
    condition     = aws_ecs_service.jitsi.desired_count == 0 && aws_ecs_service.jitsi.launch_type == "FARGATE" && length(aws_ecs_service.jitsi.load_balancer) == 0
    error_message = "the service"
  }
  assert {
    condition     = aws_ecs_service.jitsi.service_connect_configuration[0].enabled && aws_ecs_service.jitsi.service_connect_configuration[0].service[0].discovery_name == "jitsi-web"
    error_message = "Service Connect"
  }
  assert {
    condition     = aws_ecs_service.jitsi.service_connect_configuration[0].log_configuration[0].log_driver == "awslogs"
    error_message = "Service Connect's log"
  }
}

run "the_bridge_is_told_its_ports" {
  variables {
    jvb_advertise_ips = ["192.0.2.1", "192.0.2.2"]
    jvb_environment   = { JVB_PORT = "1", XMPP_SERVER = "xmpp" }
  }
  assert {
    condition = alltrue([
      for name, value in { JVB_PORT = "10000", JVB_TCP_PORT = "4443", JVB_TCP_MAPPED_PORT = "4443", JVB_ADVERTISE_IPS = "192.0.2.1,192.0.2.2", XMPP_SERVER = "xmpp" } :
      contains(jsondecode(aws_ecs_task_definition.jitsi.container_definitions)[1].environment, { name = name, value = value })
    ])
    error_message = "its environment"
  }
  assert {
    condition     = toset([for port in jsondecode(aws_ecs_task_definition.jitsi.container_definitions)[1].portMappings : "${port.protocol} ${port.containerPort}"]) == toset(["udp 10000", "tcp 4443", "tcp 8080"])
    error_message = "its ports"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.jitsi.container_definitions)[0].portMappings[0].name == "web"
    error_message = "Service Connect knows a port by its name"
  }
}

run "callers_get_in_and_health_checks_only_from_within" {
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.jitsi : "${rule.ip_protocol} ${rule.from_port} ${rule.cidr_ipv4}"]) == toset(["tcp 443 0.0.0.0/0", "udp 10000 0.0.0.0/0", "tcp 4443 0.0.0.0/0", "tcp 8080 10.0.0.0/16"])
    error_message = "the security group"
  }
}

run "wrong_inputs_are_refused" {
  command = plan
  variables {
    project_name       = "Jitsi"
    vpc_cidr           = "10.0.0.0"
    subnet_ids         = []
    cpu                = 1000
    memory             = 100
    log_retention_days = 2
  }
  expect_failures = [var.project_name, var.vpc_cidr, var.subnet_ids, var.cpu, var.memory, var.log_retention_days]
}
