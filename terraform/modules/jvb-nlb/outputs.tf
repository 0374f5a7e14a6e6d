output "nlb_arn" {
  description = "ARN of the load balancer."
  value       = aws_lb.jvb.arn
}

output "nlb_name" {
  description = "Name of the load balancer."
  value       = aws_lb.jvb.name
}

output "nlb_dns_name" {
  description = "DNS name of the load balancer. It changes each time the load balancer is created."
  value       = aws_lb.jvb.dns_name
}

output "nlb_zone_id" {
  description = "Hosted zone ID of the load balancer, for an alias record."
  value       = aws_lb.jvb.zone_id
}

output "security_group_id" {
  description = "ID of the load balancer's security group."
  value       = aws_security_group.load_balancer.id
}

output "target_group_arn" {
  description = "ARN of the target group for media."
  value       = aws_lb_target_group.jvb_udp.arn
}

output "web_target_group_arn" {
  description = "ARN of the target group for HTTPS."
  value       = aws_lb_target_group.web.arn
}

output "target_group_names" {
  description = "Names of the target groups, for target_groups of the module watcher where its default doesn't fit."
  value       = [aws_lb_target_group.jvb_udp.name, aws_lb_target_group.web.name]
}

output "url" {
  description = "URL of the platform; null without a domain."
  value       = one([for record in aws_route53_record.domain : "https://${record.name}"])
}
