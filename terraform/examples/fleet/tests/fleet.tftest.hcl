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
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/jitsi-fleet" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/jitsi" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:111122223333:jitsi-fleet", url = "https://sqs.eu-west-1.amazonaws.com/111122223333/jitsi-fleet" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/jitsi-fleet" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:jitsi" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:jitsi-fleet" }
  }
}

run "two_platforms_have_one_watcher" {
  variables {
    region     = "eu-west-1"
    lambda_zip = "main.tf" # any file: nothing is uploaded
  }
  assert {
    condition     = length(output.alarms) == 14 && output.log_group == "/aws/lambda/jitsi-fleet"
    error_message = "an alarm of the function, the queues or a service is missing, or the log group"
  }
  assert {
    condition     = output.config_text == <<-EOT
      [[service]]
      project="meet"
      [[service]]
      cluster="shared-cluster"
      idle-grace="until-paid-hour"
      project="webinar"
    EOT
    error_message = "the program gets another list"
  }
}
