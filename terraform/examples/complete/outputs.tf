output "jvb_nlb_dns_name" {
  description = "DNS name of the load balancer; null without one."
  value       = one(module.jvb_nlb[*].nlb_dns_name)
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = module.jitsi_service.cluster_name
}

output "service_name" {
  description = "Name of the service."
  value       = module.jitsi_service.service_name
}

output "watcher_log_group" {
  description = "Name of jvb-watcher's log group."
  value       = module.jvb_watcher.log_group_name
}
