locals {
  fargate_cluster = coalesce(var.fargate_cluster_arn, local.cluster_arns[0])

  # For the container's own health check; it is not reachable from outside the task.
  listen = "127.0.0.1:8081"
}

resource "aws_ecs_task_definition" "this" {
  count = local.on_fargate ? 1 : 0

  family                   = local.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  # Fargate's smallest size.
  cpu                = 256
  memory             = 512
  task_role_arn      = aws_iam_role.this.arn
  execution_role_arn = aws_iam_role.execution[0].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.fargate_architecture
  }

  container_definitions = jsonencode([{
    name                   = "jvb-watcher"
    image                  = var.image
    essential              = true
    command                = ["run"]
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    # The worker ends within 21 s of SIGTERM (docs/operations.md).
    stopTimeout = 30
    environment = [
      for name, value in merge(local.environment, { JVB_WATCHER_LISTEN = local.listen, AWS_REGION = local.region }) :
      { name = name, value = value }
    ]
    healthCheck = {
      command     = ["CMD", "/usr/local/bin/jvb-watcher", "health"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }
    linuxParameters = { capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = "worker"
      }
    }
  }])

  tags = local.tags
}

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_333:In a public subnet without NAT the worker needs a public address to reach AWS; assign_public_ip = false removes it.
  count = local.on_fargate ? 1 : 0

  name            = local.name
  cluster         = local.fargate_cluster
  task_definition = aws_ecs_task_definition.this[0].arn
  desired_count   = 1
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  # Concurrent workers do no harm, so the new task may start before the old one stops.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = var.security_group_ids
    assign_public_ip = var.assign_public_ip
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy_attachment.services]
}

# The execution role pulls the image and writes the log. The program itself uses the task role.
resource "aws_iam_role" "execution" {
  count = local.on_fargate ? 1 : 0

  name        = "${local.name}-execution-${local.region}"
  description = "Pulls the image and writes the log of jvb-watcher's task"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = merge(local.tags, { Name = "${local.name}-execution" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role_policy_attachment" "execution" {
  count = local.on_fargate ? 1 : 0

  role       = aws_iam_role.execution[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}
