locals {
  # The custom metrics in the form that a dashboard takes.
  own_metric = { for metric in [
    "RunningTasks", "ServingTasks", "RegisteredTargets", "HealthyTargets", "UnhealthyTargets", "LoadBalancerUp",
    "IdleSeconds", "EventsReceived", "EventsForeign", "MessagesRejected", "Reconciles", "ReconcileFailures",
    "ReconcileDuration", "RegistrationLatency", "QueueAge", "AwsCalls", "Throttles", "Teardowns", "Findings",
    "Flows", "UnusedSeconds", "StopsForDisuse",
  ] : metric => [var.metrics_namespace, metric, "Project", var.project, "Service", local.service] }

  # In the order of an operator's questions: does it serve, is it healthy, what does it cost.
  graphs = [
    {
      title   = "Tasks and targets"
      stat    = "Maximum"
      metrics = [for metric in ["RunningTasks", "ServingTasks", "RegisteredTargets", "HealthyTargets", "UnhealthyTargets"] : local.own_metric[metric]]
    },
    {
      title   = "Load balancer: up, and idle time in seconds"
      stat    = "Maximum"
      metrics = [local.own_metric["LoadBalancerUp"], concat(local.own_metric["IdleSeconds"], [{ yAxis = "right" }])]
    },
    {
      title   = "Use: flows, and time without use in seconds"
      stat    = "Maximum"
      metrics = [local.own_metric["Flows"], concat(local.own_metric["UnusedSeconds"], [{ yAxis = "right" }])]
      wanted  = var.usage
    },
    {
      title   = "Findings, failed reconciliations, rejected messages"
      stat    = "Maximum"
      metrics = [for metric in ["Findings", "ReconcileFailures", "MessagesRejected"] : local.own_metric[metric]]
    },
    {
      title   = "Reconciliations, teardowns, stops of an unused service"
      stat    = "Sum"
      metrics = [for metric in ["Reconciles", "Teardowns", "StopsForDisuse"] : local.own_metric[metric]]
    },
    {
      title   = "Registration latency and reconciliation time in milliseconds"
      stat    = "p95"
      metrics = [for metric in ["RegistrationLatency", "ReconcileDuration"] : local.own_metric[metric]]
    },
    {
      title   = "Events, and their age in seconds"
      stat    = "Sum"
      metrics = concat([for metric in ["EventsReceived", "EventsForeign"] : local.own_metric[metric]], [concat(local.own_metric["QueueAge"], [{ stat = "Maximum", yAxis = "right" }])])
    },
    {
      title   = "AWS API calls"
      stat    = "Sum"
      metrics = [for metric in ["AwsCalls", "Throttles"] : local.own_metric[metric]]
    },
    {
      title = "Queues"
      stat  = "Maximum"
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.name],
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.name, { yAxis = "right" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${local.name}-dead"],
      ]
    },
  ]

  shown_graphs = [for graph in local.graphs : graph if try(graph.wanted, true)]

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
