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

variable "subnet_ids" {
  description = "IDs of the tasks' subnets. They must be in the load balancer's availability zones: without cross-zone load balancing it uses no target elsewhere."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "The tasks need at least one subnet."
  }
}

variable "assign_public_ip" {
  description = "Whether tasks get a public IPv4 address, by which they pull their images. Set it to false in private subnets with a NAT gateway."
  type        = bool
  default     = true
}

variable "domain" {
  description = "Domain of the platform, e.g. meet.example.org. Callers open https://DOMAIN, and the bridge advertises the addresses to which it resolves."
  type        = string

  validation {
    condition     = can(regex("^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$", var.domain)) && length(var.domain) <= 253
    error_message = "The domain must be a lower-case name of at least two labels, without scheme, port and final dot, e.g. meet.example.org."
  }
}

variable "jitsi_release" {
  description = "Release of docker-jitsi-meet, which is the tag of all four images. The images of releases before stable-11146 run as root on other ports."
  type        = string
  default     = "stable-11146-2"

  validation {
    # Images without root, and web's ports 8000 and 8443: docker-jitsi-meet, pull requests 2258 and 2261.
    condition     = try(tonumber(regex("^stable-([0-9]+)(?:-[0-9]+)?$", var.jitsi_release)[0]) >= 11146, false)
    error_message = "The release must be a tag like stable-11146-2, and not older than stable-11146, whose images were the first to run without root."
  }
}

variable "registry" {
  description = "Registry and path of the images web, prosody, jicofo and jvb, e.g. a mirror of ghcr.io/jitsi."
  type        = string
  default     = "ghcr.io/jitsi"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.:/_-]*[a-z0-9]$", var.registry))
    error_message = "The registry must be a host with an optional port and path, e.g. ghcr.io/jitsi, without a final slash."
  }
}

variable "ports" {
  description = "Ports on which the containers listen: web (HTTP), media (UDP) and health (the bridge's health checks, HTTP). The images have 8000 and 8080 built in; change these two only for images or extra containers that listen elsewhere."
  type = object({
    web    = optional(number, 8000)
    media  = optional(number, 10000)
    health = optional(number, 8080)
  })
  default = {}

  validation {
    condition     = alltrue([for port in values(var.ports) : port >= 1024 && port <= 65535])
    error_message = "The ports must be from 1024 to 65535: the containers don't run as root."
  }

  validation {
    condition     = length(setintersection([var.ports.web, var.ports.health], [5222, 5280, 8888])) == 0 && var.ports.web != var.ports.health
    error_message = "The ports of web and health must differ from each other and from 5222, 5280 and 8888, on which prosody and jicofo listen: all containers of a task share one network interface."
  }
}

variable "cpu" {
  description = "CPU units of the task; 1024 are one vCPU. Jitsi's handbook suggests four dedicated cores for a basic server (\"Requirements\"); the default is half of that."
  type        = number
  default     = 2048

  validation {
    condition     = contains([1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "The CPU units must be 1024, 2048, 4096, 8192 or 16384: sizes that Fargate supports and that suffice for four containers."
  }
}

variable "memory" {
  description = "Memory of the task in MiB: three eighths are the bridge's Java heap, an eighth jicofo's. Jitsi's handbook suggests 8 GB, and 4 GB for small meetings."
  type        = number
  default     = 4096

  validation {
    # Amazon ECS Developer Guide, "Fargate task sizes".
    condition = contains(lookup({
      "1024"  = range(2048, 8193, 1024)
      "2048"  = range(4096, 16385, 1024)
      "4096"  = range(8192, 30721, 1024)
      "8192"  = range(16384, 61441, 4096)
      "16384" = range(32768, 122881, 8192)
    }, tostring(var.cpu), []), var.memory)
    error_message = "Fargate doesn't support this memory with these CPU units. It supports 2048 to 8192 MiB with 1024 units, 4096 to 16384 with 2048, 8192 to 30720 with 4096 (each in steps of 1024), 16384 to 61440 with 8192 (in steps of 4096) and 32768 to 122880 with 16384 (in steps of 8192)."
  }
}

variable "cpu_architecture" {
  # The images: docker-jitsi-meet, .github/workflows/release-stable.yml.
  description = "Architecture of the task: ARM64 (a fifth cheaper) or X86_64. The images exist for both."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.cpu_architecture)
    error_message = "The architecture must be ARM64 or X86_64."
  }
}

variable "fargate_spot" {
  description = "Whether tasks run on Fargate Spot: cheaper, but AWS may end a task, and with it all calls, at two minutes' notice."
  type        = bool
  default     = false
}

variable "environment" {
  description = "Environment variables of the containers, as in docker-jitsi-meet's .env: those in all go to each of the four, e.g. { all = { ENABLE_AUTH = \"1\" }, web = { ENABLE_P2P = \"false\" } }. An image ignores variables that it doesn't know."
  type = object({
    all     = optional(map(string), {})
    web     = optional(map(string), {})
    prosody = optional(map(string), {})
    jicofo  = optional(map(string), {})
    jvb     = optional(map(string), {})
  })
  default = {}

  validation {
    condition     = length(setintersection(flatten([for variables in values(var.environment) : keys(variables)]), ["PUBLIC_URL", "JVB_PORT", "JVB_ADVERTISE_IPS"])) == 0
    error_message = "The module sets PUBLIC_URL, JVB_PORT and JVB_ADVERTISE_IPS: use domain, ports.media and advertise_ips."
  }

  validation {
    condition     = !anytrue([for name in flatten([for variables in values(var.environment) : keys(variables)]) : can(regex("(PASSWORD|SECRET|CREDENTIALS|BINDPW|AUTH_TOKEN)$", name))])
    error_message = "Passwords and secrets in environment would be in Terraform's state and in the task definition: pass their ARNs by secrets."
  }
}

variable "secrets" {
  description = "Secrets by container and variable, as ARNs of SSM parameters or of Secrets Manager's secrets, e.g. { prosody = { TURN_CREDENTIALS = \"arn:aws:ssm:…\" } }. Only the execution role may read them."
  type        = map(map(string))
  default     = {}

  validation {
    condition     = alltrue(flatten([for secrets in values(var.secrets) : [for arn in values(secrets) : can(regex("^arn:[^:]+:(?:ssm:[^:]*:[0-9]*:parameter/|secretsmanager:[^:]*:[0-9]*:secret:)", arn))]]))
    error_message = "Each secret must be the ARN of an SSM parameter or of a Secrets Manager secret."
  }

  validation {
    condition     = length(setsubtract(keys(var.secrets), ["web", "prosody", "jicofo", "jvb"])) == 0
    error_message = "The keys of secrets must be web, prosody, jicofo or jvb. Extra containers have secrets of their own: put their ARNs in extra_secrets."
  }

  validation {
    condition = alltrue(flatten([
      for name, containers in { JICOFO_AUTH_PASSWORD = ["prosody", "jicofo"], JVB_AUTH_PASSWORD = ["prosody", "jvb"] } :
      length(distinct([for container in containers : lookup(lookup(var.secrets, container, {}), name, null)])) == 1
    ]))
    error_message = "JICOFO_AUTH_PASSWORD must be the same secret for prosody and jicofo, and JVB_AUTH_PASSWORD for prosody and jvb."
  }
}

variable "secrets_kms_key_arns" {
  description = "ARNs of the customer managed KMS keys with which secrets are encrypted. AWS managed keys need none."
  type        = list(string)
  default     = []
}

variable "extra_containers" {
  description = "Further container definitions for the task, in the form of ECS, e.g. for coturn or jigasi. A container without logConfiguration logs to the module's log group."
  type        = any
  default     = []

  validation {
    condition     = alltrue([for container in var.extra_containers : can(container.name) && can(container.image)])
    error_message = "Each extra container needs a name and an image."
  }

  validation {
    condition     = alltrue([for container in var.extra_containers : !contains(["prepare", "web", "prosody", "jicofo", "jvb"], try(container.name, ""))])
    error_message = "The names prepare, web, prosody, jicofo and jvb are the module's own."
  }
}

variable "extra_secrets" {
  description = "ARNs of the SSM parameters and Secrets Manager's secrets that extra_containers refer to."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.extra_secrets : can(regex("^arn:[^:]+:(?:ssm:[^:]*:[0-9]*:parameter/|secretsmanager:[^:]*:[0-9]*:secret:)", arn))])
    error_message = "Each extra secret must be the ARN of an SSM parameter or of a Secrets Manager secret."
  }
}

variable "advertise_ips" {
  description = "IPv4 addresses that the bridge advertises, each as ADDRESS or ADDRESS#PORT, e.g. of Elastic IP addresses. If empty, the bridge resolves the domain at its start."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.advertise_ips : can(cidrhost("${split("#", address)[0]}/32", 0)) && can(regex("^[0-9.]+(?:#[0-9]{1,5})?$", address))])
    error_message = "Each address must be an IPv4 address, optionally followed by # and a port: the bridge in a task maps IPv4 addresses only, and takes no names."
  }
}

variable "advertise_wait_seconds" {
  description = "Seconds for which the bridge waits for the domain to resolve. Then it exits, and ECS starts another task."
  type        = number
  default     = 240

  validation {
    # The health checks' start period ends after 300 seconds at most, and the bridge needs some of them to start.
    condition     = var.advertise_wait_seconds >= 10 && var.advertise_wait_seconds <= 240
    error_message = "The wait must be from 10 to 240 seconds: ECS replaces a task whose health checks fail for much longer."
  }
}

variable "readonly_root_filesystem" {
  description = "Whether the containers' root file systems are read-only, as docker-jitsi-meet's compose file has them."
  type        = bool
  default     = true
}

variable "service_connect" {
  description = "Whether Service Connect offers the container web to other services as jitsi-web, in an HTTP namespace, which costs nothing. Calls don't need it."
  type        = bool
  default     = false
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
