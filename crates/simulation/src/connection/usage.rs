//! The use of the load balancer: GetMetricData.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Connection;
use jvb_watcher::aws::AwsError;
use jvb_watcher::aws::usage::{FlowQuery, Usage};
use jvb_watcher_rules::model::{FlowProtocols, MINUTE, MinuteFlows, minute_of};
use jvb_watcher_sandbox::api::cloudwatch::{
    Dimension, GetMetricDataInput, Metric, MetricDataQuery, MetricDataResult, MetricStat, Request, Response,
};

const ALL_FLOWS: &str = "ActiveFlowCount";
const HEALTHY_HOSTS: &str = "HealthyHostCount";

impl Usage for Connection {
    async fn flows(&self, query: &FlowQuery) -> Result<BTreeMap<Timestamp, MinuteFlows>, AwsError> {
        let load_balancer = resource(&query.load_balancer_arn);
        let mut queries: Vec<_> =
            flow_metrics(query.protocols).map(|metric| metric_query(metric, metric, load_balancer, None)).collect();
        for (index, arn) in query.target_group_arns.iter().enumerate() {
            let id = format!("{HEALTHY_HOSTS}{index}");
            queries.push(metric_query(&id, HEALTHY_HOSTS, load_balancer, Some(resource(arn))));
        }
        let mut input = GetMetricDataInput {
            metric_data_queries: queries,
            start_time: Some(query.from),
            end_time: Some(query.until),
            scan_by: Some("TimestampAscending".to_owned()),
            ..GetMetricDataInput::default()
        };
        let mut points = Points::default();
        loop {
            let request = Request::GetMetricData(input.clone());
            let Response::GetMetricData(output) = self.cloudwatch(&query.load_balancer_arn, request).await?;
            for result in &output.metric_data_results {
                points.add(result);
            }
            input.next_token = output.next_token;
            if input.next_token.is_none() {
                return Ok(points.minutes(query));
            }
        }
    }
}

/// Returns the metrics of the flows to read.
fn flow_metrics(FlowProtocols { udp, tcp, tls }: FlowProtocols) -> impl Iterator<Item = &'static str> {
    let metrics =
        [(ALL_FLOWS, true), ("ActiveFlowCount_UDP", udp), ("ActiveFlowCount_TCP", tcp), ("ActiveFlowCount_TLS", tls)];
    metrics.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(metric, _)| metric)
}

fn metric_query(id: &str, metric: &str, load_balancer: &str, target_group: Option<&str>) -> MetricDataQuery {
    let dimension = |name: &str, value: &str| Dimension { name: name.to_owned(), value: value.to_owned() };
    let target_group = target_group.map(|value| dimension("TargetGroup", value));
    let metric = Metric {
        namespace: "AWS/NetworkELB".to_owned(),
        metric_name: metric.to_owned(),
        dimensions: target_group.into_iter().chain([dimension("LoadBalancer", load_balancer)]).collect(),
    };
    let stat = if metric.metric_name == HEALTHY_HOSTS { "Maximum" } else { "Sum" }.to_owned();
    let period = i32::try_from(MINUTE.as_secs()).ok();
    MetricDataQuery {
        id: id_of(id),
        metric_stat: Some(MetricStat { metric, period, stat, unit: None }),
        ..MetricDataQuery::default()
    }
}

/// Returns the id of a query: it begins with a lower-case letter.
fn id_of(name: &str) -> String {
    format!("q{name}")
}

/// Returns the part of an ARN that CloudWatch's dimensions have.
fn resource(arn: &str) -> &str {
    let resource = arn.rsplit(':').next().unwrap_or(arn);
    resource.strip_prefix("loadbalancer/").unwrap_or(resource)
}

/// The values of an answer, by the start of their minute and the id of their query.
#[derive(Default)]
struct Points(BTreeMap<Timestamp, BTreeMap<String, u64>>);

impl Points {
    fn add(&mut self, result: &MetricDataResult) {
        for (at, value) in result.timestamps.iter().zip(&result.values) {
            // A part of a flow is a flow.
            self.0.entry(minute_of(*at)).or_default().insert(result.id.clone(), value.ceil() as u64);
        }
    }

    fn minutes(self, query: &FlowQuery) -> BTreeMap<Timestamp, MinuteFlows> {
        let counted = |id: &str| match query.protocols.are_all() {
            true => id == id_of(ALL_FLOWS),
            false => id.starts_with(&id_of(ALL_FLOWS)) && id != id_of(ALL_FLOWS),
        };
        let minute = |values: &BTreeMap<String, u64>| {
            let healthy: Vec<u64> = values
                .iter()
                .filter(|(id, _)| id.starts_with(&id_of(HEALTHY_HOSTS)))
                .map(|(_, value)| *value)
                .collect();
            MinuteFlows {
                flows: values.iter().filter(|(id, _)| counted(id)).map(|(_, value)| value).sum(),
                healthy: (healthy.len() == query.target_group_arns.len())
                    .then(|| healthy.iter().copied().min())
                    .flatten(),
            }
        };
        self.0.iter().map(|(start, values)| (*start, minute(values))).collect()
    }
}
