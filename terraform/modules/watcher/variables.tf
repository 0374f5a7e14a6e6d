variable "project" {
  description = "Project name, from which the other names derive: cluster PROJECT-cluster, service PROJECT-service, load balancer PROJECT-jvb-nlb. Required unless services or discover is set; with these it only names the watcher."
  type        = string
  default     = null

  validation {
    # A load balancer's name has at most 32 characters, and PROJECT-jvb-nlb is one.
    condition     = var.project == null || can(regex("^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$", var.project))
    error_message = "The project must be 1 to 24 lower-case letters, digits and inner hyphens."
  }

  validation {
    condition     = var.project != null || var.services != null || length(var.discover) > 0
    error_message = "Nothing to watch: set project for one service, services for a list, or discover for the tagged services of clusters."
  }
}

variable "services" {
  description = "Services to watch with one queue, one rule and one program, in place of the one service of project. Names derive from the project of each, or from its service where it has none; what is null is as the module's input of the same name says. See variables.tf for the attributes."
  type = list(object({
    project       = optional(string)
    cluster       = optional(string)
    service       = optional(string)
    load_balancer = optional(string)
    target_groups = optional(list(string))

    owner_tag             = optional(object({ key = string, value = string }))
    teardown              = optional(string)
    idle_grace            = optional(string)
    unused_grace          = optional(string)
    resync_interval       = optional(string)
    allow_several_bridges = optional(bool)

    usage            = optional(bool)
    use_protocols    = optional(list(string))
    use_threshold    = optional(number)
    stop_when_unused = optional(string)
    stop_notice      = optional(string)
    first_call_grace = optional(string)
  }))
  default = null

  validation {
    condition     = var.services == null || try(length(var.services) > 0, false)
    error_message = "The list must have at least one service. Leave it out to watch the one service of project."
  }

  validation {
    condition     = var.services == null || length(var.discover) == 0
    error_message = "Give either services or discover, not both: a service that is listed and tagged would be watched twice."
  }

  validation {
    condition     = alltrue([for service in coalesce(var.services, []) : service.project != null || service.service != null])
    error_message = "Each service needs its name, service, or the project from which it derives."
  }

  validation {
    condition     = alltrue([for service in coalesce(var.services, []) : service.project == null || can(regex("^[A-Za-z0-9](?:[A-Za-z0-9-]{0,78}[A-Za-z0-9])?$", service.project))])
    error_message = "The project of a service must be 1 to 80 letters, digits and inner hyphens. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.project == null || can(regex("^[A-Za-z0-9](?:[A-Za-z0-9-]{0,78}[A-Za-z0-9])?$", service.project)))])}."
  }

  validation {
    condition = alltrue(flatten([for service in coalesce(var.services, []) : [
      for name in [service.cluster, service.service] : name == null || can(regex("^[A-Za-z0-9_-]{1,255}$", name))
    ]]))
    error_message = "The cluster and the service must be names of 1 to 255 letters, digits, hyphens and underscores, not ARNs. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(alltrue([for name in [service.cluster, service.service] : name == null || can(regex("^[A-Za-z0-9_-]{1,255}$", name))]))])}."
  }

  validation {
    condition = alltrue([for service in coalesce(var.services, []) : can(regex(
      "^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$",
      coalesce(service.load_balancer, "${coalesce(service.project, service.service, "-")}-jvb-nlb"),
    ))])
    error_message = "A load balancer's name has 1 to 32 letters, digits and inner hyphens. Where it is left out, it is PROJECT-jvb-nlb, or SERVICE-jvb-nlb without a project: give load_balancer where that is none. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(can(regex("^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$", coalesce(service.load_balancer, "${coalesce(service.project, service.service, "-")}-jvb-nlb"))))])}."
  }

  validation {
    condition = alltrue(flatten([for service in coalesce(var.services, []) : [
      for pattern in coalesce(service.target_groups, []) : can(regex("^[A-Za-z0-9][A-Za-z0-9*?-]{0,31}$", pattern))
    ]]))
    error_message = "Each pattern in target_groups must be 1 to 32 letters, digits, hyphens, * and ?, and must not begin with a wildcard, which would let the watcher change every target group of the account. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(alltrue([for pattern in coalesce(service.target_groups, []) : can(regex("^[A-Za-z0-9][A-Za-z0-9*?-]{0,31}$", pattern))]))])}."
  }

  validation {
    condition = alltrue([for service in coalesce(var.services, []) : service.owner_tag == null || try(
      length(service.owner_tag.key) >= 1 && length(service.owner_tag.key) <= 128 && !can(regex("=", service.owner_tag.key)), false
    )])
    error_message = "The key of an owner_tag must be 1 to 128 characters without an equals sign. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.owner_tag == null || try(length(service.owner_tag.key) >= 1 && length(service.owner_tag.key) <= 128 && !can(regex("=", service.owner_tag.key)), false))])}."
  }

  validation {
    condition = alltrue([
      for service in coalesce(var.services, []) : service.teardown == null || contains(["all", "load-balancer", "off"], coalesce(service.teardown, "-"))
    ])
    error_message = "The teardown of a service must be all, load-balancer or off. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.teardown == null || contains(["all", "load-balancer", "off"], coalesce(service.teardown, "-")))])}."
  }

  validation {
    condition = alltrue([
      for service in coalesce(var.services, []) : service.idle_grace == null || can(regex("^([1-9][0-9]*[smh]|until-paid-hour)$", service.idle_grace))
    ])
    error_message = "The idle_grace of a service must be a positive whole number with a unit, e.g. 60s, 15m or 1h, or until-paid-hour. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.idle_grace == null || can(regex("^([1-9][0-9]*[smh]|until-paid-hour)$", service.idle_grace)))])}."
  }

  validation {
    condition = alltrue(flatten([for service in coalesce(var.services, []) : [
      for duration in [service.unused_grace, service.resync_interval, service.first_call_grace] :
      duration == null || can(regex("^[1-9][0-9]*[smh]$", duration))
    ]]))
    error_message = "unused_grace, resync_interval and first_call_grace of a service must be positive whole numbers with a unit, e.g. 90s, 15m or 1h. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(alltrue([for duration in [service.unused_grace, service.resync_interval, service.first_call_grace] : duration == null || can(regex("^[1-9][0-9]*[smh]$", duration))]))])}."
  }

  validation {
    condition = alltrue([for service in coalesce(var.services, []) : service.use_protocols == null || try(
      length(service.use_protocols) > 0 && (join(",", service.use_protocols) == "all" || length(setsubtract(service.use_protocols, ["udp", "tcp", "tls"])) == 0), false
    )])
    error_message = "The use_protocols of a service must be a list of udp, tcp and tls, e.g. [\"udp\", \"tls\"], or [\"all\"]. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.use_protocols == null || try(length(service.use_protocols) > 0 && (join(",", service.use_protocols) == "all" || length(setsubtract(service.use_protocols, ["udp", "tcp", "tls"])) == 0), false))])}."
  }

  validation {
    condition = alltrue([
      for service in coalesce(var.services, []) : service.use_threshold == null || try(service.use_threshold >= 0 && floor(service.use_threshold) == service.use_threshold, false)
    ])
    error_message = "The use_threshold of a service must be a whole number of flows, 0 or more. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.use_threshold == null || try(service.use_threshold >= 0 && floor(service.use_threshold) == service.use_threshold, false))])}."
  }

  validation {
    condition = alltrue([
      for service in coalesce(var.services, []) : service.stop_when_unused == null || can(regex("^(?:(?:[3-9][0-9]{2}|[1-9][0-9]{3,})s|(?:[5-9]|[1-9][0-9]+)m|[1-9][0-9]*h)$", service.stop_when_unused))
    ])
    error_message = "The stop_when_unused of a service must be a whole number with a unit, and at least 5m, e.g. 600s, 20m or 1h. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.stop_when_unused == null || can(regex("^(?:(?:[3-9][0-9]{2}|[1-9][0-9]{3,})s|(?:[5-9]|[1-9][0-9]+)m|[1-9][0-9]*h)$", service.stop_when_unused)))])}."
  }

  validation {
    condition = alltrue([
      for service in coalesce(var.services, []) : service.stop_notice == null || can(regex("^(?:(?:[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)s|(?:[1-9]|[1-5][0-9]|60)m|1h)$", service.stop_notice))
    ])
    error_message = "The stop_notice of a service must be a positive whole number with a unit, and at most 1h, e.g. 90s or 5m. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !(service.stop_notice == null || can(regex("^(?:(?:[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)s|(?:[1-9]|[1-5][0-9]|60)m|1h)$", service.stop_notice)))])}."
  }

  validation {
    condition = alltrue([
      for service in coalesce(var.services, []) :
      (service.stop_when_unused == null && var.stop_when_unused == null) || coalesce(service.usage, var.usage)
    ])
    error_message = "A service with stop_when_unused needs usage = true: without it the watcher doesn't know whether the load balancer is used. Wrong: ${join(", ", [for service in coalesce(var.services, []) : coalesce(service.service, service.project, "?") if !((service.stop_when_unused == null && var.stop_when_unused == null) || coalesce(service.usage, var.usage))])}."
  }
}

variable "discover" {
  description = "Names of ECS clusters in which to watch every service that has the tag jvb-watcher:load-balancer, in place of the one service of project. Further tags of a service set its options."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cluster in var.discover : can(regex("^[A-Za-z0-9_-]{1,255}$", cluster))])
    error_message = "Each cluster must be a name of 1 to 255 letters, digits, hyphens and underscores, not an ARN."
  }

  validation {
    condition     = length(var.discover) == length(distinct(var.discover))
    error_message = "A cluster is named twice: ${join(", ", var.discover)}."
  }
}

variable "config_layer_arn" {
  description = "ARN of a version of a Lambda layer with the file jvb-watcher.toml, whose text is the output config_text. For a list of services that doesn't fit into the function's variables."
  type        = string
  default     = null

  validation {
    condition     = var.config_layer_arn == null || can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[0-9]+$", var.config_layer_arn))
    error_message = "The layer must be the ARN of a version, e.g. arn:aws:lambda:eu-west-1:111122223333:layer:jvb-watcher:1."
  }

  validation {
    condition     = var.config_layer_arn == null || var.services != null && var.runtime == "lambda"
    error_message = "A layer can hold only the list in services, and only for the runtime lambda."
  }
}

variable "name" {
  description = "Name of the watcher's own resources. Defaults to PROJECT-jvb-watcher, or to jvb-watcher without a project. Set it to watch a second service of the same project."
  type        = string
  default     = null

  validation {
    # The name of an IAM role has at most 64 characters, and NAME-execution-REGION is one.
    condition     = var.name == null || can(regex("^[A-Za-z0-9-]{1,38}$", var.name))
    error_message = "The name must be 1 to 38 letters, digits and hyphens."
  }
}

variable "cluster" {
  description = "Name of the ECS cluster. Defaults to PROJECT-cluster. With services, the cluster of those that name none."
  type        = string
  default     = null

  validation {
    condition     = var.cluster == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.cluster))
    error_message = "The cluster must be a name of 1 to 255 letters, digits, hyphens and underscores, not an ARN."
  }

  validation {
    condition     = var.cluster == null || length(var.discover) == 0
    error_message = "cluster names one cluster, and discover names all: leave one of them out."
  }
}

variable "service" {
  description = "Name of the ECS service. Defaults to PROJECT-service."
  type        = string
  default     = null

  validation {
    condition     = var.service == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.service))
    error_message = "The service must be a name of 1 to 255 letters, digits, hyphens and underscores, not an ARN."
  }

  validation {
    condition     = var.service == null || var.services == null && length(var.discover) == 0
    error_message = "service names that of one service: with services or discover, leave it out."
  }
}

variable "load_balancer" {
  description = "Name of the network load balancer. Defaults to PROJECT-jvb-nlb."
  type        = string
  default     = null

  validation {
    condition     = var.load_balancer == null || can(regex("^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$", var.load_balancer))
    error_message = "The load balancer must be a name of 1 to 32 letters, digits and inner hyphens, not an ARN."
  }

  validation {
    condition     = var.load_balancer == null || var.services == null && length(var.discover) == 0
    error_message = "load_balancer names that of one service: with services or discover, leave it out."
  }
}

variable "target_groups" {
  description = "Names of the target groups, as IAM wildcard patterns. Defaults to PROJECT-jvb-udp*, PROJECT-jvb-tcp* and PROJECT-jvb-web*; with discover, to all that have the owner tag. The watcher may change no other target group."
  type        = list(string)
  default     = null

  validation {
    condition     = var.target_groups == null || alltrue([for pattern in coalesce(var.target_groups, []) : can(regex("^[A-Za-z0-9][A-Za-z0-9*?-]{0,31}$", pattern))])
    error_message = "Each pattern must be 1 to 32 letters, digits, hyphens, * and ?, and must not begin with a wildcard, which would let the watcher change every target group of the account."
  }

  validation {
    condition     = var.target_groups == null || var.services == null
    error_message = "target_groups names those of one service: with services, set it in the list."
  }
}

variable "owner_tag" {
  description = "Tag that a load balancer or target group must have for the watcher to delete it."
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
  description = "What to delete of an idle load balancer: all (load balancer, listeners, target groups), load-balancer (keeps the target groups) or off."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["all", "load-balancer", "off"], var.teardown)
    error_message = "The teardown must be all, load-balancer or off."
  }
}

variable "idle_grace" {
  description = "How long the service must be idle before its load balancer is deleted, e.g. 60s, 15m or 1h; until-paid-hour keeps it until just before its paid hour ends."
  type        = string
  default     = "60s"

  validation {
    condition     = can(regex("^([1-9][0-9]*[smh]|until-paid-hour)$", var.idle_grace))
    error_message = "The idle grace must be a positive whole number with a unit, e.g. 60s, 15m or 1h, or until-paid-hour."
  }
}

variable "unused_grace" {
  description = "Age at which a load balancer that was never used counts as idle, e.g. 15m."
  type        = string
  default     = "15m"

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]$", var.unused_grace))
    error_message = "The unused grace must be a positive whole number with a unit, e.g. 90s, 15m or 1h."
  }
}

variable "resync_interval" {
  description = "Maximum time between two reconciliations by the Fargate worker. The Lambda function reconciles once a minute."
  type        = string
  default     = "60s"

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]$", var.resync_interval))
    error_message = "The resync interval must be a positive whole number with a unit, e.g. 60s, 15m or 1h."
  }
}

variable "allow_several_bridges" {
  description = "Whether several tasks behind one UDP listener are right, and no finding: only where each bridge advertises an address of its own."
  type        = bool
  default     = false
}

variable "usage" {
  description = "Whether the watcher reads from CloudWatch how much the load balancer is used. This costs about $0.002 an hour while a load balancer exists."
  type        = bool
  default     = true
}

variable "use_protocols" {
  description = "Protocols of the flows that count as use: a list of udp, tcp and tls, or [\"all\"]. Defaults to udp where a target group takes UDP, and to all elsewhere."
  type        = list(string)
  default     = null

  validation {
    condition     = var.use_protocols == null || try(length(var.use_protocols) > 0 && (join(",", var.use_protocols) == "all" || length(setsubtract(var.use_protocols, ["udp", "tcp", "tls"])) == 0), false)
    error_message = "The protocols must be a list of udp, tcp and tls, e.g. [\"udp\", \"tls\"], or [\"all\"]."
  }
}

variable "use_threshold" {
  description = "Number of flows that a minute must exceed to count as use. Port scans make single flows, a call of two makes two."
  type        = number
  default     = 1

  validation {
    condition     = var.use_threshold >= 0 && floor(var.use_threshold) == var.use_threshold
    error_message = "The threshold must be a whole number of flows, 0 or more."
  }
}

variable "stop_when_unused" {
  description = "Time for which the load balancer must have been unused before the watcher sets the service's desired count to zero, e.g. 20m; at least 5m. Never if null."
  type        = string
  default     = null

  validation {
    condition     = var.stop_when_unused == null || can(regex("^(?:(?:[3-9][0-9]{2}|[1-9][0-9]{3,})s|(?:[5-9]|[1-9][0-9]+)m|[1-9][0-9]*h)$", var.stop_when_unused))
    error_message = "The time must be a whole number with a unit, and at least 5m, e.g. 600s, 20m or 1h."
  }

  validation {
    condition     = var.stop_when_unused == null || var.usage
    error_message = "stop_when_unused needs usage = true: without it the watcher doesn't know whether the load balancer is used."
  }
}

variable "stop_notice" {
  description = "Time between the announcement of such a stop and the stop, e.g. 2m; at most 1h. A hold or an up in this time cancels it. A call that begins less than five minutes before the stop may be seen too late."
  type        = string
  default     = "2m"

  validation {
    condition     = can(regex("^(?:(?:[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)s|(?:[1-9]|[1-5][0-9]|60)m|1h)$", var.stop_notice))
    error_message = "The notice must be a positive whole number with a unit, and at most 1h, e.g. 90s or 5m."
  }
}

variable "first_call_grace" {
  description = "Time for the first call, from the start of the newest task on, e.g. 30m. A service that no call has used since then isn't stopped earlier."
  type        = string
  default     = "30m"

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]$", var.first_call_grace))
    error_message = "The grace must be a positive whole number with a unit, e.g. 90s, 30m or 1h."
  }
}

variable "runtime" {
  description = "Where the watcher runs: lambda (costs next to nothing) or fargate."
  type        = string
  default     = "lambda"

  validation {
    condition     = contains(["lambda", "fargate"], var.runtime)
    error_message = "The runtime must be lambda or fargate."
  }
}

variable "lambda_zip" {
  description = "Path of a zip file that packaging/package builds, for the runtime lambda. Leave it out to run a release."
  type        = string
  default     = null

  validation {
    condition     = var.runtime != "lambda" || var.lambda_zip != null || var.release != null
    error_message = "The runtime lambda requires a zip file: set release to a published release, or lambda_zip to the path of the zip file that packaging/package builds."
  }

  validation {
    condition     = var.runtime != "lambda" || var.lambda_zip == null || try(fileexists(var.lambda_zip), false)
    error_message = "There is no file ${coalesce(var.lambda_zip, "null")}: build it with packaging/package, or correct lambda_zip. That builds for the machine that it runs on: lambda_architecture and the name of the zip file must fit."
  }

  validation {
    condition     = var.lambda_zip == null || var.release == null
    error_message = "Set lambda_zip or release, not both."
  }

  # Lambda takes a program for another architecture, and then can't start it.
  validation {
    condition     = try(!can(regex("-(arm64|x86_64)\\.zip$", var.lambda_zip)) || endswith(var.lambda_zip, "-${var.lambda_architecture}.zip"), true)
    error_message = "By its name, the zip file is for another architecture than ${var.lambda_architecture}: set lambda_architecture, or correct lambda_zip."
  }
}

variable "release" {
  description = "Release whose zip file the function runs, in place of lambda_zip: its version, the zip file's SHA-256 from the release's SHA256SUMS, and where the zip file is. That is either file, the path of a download, or s3_bucket, in the function's region, with s3_checksum, the base64 SHA-256 that data.aws_s3_object returns. s3_key defaults to jvb-watcher/vVERSION/jvb-watcher-lambda-ARCHITECTURE.zip. A zip file with another sum fails the plan."
  type = object({
    version           = string
    sha256            = string
    file              = optional(string)
    s3_bucket         = optional(string)
    s3_key            = optional(string)
    s3_object_version = optional(string)
    s3_checksum       = optional(string)
  })
  default = null

  validation {
    condition     = var.release == null || can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?$", var.release.version))
    error_message = "The release's version must be that of a release without its v, e.g. 0.1.0."
  }

  validation {
    condition     = var.release == null || can(regex("^[0-9a-f]{64}$", var.release.sha256))
    error_message = "The release's sha256 must be 64 hexadecimal digits in lower case, as SHA256SUMS has them."
  }

  validation {
    condition     = var.release == null || try((coalesce(var.release.file, "none") == "none") != (coalesce(var.release.s3_bucket, "none") == "none"), false)
    error_message = "The release needs one place of its zip file: either file or s3_bucket, and not both."
  }

  validation {
    condition     = var.release == null || try((var.release.s3_bucket == null) == (var.release.s3_checksum == null), false)
    error_message = "s3_bucket and s3_checksum belong together: set s3_checksum to the checksum_sha256 of data.aws_s3_object with checksum_mode = \"ENABLED\"."
  }

  validation {
    condition     = try(var.release.file, null) == null ? true : try(fileexists(var.release.file), false)
    error_message = "There is no file ${try(coalesce(var.release.file), "null")}: download it from the release, or correct release.file."
  }

  validation {
    condition     = try(!can(regex("-(arm64|x86_64)\\.zip$", var.release.file)) || endswith(var.release.file, "-${var.lambda_architecture}.zip"), true)
    error_message = "By its name, the zip file is for another architecture than ${var.lambda_architecture}: set lambda_architecture, or correct release.file."
  }

  # A missing file is the error above.
  validation {
    condition     = try(filesha256(var.release.file) == lower(var.release.sha256), true)
    error_message = "The file ${try(coalesce(var.release.file), "null")} is not that of the release: its SHA-256 is ${try(filesha256(var.release.file), "unknown")}. Download it again, and take sha256 from the same release's SHA256SUMS."
  }
}

variable "lambda_architecture" {
  description = "Architecture of the zip file: arm64 (cheaper) or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda_architecture)
    error_message = "The architecture must be arm64 or x86_64."
  }
}

variable "lambda_memory" {
  description = "Memory of the function in MiB; more memory comes with more CPU. The default is Lambda's minimum. On the sandbox, a development build used 39."
  type        = number
  default     = 128

  validation {
    condition     = var.lambda_memory >= 128 && var.lambda_memory <= 10240
    error_message = "The memory must be from 128 to 10240 MiB."
  }
}

variable "lambda_timeout" {
  description = "Timeout of one invocation in seconds."
  type        = number
  default     = 60

  validation {
    condition     = var.lambda_timeout >= 30 && var.lambda_timeout <= 900
    error_message = "The timeout must be from 30 to 900 seconds. Deleting a load balancer takes up to 20: ten between two observations, and ten from the second one."
  }
}

variable "lambda_reserved_concurrency" {
  description = "Reserved concurrency of the function; -1 reserves none. Concurrent invocations do no harm."
  type        = number
  default     = -1

  validation {
    condition     = var.lambda_reserved_concurrency == -1 || var.lambda_reserved_concurrency >= 1
    error_message = "The reserved concurrency must be -1 or at least 1. With 0 the watcher never runs."
  }
}

variable "image" {
  description = "Container image of the watcher. Required for the runtime fargate."
  type        = string
  default     = null

  validation {
    condition     = var.runtime != "fargate" || var.image != null
    error_message = "The runtime fargate needs image: build one by packaging/image, push it, and give its name."
  }
}

variable "fargate_architecture" {
  description = "Architecture of the image: ARM64 (cheaper) or X86_64."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.fargate_architecture)
    error_message = "The architecture must be ARM64 or X86_64."
  }
}

variable "fargate_cluster_arn" {
  description = "ARN of the ECS cluster in which the worker runs. Defaults to the watched cluster; required where several are watched."
  type        = string
  default     = null

  validation {
    condition     = var.fargate_cluster_arn != null || var.runtime != "fargate" || length(local.clusters) <= 1
    error_message = "The services are in several clusters: set fargate_cluster_arn to that in which the worker runs."
  }
}

variable "subnet_ids" {
  description = "IDs of the Fargate worker's subnets, from which it must reach the AWS endpoints. Required for the runtime fargate."
  type        = list(string)
  default     = []

  validation {
    condition     = var.runtime != "fargate" || length(var.subnet_ids) > 0
    error_message = "The runtime fargate requires at least one subnet in subnet_ids."
  }
}

variable "security_group_ids" {
  description = "IDs of the Fargate worker's security groups. It needs outbound HTTPS and nothing inbound. Defaults to the VPC's default security group."
  type        = list(string)
  default     = []
}

variable "assign_public_ip" {
  description = "Whether to assign a public IP address to the Fargate worker. Required in a public subnet without NAT or VPC endpoints."
  type        = bool
  default     = true
}

variable "log_level" {
  description = "Log level: error, warn, info or debug. The dashboard and the saved queries need info."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug"], var.log_level)
    error_message = "The log level must be error, warn, info or debug."
  }
}

variable "log_retention_days" {
  description = "Retention of the log in days."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "The retention must be a number of days that CloudWatch Logs supports, e.g. 30, 90 or 365."
  }
}

variable "log_kms_key_arn" {
  description = "ARN of a KMS key for the log group. Defaults to CloudWatch's own encryption; a customer managed key costs $1 a month."
  type        = string
  default     = null
}

variable "metrics" {
  description = "Whether to publish custom metrics. Some of the alarms and most of the dashboard need them."
  type        = bool
  default     = true
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the custom metrics."
  type        = string
  default     = "jvb-watcher"

  validation {
    condition     = can(regex("^[0-9A-Za-z._/#:-]{1,255}$", var.metrics_namespace)) && !startswith(var.metrics_namespace, "AWS/")
    error_message = "The namespace must be 1 to 255 letters, digits and . - _ / # :, and must not begin with AWS/."
  }
}

variable "publish_events_bus" {
  description = "Name or ARN of the EventBridge bus to which the watcher publishes its own events. It publishes none if null."
  type        = string
  default     = null

  validation {
    condition     = var.publish_events_bus == null || can(regex("^(arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[0-9A-Za-z/._-]{1,256}$", var.publish_events_bus))
    error_message = "The bus must be a name (letters, digits and / . - _) or an ARN."
  }
}

variable "alarms" {
  description = "Whether to create alarms."
  type        = bool
  default     = true
}

variable "alarm_topic_arn" {
  description = "ARN of the SNS topic to notify when an alarm starts and ends. No notifications if null."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_topic_arn == null || can(regex("^arn:aws[a-z-]*:sns:", var.alarm_topic_arn))
    error_message = "The topic must be an ARN."
  }
}

variable "idle_alarm_minutes" {
  description = "Minutes after which an idle load balancer raises an alarm. Must exceed the time within which the watcher deletes it, which follows from idle_grace. Defaults to 30, or to ten minutes more than that time where it is longer: 71 with until-paid-hour."
  type        = number
  default     = null

  validation {
    condition     = var.idle_alarm_minutes == null || coalesce(var.idle_alarm_minutes, 0) >= local.deleted_within_minutes
    error_message = "With idle_grace ${var.idle_grace} the watcher deletes an idle load balancer within ${local.deleted_within_minutes} minutes, and the alarm would be raised before: set idle_alarm_minutes to at least ${local.deleted_within_minutes}, or leave it out."
  }
}

variable "unused_alarm_minutes" {
  description = "Minutes without use after which a service that is still up raises an alarm, from 5 to 60. With stop_when_unused, the alarm follows 15 minutes after the latest time of the stop instead. No such alarm if null."
  type        = number
  default     = 60

  validation {
    # The watcher reads the flows of the last hour (and with stop_when_unused as many more as the stop needs).
    condition     = var.unused_alarm_minutes == null || try(var.unused_alarm_minutes >= 5 && var.unused_alarm_minutes <= 60, false)
    error_message = "The number of minutes must be from 5 to 60; set null for no alarm."
  }
}

variable "dashboard" {
  description = "Whether to create a CloudWatch dashboard."
  type        = bool
  default     = true
}

variable "saved_queries" {
  description = "Whether to create saved queries for CloudWatch Logs Insights."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags for all resources of the module."
  type        = map(string)
  default     = {}
}
