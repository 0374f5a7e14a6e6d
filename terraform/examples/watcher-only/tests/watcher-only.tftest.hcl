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
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:111122223333:jitsi-jvb-watcher", url = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/jitsi-jvb-watcher" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:jitsi" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:jitsi-jvb-watcher" }
  }
}

run "project_and_region_are_enough_once_the_zip_file_is_built" {
  variables {
    region     = "eu-west-1"
    project    = "jitsi"
    lambda_zip = "main.tf" # any file: nothing is uploaded
  }
  assert {
    condition     = length(output.alarms) == 7 && strcontains(output.log_group, "jitsi-jvb-watcher")
    error_message = "the watcher's alarms or log group are missing"
  }
}

run "a_release_runs_in_place_of_a_zip_file_that_was_built" {
  variables {
    region  = "eu-west-1"
    project = "jitsi"
    release = {
      version = "0.1.0"
      sha256  = filesha256("main.tf")
      file    = "main.tf" # any file: nothing is uploaded
    }
  }
  assert {
    condition     = length(output.alarms) == 7
    error_message = "the watcher's alarms are missing"
  }
}
