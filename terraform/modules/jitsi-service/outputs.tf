output "cluster_name" {
  description = "The cluster's name."
  value       = aws_ecs_cluster.jitsi.name
}

output "cluster_arn" {
  description = "The cluster's ARN."
  value       = aws_ecs_cluster.jitsi.arn
}

output "service_name" {
  description = "The service's name."
  value       = aws_ecs_service.jitsi.name
}

output "security_group_id" {
  description = "The security group of the tasks."
  value       = aws_security_group.jitsi.id
}

output "log_group_name" {
  description = "The name of the log group."
  value       = aws_cloudwatch_log_group.jitsi.name
}

output "namespace_arn" {
  description = "The ARN of Service Connect's namespace."
  value       = aws_service_discovery_private_dns_namespace.jitsi.arn
}
