# The rest of the platform: the cluster, the service with a desired count of zero, its task definition, Service Connect and
# the security group. Operators or their scripts scale the service and create the load balancer; jvb-watcher registers the
# tasks with it.

data "aws_region" "current" {}

locals {
  tags = merge(var.tags, { Project = var.project_name })

  # The ports on which the containers listen.
  ports = {
    web    = 443
    udp    = 10000
    tcp    = 4443
    health = 8080
  }
}

resource "aws_cloudwatch_log_group" "jitsi" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts the log with its own keys; a KMS key costs $1 a month.
  #checkov:skip=CKV_AWS_338:The log is for operations, not for audit; log_retention_days sets its retention.
  name              = "/ecs/${var.project_name}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_ecs_cluster" "jitsi" {
  #checkov:skip=CKV_AWS_65:Container Insights costs more a month than the idle platform; container_insights enables it.
  name = "${var.project_name}-cluster"

  setting {
    name  = "containerInsights"
    value = var.container_insights ? "enabled" : "disabled"
  }

  tags = local.tags
}

resource "aws_service_discovery_private_dns_namespace" "jitsi" {
  name        = "${var.project_name}.local"
  description = "Service Connect of ${var.project_name}"
  vpc         = var.vpc_id
  tags        = local.tags
}

resource "aws_ecs_task_definition" "jitsi" {
  #checkov:skip=CKV_AWS_336:Jitsi's images write their configuration files at start.
  family                   = var.project_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  container_definitions = jsonencode([
    {
      name        = "web"
      image       = var.images.web
      essential   = true
      environment = [for name, value in var.web_environment : { name = name, value = value }]
      # Service Connect refers to a port by its name.
      portMappings     = [{ name = "web", containerPort = local.ports.web, protocol = "tcp", appProtocol = "http" }]
      logConfiguration = local.log_configuration.web
    },
    {
      name      = "jvb"
      image     = var.images.jvb
      essential = true
      environment = [for name, value in merge(var.jvb_environment, {
        JVB_ADVERTISE_IPS   = join(",", var.jvb_advertise_ips)
        JVB_PORT            = tostring(local.ports.udp)
        JVB_TCP_PORT        = tostring(local.ports.tcp)
        JVB_TCP_MAPPED_PORT = tostring(local.ports.tcp)
      }) : { name = name, value = value }]
      portMappings = [
        { name = "jvb-udp", containerPort = local.ports.udp, protocol = "udp" },
        { name = "jvb-tcp", containerPort = local.ports.tcp, protocol = "tcp" },
        { name = "jvb-health", containerPort = local.ports.health, protocol = "tcp" },
      ]
      # A stopping bridge keeps its calls until the stop timeout; 120 s is Fargate's maximum.
      stopTimeout      = 120
      logConfiguration = local.log_configuration.jvb
    },
  ])

  tags = local.tags
}

locals {
  log_configuration = { for container in ["web", "jvb"] : container => {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = aws_cloudwatch_log_group.jitsi.name
      "awslogs-region"        = data.aws_region.current.region
      "awslogs-stream-prefix" = container
    }
  } }
}

resource "aws_ecs_service" "jitsi" {
  #checkov:skip=CKV_AWS_333:The tasks are in public subnets without NAT and need public addresses to pull their images.
  name            = "${var.project_name}-service"
  cluster         = aws_ecs_cluster.jitsi.id
  task_definition = aws_ecs_task_definition.jitsi.arn
  desired_count   = 0 # scaled up on demand
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.jitsi.id]
    assign_public_ip = true
  }

  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_private_dns_namespace.jitsi.arn

    service {
      port_name      = "web"
      discovery_name = "jitsi-web"

      client_alias {
        port     = local.ports.web
        dns_name = "jitsi-web"
      }
    }

    log_configuration {
      log_driver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.jitsi.name
        "awslogs-region"        = data.aws_region.current.region
        "awslogs-stream-prefix" = "service-connect"
      }
    }
  }

  # No load_balancer block: the load balancer exists only on demand, and jvb-watcher registers the tasks.

  lifecycle {
    ignore_changes = [desired_count] # set by scaling, not by terraform
  }

  tags = local.tags
}
