locals {
  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

data "aws_partition" "current" {}

# The execution role pulls the images and writes the logs.
resource "aws_iam_role" "execution" {
  name               = "${var.project_name}-execution"
  assume_role_policy = local.assumed_by_tasks
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# The containers make no AWS API calls, so their role has no policy.
resource "aws_iam_role" "task" {
  name               = "${var.project_name}-task"
  assume_role_policy = local.assumed_by_tasks
  tags               = local.tags
}
