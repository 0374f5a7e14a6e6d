output "nlb_dns_name" {
  description = "DNS name of the load balancer."
  value       = aws_lb.jvb.dns_name
}

output "nlb_arn" {
  description = "ARN of the load balancer."
  value       = aws_lb.jvb.arn
}

output "nlb_zone_id" {
  description = "Hosted zone ID of the load balancer, for an alias record."
  value       = aws_lb.jvb.zone_id
}

output "target_group_arn" {
  description = "ARN of the target group for UDP 10000."
  value       = aws_lb_target_group.jvb_udp.arn
}

output "tcp_target_group_arn" {
  description = "ARN of the target group for the TCP fallback; null without one."
  value       = one(aws_lb_target_group.jvb_tcp[*].arn)
}
