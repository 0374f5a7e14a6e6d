variable "project_name" {
  description = "Project name, from which the names derive: PROJECT-jvb-nlb, PROJECT-jvb-udp, PROJECT-jvb-web."
  type        = string

  validation {
    # The name of a load balancer or target group has at most 32 characters.
    condition     = can(regex("^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$", var.project_name))
    error_message = "The project name must be 1 to 24 lower-case letters, digits and inner hyphens."
  }
}

variable "vpc_id" {
  description = "ID of the tasks' VPC."
  type        = string
}

variable "subnet_ids" {
  description = "ID of the load balancer's public subnet, as a list of one. The tasks must run in the same availability zone."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "The load balancer needs a public subnet in subnet_ids."
  }

  validation {
    condition     = length(var.subnet_ids) < 2 || var.allow_several_subnets
    error_message = "subnet_ids must have one element. With several, the load balancer has several addresses, the bridge advertises all of them, and a caller's ICE agent uses several from one socket: the packets reach one bridge by two load balancer nodes, where AWS documents connection errors. Set allow_several_subnets if your bridge advertises one address only."
  }
}

variable "allow_several_subnets" {
  description = "Whether to accept more than one subnet. The bridge must then advertise one address only (advertise_ips of the module jitsi-service)."
  type        = bool
  default     = false
}

variable "eip_allocation_ids" {
  description = "Allocation IDs of Elastic IP addresses, one for each subnet, for a load balancer whose address stays the same. An Elastic IP address costs $3.65 a month, also while no load balancer exists. AWS assigns an address if empty."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.eip_allocation_ids) == 0 || length(var.eip_allocation_ids) == length(var.subnet_ids)
    error_message = "eip_allocation_ids must be empty or have as many elements as subnet_ids."
  }
}

variable "task_security_group_id" {
  description = "ID of the tasks' security group. The module adds the rules that let the load balancer reach the tasks."
  type        = string
}

variable "ports" {
  description = "Ports of the task: the web container's HTTP, the bridge's media and health check. Media has the same port on the load balancer, because the bridge advertises it."
  type = object({
    web    = optional(number, 8000)
    media  = optional(number, 10000)
    health = optional(number, 8080)
  })
  default = {}

  validation {
    condition     = alltrue([for port in values(var.ports) : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "Each port must be a whole number from 1 to 65535."
  }
}

variable "certificate_arn" {
  description = "ARN of the domain's certificate in ACM, in the load balancer's region."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:", var.certificate_arn))
    error_message = "The certificate must be an ARN of ACM."
  }
}

variable "ssl_policy" {
  description = "Security policy of the HTTPS listener. The default offers TLS 1.3 and 1.2 with forward secrecy and post-quantum key exchange."
  type        = string
  # What the console suggests; CreateListener's own default, ELBSecurityPolicy-2016-08, has no TLS 1.3 (User Guide for
  # Network Load Balancers, "Security policies for your Network Load Balancer").
  default = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"

  validation {
    condition     = startswith(var.ssl_policy, "ELBSecurityPolicy-TLS13-1-2-") || startswith(var.ssl_policy, "ELBSecurityPolicy-TLS13-1-3-")
    error_message = "The policy must be one of AWS's policies with TLS 1.3, e.g. ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09."
  }
}

variable "allowed_cidrs" {
  description = "IPv4 CIDR blocks from which callers may connect."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "allowed_cidrs must have at least one element, and each must be an IPv4 CIDR block, e.g. 198.51.100.0/24."
  }
}

variable "domain" {
  description = "Name by which callers and the bridge find the load balancer, e.g. meet.example.org. No record is created if null; then create one yourself (a CNAME for nlb_dns_name)."
  type        = string
  default     = null

  validation {
    condition     = (var.domain == null) == (var.zone_id == null)
    error_message = "Set both domain and zone_id, or neither."
  }
}

variable "zone_id" {
  description = "ID of the Route 53 hosted zone for the domain's record."
  type        = string
  default     = null
}

variable "web_health_check_path" {
  description = "Path of the web container's health check. It must answer 200 over HTTP: ENABLE_HTTP_REDIRECT must not be set."
  type        = string
  default     = "/"

  validation {
    condition     = startswith(var.web_health_check_path, "/")
    error_message = "The path must begin with a slash."
  }
}

variable "deregistration_delay" {
  description = "Seconds after which the load balancer ends the flows of a deregistered target."
  type        = number
  default     = 0

  validation {
    condition     = var.deregistration_delay >= 0 && var.deregistration_delay <= 3600
    error_message = "The delay must be from 0 to 3600 seconds."
  }
}

variable "access_logs" {
  description = "S3 bucket, and prefix in it, for access logs. A network load balancer logs its TLS listener only, so UDP is not in them. No logs if null."
  type = object({
    bucket = string
    prefix = optional(string)
  })
  default = null
}

variable "tags" {
  description = "Additional tags for all resources. The module itself sets Project, Name and Lifecycle=on-demand, without which jvb-watcher deletes nothing."
  type        = map(string)
  default     = {}
}
