variable "project_name" {
  description = "Project name, from which the names derive: PROJECT-jvb-nlb, PROJECT-jvb-udp, PROJECT-jvb-tcp-tg."
  type        = string

  validation {
    # A load balancer's name has at most 32 characters.
    condition     = can(regex("^[a-z0-9](?:[a-z0-9-]{0,19}[a-z0-9])?$", var.project_name))
    error_message = "The project name must be 1 to 21 lower-case letters, digits and inner hyphens."
  }
}

variable "vpc_id" {
  description = "ID of the tasks' VPC."
  type        = string
}

variable "subnet_ids" {
  description = "IDs of the load balancer's public subnets, one per availability zone."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "The load balancer needs at least one subnet."
  }
}

variable "security_group_id" {
  description = "ID of the tasks' security group. A network load balancer without a security group preserves the callers' addresses."
  type        = string
}

variable "attach_security_group" {
  description = "Whether to attach the security group to the load balancer too. A load balancer created without a security group cannot get one later."
  type        = bool
  default     = false
}

variable "tcp_fallback" {
  description = "Whether to create a TCP listener on port 4443 beside UDP 10000, for callers whose network blocks UDP."
  type        = bool
  default     = false
}

variable "http_health_check" {
  description = "Whether to check /about/health over HTTP, which shows that the bridge works. Otherwise a TCP connection is enough."
  type        = bool
  default     = false
}

variable "health_check_port" {
  description = "Port of the health checks: the bridge's private REST interface."
  type        = number
  default     = 8080

  validation {
    condition     = var.health_check_port >= 1 && var.health_check_port <= 65535
    error_message = "The port must be from 1 to 65535."
  }
}

variable "deregistration_delay" {
  description = "Seconds for which a deregistered target keeps its flows."
  type        = number
  default     = 30

  validation {
    condition     = var.deregistration_delay >= 0 && var.deregistration_delay <= 3600
    error_message = "The delay must be from 0 to 3600 seconds."
  }
}

variable "tags" {
  description = "Additional tags for all resources. The module itself sets Project, Name and Lifecycle=on-demand, without which jvb-watcher deletes nothing."
  type        = map(string)
  default     = {}
}
