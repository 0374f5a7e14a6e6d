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

  elb_arn = "arn:${local.partition}:elasticloadbalancing:${local.here}"

  # The watcher adds and removes no other tags than its own marks.
  own_tags = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:idle-since", "jvb-watcher:load-balancer"] } }

  publish_events_bus     = coalesce(var.publish_events_bus, "default")
  publish_events_bus_arn = startswith(local.publish_events_bus, "arn:") ? local.publish_events_bus : "arn:${local.partition}:events:${local.here}:event-bus/${local.publish_events_bus}"

  # Everything that the program does, one statement per purpose.
  take_events = [{
    Sid      = "TakeEvents"
    Effect   = "Allow"
    Action   = local.queue_actions[var.runtime]
    Resource = aws_sqs_queue.events.arn
  }]

  whatever_the_service = [for statement in [
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
      # The action has no resource type; only the condition limits it to clusters (Service Authorization Reference, Amazon
      # Elastic Container Service).
      Sid       = "DiscoverServices"
      Effect    = "Allow"
      Action    = "ecs:ListServices"
      Resource  = "*"
      Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arns } }
    },
  ] : statement if !contains(local.not_asked_for, statement.Sid)]

  not_asked_for = concat(
    var.publish_events_bus == null ? ["PublishEvents"] : [],
    var.usage || anytrue(local.services[*].usage) ? [] : ["ReadUsage"],
    local.is_discovered ? [] : ["DiscoverServices"],
  )

  # With teardown off, the watcher may not even mark for deletion. With teardown load-balancer, it never deletes target groups,
  # but may remove marks that an earlier setting left on them, in the same call as those of the load balancer.
  resources_of_services = [for service in local.services : {
    owner_tag      = service.owner_tag
    cluster        = "${local.ecs_arn}:cluster/${service.cluster}"
    tasks          = "${local.ecs_arn}:task/${service.cluster}/*"
    service        = "${local.ecs_arn}:service/${service.cluster}/${service.service}"
    load_balancer  = "${local.elb_arn}:loadbalancer/net/${service.load_balancer}/*"
    target_groups  = tolist([for pattern in service.target_groups : "${local.elb_arn}:targetgroup/${pattern}/*"])
    stops          = service.stop_when_unused != null
    marks          = service.teardown != "off"
    deletes_groups = service.teardown == "all"
  }]

  # Services with the same owner tag, as many as a policy holds.
  parts_of_list = concat([], [for tag in distinct(local.resources_of_services[*].owner_tag) : chunklist(
    [for service in local.resources_of_services : service if service.owner_tag == tag],
    local.is_listed ? local.services_in_a_policy : 1
  )]...)

  # What the statements about services name: of the one service, of each part of a list, or of all that are discovered.
  named_resources = concat(
    [for part in local.parts_of_list : {
      owner_tag      = part[0].owner_tag
      clusters       = distinct(part[*].cluster)
      tasks          = distinct(part[*].tasks)
      services       = part[*].service
      stopped        = [for service in part : service.service if service.stops]
      changed_groups = flatten(part[*].target_groups)
      marked_groups  = flatten([for service in part : service.target_groups if service.marks])
      deleted_groups = flatten([for service in part : service.target_groups if service.deletes_groups])
      deleted        = [for service in part : service.load_balancer if service.marks]
      announced      = [for service in part : service.load_balancer if service.stops]
      # Their names suffice.
      if_group   = {}
      if_service = {}
    }],
    [for everything in [{
      services = [for cluster in local.clusters : "${local.ecs_arn}:service/${cluster}/*"]
      groups   = [for pattern in coalesce(var.target_groups, ["*"]) : "${local.elb_arn}:targetgroup/${pattern}/*"]
      balancer = "${local.elb_arn}:loadbalancer/net/*/*"
      }] : {
      owner_tag      = var.owner_tag
      clusters       = local.cluster_arns
      tasks          = [for cluster in local.clusters : "${local.ecs_arn}:task/${cluster}/*"]
      services       = everything.services
      stopped        = everything.services
      changed_groups = everything.groups
      marked_groups  = var.teardown == "off" ? [] : everything.groups
      deleted_groups = var.teardown == "all" ? everything.groups : []
      deleted        = var.teardown == "off" ? [] : [everything.balancer]
      announced      = [everything.balancer]
      # Target groups are known by names or by the owner tag.
      if_group = { for operator, keys in local.owned_by_default : operator => keys if var.target_groups == null }
      # The role may write none of these tags. Where stop_when_unused is null, only services with that tag are stopped.
      if_service = { Null = { for key, wanted in {
        "aws:ResourceTag/jvb-watcher:load-balancer"    = true
        "aws:ResourceTag/jvb-watcher:stop-when-unused" = var.stop_when_unused == null
      } : key => "false" if wanted } }
    } if local.is_discovered],
  )

  owned_by_default = { StringEquals = { "aws:ResourceTag/${var.owner_tag.key}" = var.owner_tag.value } }

  statements_about_services = [for index, named in local.named_resources : {
    # IAM requires statement IDs to be unique in a policy; here they are in all of them.
    suffix = index == 0 ? "" : tostring(index + 1)

    reads = [
      {
        Sid      = "ReadTheService"
        Action   = "ecs:DescribeServices"
        Resource = named.services
      },
      {
        # The resource of ListTasks is a container instance; only the condition limits it to a cluster.
        Sid       = "ListItsTasks"
        Action    = "ecs:ListTasks"
        Resource  = ["*"]
        Condition = { ArnEquals = { "ecs:cluster" = [named.clusters, named.clusters[0]][length(named.clusters) == 1 ? 1 : 0] } }
      },
      {
        Sid      = "ReadItsTasks"
        Action   = "ecs:DescribeTasks"
        Resource = named.tasks
      },
    ]

    writes = [for owned in [{ StringEquals = { "aws:ResourceTag/${named.owner_tag.key}" = named.owner_tag.value } }] : [
      {
        Sid       = "ChangeTargets"
        Action    = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
        Resource  = named.changed_groups
        Condition = named.if_group
      },
      {
        # The watcher marks and deletes only a load balancer with the owner tag, and deletes only target groups with it.
        Sid       = "MarkTheLoadBalancer"
        Action    = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource  = named.deleted
        Condition = merge(owned, local.own_tags)
      },
      {
        Sid       = "MarkTargetGroups"
        Action    = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource  = named.marked_groups
        Condition = merge(named.if_group, local.own_tags)
      },
      {
        # The announcement that an unused service is about to be stopped.
        Sid       = "AnnounceStops"
        Action    = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource  = named.announced
        Condition = merge(owned, { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:stop-at"] } })
      },
      {
        # The lease by which a stop and an operator's `up` or `down` exclude each other. The resource of these actions and
        # of UpdateService can be a service (Service Authorization Reference, Amazon Elastic Container Service).
        Sid      = "ReadTheLease"
        Action   = "ecs:ListTagsForResource"
        Resource = named.stopped
      },
      {
        Sid       = "WriteTheLease"
        Action    = ["ecs:TagResource", "ecs:UntagResource"]
        Resource  = named.stopped
        Condition = merge(named.if_service, { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["jvb-watcher:operation"] } })
      },
      {
        # No condition limits the action to the desired count (aws/containers-roadmap, issue 2527). A new task definition
        # would need iam:PassRole too, which the role lacks; the desired count alone doesn't (keidarcy/e1s, issue 429).
        Sid       = "ScaleToZero"
        Action    = "ecs:UpdateService"
        Resource  = named.stopped
        Condition = named.if_service
      },
      {
        Sid       = "DeleteTheLoadBalancer"
        Action    = "elasticloadbalancing:DeleteLoadBalancer"
        Resource  = named.deleted
        Condition = owned
      },
      {
        # Only target groups that carry the mark of a teardown. The role may write that mark, so the owner tag, which it
        # may not write, is required too.
        Sid       = "DeleteMarkedTargetGroups"
        Action    = "elasticloadbalancing:DeleteTargetGroup"
        Resource  = named.deleted_groups
        Condition = merge(owned, { Null = { "aws:ResourceTag/jvb-watcher:idle-since" = "false" } })
      },
    ]][0]
  }]

  # The statements in IAM's form, without those that have nothing to allow.
  about_services = [for of_part in local.statements_about_services : { for access in ["reads", "writes"] : access => [
    for statement in of_part[access] : merge(
      {
        Sid    = "${statement.Sid}${of_part.suffix}"
        Effect = "Allow"
        Action = statement.Action
        Resource = [statement.Resource, statement.Resource[0]][
          length(statement.Resource) == 1 && !contains(local.about_groups, statement.Sid) ? 1 : 0
        ]
      },
      length(lookup(statement, "Condition", {})) == 0 ? {} : { Condition = statement.Condition },
    ) if length(statement.Resource) > 0
  ] }]

  about_groups = ["ChangeTargets", "MarkTargetGroups", "DeleteMarkedTargetGroups"]

  whole_policy = {
    Version = "2012-10-17"
    Statement = concat(
      local.take_events,
      flatten(local.about_services[*].reads),
      local.whatever_the_service,
      flatten(local.about_services[*].writes),
    )
  }

  # The inline policies of a role have 10,240 characters together, a managed policy has 6,144, and ten managed policies can be
  # attached to a role unless the quota is raised (IAM user guide, "IAM and AWS STS quotas"). The parts of a list are managed
  # policies.
  wanted_policy = jsonencode({
    Version = local.whole_policy.Version
    Statement = [
      for statement in local.whole_policy.Statement : statement
      if !local.is_listed || contains(concat(local.take_events, local.whatever_the_service)[*].Sid, statement.Sid)
    ]
  })
  policies_of_services = [for of_part in local.about_services : jsonencode({
    Version   = "2012-10-17"
    Statement = concat(of_part.reads, of_part.writes)
  }) if local.is_listed]

  longest_inline_policy  = 10240
  longest_managed_policy = 6144
  most_managed_policies  = 10

  # What a service adds to its policy: its ARNs, each with quotation marks and a comma, as often as the statements name them.
  # A cluster that all services share is named once.
  characters_of_service = [for service in local.resources_of_services : sum([for arn in concat(
    [for of_cluster in [service.cluster, service.tasks] : of_cluster if length(local.clusters) > 1],
    [service.service],
    service.target_groups,
    [for of_stop in [service.service, service.service, service.service, service.load_balancer] : of_stop if service.stops],
    [for of_deletion in concat([service.load_balancer, service.load_balancer], service.target_groups) : of_deletion if service.marks],
    [for group in service.target_groups : group if service.deletes_groups],
  ) : length(arn) + 3])]

  # What the rest of a policy has at most. A precondition counts the characters of each.
  characters_of_tag     = max(0, [for service in local.services : length(jsonencode("${service.owner_tag.key}${service.owner_tag.value}"))]...)
  characters_of_cluster = length(local.clusters) == 1 ? 2 * (length(local.cluster_arns[0]) + 3) : 0
  characters_of_rest = sum([
    1430 + 3 * local.characters_of_tag,
    anytrue(local.resources_of_services[*].stops) ? 640 + local.characters_of_tag : 0,
    local.characters_of_cluster,
  ])

  services_in_a_policy = max(1, floor((local.longest_managed_policy - local.characters_of_rest) / max(1, local.characters_of_service...)))

  assumed_by = {
    lambda  = "lambda.amazonaws.com"
    fargate = "ecs-tasks.amazonaws.com"
  }
}

resource "aws_iam_role" "this" {
  name        = local.account_wide_name
  description = "Permissions of jvb-watcher for ${local.subject}"

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
  policy = local.wanted_policy

  lifecycle {
    precondition {
      # The policy "log" needs some, too.
      condition     = length(local.wanted_policy) <= local.longest_inline_policy - 500
      error_message = "The role's policy has ${length(local.wanted_policy)} characters, and IAM accepts ${local.longest_inline_policy} in all: discover names too many clusters. Use several watchers, each with a name of its own."
    }
  }
}

# Of a list, the statements about the services.
resource "aws_iam_policy" "services" {
  count = length(local.policies_of_services)

  name        = "${local.account_wide_name}-services-${count.index + 1}"
  description = "Permissions of jvb-watcher for some of ${local.subject}"
  policy      = local.policies_of_services[count.index]
  tags        = merge(local.tags, { Name = "${local.name}-services-${count.index + 1}" })

  lifecycle {
    precondition {
      condition     = length(local.policies_of_services) <= local.most_managed_policies && length(local.policies_of_services[count.index]) <= local.longest_managed_policy
      error_message = "The role needs ${length(local.policies_of_services)} policies for ${length(local.services)} services, this one with ${length(local.policies_of_services[count.index])} characters. IAM accepts ${local.most_managed_policies} of ${local.longest_managed_policy} characters each. Watch tagged services with discover, name fewer target_groups, or use several watchers, each with a name of its own."
    }
  }
}

resource "aws_iam_role_policy_attachment" "services" {
  count = length(local.policies_of_services)

  role       = aws_iam_role.this.name
  policy_arn = aws_iam_policy.services[count.index].arn
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
