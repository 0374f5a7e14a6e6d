locals {
  queue_actions = {
    # The event source mapping receives and deletes messages with the function's role; the function reads the queue's
    # attributes.
    lambda = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    fargate = [
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility",
    ]
  }

  load_balancer_arn = "arn:${local.partition}:elasticloadbalancing:${local.here}:loadbalancer/net/${local.load_balancer}/*"
  target_group_arns = [for pattern in local.target_groups : "arn:${local.partition}:elasticloadbalancing:${local.here}:targetgroup/${pattern}/*"]

  # The watcher marks and deletes only a load balancer with the owner tag, and deletes only target groups with it.
  owned = { StringEquals = { "aws:ResourceTag/${var.owner_tag.key}" = var.owner_tag.value } }

  service_arn = "arn:${local.partition}:ecs:${local.here}:service/${local.cluster}/${local.service}"

  # The watcher adds and removes no other tags than its own marks.
  own_tags = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:idle-since", "jvb-watcher:load-balancer"] } }

  publish_events_bus     = coalesce(var.publish_events_bus, "default")
  publish_events_bus_arn = startswith(local.publish_events_bus, "arn:") ? local.publish_events_bus : "arn:${local.partition}:events:${local.here}:event-bus/${local.publish_events_bus}"

  # Everything that the program does, one statement per purpose.
  policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "TakeEvents"
        Effect   = "Allow"
        Action   = local.queue_actions[var.runtime]
        Resource = aws_sqs_queue.events.arn
      },
      {
        Sid      = "ReadTheService"
        Effect   = "Allow"
        Action   = "ecs:DescribeServices"
        Resource = local.service_arn
      },
      {
        # The resource of ListTasks is a container instance; only the condition limits it to a cluster.
        Sid       = "ListItsTasks"
        Effect    = "Allow"
        Action    = "ecs:ListTasks"
        Resource  = "*"
        Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arn } }
      },
      {
        Sid      = "ReadItsTasks"
        Effect   = "Allow"
        Action   = "ecs:DescribeTasks"
        Resource = "arn:${local.partition}:ecs:${local.here}:task/${local.cluster}/*"
      },
      {
        # For the addresses that a task definition pins. The action doesn't support resource-level permissions.
        Sid      = "ReadTaskDefinitions"
        Effect   = "Allow"
        Action   = "ecs:DescribeTaskDefinition"
        Resource = "*"
      },
      {
        # These actions don't support resource-level permissions.
        Sid    = "ReadLoadBalancers"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth",
          "elasticloadbalancing:DescribeTags",
        ]
        Resource = "*"
      },
      {
        # For the flows over the load balancer. The action supports neither resource-level permissions nor a condition on
        # the namespace (Service Authorization Reference, Amazon CloudWatch).
        Sid      = "ReadUsage"
        Effect   = "Allow"
        Action   = "cloudwatch:GetMetricData"
        Resource = "*"
      },
      {
        # For checking that events can arrive. These actions don't support resource-level permissions.
        Sid      = "FindTheRule"
        Effect   = "Allow"
        Action   = ["events:ListRuleNamesByTarget", "events:TestEventPattern"]
        Resource = "*"
      },
      {
        Sid      = "ReadTheRule"
        Effect   = "Allow"
        Action   = "events:DescribeRule"
        Resource = aws_cloudwatch_event_rule.tasks.arn
      },
      {
        Sid      = "PublishEvents"
        Effect   = "Allow"
        Action   = "events:PutEvents"
        Resource = local.publish_events_bus_arn
      },
      {
        Sid      = "ChangeTargets"
        Effect   = "Allow"
        Action   = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
        Resource = local.target_group_arns
      },
      {
        Sid       = "MarkTheLoadBalancer"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource  = local.load_balancer_arn
        Condition = merge(local.owned, local.own_tags)
      },
      {
        Sid       = "MarkTargetGroups"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource  = local.target_group_arns
        Condition = local.own_tags
      },
      {
        # The announcement that an unused service is about to be stopped.
        Sid       = "AnnounceStops"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource  = local.load_balancer_arn
        Condition = merge(local.owned, { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:stop-at"] } })
      },
      {
        # The lease by which a stop and an operator's `up` or `down` exclude each other. The resource of these actions and
        # of UpdateService can be a service (Service Authorization Reference, Amazon Elastic Container Service).
        Sid      = "ReadTheLease"
        Effect   = "Allow"
        Action   = "ecs:ListTagsForResource"
        Resource = local.service_arn
      },
      {
        Sid       = "WriteTheLease"
        Effect    = "Allow"
        Action    = ["ecs:TagResource", "ecs:UntagResource"]
        Resource  = local.service_arn
        Condition = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:operation"] } }
      },
      {
        # No condition limits the action to the desired count (aws/containers-roadmap, issue 2527). A new task definition
        # would need iam:PassRole too, which the role lacks; the desired count alone doesn't (keidarcy/e1s, issue 429).
        Sid      = "ScaleToZero"
        Effect   = "Allow"
        Action   = "ecs:UpdateService"
        Resource = local.service_arn
      },
      {
        Sid       = "DeleteTheLoadBalancer"
        Effect    = "Allow"
        Action    = "elasticloadbalancing:DeleteLoadBalancer"
        Resource  = local.load_balancer_arn
        Condition = local.owned
      },
      {
        # Only target groups that carry the mark of a teardown. The role may write that mark, so the owner tag, which it
        # may not write, is required too.
        Sid       = "DeleteMarkedTargetGroups"
        Effect    = "Allow"
        Action    = "elasticloadbalancing:DeleteTargetGroup"
        Resource  = local.target_group_arns
        Condition = merge(local.owned, { Null = { "aws:ResourceTag/jvb-watcher:idle-since" = "false" } })
      },
    ]
  }

  # With teardown off, the watcher may not even mark for deletion. With teardown load-balancer, it never deletes target groups, but
  # may remove marks that an earlier setting left on them, in the same call as those of the load balancer.
  not_wanted = {
    all             = []
    "load-balancer" = ["DeleteMarkedTargetGroups"]
    off             = ["MarkTheLoadBalancer", "MarkTargetGroups", "DeleteTheLoadBalancer", "DeleteMarkedTargetGroups"]
  }
  not_asked_for = concat(
    var.publish_events_bus == null ? ["PublishEvents"] : [],
    var.usage ? [] : ["ReadUsage"],
    local.stops_when_unused ? [] : ["AnnounceStops", "ReadTheLease", "WriteTheLease", "ScaleToZero"],
  )
  wanted_policy = {
    Version = local.policy.Version
    Statement = [
      for statement in local.policy.Statement : statement
      if !contains(concat(local.not_wanted[var.teardown], local.not_asked_for), statement.Sid)
    ]
  }

  assumed_by = {
    lambda  = "lambda.amazonaws.com"
    fargate = "ecs-tasks.amazonaws.com"
  }
}

resource "aws_iam_role" "this" {
  name        = local.account_wide_name
  description = "Permissions of jvb-watcher for ${local.service}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = local.assumed_by[var.runtime] }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = local.tags

  # The function or the task must never be without a role.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "watch"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.wanted_policy)
}

# A Lambda function writes its log with its own role; on Fargate the execution role does (fargate.tf).
resource "aws_iam_role_policy" "log" {
  count = local.on_lambda ? 1 : 0

  name = "log"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "WriteTheLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.this.arn}:*"
    }]
  })
}
