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

run "the_service_has_a_desired_count_of_zero" {
  assert {
    condition     = aws_ecs_service.jitsi.name == "jitsi-service" && aws_ecs_cluster.jitsi.name == "jitsi-cluster"
    error_message = "the names differ from jvb-watcher's defaults"
  }
  assert {
    condition     = aws_ecs_service.jitsi.desired_count == 0 && aws_ecs_service.jitsi.launch_type == "FARGATE" && length(aws_ecs_service.jitsi.load_balancer) == 0
    error_message = "the service has the wrong desired count, launch type or load balancer"
  }
  assert {
    condition     = aws_ecs_service.jitsi.service_connect_configuration[0].enabled && aws_ecs_service.jitsi.service_connect_configuration[0].service[0].discovery_name == "jitsi-web"
    error_message = "Service Connect is not configured"
  }
  assert {
    condition     = aws_ecs_service.jitsi.service_connect_configuration[0].log_configuration[0].log_driver == "awslogs"
    error_message = "Service Connect does not log"
  }
}

run "the_bridge_gets_its_ports_and_addresses" {
  variables {
    jvb_advertise_ips = ["192.0.2.1", "192.0.2.2"]
    jvb_environment   = { JVB_PORT = "1", XMPP_SERVER = "xmpp" }
  }
  assert {
    condition = alltrue([
      for name, value in { JVB_PORT = "10000", JVB_TCP_PORT = "4443", JVB_TCP_MAPPED_PORT = "4443", JVB_ADVERTISE_IPS = "192.0.2.1,192.0.2.2", XMPP_SERVER = "xmpp" } :
      contains(jsondecode(aws_ecs_task_definition.jitsi.container_definitions)[1].environment, { name = name, value = value })
    ])
    error_message = "the bridge has the wrong environment"
  }
  assert {
    condition     = toset([for port in jsondecode(aws_ecs_task_definition.jitsi.container_definitions)[1].portMappings : "${port.protocol} ${port.containerPort}"]) == toset(["udp 10000", "tcp 4443", "tcp 8080"])
    error_message = "the bridge has the wrong port mappings"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.jitsi.container_definitions)[0].portMappings[0].name == "web"
    error_message = "the web container's port has no name, by which Service Connect refers to it"
  }
}

run "callers_connect_from_anywhere_and_health_checks_from_the_vpc" {
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.jitsi : "${rule.ip_protocol} ${rule.from_port} ${rule.cidr_ipv4}"]) == toset(["tcp 443 0.0.0.0/0", "udp 10000 0.0.0.0/0", "tcp 4443 0.0.0.0/0", "tcp 8080 10.0.0.0/16"])
    error_message = "the security group has the wrong inbound rules"
  }
}

run "invalid_inputs_are_rejected" {
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
