variable "project_name" {
  description = "Project name, from which the names derive: PROJECT-cluster, PROJECT-service."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9](?:[a-z0-9-]{0,19}[a-z0-9])?$", var.project_name))
    error_message = "The project name must be 1 to 21 lower-case letters, digits and inner hyphens."
  }
}

variable "vpc_id" {
  description = "ID of the VPC."
  type        = string
}

variable "vpc_cidr" {
  description = "CIDR block of the VPC, from which the load balancer's health checks come."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0))
    error_message = "vpc_cidr must be a CIDR block, e.g. 10.0.0.0/16."
  }
}

variable "subnet_ids" {
  description = "IDs of the tasks' public subnets."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "The tasks need at least one subnet."
  }
}

variable "images" {
  description = "Container images. Pin them to a tag, or better to a digest."
  type = object({
    web = optional(string, "jitsi/web:stable-10184")
    jvb = optional(string, "jitsi/jvb:stable-10184")
  })
  default = {}
}

variable "cpu" {
  description = "CPU units of the task; 1024 are one vCPU."
  type        = number
  default     = 2048

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "The CPU units must be a size that Fargate supports: 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }
}

variable "memory" {
  description = "Memory of the task in MiB."
  type        = number
  default     = 4096

  validation {
    condition     = var.memory >= 512 && var.memory <= 122880
    error_message = "The memory must be from 512 to 122880 MiB, in a combination with the CPU units that Fargate supports."
  }
}

variable "web_environment" {
  description = "Environment variables of the web container."
  type        = map(string)
  default     = {}
}

variable "jvb_environment" {
  description = "Additional environment variables of the bridge. The module itself sets the ports and the advertised addresses."
  type        = map(string)
  default     = {}
}

variable "jvb_advertise_ips" {
  description = "Addresses that the bridge advertises to callers. If empty, the scale-up sets them."
  type        = list(string)
  default     = []
}

variable "container_insights" {
  description = "Whether to enable Container Insights for the cluster."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Retention of the log in days."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "The retention must be a number of days that CloudWatch Logs supports, e.g. 30, 90 or 365."
  }
}

variable "tags" {
  description = "Additional tags for all resources."
  type        = map(string)
  default     = {}
}
