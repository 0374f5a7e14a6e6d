# The task: the four containers that a conference needs, as docker-jitsi-meet's compose file has them, and a first one that
# prepares their volumes. All of them share one network interface, so they reach each other at 127.0.0.1.
#
# Facts about the images are from jitsi/docker-jitsi-meet at stable-11146-2: docker-compose.yml, the Dockerfiles, and each
# image's rootfs/etc/s6-overlay/scripts/config. fixtures/jitsi in this repository has those that the tests rely on.

locals {
  images = { for container in ["web", "prosody", "jicofo", "jvb"] : container => "${var.registry}/${container}:${var.jitsi_release}" }

  # Defaults that hold outside docker-jitsi-meet's own network, and that the environment variable may replace.
  defaults = {
    web = {
      DISABLE_HTTPS      = "1" # the load balancer terminates TLS
      ENABLE_IPV6        = "0" # the load balancer's targets are IPv4 addresses
      XMPP_BOSH_URL_BASE = "http://127.0.0.1:5280"
    }
    prosody = {
      ENABLE_IPV6 = "0"
    }
    jicofo = {
      # Without it jicofo has no /about/health, which the image's health check asks for.
      JICOFO_ENABLE_HEALTH_CHECKS = "1"
      # Its default is 3 GiB, as is the bridge's: together they would exceed the task's memory.
      JICOFO_MAX_MEMORY = "${floor(var.memory / 8)}m"
      XMPP_SERVER       = "127.0.0.1"
    }
    jvb = {
      # The bridge advertises neither the public address that STUN finds nor the task's private one: both lead past the load
      # balancer.
      JVB_ADVERTISE_PRIVATE_CANDIDATES = "false"
      JVB_DISABLE_STUN                 = "1"
      # By default the nickname is HOSTNAME, a variable that the images' authors expect from Docker.
      JVB_MUC_NICKNAME = "jvb"
      # The health check fails if none of the advertised addresses is public, e.g. if the VPC has a private zone for the domain.
      JVB_REQUIRE_VALID_ADDRESS = "1"
      VIDEOBRIDGE_MAX_MEMORY    = "${floor(var.memory * 3 / 8)}m"
      XMPP_SERVER               = "127.0.0.1"
    }
  }

  # What other inputs of this module say.
  derived = {
    web     = { PUBLIC_URL = "https://${var.domain}" }
    prosody = { PUBLIC_URL = "https://${var.domain}" }
    jicofo  = {}
    jvb = merge(
      { JVB_PORT = tostring(var.ports.media) },
      { for name, value in { JVB_ADVERTISE_IPS = join(",", var.advertise_ips) } : name => value if value != "" },
    )
  }

  environment = { for container in keys(local.images) : container => merge(
    local.defaults[container],
    var.environment.all,
    var.environment[container],
    local.derived[container],
  ) }

  # The passwords that a container exits without.
  passwords = {
    prosody = ["JICOFO_AUTH_PASSWORD", "JVB_AUTH_PASSWORD"]
    jicofo  = ["JICOFO_AUTH_PASSWORD"]
    jvb     = ["JVB_AUTH_PASSWORD"]
  }

  # The directories that each image writes to although its root file system is read-only (compose's tmpfs and prosody's
  # data), and those that it declares as VOLUME.
  directories = {
    web     = { config = "/config", run = "/run", tmp = "/tmp", transcripts = "/usr/share/jitsi-meet/transcripts" }
    prosody = { config = "/config", run = "/run", tmp = "/tmp", data = "/var/lib/prosody", plugins = "/prosody-plugins-custom" }
    jicofo  = { config = "/config", run = "/run", tmp = "/tmp" }
    jvb     = { config = "/config", run = "/run", tmp = "/tmp" }
  }
  volumes = merge([for container, paths in local.directories : {
    for name, path in paths : "${container}-${name}" => { container = container, path = path }
  }]...)

  passwords_volume = { name = "passwords", path = "/passwords" }

  mount_points = { for container in keys(local.images) : container => concat(
    [for name, volume in local.volumes : { sourceVolume = name, containerPath = volume.path, readOnly = false } if volume.container == container],
    [for volume in [local.passwords_volume] : { sourceVolume = volume.name, containerPath = volume.path, readOnly = true } if contains(keys(local.passwords), container)],
  ) }

  # Runs a command with the container's passwords in its environment.
  with_passwords = { for container, names in local.passwords : container => {
    entryPoint = ["/bin/sh", "-c", file("${path.module}/scripts/with-passwords.sh"), "with-passwords"]
    arguments  = concat([local.passwords_volume.path], names, ["--"])
  } }

  log_configuration = { for stream in concat(keys(local.images), ["prepare", "service-connect"], var.extra_containers[*].name) : stream => {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = aws_cloudwatch_log_group.jitsi.name
      "awslogs-region"        = data.aws_region.current.region
      "awslogs-stream-prefix" = stream
    }
  } }

  common = { for container, image in local.images : container => {
    name                   = container
    image                  = image
    essential              = true # the four live and die together
    readonlyRootFilesystem = var.readonly_root_filesystem
    environment            = [for name, value in local.environment[container] : { name = name, value = value }]
    secrets                = [for name, arn in lookup(var.secrets, container, {}) : { name = name, valueFrom = arn }]
    mountPoints            = local.mount_points[container]
    logConfiguration       = local.log_configuration[container]
    # What s6-overlay needs to stop the services. More has no use: a bridge that gets SIGTERM ends its calls at once
    # (jitsi-videobridge, Main.kt).
    stopTimeout = 30
  } }

  health_check = {
    web     = ["CMD", "curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "http://127.0.0.1:${var.ports.web}/"]
    prosody = ["CMD", "/usr/local/bin/healthcheck.sh"]
    jicofo  = ["CMD", "/usr/local/bin/healthcheck.sh"]
    jvb     = ["CMD", "/usr/local/bin/healthcheck.sh"]
  }

  # Failures in the start period don't count. The bridge may wait for its address, and jicofo is healthy only with a bridge.
  start_period = {
    web     = 30
    prosody = 60
    jicofo  = var.advertise_wait_seconds + 60
    jvb     = var.advertise_wait_seconds + 60
  }

  # ECS replaces a task that stays unhealthy, which ends all calls, so a failure gets nearly a minute or more to pass. The
  # others wait for prosody.
  health_checks = { for container, command in local.health_check : container => {
    command     = command
    interval    = container == "prosody" ? 5 : 10
    timeout     = 5
    retries     = 10
    startPeriod = local.start_period[container]
  } }

  after_prosody = [{ containerName = "prosody", condition = "HEALTHY" }]

  container_definitions = concat([
    {
      name                   = "prepare"
      image                  = local.images.prosody # an image that the task pulls anyway
      essential              = false                # it ends when it is done
      user                   = "0:0"                # only root may give the volumes to another user
      readonlyRootFilesystem = var.readonly_root_filesystem
      entryPoint             = ["/bin/sh", "-c", file("${path.module}/scripts/prepare.sh"), "prepare"]
      command = concat(
        ["s6:s6", local.passwords_volume.path],
        distinct(flatten(values(local.passwords))),
        ["--"],
        [for name in keys(local.volumes) : "/volumes/${name}"],
      )
      mountPoints = concat(
        [{ sourceVolume = local.passwords_volume.name, containerPath = local.passwords_volume.path, readOnly = false }],
        [for name in keys(local.volumes) : { sourceVolume = name, containerPath = "/volumes/${name}", readOnly = false }],
      )
      # Otherwise a task whose first container hangs would stay PENDING; 120 s is the maximum.
      startTimeout     = 120
      logConfiguration = local.log_configuration["prepare"]
    },
    merge(local.common.prosody, {
      entryPoint   = local.with_passwords.prosody.entryPoint
      command      = concat(local.with_passwords.prosody.arguments, ["/init"])
      dependsOn    = [{ containerName = "prepare", condition = "SUCCESS" }]
      healthCheck  = local.health_checks.prosody
      startTimeout = 120
    }),
    merge(local.common.jicofo, {
      entryPoint  = local.with_passwords.jicofo.entryPoint
      command     = concat(local.with_passwords.jicofo.arguments, ["/init"])
      dependsOn   = local.after_prosody
      healthCheck = local.health_checks.jicofo
    }),
    # Nothing depends on the bridge's health. The task is RUNNING while the bridge waits for its address, so that jvb-watcher
    # registers it meanwhile: a load balancer takes minutes until it uses a new target.
    merge(local.common.jvb, {
      entryPoint = local.with_passwords.jvb.entryPoint
      command = concat(
        local.with_passwords.jvb.arguments,
        ["/bin/sh", "-c", file("${path.module}/scripts/advertise.sh"), "advertise", var.domain, tostring(var.advertise_wait_seconds)],
        ["/init"],
      )
      dependsOn   = local.after_prosody
      healthCheck = local.health_checks.jvb
      portMappings = [
        { name = "media", containerPort = var.ports.media, hostPort = var.ports.media, protocol = "udp" },
        { name = "health", containerPort = var.ports.health, hostPort = var.ports.health, protocol = "tcp" },
      ]
    }),
    merge(local.common.web, {
      dependsOn   = local.after_prosody
      healthCheck = local.health_checks.web
      # Service Connect refers to a port by its name.
      portMappings = [{ name = "web", containerPort = var.ports.web, hostPort = var.ports.web, protocol = "tcp", appProtocol = "http" }]
    }),
    ],
    [for container in var.extra_containers : merge({ logConfiguration = local.log_configuration[container.name] }, container)],
  )
}

resource "aws_ecs_task_definition" "jitsi" {
  family                   = var.project_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode(local.container_definitions)

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  # Empty volumes, which exist as long as the task.
  dynamic "volume" {
    for_each = toset(concat(keys(local.volumes), [local.passwords_volume.name]))
    content {
      name = volume.value
    }
  }

  lifecycle {
    precondition {
      condition     = alltrue([for container, secrets in var.secrets : length(setintersection(keys(secrets), keys(local.environment[container]))) == 0])
      error_message = "A container's variable is in secrets and in environment: ECS accepts each variable once. Remove it from environment."
    }
  }

  tags = local.tags
}
