locals {
  # A custom metric in the form that a dashboard takes: that of the one service, or a search for those of all services.
  graph_metrics = [for graph in local.graphs : [for metric in graph.metrics : concat(
    [for part in concat([var.metrics_namespace, metric.name], local.own_dimensions) : part if !local.is_fleet],
    [for options in [merge(metric.options, {
      for expression in ["SEARCH('{\"${var.metrics_namespace}\",Project,Service} MetricName=\"${metric.name}\"', '${lookup(metric.options, "stat", graph.stat)}', 60)"] :
      "expression" => expression if local.is_fleet
    })] : options if length(options) > 0],
  )]]

  own_dimensions = flatten([for service in local.services : ["Project", service.project, "Service", service.service]])

  # In the order of an operator's questions: does it serve, is it healthy, what does it cost.
  graphs = [
    {
      title   = "Tasks and targets"
      stat    = "Maximum"
      metrics = [for name in ["RunningTasks", "ServingTasks", "RegisteredTargets", "HealthyTargets", "UnhealthyTargets"] : { name = name, options = {} }]
    },
    {
      title   = "Load balancer: up, and idle time in seconds"
      stat    = "Maximum"
      metrics = [{ name = "LoadBalancerUp", options = {} }, { name = "IdleSeconds", options = { yAxis = "right" } }]
    },
    {
      title   = "Use: flows, and time without use in seconds"
      stat    = "Maximum"
      metrics = [{ name = "Flows", options = {} }, { name = "UnusedSeconds", options = { yAxis = "right" } }]
      wanted  = var.usage || anytrue(local.services[*].usage)
    },
    {
      title   = "Findings, failed reconciliations, rejected messages"
      stat    = "Maximum"
      metrics = [for name in ["Findings", "ReconcileFailures", "MessagesRejected"] : { name = name, options = {} }]
    },
    {
      title   = "Reconciliations, teardowns, stops of an unused service"
      stat    = "Sum"
      metrics = [for name in ["Reconciles", "Teardowns", "StopsForDisuse"] : { name = name, options = {} }]
    },
    {
      title   = "Registration latency and reconciliation time in milliseconds"
      stat    = "p95"
      metrics = [for name in ["RegistrationLatency", "ReconcileDuration"] : { name = name, options = {} }]
    },
    {
      title   = "Events, and their age in seconds"
      stat    = "Sum"
      metrics = concat([for name in ["EventsReceived", "EventsForeign"] : { name = name, options = {} }], [{ name = "QueueAge", options = { stat = "Maximum", yAxis = "right" } }])
    },
    {
      title   = "AWS API calls"
      stat    = "Sum"
      metrics = [for name in ["AwsCalls", "Throttles"] : { name = name, options = {} }]
    },
  ]

  graph_of_queues = {
    title = "Queues"
    stat  = "Maximum"
    metrics = [
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.name],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.name, { yAxis = "right" }],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${local.name}-dead"],
    ]
  }

  shown_graphs = concat(
    [for index, graph in local.graphs : merge(graph, { metrics = local.graph_metrics[index] }) if try(graph.wanted, true)],
    [local.graph_of_queues],
  )

  graph_width  = 8
  graph_height = 6

  graph_widgets = [for index, graph in local.shown_graphs : {
    type   = "metric"
    x      = index % 3 * local.graph_width
    y      = floor(index / 3) * local.graph_height
    width  = local.graph_width
    height = local.graph_height
    properties = {
      title   = graph.title
      region  = local.region
      view    = "timeSeries"
      stat    = graph.stat
      period  = 60
      metrics = graph.metrics
    }
  }]

  table_widgets = [for index, name in ["acts", "findings", "failures"] : {
    type   = "log"
    x      = 0
    y      = ceil(length(local.shown_graphs) / 3) * local.graph_height + index * local.graph_height
    width  = 3 * local.graph_width
    height = local.graph_height
    properties = {
      title  = local.queries[name].title
      region = local.region
      view   = "table"
      query  = "SOURCE '${aws_cloudwatch_log_group.this.name}' | ${trimspace(local.queries[name].query)}"
    }
  }]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = local.account_wide_name
  dashboard_body = jsonencode({ widgets = concat(local.graph_widgets, local.table_widgets) })
}
