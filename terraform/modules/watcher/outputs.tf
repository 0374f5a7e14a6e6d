output "queue_url" {
  description = "URL of the queue of task events."
  value       = aws_sqs_queue.events.url
}

output "queue_arn" {
  description = "ARN of the queue of task events."
  value       = aws_sqs_queue.events.arn
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue, for events that could not be parsed or delivered."
  value       = aws_sqs_queue.dead_letter.url
}

output "rule_arn" {
  description = "ARN of the EventBridge rule that sends the task events to the queue."
  value       = aws_cloudwatch_event_rule.tasks.arn
}

output "event_pattern" {
  description = "Event pattern of the rule, as JSON."
  value       = local.event_pattern
}

output "role_arn" {
  description = "ARN of the watcher's IAM role."
  value       = aws_iam_role.this.arn
}

output "policy" {
  description = "IAM policy of the watcher's role, as JSON: all statements, also where several policies hold them."
  value       = jsonencode(local.whole_policy)
}

output "config_text" {
  description = "The list of services as the program's configuration file; null without a list."
  value       = local.config_text
}

output "function_name" {
  description = "Name of the Lambda function; null on Fargate."
  value       = one(aws_lambda_function.this[*].function_name)
}

output "ecs_service_name" {
  description = "Name of the worker's own ECS service; null on Lambda."
  value       = one(aws_ecs_service.this[*].name)
}

output "log_group_name" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}

output "dashboard_name" {
  description = "Name of the dashboard; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}
