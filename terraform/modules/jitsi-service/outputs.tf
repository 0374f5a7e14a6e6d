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
  description = "ID of the tasks' security group, to which the load balancer's module adds its rules."
  value       = aws_security_group.jitsi.id
}

output "domain" {
  description = "Domain of the platform."
  value       = var.domain
}

output "ports" {
  description = "Ports on which the load balancer reaches a task: web, media and health."
  value       = var.ports
}

output "log_group_name" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.jitsi.name
}

output "task_definition_arn" {
  description = "ARN of the task definition."
  value       = aws_ecs_task_definition.jitsi.arn
}

output "task_size" {
  description = "Size of a task, which determines its price: cpu (units), memory (MiB), architecture and spot."
  value = {
    cpu          = var.cpu
    memory       = var.memory
    architecture = var.cpu_architecture
    spot         = var.fargate_spot
  }
}

output "container_definitions" {
  description = "The task's container definitions, by name."
  value       = { for container in local.container_definitions : container.name => container }
}

output "execution_role_name" {
  description = "Name of the role that pulls the images and reads the secrets."
  value       = aws_iam_role.execution.name
}

output "task_role_name" {
  description = "Name of the containers' role, which has no policy. Extra containers may need one."
  value       = aws_iam_role.task.name
}

output "namespace_arn" {
  description = "ARN of the Service Connect namespace; null without one."
  value       = one(aws_service_discovery_http_namespace.jitsi[*].arn)
}
