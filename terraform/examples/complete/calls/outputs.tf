output "url" {
  description = "URL of the platform."
  value       = module.jvb_nlb.url
}

output "nlb_dns_name" {
  description = "DNS name of the load balancer."
  value       = module.jvb_nlb.nlb_dns_name
}
