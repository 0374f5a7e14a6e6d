# ---- for the configuration ../calls ----

output "region" {
  description = "AWS region."
  value       = var.region
}

output "project_name" {
  description = "Project name."
  value       = var.project_name
}

output "vpc_id" {
  description = "ID of the VPC."
  value       = aws_vpc.jitsi.id
}

output "subnet_id" {
  description = "ID of the subnet of tasks and load balancer."
  value       = aws_subnet.public.id
}

output "task_security_group_id" {
  description = "ID of the tasks' security group."
  value       = module.jitsi_service.security_group_id
}

output "ports" {
  description = "Ports of the task: web, media and health."
  value       = module.jitsi_service.ports
}

output "domain" {
  description = "Name of the platform."
  value       = var.domain
}

output "zone_id" {
  description = "ID of the hosted zone."
  value       = data.aws_route53_zone.domain.zone_id
}

output "certificate_arn" {
  description = "ARN of the certificate, once ACM has issued it."
  value       = aws_acm_certificate_validation.domain.certificate_arn
}

# ---- for operators ----

output "cluster_name" {
  description = "Name of the cluster."
  value       = module.jitsi_service.cluster_name
}

output "service_name" {
  description = "Name of the service."
  value       = module.jitsi_service.service_name
}

output "task_log_group" {
  description = "Name of the tasks' log group."
  value       = module.jitsi_service.log_group_name
}

output "watcher_log_group" {
  description = "Name of jvb-watcher's log group."
  value       = module.jvb_watcher.log_group_name
}
