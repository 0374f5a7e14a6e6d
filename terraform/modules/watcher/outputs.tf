output "queue_url" {
  description = "The URL of the queue with the task events."
  value       = aws_sqs_queue.events.url
}

output "queue_arn" {
  description = "The ARN of the queue with the task events."
  value       = aws_sqs_queue.events.arn
}

output "dead_letter_queue_url" {
  description = "The URL of the queue with what nobody can read and what could not be delivered."
  value       = aws_sqs_queue.dead_letter.url
}

output "rule_arn" {
  description = "The ARN of the rule that sends the task events."
  value       = aws_cloudwatch_event_rule.tasks.arn
}

output "event_pattern" {
  description = "The rule's pattern, as JSON."
  value       = jsonencode(local.event_pattern)
}

output "role_arn" {
  description = "The ARN of the role with the watcher's permissions."
  value       = aws_iam_role.this.arn
}

output "policy" {
  description = "The watcher's permissions, as JSON."
  value       = jsonencode(local.wanted_policy)
}

output "function_name" {
  description = "The name of the Lambda function; null on Fargate."
  value       = one(aws_lambda_function.this[*].function_name)
}

output "ecs_service_name" {
  description = "The name of the worker's own ECS service; null on Lambda."
  value       = one(aws_ecs_service.this[*].name)
}

output "log_group_name" {
  description = "The name of the log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "alarm_names" {
  description = "The names of the alarms."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}

output "dashboard_name" {
  description = "The name of the dashboard; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}
