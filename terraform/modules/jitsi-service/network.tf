resource "aws_security_group" "jitsi" {
  #checkov:skip=CKV_AWS_382:Callers can have any address.
  name        = "${var.project_name}-tasks"
  description = "Tasks of ${var.project_name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.project_name}-tasks" })

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # Callers connect from anywhere, the load balancer's health checks from within the VPC.
  inbound = {
    web    = { port = local.ports.web, protocol = "tcp", cidr = "0.0.0.0/0", why = "HTTPS" }
    media  = { port = local.ports.udp, protocol = "udp", cidr = "0.0.0.0/0", why = "Media over UDP" }
    tcp    = { port = local.ports.tcp, protocol = "tcp", cidr = "0.0.0.0/0", why = "Media over TCP as a fallback" }
    health = { port = local.ports.health, protocol = "tcp", cidr = var.vpc_cidr, why = "Health checks of the load balancer" }
  }
}

resource "aws_vpc_security_group_ingress_rule" "jitsi" {
  for_each = local.inbound

  security_group_id = aws_security_group.jitsi.id
  description       = each.value.why
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
  tags              = merge(local.tags, { Name = "${var.project_name}-${each.key}" })
}

resource "aws_vpc_security_group_egress_rule" "jitsi" {
  security_group_id = aws_security_group.jitsi.id
  description       = "Callers, image registries and AWS"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
  tags              = merge(local.tags, { Name = "${var.project_name}-out" })
}
