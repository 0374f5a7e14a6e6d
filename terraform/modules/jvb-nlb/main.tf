# The platform's network load balancer, which exists only while calls run: HTTPS for the web client, and UDP for media.
# jvb-watcher registers its targets and, when the service is idle, deletes it with its listeners and target groups.
# Terraform doesn't know of the deletion: the next apply finds the resources missing and creates them again. The security
# group and the DNS record stay; they cost nothing.
#
# There is deliberately no ignore_changes for tags: an apply removes the watcher's marks and so postpones a teardown that
# is about to begin.

locals {
  name = "${var.project_name}-jvb-nlb"

  tags = merge(var.tags, {
    Project   = var.project_name
    Lifecycle = "on-demand"
  })
}

resource "aws_lb" "jvb" {
  #checkov:skip=CKV_AWS_150:jvb-watcher must be able to delete the load balancer.
  #checkov:skip=CKV_AWS_152:The load balancer has one zone by default; in several, it would add a second way to the one bridge.
  name               = local.name
  internal           = false
  load_balancer_type = "network"

  # For UDP over IPv6 AWS requires enable_prefix_for_ipv6_source_nat, which version 6.0 of the provider doesn't have, and
  # an IPv6 target group.
  ip_address_type = "ipv4"

  # A load balancer created without a security group cannot get one later. Its rules also apply to traffic that arrives
  # through PrivateLink: enforce_security_group_inbound_rules_on_private_link_traffic is on by default.
  security_groups = [aws_security_group.load_balancer.id]

  # Cross-zone load balancing would only add a second way to the one bridge.
  enable_cross_zone_load_balancing = false
  enable_deletion_protection       = false

  dynamic "subnet_mapping" {
    for_each = var.subnet_ids

    content {
      subnet_id     = subnet_mapping.value
      allocation_id = try(var.eip_allocation_ids[subnet_mapping.key], null)
    }
  }

  dynamic "access_logs" {
    for_each = var.access_logs[*]

    content {
      enabled = true
      bucket  = access_logs.value.bucket
      prefix  = access_logs.value.prefix
    }
  }

  tags = merge(local.tags, { Name = local.name })
}

# ---- media ----

resource "aws_lb_target_group" "jvb_udp" {
  name        = "${var.project_name}-jvb-udp"
  port        = var.ports.media
  protocol    = "UDP"
  vpc_id      = var.vpc_id
  target_type = "ip" # required for Fargate tasks

  # The bridge ends its calls at SIGTERM (jitsi-videobridge, Main.kt), so there is nothing to drain.
  # Ending the flows lets a caller whose socket is bound to the old task reach the next one at once, instead of after
  # 120 s of silence.
  deregistration_delay   = var.deregistration_delay
  connection_termination = true

  # /about/health is the bridge's own health check. It needs no REST API and listens on all addresses (docker-jitsi-meet,
  # jvb/rootfs/defaults/jvb.conf).
  health_check {
    enabled             = true
    protocol            = "HTTP"
    path                = "/about/health"
    matcher             = "200"
    port                = tostring(var.ports.health)
    healthy_threshold   = 2
    unhealthy_threshold = 2
    interval            = 10
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-udp" })
}

resource "aws_lb_listener" "jvb_udp" {
  load_balancer_arn = aws_lb.jvb.arn
  port              = var.ports.media
  protocol          = "UDP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.jvb_udp.arn
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-udp" })
}

# ---- HTTPS ----

resource "aws_lb_target_group" "web" {
  name        = "${var.project_name}-jvb-web"
  port        = var.ports.web
  protocol    = "TCP"
  vpc_id      = var.vpc_id
  target_type = "ip"

  # The web container stops together with the bridge. A client that loses its connection reconnects.
  deregistration_delay   = var.deregistration_delay
  connection_termination = true

  # Off by default for IP targets. The web server and the XMPP server see the callers' addresses instead of the load
  # balancer's, in logs and rate limits.
  preserve_client_ip = true

  # There is no other target to reconnect to.
  target_health_state {
    enable_unhealthy_connection_termination = false
  }

  health_check {
    enabled             = true
    protocol            = "HTTP"
    path                = var.web_health_check_path
    matcher             = "200"
    port                = "traffic-port"
    healthy_threshold   = 2
    unhealthy_threshold = 2
    interval            = 10
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-web" })
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.jvb.arn
  port              = 443
  protocol          = "TLS"
  certificate_arn   = var.certificate_arn
  ssl_policy        = var.ssl_policy

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }

  tags = merge(local.tags, { Name = "${var.project_name}-jvb-web" })
}

# ---- the name ----

resource "aws_route53_record" "domain" {
  count = var.domain == null ? 0 : 1

  zone_id = var.zone_id
  name    = var.domain
  type    = "A"

  alias {
    name    = aws_lb.jvb.dns_name
    zone_id = aws_lb.jvb.zone_id
    # The name must resolve before the first target is healthy: the bridge starts only when it does.
    evaluate_target_health = false
  }
}
