//! The adapter of [`Usage`]: CloudWatch.
//!
//! The metrics are those of "CloudWatch metrics for your Network Load Balancer" in the user guide of Network Load
//! Balancers: `ActiveFlowCount` and `HealthyHostCount` are always reported, the flows of one protocol only when they aren't
//! zero. Each node of the load balancer sends one sample a minute, so that the sum of the samples is the number of flows
//! over all zones.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode};
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
        let unusable = |why| call.error(ErrorKind::Unavailable, None, why, None);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| call.failed(error))?;
            for result in page.metric_data_results() {
                points.add_result(&series, result).map_err(unusable)?;
            }
        }
        points.check_complete(&series).map_err(unusable)?;
        Ok(points.minutes(query))
    }
}

/// The data points of an answer.
///
/// A data point that is lacking counts as no flows, so what is incomplete or makes no sense is an error: the minutes are
/// then unknown, and count as in use.
#[derive(Default)]
struct Points {
    /// By the start of their minute.
    minutes: BTreeMap<Timestamp, Minute>,
    /// The ids of the series of which no further data points follow.
    complete: BTreeSet<String>,
}

#[derive(Default)]
struct Minute {
    all_flows: u64,
    flows: u64,
    /// The healthy targets of each target group that has a data point.
    healthy: Vec<u64>,
}

impl Points {
    /// Adds the data points of one page of a series. Fails with the reason why they can't be used.
    fn add_result(&mut self, series: &[Series], result: &MetricDataResult) -> Result<(), String> {
        let Some(series) = series.iter().find(|series| Some(series.id.as_str()) == result.id()) else {
            return Ok(());
        };
        match result.status_code() {
            Some(StatusCode::Complete) => self.complete.insert(series.id.clone()),
            // Another page follows.
            Some(StatusCode::PartialData) => self.complete.remove(&series.id),
            status => {
                let status = status.map_or("missing", StatusCode::as_str);
                return Err(format!("the status of {} is {status}", series.metric));
            }
        };
        let (times, values) = (result.timestamps(), result.values());
        if times.len() != values.len() {
            return Err(format!("{} has {} values at {} times", series.metric, values.len(), times.len()));
        }
        for (at, value) in times.iter().zip(values) {
            let at = Timestamp::from_second(at.secs()).map_err(|error| format!("{}: {error}", series.metric))?;
            if !(value.is_finite() && *value >= 0.0) {
                return Err(format!("{} has the value {value} at {at}", series.metric));
            }
            self.add(series, minute_of(at), *value);
        }
        Ok(())
    }

    /// Fails if the last page of a series has not come.
    fn check_complete(&self, series: &[Series]) -> Result<(), String> {
        match series.iter().find(|series| !self.complete.contains(&series.id)) {
            Some(series) => Err(format!("the answer lacks data points of {}", series.metric)),
            None => Ok(()),
        }
    }

    fn add(&mut self, series: &Series, minute: Timestamp, value: f64) {
        let minute = self.minutes.entry(minute).or_default();
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
        self.minutes.into_iter().map(|(start, of)| (start, minute(of))).collect()
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

    /// Reads an answer in which the flows of all protocols are complete, with these pages of the media's.
    fn answer(media: &[MetricDataResult]) -> Result<Option<MinuteFlows>, String> {
        let query = query(FlowProtocols::MEDIA, &[]);
        let series = series(&query);
        let mut points = Points::default();
        points.add_result(&series, &result("m0", StatusCode::Complete, &[0], &[9.0]))?;
        for page in media {
            points.add_result(&series, page)?;
        }
        points.check_complete(&series)?;
        Ok(points.minutes(&query).get(&Timestamp::UNIX_EPOCH).copied())
    }

    fn result(id: &str, status: StatusCode, seconds: &[i64], values: &[f64]) -> MetricDataResult {
        let times = seconds.iter().map(|at| aws_sdk_cloudwatch::primitives::DateTime::from_secs(*at)).collect();
        let result = MetricDataResult::builder().id(id).status_code(status);
        result.set_timestamps(Some(times)).set_values(Some(values.to_vec())).build()
    }

    #[test]
    fn a_complete_series_may_have_no_data_points_and_several_pages() {
        let flows = |flows| Ok(Some(MinuteFlows { flows, healthy: None }));
        assert_eq!(answer(&[result("m1", StatusCode::Complete, &[], &[])]), flows(0));
        let first = result("m1", StatusCode::PartialData, &[60], &[1.0]);
        assert_eq!(answer(&[first, result("m1", StatusCode::Complete, &[0], &[2.0])]), flows(2));
        let of_others = result("m7", StatusCode::InternalError, &[0], &[f64::NAN]);
        assert_eq!(answer(&[of_others, result("m1", StatusCode::Complete, &[0], &[3.0])]), flows(3));
    }

    #[test]
    fn an_answer_that_lacks_something_or_makes_no_sense_is_an_error() {
        let media = |status, seconds: &[i64], values: &[f64]| vec![result("m1", status, seconds, values)];
        let complete = || StatusCode::Complete;
        let without_status = MetricDataResult::builder().id("m1").build();
        for (pages, reason) in [
            (vec![], "the answer lacks data points of ActiveFlowCount_UDP"),
            (media(StatusCode::PartialData, &[], &[]), "the answer lacks data points of ActiveFlowCount_UDP"),
            (
                [media(complete(), &[0], &[1.0]), media(StatusCode::PartialData, &[60], &[1.0])].concat(),
                "the answer lacks data points of ActiveFlowCount_UDP",
            ),
            (media(StatusCode::InternalError, &[0], &[1.0]), "the status of ActiveFlowCount_UDP is InternalError"),
            (media(StatusCode::Forbidden, &[], &[]), "the status of ActiveFlowCount_UDP is Forbidden"),
            (vec![without_status], "the status of ActiveFlowCount_UDP is missing"),
            (media(complete(), &[0, 60], &[1.0]), "ActiveFlowCount_UDP has 1 values at 2 times"),
            (media(complete(), &[0], &[f64::NAN]), "ActiveFlowCount_UDP has the value NaN at 1970-01-01T00:00:00Z"),
            (
                media(complete(), &[0], &[f64::INFINITY]),
                "ActiveFlowCount_UDP has the value inf at 1970-01-01T00:00:00Z",
            ),
            (media(complete(), &[0], &[-5.0]), "ActiveFlowCount_UDP has the value -5 at 1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(answer(&pages), Err(reason.to_owned()));
        }
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
