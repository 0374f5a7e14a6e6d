# What an apply does to the tag that `up` writes on the service. The first run writes the tag in place of `up`: the second
# finds it in the state, as a refresh finds it on AWS.

mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi-eu-west-1-execution" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/jitsi:1" }
  }
}

variables {
  project_name = "jitsi"
  vpc_id       = "vpc-1"
  subnet_ids   = ["subnet-1"]
  domain       = "meet.example.org"
}

run "up_writes_its_lease" {
  variables {
    tags = { "jvb-watcher:operation" = "up 2026-11-24T18:00:00.000Z 1f2e3d4c", Owner = "team" }
  }
  assert {
    condition     = aws_ecs_service.jitsi.tags["jvb-watcher:operation"] == "up 2026-11-24T18:00:00.000Z 1f2e3d4c"
    error_message = "the service does not have the lease"
  }
}

run "an_apply_leaves_the_lease_and_no_other_tag" {
  assert {
    condition     = aws_ecs_service.jitsi.tags == tomap({ Project = "jitsi", jvb-watcher-bridge-address = "awaited", "jvb-watcher:operation" = "up 2026-11-24T18:00:00.000Z 1f2e3d4c" })
    error_message = "the apply removes the lease from the service, or leaves a tag that the configuration does not have"
  }
}
