output "nlb_dns_name" {
  description = "The load balancer's DNS name."
  value       = aws_lb.jvb.dns_name
}

output "nlb_arn" {
  description = "The load balancer's ARN."
  value       = aws_lb.jvb.arn
}

output "nlb_zone_id" {
  description = "The load balancer's hosted zone, for an alias record."
  value       = aws_lb.jvb.zone_id
}

output "target_group_arn" {
  description = "The ARN of the target group for UDP 10000."
  value       = aws_lb_target_group.jvb_udp.arn
}

output "tcp_target_group_arn" {
  description = "The ARN of the target group for the TCP fallback; null without one."
  value       = one(aws_lb_target_group.jvb_tcp[*].arn)
}
