output "cluster_name" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.jitsi.name
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.jitsi.arn
}

output "service_name" {
  description = "Name of the service."
  value       = aws_ecs_service.jitsi.name
}

output "security_group_id" {
  description = "ID of the tasks' security group."
  value       = aws_security_group.jitsi.id
}

output "log_group_name" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.jitsi.name
}

output "namespace_arn" {
  description = "ARN of the Service Connect namespace."
  value       = aws_service_discovery_private_dns_namespace.jitsi.arn
}
