variable "project" {
  description = "The platform's project name, from which the other names derive: cluster PROJECT-cluster, service PROJECT-service, load balancer PROJECT-jvb-nlb."
  type        = string

  validation {
    # A load balancer's name has at most 32 characters, and PROJECT-jvb-nlb is one.
    condition     = can(regex("^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$", var.project))
    error_message = "The project must be 1 to 24 lower-case letters, digits and inner hyphens."
  }
}

variable "name" {
  description = "What the watcher's own resources are called; PROJECT-jvb-watcher if null. To be set when two services of one project are watched."
  type        = string
  default     = null

  validation {
    condition     = var.name == null || can(regex("^[A-Za-z0-9-]{1,50}$", var.name))
    error_message = "The name must be 1 to 50 letters, digits and hyphens."
  }
}

variable "cluster" {
  description = "The name of the ECS cluster; PROJECT-cluster if null."
  type        = string
  default     = null

  validation {
    condition     = var.cluster == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.cluster))
    error_message = "The cluster must be given by its name: 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "service" {
  description = "The name of the ECS service; PROJECT-service if null."
  type        = string
  default     = null

  validation {
    condition     = var.service == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.service))
    error_message = "The service must be given by its name: 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "load_balancer" {
  description = "The name of the network load balancer; PROJECT-jvb-nlb if null."
  type        = string
  default     = null

  validation {
    condition     = var.load_balancer == null || can(regex("^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$", var.load_balancer))
    error_message = "The load balancer must be given by its name: 1 to 32 letters, digits and inner hyphens."
  }
}

variable "target_groups" {
  description = "The names of the target groups, as patterns of IAM; PROJECT-jvb-udp* and PROJECT-jvb-tcp* if null. The watcher may write to no others."
  type        = list(string)
  default     = null

  validation {
    condition     = var.target_groups == null || alltrue([for pattern in coalesce(var.target_groups, []) : can(regex("^[A-Za-z0-9][A-Za-z0-9*?-]{0,31}$", pattern))])
    error_message = "Each pattern must be 1 to 32 letters, digits, hyphens, * and ?, and not begin with a wildcard: it would let the watcher write to every target group of the account."
  }
}

variable "owner_tag" {
  description = "The tag without which a load balancer is never deleted."
  type = object({
    key   = string
    value = string
  })
  default = {
    key   = "Lifecycle"
    value = "on-demand"
  }

  validation {
    condition     = length(var.owner_tag.key) >= 1 && length(var.owner_tag.key) <= 128 && !can(regex("=", var.owner_tag.key))
    error_message = "The tag's key must be 1 to 128 characters without an equals sign."
  }
}

variable "teardown" {
  description = "How much of an idle load balancer is deleted: all (load balancer, listeners, target groups), load-balancer (the target groups stay), or off."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["all", "load-balancer", "off"], var.teardown)
    error_message = "The teardown must be all, load-balancer or off."
  }
}

variable "idle_grace" {
  description = "How long the service must have been idle before its load balancer is deleted, like 60s, 15m or 1h."
  type        = string
  default     = "60s"

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]$", var.idle_grace))
    error_message = "The idle grace must be written like 60s, 15m or 1h."
  }
}

variable "unused_grace" {
  description = "How old a load balancer must be to count as idle when nobody has ever used it, like 15m."
  type        = string
  default     = "15m"

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]$", var.unused_grace))
    error_message = "The unused grace must be written like 90s, 15m or 1h."
  }
}

variable "resync_interval" {
  description = "The longest time between two looks of the Fargate worker. The function looks at each tick, once a minute."
  type        = string
  default     = "60s"

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]$", var.resync_interval))
    error_message = "The resync interval must be written like 60s, 15m or 1h."
  }
}

variable "runtime" {
  description = "What the watcher runs as: lambda, which costs next to nothing, or fargate."
  type        = string
  default     = "lambda"

  validation {
    condition     = contains(["lambda", "fargate"], var.runtime)
    error_message = "The runtime must be lambda or fargate."
  }
}

variable "lambda_zip" {
  description = "Path of the zip that packaging/package makes. Needed for the runtime lambda."
  type        = string
  default     = null

  validation {
    condition     = var.runtime != "lambda" || var.lambda_zip != null
    error_message = "The runtime lambda needs lambda_zip: run packaging/package, and give the path of the zip for the function's architecture."
  }
}

variable "lambda_architecture" {
  description = "The architecture that the zip is for: arm64, which is cheaper, or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda_architecture)
    error_message = "The architecture must be arm64 or x86_64."
  }
}

variable "lambda_memory" {
  description = "The function's memory in MiB. It needs some 30; processing power comes with more."
  type        = number
  default     = 128

  validation {
    condition     = var.lambda_memory >= 128 && var.lambda_memory <= 10240
    error_message = "The memory must be from 128 to 10240 MiB."
  }
}

variable "lambda_timeout" {
  description = "How long one invocation may take, in seconds."
  type        = number
  default     = 60

  validation {
    condition     = var.lambda_timeout >= 15 && var.lambda_timeout <= 900
    error_message = "The timeout must be from 15 to 900 seconds: the deletion of a load balancer alone may take ten."
  }
}

variable "lambda_reserved_concurrency" {
  description = "How many invocations may run at once, taken from the account's pool; -1 for no limit of its own. Any number may run at once without harm."
  type        = number
  default     = -1

  validation {
    condition     = var.lambda_reserved_concurrency == -1 || var.lambda_reserved_concurrency >= 1
    error_message = "The reserved concurrency must be -1, or at least 1: with 0 the watcher never runs."
  }
}

variable "image" {
  description = "The watcher's container image. Needed for the runtime fargate."
  type        = string
  default     = null

  validation {
    condition     = var.runtime != "fargate" || var.image != null
    error_message = "The runtime fargate needs image: build one by packaging/image, push it, and give its name."
  }
}

variable "fargate_architecture" {
  description = "The architecture that the image is for: ARM64, which is cheaper, or X86_64."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.fargate_architecture)
    error_message = "The architecture must be ARM64 or X86_64."
  }
}

variable "fargate_cluster_arn" {
  description = "The ARN of the ECS cluster that the worker itself runs in; the watched cluster if null."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "The subnets of the Fargate worker. Needed for the runtime fargate; they must let it reach AWS's endpoints."
  type        = list(string)
  default     = []

  validation {
    condition     = var.runtime != "fargate" || length(var.subnet_ids) > 0
    error_message = "The runtime fargate needs at least one subnet in subnet_ids."
  }
}

variable "security_group_ids" {
  description = "The security groups of the Fargate worker; it needs none of the inbound rules, and HTTPS outbound. The VPC's default one if empty."
  type        = list(string)
  default     = []
}

variable "assign_public_ip" {
  description = "Whether the Fargate worker gets a public address, as it needs in a public subnet without NAT or VPC endpoints."
  type        = bool
  default     = true
}

variable "log_level" {
  description = "How much is logged: error, warn, info or debug. Dashboard and queries need info."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug"], var.log_level)
    error_message = "The log level must be error, warn, info or debug."
  }
}

variable "log_retention_days" {
  description = "How long the log is kept, in days."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "The retention must be a number of days that CloudWatch Logs knows, like 30, 90 or 365."
  }
}

variable "log_kms_key_arn" {
  description = "A KMS key for the log group; AWS's own encryption if null. A key of one's own costs $1 a month."
  type        = string
  default     = null
}

variable "metrics" {
  description = "Whether the watcher publishes metrics of its own, beside those that AWS publishes for nothing. Two of the alarms and most of the dashboard need them."
  type        = bool
  default     = true
}

variable "metrics_namespace" {
  description = "The CloudWatch namespace of the watcher's own metrics."
  type        = string
  default     = "jvb-watcher"

  validation {
    condition     = can(regex("^[0-9A-Za-z._/#:-]{1,255}$", var.metrics_namespace)) && !startswith(var.metrics_namespace, "AWS/")
    error_message = "The namespace must be 1 to 255 letters, digits and . - _ / # :, and not begin with AWS/."
  }
}

variable "publish_events_bus" {
  description = "The EventBridge bus on which the watcher puts its own events for others, by name or ARN; none if null."
  type        = string
  default     = null

  validation {
    condition     = var.publish_events_bus == null || can(regex("^(arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[0-9A-Za-z/._-]{1,256}$", var.publish_events_bus))
    error_message = "The bus must be given by its name (letters, digits and / . - _) or its ARN."
  }
}

variable "alarms" {
  description = "Whether there are alarms."
  type        = bool
  default     = true
}

variable "alarm_topic_arn" {
  description = "The SNS topic that alarms go to, and their ends; nowhere if null."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_topic_arn == null || can(regex("^arn:aws[a-z-]*:sns:", var.alarm_topic_arn))
    error_message = "The topic must be given by its ARN."
  }
}

variable "idle_alarm_minutes" {
  description = "An alarm goes off when the load balancer has stood idle for more minutes than this. To be well above idle_grace and unused_grace."
  type        = number
  default     = 30

  validation {
    condition     = var.idle_alarm_minutes >= 2
    error_message = "The minutes must be at least 2."
  }
}

variable "dashboard" {
  description = "Whether there is a CloudWatch dashboard."
  type        = bool
  default     = true
}

variable "saved_queries" {
  description = "Whether there are saved queries for CloudWatch Logs Insights."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags for all of the watcher's own resources."
  type        = map(string)
  default     = {}
}
