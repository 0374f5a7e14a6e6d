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
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
  mock_resource "aws_vpc" {
    defaults = { cidr_block = "10.0.0.0/16" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:111122223333:jitsi-jvb-watcher", url = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:jitsi" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:jitsi-jvb-watcher" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/jitsi:1" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster", id = "arn:aws:ecs:eu-west-1:111122223333:cluster/jitsi-cluster" }
  }
  mock_resource "aws_service_discovery_private_dns_namespace" {
    defaults = { arn = "arn:aws:servicediscovery:eu-west-1:111122223333:namespace/ns-1" }
  }
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/0a1b2c3d4e5f6071", dns_name = "jitsi-jvb-nlb.elb.eu-west-1.amazonaws.com" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-udp/1a2b3c4d5e6f7081" }
  }
}

run "no_load_balancer_by_default" {
  assert {
    condition     = length(module.jvb_nlb) == 0 && output.jvb_nlb_dns_name == null
    error_message = "a load balancer is created although nlb_enabled is false"
  }
  assert {
    condition     = strcontains(module.jvb_watcher.event_pattern, "cluster/${module.jitsi_service.cluster_name}") && strcontains(module.jvb_watcher.event_pattern, "service:${module.jitsi_service.service_name}")
    error_message = "the watcher watches another service than the module creates"
  }
}

run "nlb_enabled_creates_the_load_balancer" {
  variables {
    nlb_enabled = true
  }
  assert {
    condition     = output.jvb_nlb_dns_name != null && module.jvb_nlb[0].tcp_target_group_arn != null
    error_message = "the load balancer or its TCP fallback is not created"
  }
}
