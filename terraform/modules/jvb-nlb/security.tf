# Callers reach the load balancer, and the load balancer reaches the tasks. The tasks take nothing else, so nothing gets
# past the load balancer. A rule that refers to the load balancer's security group also covers traffic that keeps the
# callers' addresses (User Guide for Network Load Balancers, "Update the security groups for your Network Load Balancer").

resource "aws_security_group" "load_balancer" {
  name        = local.name
  description = "Load balancer of ${var.project_name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = local.name })
}

locals {
  listeners = {
    https = { protocol = "tcp", port = 443, why = "HTTPS" }
    media = { protocol = "udp", port = var.ports.media, why = "Media" }
  }

  from_callers = { for pair in setproduct(keys(local.listeners), var.allowed_cidrs) : "${pair[0]} ${pair[1]}" => merge(local.listeners[pair[0]], { cidr = pair[1] }) }

  to_tasks = {
    web    = { protocol = "tcp", port = var.ports.web, why = "HTTP and its health check" }
    media  = { protocol = "udp", port = var.ports.media, why = "Media" }
    health = { protocol = "tcp", port = var.ports.health, why = "Health check of the bridge" }
  }
}

resource "aws_vpc_security_group_ingress_rule" "callers" {
  for_each = local.from_callers

  security_group_id = aws_security_group.load_balancer.id
  description       = each.value.why
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
  tags              = merge(local.tags, { Name = "${local.name} ${each.key}" })
}

resource "aws_vpc_security_group_egress_rule" "tasks" {
  for_each = local.to_tasks

  security_group_id            = aws_security_group.load_balancer.id
  description                  = each.value.why
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = var.task_security_group_id
  tags                         = merge(local.tags, { Name = "${local.name} ${each.key}" })
}

resource "aws_vpc_security_group_ingress_rule" "tasks" {
  for_each = local.to_tasks

  security_group_id            = var.task_security_group_id
  description                  = "${each.value.why}, from the load balancer"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.load_balancer.id
  tags                         = merge(local.tags, { Name = "${local.name} ${each.key}" })
}
