output "jvb_nlb_dns_name" {
  description = "The load balancer's DNS name; null without one."
  value       = one(module.jvb_nlb[*].nlb_dns_name)
}

output "cluster_name" {
  description = "The cluster's name."
  value       = module.jitsi_service.cluster_name
}

output "service_name" {
  description = "The service's name."
  value       = module.jitsi_service.service_name
}

output "watcher_log_group" {
  description = "Where jvb-watcher logs."
  value       = module.jvb_watcher.log_group_name
}
