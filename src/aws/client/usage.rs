//! The adapter of [`Usage`]: CloudWatch.
//!
//! The metrics are those of "CloudWatch metrics for your Network Load Balancer" in the user guide of Network Load
//! Balancers: `ActiveFlowCount` and `HealthyHostCount` are always reported, the flows of one protocol only when they aren't
//! zero. Each node of the load balancer sends one sample a minute, so that the sum of the samples is the number of flows
//! over all zones.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use jiff::Timestamp;

use super::call::Call;
use super::platform::AwsPlatform;
use crate::aws::operation::ApiOperation;
use crate::aws::usage::{FlowQuery, Usage};
use crate::aws::{AwsError, ErrorKind};
use jvb_watcher_rules::model::{FlowProtocols, MINUTE, MinuteFlows, minute_of};

/// The namespace of the metrics of network load balancers.
const NAMESPACE: &str = "AWS/NetworkELB";

/// The flows of all protocols.
const ALL_FLOWS: &str = "ActiveFlowCount";

/// A metric of the load balancer, or of one of its target groups.
struct Series {
    /// Identifies the series in the answer: begins with a lower-case letter.
    id: String,
    metric: &'static str,
    statistic: &'static str,
    /// The target group's ARN.
    target_group: Option<String>,
}

/// Returns the metrics to read.
fn series(query: &FlowQuery) -> Vec<Series> {
    let FlowProtocols { udp, tcp, tls } = query.protocols;
    let flows =
        [(ALL_FLOWS, true), ("ActiveFlowCount_UDP", udp), ("ActiveFlowCount_TCP", tcp), ("ActiveFlowCount_TLS", tls)];
    let flows = flows.into_iter().filter(|(_, is_wanted)| *is_wanted);
    let flows = flows.map(|(metric, _)| (metric, "Sum", None));
    let healthy = query.target_group_arns.iter().map(|arn| ("HealthyHostCount", "Maximum", Some(arn.clone())));
    let all = flows.chain(healthy).enumerate();
    all.map(|(index, (metric, statistic, target_group))| Series {
        id: format!("m{index}"),
        metric,
        statistic,
        target_group,
    })
    .collect()
}

impl Series {
    fn query(&self, load_balancer: &str) -> MetricDataQuery {
        let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let target_group = self.target_group.as_deref().map(|arn| dimension("TargetGroup", resource(arn)));
        let metric = Metric::builder()
            .namespace(NAMESPACE)
            .metric_name(self.metric)
            .set_dimensions(Some(target_group.into_iter().chain([dimension("LoadBalancer", load_balancer)]).collect()))
            .build();
        let period = i32::try_from(MINUTE.as_secs()).unwrap_or(60);
        let stat = MetricStat::builder().metric(metric).period(period).stat(self.statistic).build();
        MetricDataQuery::builder().id(&self.id).metric_stat(stat).build()
    }
}

/// Returns the query of all flows over a load balancer, named as in the dimensions of its metrics.
pub(super) fn all_flows(load_balancer: &str) -> MetricDataQuery {
    Series { id: "flows".to_owned(), metric: ALL_FLOWS, statistic: "Sum", target_group: None }.query(load_balancer)
}

/// Returns the part of an ARN that CloudWatch's dimensions have: `net/NAME/ID` of a load balancer, `targetgroup/NAME/ID` of
/// a target group.
fn resource(arn: &str) -> &str {
    let resource = arn.rsplit(':').next().unwrap_or(arn);
    resource.strip_prefix("loadbalancer/").unwrap_or(resource)
}

impl Usage for AwsPlatform {
    async fn flows(&self, query: &FlowQuery) -> Result<BTreeMap<Timestamp, MinuteFlows>, AwsError> {
        let call = Call::new(ApiOperation::GetMetricData, &query.load_balancer_arn);
        let series = series(query);
        let load_balancer = resource(&query.load_balancer_arn);
        let queries: Vec<_> = series.iter().map(|series| series.query(load_balancer)).collect();
        let instant = |at: Timestamp| aws_sdk_cloudwatch::primitives::DateTime::from_secs(at.as_second());
        let request = self
            .cloudwatch
            .get_metric_data()
            .set_metric_data_queries(Some(queries))
            .start_time(instant(query.from))
            .end_time(instant(query.until))
            .scan_by(ScanBy::TimestampAscending);
        let mut points = Points::default();
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| call.failed(error))?;
            for result in page.metric_data_results() {
                // "PartialData" means that another page follows.
                if let Some(status @ (StatusCode::InternalError | StatusCode::Forbidden)) = result.status_code() {
                    let message = format!("the status of a metric is {}", status.as_str());
                    return Err(call.error(ErrorKind::Unavailable, None, message, None));
                }
                let Some(series) = series.iter().find(|series| Some(series.id.as_str()) == result.id()) else {
                    continue;
                };
                for (at, value) in result.timestamps().iter().zip(result.values()) {
                    if let Ok(at) = Timestamp::from_second(at.secs()) {
                        points.add(series, minute_of(at), *value);
                    }
                }
            }
        }
        Ok(points.minutes(query))
    }
}

/// The data points of an answer, by the start of their minute.
#[derive(Default)]
struct Points(BTreeMap<Timestamp, Minute>);

#[derive(Default)]
struct Minute {
    all_flows: u64,
    flows: u64,
    /// The healthy targets of each target group that has a data point.
    healthy: Vec<u64>,
}

impl Points {
    fn add(&mut self, series: &Series, minute: Timestamp, value: f64) {
        let minute = self.0.entry(minute).or_default();
        // Averages of a sample can have a fraction: a part of a flow is a flow. `as` saturates.
        let value = value.ceil() as u64;
        match (&series.target_group, series.metric) {
            (Some(_), _) => minute.healthy.push(value),
            (None, ALL_FLOWS) => minute.all_flows = value,
            (None, _) => minute.flows += value,
        }
    }

    fn minutes(self, query: &FlowQuery) -> BTreeMap<Timestamp, MinuteFlows> {
        let minute = |minute: Minute| MinuteFlows {
            flows: if query.protocols.are_all() { minute.all_flows } else { minute.flows },
            // Each target group that counts must have a healthy target.
            healthy: (minute.healthy.len() == query.target_group_arns.len())
                .then(|| minute.healthy.iter().copied().min())
                .flatten(),
        };
        self.0.into_iter().map(|(start, of)| (start, minute(of))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD_BALANCER: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/p-jvb-nlb/0a1b2c3d4e5f6071";
    const UDP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/p-jvb-udp/1a2b3c4d5e6f7081";
    const WEB: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/p-web/2a3b4c5d6e7f8091";

    fn query(protocols: FlowProtocols, groups: &[&str]) -> FlowQuery {
        FlowQuery {
            load_balancer_arn: LOAD_BALANCER.to_owned(),
            target_group_arns: groups.iter().map(ToString::to_string).collect(),
            protocols,
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        }
    }

    fn minute_zero(query: &FlowQuery, points: &[(&str, f64)]) -> Option<MinuteFlows> {
        let series = series(query);
        let mut added = Points::default();
        for (metric, value) in points {
            // A metric of a target group is given with its ARN.
            let is_meant =
                |series: &&Series| series.metric == *metric || series.target_group.as_deref() == Some(metric);
            added.add(series.iter().find(is_meant).expect("a series"), Timestamp::UNIX_EPOCH, *value);
        }
        added.minutes(query).get(&Timestamp::UNIX_EPOCH).copied()
    }

    #[test]
    fn dimensions_have_the_end_of_the_arn() {
        assert_eq!(resource(LOAD_BALANCER), "net/p-jvb-nlb/0a1b2c3d4e5f6071");
        assert_eq!(resource(UDP), "targetgroup/p-jvb-udp/1a2b3c4d5e6f7081");
    }

    #[test]
    fn asks_for_all_flows_those_that_count_and_the_healthy_targets() {
        let metrics = |protocols| {
            series(&query(protocols, &[UDP])).iter().map(|series| series.metric).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(metrics(FlowProtocols::MEDIA), "ActiveFlowCount ActiveFlowCount_UDP HealthyHostCount");
        assert_eq!(metrics(FlowProtocols::default()), "ActiveFlowCount HealthyHostCount");
        let web = FlowProtocols { tcp: true, tls: true, udp: false };
        assert_eq!(metrics(web), "ActiveFlowCount ActiveFlowCount_TCP ActiveFlowCount_TLS HealthyHostCount");
    }

    #[test]
    fn a_minute_without_media_is_known_by_either_metric_that_is_always_reported() {
        let query = query(FlowProtocols::MEDIA, &[UDP]);
        let minute = |points: &[_]| minute_zero(&query, points);
        assert_eq!(minute(&[("ActiveFlowCount", 7.0)]), Some(MinuteFlows { flows: 0, healthy: None }));
        assert_eq!(minute(&[(UDP, 1.0)]), Some(MinuteFlows { flows: 0, healthy: Some(1) }));
        let both = [("ActiveFlowCount", 7.0), ("ActiveFlowCount_UDP", 2.0), (UDP, 1.0)];
        assert_eq!(minute(&both), Some(MinuteFlows { flows: 2, healthy: Some(1) }));
        assert_eq!(minute(&[]), None);
    }

    #[test]
    fn all_flows_count_where_no_protocol_is_named() {
        let minute = minute_zero(&query(FlowProtocols::default(), &[]), &[("ActiveFlowCount", 3.0)]);
        assert_eq!(minute, Some(MinuteFlows { flows: 3, healthy: None }));
    }

    #[test]
    fn the_flows_of_several_protocols_add_up_and_a_part_of_a_flow_is_one() {
        let query = query(FlowProtocols { udp: true, tls: true, tcp: false }, &[]);
        let points = [("ActiveFlowCount", 9.0), ("ActiveFlowCount_UDP", 0.25), ("ActiveFlowCount_TLS", 4.0)];
        assert_eq!(minute_zero(&query, &points), Some(MinuteFlows { flows: 5, healthy: None }));
    }

    #[test]
    fn each_target_group_must_have_a_healthy_target() {
        let query = query(FlowProtocols::MEDIA, &[UDP, WEB]);
        let healthy = |points: &[_]| minute_zero(&query, points).expect("known").healthy;
        assert_eq!(healthy(&[(UDP, 1.0), (WEB, 0.0)]), Some(0));
        assert_eq!(healthy(&[(UDP, 1.0), (WEB, 2.0)]), Some(1));
        assert_eq!(healthy(&[(UDP, 1.0)]), None);
    }
}
