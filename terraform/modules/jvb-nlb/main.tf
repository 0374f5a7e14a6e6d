# The platform's network load balancer, which exists only while calls run. jvb-watcher registers its targets and, when
# the service is idle, deletes it with its listeners and target groups. Terraform doesn't know of the deletion: the next
# apply finds the resources missing and creates them again.
#
# There is deliberately no ignore_changes for tags: an apply removes the watcher's marks and so postpones a teardown that
# is about to begin.

locals {
  # The bridge answers HTTP health checks only if its REST API is enabled.
  health_check = var.http_health_check ? { protocol = "HTTP", path = "/about/health", matcher = "200" } : { protocol = "TCP", path = null, matcher = null }

  tags = merge(var.tags, {
    Project   = var.project_name
    Lifecycle = "on-demand"
  })
}

resource "aws_lb" "jvb" {
  #checkov:skip=CKV_AWS_91:A network load balancer writes access logs for TLS listeners only, and this one has none.
  #checkov:skip=CKV_AWS_150:jvb-watcher must be able to delete the load balancer.
  #checkov:skip=CKV2_AWS_20:A network load balancer doesn't redirect.
  #checkov:skip=CKV2_AWS_28:WAF protects application load balancers only.
  name               = "${var.project_name}-jvb-nlb"
  internal           = false
  load_balancer_type = "network"
  subnets            = var.subnet_ids
  security_groups    = var.attach_security_group ? [var.security_group_id] : null

  enable_deletion_protection       = false
  enable_cross_zone_load_balancing = true

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-nlb" })
}

resource "aws_lb_target_group" "jvb_udp" {
  name        = "${var.project_name}-jvb-udp"
  port        = 10000
  protocol    = "UDP"
  vpc_id      = var.vpc_id
  target_type = "ip" # required for Fargate tasks

  # A task that stops ends its calls, so a long delay has no use.
  deregistration_delay = var.deregistration_delay

  health_check {
    enabled             = true
    protocol            = local.health_check.protocol
    path                = local.health_check.path
    matcher             = local.health_check.matcher
    port                = tostring(var.health_check_port)
    healthy_threshold   = 2
    unhealthy_threshold = 2
    interval            = 10
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-udp-tg" })
}

resource "aws_lb_listener" "jvb_udp" {
  #checkov:skip=CKV_AWS_2:Media over UDP is encrypted end to end by DTLS-SRTP; a UDP listener has no TLS.
  #checkov:skip=CKV_AWS_103:See CKV_AWS_2.
  load_balancer_arn = aws_lb.jvb.arn
  port              = 10000
  protocol          = "UDP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.jvb_udp.arn
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-udp" })
}

# For callers whose network blocks UDP.
resource "aws_lb_target_group" "jvb_tcp" {
  count = var.tcp_fallback ? 1 : 0

  name                 = "${var.project_name}-jvb-tcp-tg"
  port                 = 4443
  protocol             = "TCP"
  vpc_id               = var.vpc_id
  target_type          = "ip"
  deregistration_delay = var.deregistration_delay

  health_check {
    enabled             = true
    protocol            = local.health_check.protocol
    path                = local.health_check.path
    matcher             = local.health_check.matcher
    port                = tostring(var.health_check_port)
    healthy_threshold   = 2
    unhealthy_threshold = 2
    interval            = 10
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-tcp-tg" })
}

resource "aws_lb_listener" "jvb_tcp" {
  #checkov:skip=CKV_AWS_2:Media over TCP is encrypted end to end by DTLS-SRTP within the stream.
  #checkov:skip=CKV_AWS_103:See CKV_AWS_2.
  count = var.tcp_fallback ? 1 : 0

  load_balancer_arn = aws_lb.jvb.arn
  port              = 4443
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.jvb_tcp[0].arn
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-tcp" })
}
