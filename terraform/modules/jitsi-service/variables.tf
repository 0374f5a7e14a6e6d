variable "project_name" {
  description = "The platform's project name, from which the names derive: PROJECT-cluster, PROJECT-service."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9](?:[a-z0-9-]{0,19}[a-z0-9])?$", var.project_name))
    error_message = "The project's name must be 1 to 21 lower-case letters, digits and inner hyphens."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "vpc_cidr" {
  description = "The VPC's addresses, from which the load balancer's health checks come."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0))
    error_message = "The addresses must be a CIDR block, like 10.0.0.0/16."
  }
}

variable "subnet_ids" {
  description = "The public subnets of the tasks."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "The tasks need at least one subnet."
  }
}

variable "images" {
  description = "The container images. Pinned by a tag at least, and better by a digest."
  type = object({
    web = optional(string, "jitsi/web:stable-10184")
    jvb = optional(string, "jitsi/jvb:stable-10184")
  })
  default = {}
}

variable "cpu" {
  description = "The task's processing power in CPU units; 1024 are a vCPU."
  type        = number
  default     = 2048

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "The CPU units must be a size that Fargate has: 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }
}

variable "memory" {
  description = "The task's memory in MiB."
  type        = number
  default     = 4096

  validation {
    condition     = var.memory >= 512 && var.memory <= 122880
    error_message = "The memory must be from 512 to 122880 MiB, as Fargate has it for the CPU units."
  }
}

variable "web_environment" {
  description = "Settings of the web container."
  type        = map(string)
  default     = {}
}

variable "jvb_environment" {
  description = "Further settings of the bridge. Ports and advertised addresses are set here."
  type        = map(string)
  default     = {}
}

variable "jvb_advertise_ips" {
  description = "The addresses that the bridge gives its callers; set by the scale-up if empty."
  type        = list(string)
  default     = []
}

variable "container_insights" {
  description = "Whether Container Insights gathers metrics of the tasks."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "How long the log is kept, in days."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "The retention must be a number of days that CloudWatch Logs knows, like 30, 90 or 365."
  }
}

variable "tags" {
  description = "Further tags for everything."
  type        = map(string)
  default     = {}
}
