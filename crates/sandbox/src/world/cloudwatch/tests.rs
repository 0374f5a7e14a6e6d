use std::time::Duration;

use jiff::Timestamp;

use crate::api::cloudwatch::{
    Dimension, GetMetricDataInput, GetMetricDataOutput, Metric, MetricDataQuery, MetricStat, Request as Query, Response,
};
use crate::api::{ApiError, Request, Response as AnyResponse};
use crate::world::Incident;
use crate::world::tests::evening::Evening;
use crate::world::timers::{after, before};

/// Time after which every data point of a minute is visible.
const LATEST: u64 = 240;

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Returns a query of a metric with the period of a minute.
fn query(id: &str, name: &str, stat: &str, dimensions: &[(&str, &str)]) -> MetricDataQuery {
    let dimension = |(name, value): &(&str, &str)| Dimension { name: (*name).to_owned(), value: (*value).to_owned() };
    let metric = Metric {
        namespace: "AWS/NetworkELB".to_owned(),
        metric_name: name.to_owned(),
        dimensions: dimensions.iter().map(dimension).collect(),
    };
    let stat = MetricStat { metric, period: Some(60), stat: stat.to_owned(), unit: None };
    MetricDataQuery { id: id.to_owned(), metric_stat: Some(stat), ..MetricDataQuery::default() }
}

impl Evening {
    fn get_metric_data(&mut self, input: GetMetricDataInput) -> Result<GetMetricDataOutput, ApiError> {
        match self.world.call(Request::CloudWatch(Query::GetMetricData(input)), self.now)? {
            AnyResponse::CloudWatch(Response::GetMetricData(output)) => Ok(output),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the last part of the load balancer's ARN, by which CloudWatch names it.
    fn dimension(&self) -> String {
        self.load_balancer().arn.split_once(":loadbalancer/").unwrap().1.to_owned()
    }

    /// Returns the values of a metric since a time, oldest first.
    fn metric(&mut self, query: MetricDataQuery, since: Timestamp) -> Vec<(Timestamp, f64)> {
        let output = self.get_metric_data(GetMetricDataInput {
            metric_data_queries: vec![query],
            start_time: Some(since),
            end_time: Some(after(self.now, minutes(1))),
            scan_by: Some("TimestampAscending".to_owned()),
            ..GetMetricDataInput::default()
        });
        let mut results = output.unwrap().metric_data_results;
        assert_eq!((results.len(), results[0].status_code), (1, "Complete"));
        let result = results.remove(0);
        result.timestamps.into_iter().zip(result.values).collect()
    }

    /// Returns a statistic of a metric of the load balancer in the minutes since a time.
    fn flows(&mut self, name: &str, stat: &str, since: Timestamp) -> Vec<f64> {
        let load_balancer = self.dimension();
        let query = query("m", name, stat, &[("LoadBalancer", &load_balancer)]);
        self.metric(query, since).into_iter().map(|(_, value)| value).collect()
    }

    /// Returns a statistic of a metric of a target group, by the suffix of its name.
    fn hosts(&mut self, name: &str, group: &str, since: Timestamp) -> Vec<f64> {
        let load_balancer = self.dimension();
        let group = self.world.groups().into_iter().find(|found| found.name.ends_with(group)).unwrap();
        let group = group.arn.rsplit_once(':').unwrap().1.to_owned();
        let query =
            query("m", name, "Maximum", &[("TargetGroup", group.as_str()), ("LoadBalancer", load_balancer.as_str())]);
        self.metric(query, since).into_iter().map(|(_, value)| value).collect()
    }

    /// Advances to the next whole minute and returns it.
    fn next_minute(&mut self) -> Timestamp {
        let into = u64::try_from(self.now.as_second().rem_euclid(60)).unwrap();
        self.advance(60 - into);
        self.now
    }
}

#[test]
fn a_minute_without_flows_has_a_total_of_zero_and_no_count_by_protocol() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    evening.advance(3 * 60 + LATEST);
    assert_eq!(evening.flows("ActiveFlowCount", "Maximum", start)[..3], [0.0; 3]);
    assert_eq!(evening.flows("NewFlowCount", "Sum", start)[..3], [0.0; 3]);
    for name in
        ["ActiveFlowCount_UDP", "ActiveFlowCount_TLS", "ActiveFlowCount_TCP", "NewFlowCount_UDP", "ProcessedBytes_UDP"]
    {
        assert_eq!(evening.flows(name, "Maximum", start), [0.0; 0], "{name}");
    }
    assert_eq!(evening.hosts("HealthyHostCount", "udp", start)[..3], [1.0; 3]);
    assert_eq!(evening.hosts("UnHealthyHostCount", "udp", start)[..3], [0.0; 3]);
}

#[test]
fn each_caller_is_a_udp_flow_and_a_tls_flow() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    evening.advance(30);
    evening.callers(3);
    evening.advance(90 + LATEST);
    let two = |evening: &mut Evening, name: &str, stat: &str| evening.flows(name, stat, start)[..2].to_vec();
    assert_eq!(two(&mut evening, "ActiveFlowCount_UDP", "Maximum"), [3.0, 3.0]);
    assert_eq!(two(&mut evening, "ActiveFlowCount_UDP", "Minimum"), [0.0, 3.0]);
    assert_eq!(
        two(&mut evening, "ActiveFlowCount_UDP", "Average"),
        [1.5, 3.0],
        "they came in the middle of the minute"
    );
    assert_eq!(two(&mut evening, "ActiveFlowCount_TLS", "Maximum"), [3.0, 3.0]);
    assert_eq!(two(&mut evening, "ActiveFlowCount", "Maximum"), [6.0, 6.0]);
    assert_eq!(evening.flows("ActiveFlowCount_TCP", "Maximum", start), [0.0; 0]);
    assert_eq!(evening.flows("NewFlowCount_UDP", "Sum", start), [3.0]);
    assert_eq!(evening.flows("NewFlowCount", "Sum", start)[..2], [6.0, 0.0]);
}

#[test]
fn a_udp_flow_is_remembered_for_two_minutes_after_its_last_packet() {
    let mut evening = Evening::with_tasks(1);
    evening.callers(1);
    let start = evening.next_minute();
    evening.callers(0);
    evening.advance(3 * 60 + LATEST);
    assert_eq!(evening.flows("ActiveFlowCount_UDP", "Maximum", start), [1.0, 1.0]);
    assert_eq!(evening.flows("ActiveFlowCount_TLS", "Maximum", start), [0.0; 0], "a connection closes at once");
    assert_eq!(evening.flows("ActiveFlowCount", "Maximum", start)[..3], [1.0, 1.0, 0.0]);
}

#[test]
fn a_connection_that_is_not_closed_is_remembered_for_350_seconds() {
    let mut evening = Evening::with_tasks(1);
    evening.callers(1);
    let start = evening.next_minute();
    evening.inject(Incident::Leave { caller: 1, silently: true });
    evening.advance(8 * 60 + LATEST);
    assert_eq!(evening.flows("ActiveFlowCount_TLS", "Maximum", start), [1.0; 6]);
    assert_eq!(evening.flows("ActiveFlowCount_UDP", "Maximum", start), [1.0; 2]);
}

#[test]
fn a_bots_packet_is_a_flow_for_two_minutes_and_its_connection_for_a_second() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    evening.advance(30);
    evening.inject(Incident::PortScan { n: 6 });
    evening.advance(4 * 60 + LATEST);
    assert_eq!(evening.flows("ActiveFlowCount_UDP", "Maximum", start), [6.0; 3]);
    assert_eq!(evening.flows("ActiveFlowCount_UDP", "Average", start), [3.0, 6.0, 3.0]);
    assert_eq!(evening.flows("ActiveFlowCount_TLS", "Maximum", start), [6.0]);
    assert_eq!(evening.flows("ActiveFlowCount_TLS", "Average", start), [0.1]);
    assert_eq!(evening.flows("NewFlowCount_UDP", "Sum", start), [6.0]);
    assert_eq!(evening.flows("NewFlowCount_TLS", "Sum", start), [6.0]);
    assert_eq!(evening.flows("ProcessedBytes_UDP", "Sum", start), [600.0], "a packet each");
}

#[test]
fn a_call_sends_bytes_until_its_last_packet() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    evening.advance(30);
    evening.callers(1);
    evening.advance(60);
    evening.callers(0);
    evening.advance(3 * 60 + LATEST);
    let half = 30.0 * 312_500.0;
    assert_eq!(evening.flows("ProcessedBytes_UDP", "Sum", start), [half + 100.0, half]);
    let load_balancer = evening.dimension();
    let mut with_unit = |unit: &str| {
        let mut query = query("m", "ProcessedBytes_UDP", "Sum", &[("LoadBalancer", &load_balancer)]);
        query.metric_stat.as_mut().unwrap().unit = Some(unit.to_owned());
        evening.metric(query, start).len()
    };
    assert_eq!((with_unit("Bytes"), with_unit("Count")), (2, 0));
}

#[test]
fn a_caller_who_is_signed_in_without_media_is_a_tls_flow() {
    let mut evening = Evening::with_tasks(1);
    let port = Some(10_000);
    evening.inject(Incident::TargetUnhealthy { ip: evening.address().into(), port });
    evening.callers(2);
    let start = evening.next_minute();
    evening.advance(60 + LATEST);
    assert_eq!(evening.flows("ActiveFlowCount_TLS", "Maximum", start)[0], 2.0);
    assert_eq!(evening.flows("ActiveFlowCount_UDP", "Maximum", start), [0.0; 0]);
    assert_eq!(evening.flows("NewFlowCount_TLS", "Sum", start), [0.0; 0]);
}

#[test]
fn data_points_are_visible_one_to_four_minutes_after_their_minute() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    let mut first_seen = std::collections::BTreeMap::new();
    for _ in 0..40 * 6 {
        evening.advance(10);
        let load_balancer = evening.dimension();
        let query = query("m", "ActiveFlowCount", "Maximum", &[("LoadBalancer", &load_balancer)]);
        for (minute, _) in evening.metric(query, start) {
            first_seen.entry(minute).or_insert(evening.now);
        }
    }
    let ends = |minute: Timestamp| after(minute, minutes(1));
    let late: Vec<Duration> =
        first_seen.iter().map(|(minute, seen)| seen.duration_since(ends(*minute)).try_into().unwrap()).collect();
    assert!(late.len() >= 35, "{late:?}");
    assert!(late.iter().all(|late| (minutes(1)..=minutes(4) + Duration::from_secs(10)).contains(late)), "{late:?}");
    let is_among = |range: std::ops::Range<Duration>| late.iter().any(|late| range.contains(late));
    assert!(is_among(minutes(1)..minutes(2)) && is_among(minutes(3)..minutes(4)), "{late:?}");
}

#[test]
fn a_gap_has_no_data_points_and_they_never_come() {
    let mut evening = Evening::with_tasks(1);
    evening.callers(1);
    let start = evening.next_minute();
    evening.advance(60);
    evening.inject(Incident::MetricsGap { lasts: minutes(3) });
    evening.advance(5 * 60 + LATEST);
    let load_balancer = evening.dimension();
    for name in ["ActiveFlowCount", "ActiveFlowCount_UDP"] {
        let points = evening.metric(query("m", name, "Maximum", &[("LoadBalancer", &load_balancer)]), start);
        let first: Vec<Timestamp> = points.into_iter().map(|(at, _)| at).take(3).collect();
        assert_eq!(first, [start, after(start, minutes(4)), after(start, minutes(5))], "{name}");
    }
}

#[test]
fn minutes_and_hours_without_data_points_follow_the_settings() {
    let count = |missing: f64, silent_hours: f64| {
        let mut evening = Evening::with_tasks(1);
        let metrics = &mut evening.world.settings_mut().metrics;
        (metrics.missing, metrics.silent_hours) = (missing, silent_hours);
        // A change applies to the next hour.
        evening.advance(60 * 60);
        let start = evening.next_minute();
        evening.advance(20 * 60 * 60);
        evening.flows("ActiveFlowCount", "Maximum", start).len()
    };
    assert!(count(0.0, 0.0) >= 20 * 60 - 4);
    assert!((800..1000).contains(&count(0.25, 0.0)));
    let silent = count(0.0, 0.5);
    assert!((200..1000).contains(&silent), "{silent}");
    assert_eq!((count(1.0, 0.0), count(0.0, 1.0)), (0, 0));
}

#[test]
fn the_metrics_of_a_minute_can_become_visible_one_after_the_other() {
    let differ = |skew: u64| {
        let mut evening = Evening::with_tasks(1);
        evening.world.settings_mut().metrics.skew = Duration::from_secs(skew);
        evening.callers(1);
        let start = evening.next_minute();
        let differ = |evening: &mut Evening| {
            let all = evening.flows("ActiveFlowCount", "Maximum", start).len();
            all != evening.flows("ActiveFlowCount_UDP", "Maximum", start).len()
        };
        (0..120).any(|_| {
            evening.advance(10);
            differ(&mut evening)
        })
    };
    assert!(differ(60) && !differ(0));
}

#[test]
fn a_deleted_load_balancer_keeps_its_data_points_and_gets_no_new_ones() {
    let mut evening = Evening::with_tasks(1);
    evening.callers(1);
    let start = evening.next_minute();
    let load_balancer = evening.dimension();
    evening.advance(150);
    evening.delete_load_balancer();
    evening.advance(60 * 60);
    let udp = query("m", "ActiveFlowCount_UDP", "Maximum", &[("LoadBalancer", &load_balancer)]);
    assert_eq!(evening.metric(udp, start), [(start, 1.0), (after(start, minutes(1)), 1.0)]);
    evening.create_load_balancer();
    evening.advance(10 * 60);
    assert_ne!(evening.dimension(), load_balancer, "another one of the same name has metrics of its own");
    let total = query("m", "ActiveFlowCount", "Maximum", &[("LoadBalancer", &load_balancer)]);
    assert_eq!(evening.metric(total, start).len(), 2);
}

#[test]
fn a_load_balancer_reports_from_the_minute_in_which_it_becomes_active() {
    let mut evening = Evening::new();
    let start = evening.now;
    evening.create_load_balancer();
    evening.advance(119);
    let load_balancer = evening.dimension();
    evening.advance(10 * 60);
    let total = query("m", "ActiveFlowCount", "Maximum", &[("LoadBalancer", &load_balancer)]);
    let points = evening.metric(total, start);
    assert_eq!(points[0], (after(start, minutes(2)), 0.0));
    assert_eq!(evening.hosts("HealthyHostCount", "udp", start), [0.0; 0], "no target is registered");
}

#[test]
fn metrics_do_not_change_the_rest_of_the_world() {
    let play = |missing: f64| {
        let mut evening = Evening::with_tasks(2);
        evening.world.settings_mut().metrics.missing = missing;
        evening.callers(20);
        evening.advance(60 * 60);
        (evening.states(), evening.world.tasks(), evening.world.next_step_at())
    };
    assert_eq!(play(0.0), play(0.9));
}

#[test]
fn longer_periods_aggregate_minutes_from_the_rounded_start_time() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    evening.advance(60);
    evening.callers(2);
    evening.advance(4 * 60 + LATEST);
    let load_balancer = evening.dimension();
    let mut statistic = |stat: &str, period: i32, offset: u64| {
        let mut query = query("m", "ActiveFlowCount", stat, &[("LoadBalancer", &load_balancer)]);
        query.metric_stat.as_mut().unwrap().period = Some(period);
        evening.metric(query, after(start, Duration::from_secs(offset)))[0]
    };
    // Two callers are four flows, from the second minute on.
    assert_eq!(statistic("Sum", 120, 0), (start, 4.0));
    assert_eq!(statistic("Average", 120, 59), (start, 2.0));
    assert_eq!(statistic("Maximum", 180, 0), (start, 4.0));
    assert_eq!(statistic("Minimum", 180, 0), (start, 0.0));
    assert_eq!(statistic("SampleCount", 180, 0), (start, 3.0));
    assert_eq!(statistic("Sum", 120, 60), (after(start, minutes(1)), 8.0));
}

#[test]
fn start_times_are_rounded_down_the_more_the_older_they_are() {
    let start: Timestamp = "2026-11-20T12:32:34Z".parse().unwrap();
    let rounded = |period: i64, days: u64| {
        super::query::rounded(start, period, after(start, minutes(days * 24 * 60))).to_string()
    };
    assert_eq!(rounded(60, 14), "2026-11-20T12:32:00Z");
    assert_eq!(rounded(60, 16), "2026-11-20T12:30:00Z");
    assert_eq!(rounded(60, 64), "2026-11-20T12:00:00Z");
    assert_eq!(rounded(10, 0), "2026-11-20T12:32:30Z");
}

#[test]
fn only_whole_sets_of_dimensions_name_a_metric() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    evening.advance(60 + LATEST);
    let load_balancer = evening.dimension();
    let by = |name: &'static str, value: &str| (name, value.to_owned());
    let mut exists = |name: &str, dimensions: &[(&'static str, String)]| {
        let dimensions: Vec<(&str, &str)> = dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        !evening.metric(query("m", name, "Maximum", &dimensions), start).is_empty()
    };
    assert!(exists("ActiveFlowCount", &[by("LoadBalancer", &load_balancer)]));
    assert!(!exists("ActiveFlowCount", &[]));
    assert!(!exists("ActiveFlowCount", &[by("LoadBalancer", "net/other/0123456789abcdef")]));
    assert!(!exists("ActiveFlowCount", &[by("LoadBalancer", &load_balancer), by("Zone", "a")]));
    assert!(!exists("HealthyHostCount", &[by("LoadBalancer", &load_balancer)]));
    assert!(!exists("ActiveFlows", &[by("LoadBalancer", &load_balancer)]));
}

/// Returns the input of a request for the total of flows, by the given ids, in the minutes since a time.
fn totals(evening: &Evening, ids: &[&str], since: Timestamp) -> GetMetricDataInput {
    let load_balancer = evening.dimension();
    let query = |id: &&str| query(id, "ActiveFlowCount", "Maximum", &[("LoadBalancer", &load_balancer)]);
    GetMetricDataInput {
        metric_data_queries: ids.iter().map(query).collect(),
        start_time: Some(since),
        end_time: Some(evening.now),
        ..GetMetricDataInput::default()
    }
}

#[test]
fn pages_continue_where_the_last_one_ended() {
    let mut evening = Evening::with_tasks(1);
    let start = evening.next_minute();
    evening.advance(10 * 60);
    let end = after(start, minutes(5));
    let mut input = GetMetricDataInput { end_time: Some(end), ..totals(&evening, &["a", "b", "c"], start) };
    input.metric_data_queries[1].return_data = Some(false);
    let whole = evening.get_metric_data(input.clone()).unwrap();
    assert_eq!(whole.next_token, None);
    let [a, c] = &whole.metric_data_results[..] else { panic!("{whole:?}") };
    assert_eq!((a.id.as_str(), a.label.as_str(), c.id.as_str()), ("a", "ActiveFlowCount", "c"));
    assert_eq!(a.timestamps[..2], [before(end, minutes(1)), before(end, minutes(2))], "the newest come first");
    input.max_datapoints = Some(4);
    let mut seen: [Vec<Timestamp>; 2] = [Vec::new(), Vec::new()];
    let mut pages = 0;
    loop {
        let page = evening.get_metric_data(input.clone()).unwrap();
        pages += 1;
        for (result, seen) in page.metric_data_results.iter().zip(&mut seen) {
            seen.extend(&result.timestamps);
        }
        let partial = page.metric_data_results.iter().any(|result| result.status_code == "PartialData");
        assert_eq!(partial, page.next_token.is_some());
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            break;
        }
    }
    assert_eq!((pages, &seen[0], &seen[1]), (3, &a.timestamps, &c.timestamps));
}

#[test]
fn invalid_requests_get_awss_errors() {
    type Change = fn(&mut GetMetricDataInput);
    let cases: [(Change, &str, &str); 19] = [
        (|i| i.metric_data_queries.clear(), "ValidationError", "MetricDataQueries is required"),
        (|i| i.metric_data_queries = vec![MetricDataQuery::default(); 501], "ValidationError", "greater than 500"),
        (|i| i.metric_data_queries[0].id = String::new(), "ValidationError", "member.1.Id is required"),
        (|i| i.metric_data_queries[0].id = "A".to_owned(), "ValidationError", "pattern"),
        (|i| i.metric_data_queries[0].id = "a-b".to_owned(), "ValidationError", "pattern"),
        (|i| i.metric_data_queries[1].id = "a".to_owned(), "ValidationError", "not unique"),
        (|i| i.metric_data_queries[1].metric_stat = None, "ValidationError", "member.2.MetricStat is required"),
        (|i| i.metric_data_queries[0].expression = Some("a".to_owned()), "InvalidParameterCombination", "exclude"),
        (
            |i| {
                let query = &mut i.metric_data_queries[1];
                (query.metric_stat, query.expression) = (None, Some("a * 2".to_owned()));
            },
            "ValidationError",
            "evaluates no expressions",
        ),
        (|i| stat(i).metric.namespace.clear(), "ValidationError", "MetricStat.Metric.Namespace is required"),
        (|i| stat(i).metric.dimensions[0].value.clear(), "ValidationError", "Dimensions.member.1.Value is required"),
        (|i| stat(i).metric.dimensions = vec![Dimension::default(); 31], "ValidationError", "greater than 30"),
        (|i| stat(i).period = None, "ValidationError", "MetricStat.Period is required"),
        (|i| stat(i).period = Some(90), "ValidationError", "a multiple of 60"),
        (|i| stat(i).stat = "p99".to_owned(), "ValidationError", "has no statistic p99"),
        (|i| i.end_time = i.start_time, "ValidationError", "must not equal"),
        (|i| std::mem::swap(&mut i.end_time, &mut i.start_time), "ValidationError", "must be greater than StartTime"),
        (|i| i.scan_by = Some("Newest".to_owned()), "ValidationError", "ScanBy"),
        (|i| i.max_datapoints = Some(0), "ValidationError", "MaxDatapoints"),
    ];
    let mut evening = Evening::with_tasks(1);
    let valid = totals(&evening, &["a", "b"], before(evening.now, minutes(5)));
    assert!(evening.get_metric_data(valid.clone()).is_ok());
    for (change, code, message) in cases {
        let mut input = valid.clone();
        change(&mut input);
        let error = evening.get_metric_data(input).unwrap_err();
        assert!(error.code == code && error.message.contains(message), "{message}: {error}");
    }
    let input = GetMetricDataInput { next_token: Some("x".to_owned()), ..valid };
    assert_eq!(evening.get_metric_data(input).unwrap_err().code, "InvalidNextToken");
}

fn stat(input: &mut GetMetricDataInput) -> &mut MetricStat {
    input.metric_data_queries[0].metric_stat.as_mut().unwrap()
}

#[test]
fn extreme_times_and_periods_are_no_problem() {
    let mut evening = Evening::with_tasks(1);
    evening.advance(10 * 60);
    let mut input = totals(&evening, &["a"], Timestamp::MIN);
    input.end_time = Some(Timestamp::MAX);
    stat(&mut input).period = Some(i32::MAX - i32::MAX % 60);
    assert!(evening.get_metric_data(input.clone()).is_ok());
    stat(&mut input).period = Some(1);
    assert!(evening.get_metric_data(input).is_ok());
}
