mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = {
      arn      = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/0a1b2c3d4e5f6071"
      dns_name = "jitsi-jvb-nlb-0a1b2c3d4e5f6071.elb.eu-west-1.amazonaws.com"
      zone_id  = "Z2IFOLAFXWLO4F"
    }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-udp/1a2b3c4d5e6f7081" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-load-balancer" }
  }
}

variables {
  project_name           = "jitsi"
  vpc_id                 = "vpc-1"
  subnet_ids             = ["subnet-1"]
  task_security_group_id = "sg-tasks"
  certificate_arn        = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
  domain                 = "meet.example.org"
  zone_id                = "Z0123456789ABCDEFGHIJ"
}

run "the_watcher_may_delete_the_load_balancer_and_its_target_groups" {
  assert {
    condition     = aws_lb.jvb.name == "jitsi-jvb-nlb" && output.target_group_names == ["jitsi-jvb-udp", "jitsi-jvb-web"]
    error_message = "the names differ from the watcher's defaults"
  }
  assert {
    condition     = aws_lb.jvb.tags == tomap({ Name = "jitsi-jvb-nlb", Project = "jitsi", Lifecycle = "on-demand" })
    error_message = "the load balancer has the wrong tags"
  }
  assert {
    condition     = alltrue([for group in [aws_lb_target_group.jvb_udp, aws_lb_target_group.web] : group.tags["Lifecycle"] == "on-demand" && group.target_type == "ip"])
    error_message = "a target group lacks the owner tag, or has another type than ip"
  }
  assert {
    condition     = !aws_lb.jvb.enable_deletion_protection
    error_message = "deletion protection keeps jvb-watcher from deleting the load balancer"
  }
}

run "the_load_balancer_has_one_public_address" {
  assert {
    condition     = aws_lb.jvb.load_balancer_type == "network" && !aws_lb.jvb.internal && aws_lb.jvb.ip_address_type == "ipv4"
    error_message = "the load balancer has the wrong type, scheme or address type"
  }
  assert {
    condition     = [for mapping in aws_lb.jvb.subnet_mapping : mapping.subnet_id] == ["subnet-1"] && !aws_lb.jvb.enable_cross_zone_load_balancing
    error_message = "the load balancer has more than one subnet, or balances across zones"
  }
}

run "media_goes_to_the_bridge" {
  assert {
    condition     = aws_lb_listener.jvb_udp.protocol == "UDP" && aws_lb_listener.jvb_udp.port == 10000 && aws_lb_target_group.jvb_udp.protocol == "UDP" && aws_lb_target_group.jvb_udp.port == 10000
    error_message = "listener or target group has the wrong protocol or port"
  }
  assert {
    condition     = alltrue([for check in aws_lb_target_group.jvb_udp.health_check : check.protocol == "HTTP" && check.path == "/about/health" && check.port == "8080"])
    error_message = "the health check does not ask the bridge"
  }
  assert {
    condition     = tobool(aws_lb_target_group.jvb_udp.connection_termination) && tonumber(aws_lb_target_group.jvb_udp.deregistration_delay) == 0
    error_message = "callers stay bound to a task that has stopped"
  }
}

run "https_ends_at_the_load_balancer" {
  assert {
    condition     = aws_lb_listener.https.protocol == "TLS" && aws_lb_listener.https.port == 443 && aws_lb_listener.https.certificate_arn == var.certificate_arn
    error_message = "the HTTPS listener has the wrong protocol, port or certificate"
  }
  assert {
    condition     = aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
    error_message = "the HTTPS listener has the wrong security policy"
  }
  assert {
    condition     = aws_lb_target_group.web.protocol == "TCP" && aws_lb_target_group.web.port == 8000
    error_message = "the target group has the wrong protocol or port"
  }
  assert {
    condition     = alltrue([for check in aws_lb_target_group.web.health_check : check.protocol == "HTTP" && check.path == "/" && check.port == "traffic-port"])
    error_message = "the health check does not ask the web container"
  }
}

run "callers_reach_only_the_load_balancer" {
  assert {
    condition     = toset(aws_lb.jvb.security_groups) == toset([aws_security_group.load_balancer.id])
    error_message = "the load balancer has another security group than its own"
  }
  assert {
    condition = toset([for rule in aws_vpc_security_group_ingress_rule.callers : "${rule.security_group_id} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.cidr_ipv4}"]) == toset([
      "sg-load-balancer tcp 443-443 0.0.0.0/0",
      "sg-load-balancer udp 10000-10000 0.0.0.0/0",
    ])
    error_message = "the load balancer takes something else than HTTPS and media"
  }
  assert {
    condition = toset([for rule in aws_vpc_security_group_ingress_rule.tasks : "${rule.security_group_id} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.referenced_security_group_id}"]) == toset([
      "sg-tasks tcp 8000-8000 sg-load-balancer",
      "sg-tasks udp 10000-10000 sg-load-balancer",
      "sg-tasks tcp 8080-8080 sg-load-balancer",
    ])
    error_message = "the tasks take something from elsewhere than the load balancer"
  }
  assert {
    condition = toset([for rule in aws_vpc_security_group_egress_rule.tasks : "${rule.security_group_id} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.referenced_security_group_id}"]) == toset([
      "sg-load-balancer tcp 8000-8000 sg-tasks",
      "sg-load-balancer udp 10000-10000 sg-tasks",
      "sg-load-balancer tcp 8080-8080 sg-tasks",
    ])
    error_message = "the load balancer sends to something else than the tasks"
  }
}

run "the_domain_leads_to_the_load_balancer" {
  assert {
    condition     = aws_route53_record.domain[0].type == "A" && aws_route53_record.domain[0].name == "meet.example.org" && aws_route53_record.domain[0].zone_id == var.zone_id
    error_message = "the record is wrong"
  }
  assert {
    condition = alltrue([for alias in aws_route53_record.domain[0].alias : alias.name == aws_lb.jvb.dns_name && alias.zone_id == aws_lb.jvb.zone_id
    && !alias.evaluate_target_health])
    error_message = "the record leads elsewhere, or disappears while no target is healthy"
  }
  assert {
    condition     = output.url == "https://meet.example.org"
    error_message = "the URL is wrong"
  }
}

run "options" {
  variables {
    domain             = null
    zone_id            = null
    allowed_cidrs      = ["192.0.2.0/24", "198.51.100.0/24"]
    ports              = { web = 8001, media = 10001, health = 8081 }
    eip_allocation_ids = ["eipalloc-1"]
    access_logs        = { bucket = "logs", prefix = "jitsi" }
    tags               = { Lifecycle = "permanent", Team = "media" }
  }
  assert {
    condition     = length(aws_route53_record.domain) == 0 && output.url == null
    error_message = "a record is created without a domain"
  }
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.callers : "${rule.from_port} ${rule.cidr_ipv4}"]) == toset(["443 192.0.2.0/24", "443 198.51.100.0/24", "10001 192.0.2.0/24", "10001 198.51.100.0/24"])
    error_message = "callers from elsewhere are let in"
  }
  assert {
    condition     = aws_lb_target_group.web.port == 8001 && aws_lb_target_group.jvb_udp.port == 10001 && aws_lb_listener.jvb_udp.port == 10001 && aws_lb_target_group.jvb_udp.health_check[0].port == "8081"
    error_message = "the ports are not those of the task"
  }
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.tasks : rule.from_port]) == toset([8001, 10001, 8081])
    error_message = "the tasks take other ports than theirs"
  }
  assert {
    condition     = [for mapping in aws_lb.jvb.subnet_mapping : mapping.allocation_id] == ["eipalloc-1"]
    error_message = "the load balancer does not get its address"
  }
  assert {
    condition     = [for logs in aws_lb.jvb.access_logs : "${logs.bucket}/${logs.prefix}"] == ["logs/jitsi"]
    error_message = "the load balancer does not write access logs"
  }
  assert {
    condition     = aws_lb.jvb.tags["Lifecycle"] == "on-demand" && aws_lb.jvb.tags["Team"] == "media"
    error_message = "the tags override the owner tag"
  }
}

run "several_subnets_need_consent" {
  command = plan
  variables {
    subnet_ids = ["subnet-1", "subnet-2"]
  }
  expect_failures = [var.subnet_ids]
}

run "several_subnets_with_consent" {
  command = plan
  variables {
    subnet_ids            = ["subnet-1", "subnet-2"]
    allow_several_subnets = true
  }
  assert {
    condition     = length(aws_lb.jvb.subnet_mapping) == 2
    error_message = "the load balancer does not have both subnets"
  }
}

run "invalid_inputs_are_rejected" {
  command = plan
  variables {
    project_name          = "a-name-that-is-too-long-for-it"
    subnet_ids            = []
    ports                 = { media = 0 }
    certificate_arn       = "meet.example.org"
    ssl_policy            = "ELBSecurityPolicy-2016-08"
    allowed_cidrs         = ["::/0"]
    zone_id               = null
    web_health_check_path = "health"
    deregistration_delay  = 4000
  }
  expect_failures = [
    var.project_name, var.subnet_ids, var.ports, var.certificate_arn, var.ssl_policy, var.allowed_cidrs, var.domain,
    var.web_health_check_path, var.deregistration_delay,
  ]
}

run "each_subnet_needs_an_elastic_ip_address_or_none_has_one" {
  command = plan
  variables {
    eip_allocation_ids = ["eipalloc-1", "eipalloc-2"]
  }
  expect_failures = [var.eip_allocation_ids]
}

run "the_minimal_example_is_valid" {
  module {
    source = "./examples/minimal"
  }
}

run "the_complete_example_is_valid" {
  module {
    source = "./examples/complete"
  }
  assert {
    condition     = output.url == "https://meet.example.org"
    error_message = "the example has another URL"
  }
}
