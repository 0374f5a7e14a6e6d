variable "project_name" {
  description = "The platform's project name, from which the names derive: PROJECT-jvb-nlb, PROJECT-jvb-udp, PROJECT-jvb-tcp-tg."
  type        = string

  validation {
    # A load balancer's name has at most 32 characters.
    condition     = can(regex("^[a-z0-9](?:[a-z0-9-]{0,19}[a-z0-9])?$", var.project_name))
    error_message = "The project's name must be 1 to 21 lower-case letters, digits and inner hyphens."
  }
}

variable "vpc_id" {
  description = "The VPC of the tasks."
  type        = string
}

variable "subnet_ids" {
  description = "The public subnets of the load balancer, one a zone."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "The load balancer needs at least one subnet."
  }
}

variable "security_group_id" {
  description = "The security group of the tasks. An NLB without a group of its own passes callers' addresses on to it."
  type        = string
}

variable "attach_security_group" {
  description = "Whether the load balancer gets the security group too. A load balancer that was made without one can't get one later."
  type        = bool
  default     = false
}

variable "tcp_fallback" {
  description = "Whether there is a TCP listener on 4443 beside UDP 10000, for callers whose network lets no UDP through."
  type        = bool
  default     = false
}

variable "http_health_check" {
  description = "Whether targets are asked for /about/health over HTTP, which shows that the bridge works. Otherwise a connection is enough."
  type        = bool
  default     = false
}

variable "health_check_port" {
  description = "The port of the health checks: that of the bridge's private REST interface."
  type        = number
  default     = 8080

  validation {
    condition     = var.health_check_port >= 1 && var.health_check_port <= 65535
    error_message = "The port must be from 1 to 65535."
  }
}

variable "deregistration_delay" {
  description = "How long a target that leaves keeps its flows, in seconds."
  type        = number
  default     = 30

  validation {
    condition     = var.deregistration_delay >= 0 && var.deregistration_delay <= 3600
    error_message = "The delay must be from 0 to 3600 seconds."
  }
}

variable "tags" {
  description = "Further tags for everything. Project, Name and Lifecycle=on-demand are set here: without the last jvb-watcher deletes nothing."
  type        = map(string)
  default     = {}
}
