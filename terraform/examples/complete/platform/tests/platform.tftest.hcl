mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  zone       = "example.org"
  domain     = "meet.example.org"
  lambda_zip = "main.tf" # any file: nothing is uploaded
}

# Plans only: a mock of the certificate can't say which record validates it.

run "the_watcher_watches_the_service" {
  command = plan
  assert {
    condition     = strcontains(module.jvb_watcher.event_pattern, "cluster/${module.jitsi_service.cluster_name}") && strcontains(module.jvb_watcher.event_pattern, "service:${module.jitsi_service.service_name}")
    error_message = "the watcher watches another service than the module creates"
  }
}

run "the_watcher_can_stop_the_service_when_unused" {
  command = plan
  variables {
    stop_when_unused = "20m"
  }

  # So that the plan contains the whole policy.
  override_resource {
    target          = module.jvb_watcher.aws_sqs_queue.events
    override_during = plan
    values          = { arn = "arn:aws:sqs:eu-west-1:111122223333:jitsi-jvb-watcher" }
  }
  override_resource {
    target          = module.jvb_watcher.aws_cloudwatch_event_rule.tasks
    override_during = plan
    values          = { arn = "arn:aws:events:eu-west-1:111122223333:rule/jitsi-jvb-watcher" }
  }

  assert {
    condition     = strcontains(module.jvb_watcher.policy, "ecs:UpdateService")
    error_message = "the watcher may not stop the service"
  }
}

run "the_zone_defaults_to_the_regions_zone_a" {
  command = plan
  assert {
    condition     = aws_subnet.public.availability_zone == "eu-west-1a"
    error_message = "the subnet is in another zone than the region's zone a"
  }
}

run "the_zone_can_be_chosen" {
  command = plan
  variables {
    availability_zone = "eu-west-1c"
  }
  assert {
    condition     = aws_subnet.public.availability_zone == "eu-west-1c"
    error_message = "the subnet is not in the chosen zone"
  }
}

run "the_certificate_is_validated_by_dns" {
  command = plan
  assert {
    condition     = aws_acm_certificate.domain.domain_name == "meet.example.org" && aws_acm_certificate.domain.validation_method == "DNS"
    error_message = "the certificate has the wrong name or validation"
  }
}

run "a_domain_outside_the_zone_is_rejected" {
  command = plan
  variables {
    domain = "meet.example.com"
  }
  expect_failures = [var.domain]
}

run "a_domain_that_only_ends_like_the_zone_is_rejected" {
  command = plan
  variables {
    domain = "meet-example.org"
  }
  expect_failures = [var.domain]
}
