locals {
  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  # IAM is global, so the names contain the region.
  role_prefix = "${var.project_name}-${data.aws_region.current.region}"

  secret_arns = distinct(concat(flatten([for secrets in values(var.secrets) : values(secrets)]), var.extra_secrets))
  parameters  = [for arn in local.secret_arns : arn if split(":", arn)[2] == "ssm"]
  # A reference may select a key or a version after the secret's own ARN, which has seven parts.
  secrets = [for arn in local.secret_arns : join(":", slice(split(":", arn), 0, 7)) if split(":", arn)[2] == "secretsmanager"]
}

data "aws_partition" "current" {}

# The execution role pulls the images, writes the logs and reads the secrets.
resource "aws_iam_role" "execution" {
  name               = "${local.role_prefix}-execution"
  assume_role_policy = local.assumed_by_tasks
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secrets" {
  # Not by the ARNs themselves, which may be known only after the apply.
  count = length(flatten([for secrets in values(var.secrets) : keys(secrets)])) + length(var.extra_secrets) > 0 ? 1 : 0

  name = "secrets"
  role = aws_iam_role.execution.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for action, resources in {
      "ssm:GetParameters"             = local.parameters
      "secretsmanager:GetSecretValue" = local.secrets
      "kms:Decrypt"                   = var.secrets_kms_key_arns
    } : { Effect = "Allow", Action = action, Resource = resources } if length(resources) > 0]
  })
}

# The containers make no AWS API calls, so their role has no policy.
resource "aws_iam_role" "task" {
  name               = "${local.role_prefix}-task"
  assume_role_policy = local.assumed_by_tasks
  tags               = local.tags
}
