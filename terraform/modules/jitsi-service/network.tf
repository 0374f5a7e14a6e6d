# No inbound rule is made here. The module jvb-nlb adds those for the load balancer's own security group, so that nothing
# reaches a task past the load balancer although it has a public address.
resource "aws_security_group" "jitsi" {
  #checkov:skip=CKV_AWS_382:The bridge sends to callers, who have any address and port.
  name        = "${var.project_name}-tasks"
  description = "Tasks of ${var.project_name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.project_name}-tasks" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "jitsi" {
  security_group_id = aws_security_group.jitsi.id
  description       = "Callers, name servers, image registries and AWS"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
  tags              = merge(local.tags, { Name = "${var.project_name}-out" })
}
