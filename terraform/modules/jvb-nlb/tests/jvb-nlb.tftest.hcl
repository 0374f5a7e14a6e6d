mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/0a1b2c3d4e5f6071" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-udp/1a2b3c4d5e6f7081" }
  }
}

variables {
  project_name      = "jitsi"
  vpc_id            = "vpc-1"
  subnet_ids        = ["subnet-1", "subnet-2"]
  security_group_id = "sg-1"
}

run "the_load_balancer_equals_the_platforms_own" {
  assert {
    condition     = aws_lb.jvb.name == "jitsi-jvb-nlb" && aws_lb.jvb.load_balancer_type == "network" && !aws_lb.jvb.internal
    error_message = "the load balancer has the wrong name, type or scheme"
  }
  assert {
    condition     = aws_lb.jvb.tags == tomap({ Name = "jitsi-jvb-nlb", Project = "jitsi", Lifecycle = "on-demand" })
    error_message = "the load balancer has the wrong tags, without which jvb-watcher deletes nothing"
  }
  assert {
    condition     = !aws_lb.jvb.enable_deletion_protection
    error_message = "deletion protection keeps jvb-watcher from deleting the load balancer"
  }
  assert {
    condition     = aws_lb_target_group.jvb_udp.name == "jitsi-jvb-udp" && aws_lb_target_group.jvb_udp.port == 10000 && aws_lb_target_group.jvb_udp.protocol == "UDP" && aws_lb_target_group.jvb_udp.target_type == "ip"
    error_message = "the UDP target group is wrong"
  }
  assert {
    condition     = aws_lb_target_group.jvb_udp.health_check[0].protocol == "TCP" && aws_lb_target_group.jvb_udp.health_check[0].port == "8080"
    error_message = "the health check is wrong"
  }
  assert {
    condition     = aws_lb_listener.jvb_udp.port == 10000 && aws_lb_listener.jvb_udp.protocol == "UDP"
    error_message = "the UDP listener is wrong"
  }
  assert {
    condition     = length(aws_lb_target_group.jvb_tcp) == 0 && output.tcp_target_group_arn == null
    error_message = "the TCP fallback is created although tcp_fallback is false"
  }
  assert {
    condition     = output.nlb_arn == aws_lb.jvb.arn && output.target_group_arn == aws_lb_target_group.jvb_udp.arn
    error_message = "the outputs differ from those of the platform's own module"
  }
}

run "tcp_fallback_and_http_health_check" {
  variables {
    tcp_fallback      = true
    http_health_check = true
    tags              = { Lifecycle = "permanent", Team = "media" }
  }
  assert {
    condition     = aws_lb_target_group.jvb_tcp[0].name == "jitsi-jvb-tcp-tg" && aws_lb_target_group.jvb_tcp[0].port == 4443 && aws_lb_listener.jvb_tcp[0].protocol == "TCP"
    error_message = "the TCP fallback is wrong"
  }
  assert {
    condition     = aws_lb_target_group.jvb_udp.health_check[0].path == "/about/health" && aws_lb_target_group.jvb_tcp[0].health_check[0].protocol == "HTTP"
    error_message = "the health checks don't use HTTP"
  }
  assert {
    condition     = aws_lb.jvb.tags["Lifecycle"] == "on-demand" && aws_lb.jvb.tags["Team"] == "media"
    error_message = "the tags override the owner tag"
  }
}

run "invalid_inputs_are_rejected" {
  command = plan
  variables {
    project_name         = "a-name-that-is-too-long-for-it"
    subnet_ids           = []
    health_check_port    = 0
    deregistration_delay = 4000
  }
  expect_failures = [var.project_name, var.subnet_ids, var.health_check_port, var.deregistration_delay]
}
