locals {
  queries = {
    acts = {
      title = "Actions"
      query = <<-EOT
        fields @timestamp, event, message
        | filter event in ["target_registered", "target_deregistered", "idle_marked", "idle_unmarked", "teardown_started", "load_balancer_deleted", "target_group_deleted", "teardown_completed", "stop_announced", "stop_withdrawn", "service_stopped"]
        | sort @timestamp desc
        | limit 200
      EOT
    }
    failures = {
      title = "Failures by resource"
      query = <<-EOT
        fields @timestamp, event, error_service, error_operation, resource, error_code, message
        | filter event in ["reconcile_failed", "poll_failed", "feed_check_failed", "publish_failed", "message_rejected", "invocation_rejected"]
        | sort @timestamp desc
        | limit 200
      EOT
    }
    findings = {
      title = "Findings"
      query = <<-EOT
        fields @timestamp, finding, state, subject, detail, advice
        | filter event = "finding"
        | sort @timestamp desc
        | limit 200
      EOT
    }
    registration-latency = {
      title = "Registration latency"
      query = <<-EOT
        filter event = "target_registered" and ispresent(latency_ms)
        | stats count(*) as targets, pct(latency_ms, 50) as median_ms, pct(latency_ms, 95) as p95_ms, max(latency_ms) as longest_ms by bin(1d)
      EOT
    }
    uptime = {
      title = "Load balancer uptime and cost"
      query = <<-EOT
        filter event = "load_balancer_deleted"
        | fields ceil(uptime_seconds / 3600) as begun
        | stats count(*) as load_balancers, sum(uptime_seconds) / 3600 as hours, sum(begun) as billed_hours, sum(begun) * 0.0225 as dollars by bin(1d)
      EOT
    }
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = var.saved_queries ? local.queries : {}

  name            = "${local.name}/${each.value.title}"
  log_group_names = [aws_cloudwatch_log_group.this.name]
  query_string    = trimspace(each.value.query)
}
