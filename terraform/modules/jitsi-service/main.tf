# The platform's ECS service: one task that runs a whole conference server. It is created with no tasks; jvb-watcher's `up`
# and `down` scale it. The load balancer is another module's, since it exists only while there are calls.

data "aws_region" "current" {}

locals {
  tags = merge(var.tags, { Project = var.project_name })
}

resource "aws_cloudwatch_log_group" "jitsi" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts the log with its own keys; a KMS key costs $1 a month.
  #checkov:skip=CKV_AWS_338:The log is for operations, not for audit; log_retention_days sets its retention.
  name              = "/ecs/${var.project_name}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_ecs_cluster" "jitsi" {
  #checkov:skip=CKV_AWS_65:AWS bills Container Insights as custom metrics; container_insights enables it.
  name = "${var.project_name}-cluster"

  setting {
    name  = "containerInsights"
    value = var.container_insights ? "enabled" : "disabled"
  }

  tags = local.tags
}

resource "aws_ecs_cluster_capacity_providers" "jitsi" {
  count = var.fargate_spot ? 1 : 0

  cluster_name       = aws_ecs_cluster.jitsi.name
  capacity_providers = ["FARGATE_SPOT"]
}

resource "aws_service_discovery_http_namespace" "jitsi" {
  count = var.service_connect ? 1 : 0

  name        = var.project_name
  description = "Service Connect of ${var.project_name}"
  tags        = local.tags
}

resource "aws_ecs_service" "jitsi" {
  #checkov:skip=CKV_AWS_333:Without a public address the task needs a NAT gateway to pull its images, which costs more than the idle platform; assign_public_ip = false removes it. The security group has no rule that lets the internet in.
  name            = "${var.project_name}-service"
  cluster         = aws_ecs_cluster.jitsi.id
  task_definition = aws_ecs_task_definition.jitsi.arn
  desired_count   = 0 # scaled up on demand
  launch_type     = var.fargate_spot ? null : "FARGATE"
  propagate_tags  = "SERVICE"

  # Never two conference servers side by side: callers of one room would be in two. ECS stops the old task before it
  # starts the new one.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  # A revision that doesn't start gives way to the one before it.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  # Moving the one task to another zone would end its calls.
  availability_zone_rebalancing = "DISABLED"

  dynamic "capacity_provider_strategy" {
    for_each = aws_ecs_cluster_capacity_providers.jitsi
    content {
      capacity_provider = "FARGATE_SPOT"
      weight            = 1
    }
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.jitsi.id]
    assign_public_ip = var.assign_public_ip
  }

  dynamic "service_connect_configuration" {
    for_each = aws_service_discovery_http_namespace.jitsi
    content {
      enabled   = true
      namespace = service_connect_configuration.value.arn

      service {
        port_name      = "web"
        discovery_name = "jitsi-web"

        client_alias {
          port     = var.ports.web
          dns_name = "jitsi-web"
        }
      }

      log_configuration {
        log_driver = local.log_configuration["service-connect"].logDriver
        options    = local.log_configuration["service-connect"].options
      }
    }
  }

  # No load_balancer block: the load balancer exists only on demand, and jvb-watcher registers the tasks.

  lifecycle {
    ignore_changes = [
      desired_count, # set by scaling, not by Terraform
      # The lease of jvb-watcher's `up` or `down`. Without it an operation that begins meanwhile would not know of the one in
      # progress, nor that an earlier one failed halfway. The provider derives tags_all from tags, and a plan compares both.
      tags["jvb-watcher:operation"],
      tags_all["jvb-watcher:operation"],
    ]
  }

  # `up` may start the task while the load balancer is provisioning: the bridge waits until the domain resolves, or has
  # addresses that don't depend on the load balancer.
  tags = merge(local.tags, {
    jvb-watcher-bridge-address = length(var.advertise_ips) == 0 ? "awaited" : "fixed"
  })
}
