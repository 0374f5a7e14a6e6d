mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/0a1b2c3d4e5f6071", dns_name = "jitsi-jvb-nlb-0a1b2c3d4e5f6071.elb.eu-west-1.amazonaws.com" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-udp/1a2b3c4d5e6f7081" }
  }
}

override_data {
  target = data.terraform_remote_state.platform
  values = {
    outputs = {
      region                 = "eu-west-1"
      project_name           = "jitsi"
      vpc_id                 = "vpc-1"
      subnet_id              = "subnet-1"
      task_security_group_id = "sg-tasks"
      ports                  = { web = 8000, media = 10000, health = 8080 }
      domain                 = "meet.example.org"
      zone_id                = "Z0123456789ABCDEFGHIJ"
      certificate_arn        = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    }
  }
}

variables {
  platform_state = "main.tf" # any file: the state is overridden
}

run "no_variables_are_needed" {
  assert {
    condition     = output.url == "https://meet.example.org" && output.nlb_dns_name == "jitsi-jvb-nlb-0a1b2c3d4e5f6071.elb.eu-west-1.amazonaws.com"
    error_message = "the outputs are wrong"
  }
}

run "a_missing_platform_is_reported" {
  command = plan
  variables {
    platform_state = "missing.tfstate"
  }
  expect_failures = [var.platform_state]
}
