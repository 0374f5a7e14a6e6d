# What is watched: one service, a list of services, or those that the program discovers by their tags.

locals {
  is_discovered = length(var.discover) > 0
  is_listed     = var.services != null
  is_fleet      = local.is_listed || local.is_discovered

  # The one service in the form of a list.
  only_service = {
    project               = var.project
    cluster               = var.cluster
    service               = var.service
    load_balancer         = var.load_balancer
    target_groups         = var.target_groups
    owner_tag             = null
    teardown              = null
    idle_grace            = null
    unused_grace          = null
    resync_interval       = null
    allow_several_bridges = null
    usage                 = null
    use_protocols         = null
    use_threshold         = null
    stop_when_unused      = null
    stop_notice           = null
    first_call_grace      = null
  }

  given_services = local.is_listed ? coalesce(var.services, []) : [for service in [local.only_service] : service if !local.is_discovered]

  # Without a project, a service's own name takes its place, as in the program.
  projects = [for service in local.given_services : coalesce(service.project, service.service, "none")]

  # Names, and what the other resources of this module follow from, as the program derives them. None if they are discovered.
  services = [for index, service in local.given_services : {
    project       = local.projects[index]
    cluster       = coalesce(service.cluster, var.cluster, "${local.projects[index]}-cluster")
    service       = coalesce(service.service, "${local.projects[index]}-service")
    load_balancer = coalesce(service.load_balancer, "${local.projects[index]}-jvb-nlb")
    # Not PROJECT-jvb-*, which would match the target groups of a project called PROJECT-jvb-something.
    target_groups = coalesce(service.target_groups, [for kind in ["udp", "tcp", "web"] : "${local.projects[index]}-jvb-${kind}*"])

    owner_tag        = service.owner_tag == null ? var.owner_tag : service.owner_tag
    teardown         = coalesce(service.teardown, var.teardown)
    idle_grace       = coalesce(service.idle_grace, var.idle_grace)
    resync_interval  = coalesce(service.resync_interval, var.resync_interval)
    usage            = service.usage == null ? var.usage : service.usage
    stop_when_unused = service.stop_when_unused == null ? var.stop_when_unused : service.stop_when_unused
    stop_notice      = coalesce(service.stop_notice, var.stop_notice)
    first_call_grace = coalesce(service.first_call_grace, var.first_call_grace)
  }]

  # The rules of discovered services, as far as their tags don't change them.
  rules_by_default = {
    usage            = var.usage
    idle_grace       = var.idle_grace
    resync_interval  = var.resync_interval
    stop_when_unused = var.stop_when_unused
    stop_notice      = var.stop_notice
    first_call_grace = var.first_call_grace
  }

  clusters = local.is_discovered ? var.discover : distinct(local.services[*].cluster)

  ecs_arn      = "arn:${local.partition}:ecs:${local.here}"
  cluster_arns = [for cluster in local.clusters : "${local.ecs_arn}:cluster/${cluster}"]

  # What a description calls them.
  subject = (
    local.is_discovered ? "the tagged services of ${length(var.discover) == 1 ? var.discover[0] : "${length(var.discover)} clusters"}" :
    local.is_listed ? "${length(local.services)} services" : local.services[0].service
  )
}

# The list as the program's configuration file. The options that the services share are variables of the process.
locals {
  options_of_services = [for service in local.given_services : {
    project               = service.project
    cluster               = service.cluster
    service               = service.service
    load-balancer         = service.load_balancer
    owner-tag             = service.owner_tag == null ? null : "${service.owner_tag.key}=${service.owner_tag.value}"
    teardown              = service.teardown
    idle-grace            = service.idle_grace
    unused-grace          = service.unused_grace
    resync-interval       = service.resync_interval
    allow-several-bridges = service.allow_several_bridges
    no-usage              = service.usage == null ? null : !service.usage
    use-protocols         = service.use_protocols == null ? null : join(",", service.use_protocols)
    use-threshold         = service.use_threshold
    stop-when-unused      = service.stop_when_unused
    stop-notice           = service.stop_notice
    first-call-grace      = service.first_call_grace
  }]

  # One table a service. Without blanks, since they count on Lambda.
  tables = [for options in local.options_of_services : join("\n", concat(["[[service]]"], [
    # JSON's booleans, numbers and strings are TOML's, too: a TOML basic string has JSON's escapes, except "\/", which
    # jsonencode doesn't write. It must not contain the character DEL itself, which JSON doesn't escape (toml.io, v1.0.0,
    # "String").
    for option, value in options : "${option}=${replace(jsonencode(value), "\u007f", "\\u007F")}" if value != null
  ]))]

  defaults = var.cluster == null ? [] : ["[defaults]\ncluster=${jsonencode(var.cluster)}"]

  config_text = local.is_listed ? "${join("\n", concat(local.defaults, local.tables))}\n" : null

  # A layer's files are in /opt (AWS Lambda developer guide, "Managing Lambda dependencies with layers").
  config_file = "/opt/jvb-watcher.toml"

  environment_of_services = { for name, value in {
    JVB_WATCHER_CLUSTER       = local.is_fleet ? null : local.services[0].cluster
    JVB_WATCHER_SERVICE       = local.is_fleet ? null : local.services[0].service
    JVB_WATCHER_LOAD_BALANCER = local.is_fleet ? null : local.services[0].load_balancer
    JVB_WATCHER_DISCOVER      = local.is_discovered ? join(",", var.discover) : null
    JVB_WATCHER_CONFIG        = var.config_layer_arn == null ? null : local.config_file
    JVB_WATCHER_CONFIG_TEXT   = var.config_layer_arn == null ? local.config_text : null
  } : name => value if value != null }
}

# What contradicts itself only once the names have been derived. Preconditions of the queue check them, since the validation
# of an input can't refer to what derives from it.
locals {
  names = {
    full          = [for service in local.services : "${service.cluster}/${service.service}"]
    metrics       = [for service in local.services : "${service.project}/${service.service}"]
    load_balancer = local.services[*].load_balancer
  }
  repeated = { for kind, names in local.names : kind => distinct([
    for index, name in names : name if index(names, name) < index
  ]) }

  listed_twice          = local.repeated.full
  shared_load_balancers = local.repeated.load_balancer
  # Those that are listed twice share their metrics, too.
  shared_metrics = length(local.listed_twice) == 0 ? local.repeated.metrics : []
}
