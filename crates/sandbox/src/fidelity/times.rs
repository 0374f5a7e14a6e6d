//! How long AWS took for what a client waits for, as far as its calls show it.
//!
//! A client sees a change by polling: it happened between the last answer without it and the first with it. A wait is taken as
//! over at the first answer with the change. Where the answer before is older than [`RESOLUTION`], the wait is left out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Times;
use super::recording::Call;

/// The longest time between two polls that still says something.
const RESOLUTION: f64 = 30.0;

/// The length of a minute of CloudWatch.
const MINUTE: f64 = 60.0;

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// A load balancer becomes active.
    Active,
    /// A target becomes healthy.
    Healthy,
    /// A deregistered target is gone.
    Drained,
    /// An event arrives.
    Event,
    /// What an event says shows in DescribeTasks.
    TaskShown,
    /// A task shows in ListTasks.
    TaskListed,
    /// A deleted load balancer is no longer described.
    Deleted,
    /// A target group can be deleted after its load balancer.
    GroupReleased,
    /// A minute's data point is visible.
    DataPoint,
}

impl Wait {
    const ALL: [Self; 9] = [
        Self::Active,
        Self::Healthy,
        Self::Drained,
        Self::Event,
        Self::TaskShown,
        Self::TaskListed,
        Self::Deleted,
        Self::GroupReleased,
        Self::DataPoint,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Active => "load balancer: created until active",
            Self::Healthy => "target: registered until healthy",
            Self::Drained => "target: deregistered until gone",
            Self::Event => "event: its time until received",
            Self::TaskShown => "task: event received until DescribeTasks shows its version",
            Self::TaskListed => "task: event received until ListTasks has it",
            Self::Deleted => "load balancer: deleted until no longer described",
            Self::GroupReleased => "target group: load balancer deleted until it can be deleted",
            Self::DataPoint => "data point: end of its minute until visible",
        }
    }
}

/// How long waits took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// The number of waits.
    pub count: usize,
    /// The shortest.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The longest.
    pub max: f64,
}

impl Distribution {
    fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.retain(|seconds| seconds.is_finite());
        seconds.sort_by(f64::total_cmp);
        let (min, max) = (*seconds.first()?, *seconds.last()?);
        Some(Self { count: seconds.len(), min, median: seconds[seconds.len() / 2], max })
    }
}

/// Returns the times of both. The sandbox's evenings are apart: the ids of one have another meaning in the next.
pub(super) fn compare(recorded: &[&Call], evenings: &[Vec<Call>]) -> Vec<Times> {
    let in_recording = waits(recorded);
    let mut in_sandbox: BTreeMap<Wait, Vec<f64>> = BTreeMap::new();
    for evening in evenings {
        for (wait, seconds) in waits(&evening.iter().collect::<Vec<_>>()) {
            in_sandbox.entry(wait).or_default().extend(seconds);
        }
    }
    let of = |waits: &BTreeMap<Wait, Vec<f64>>, wait| waits.get(&wait).cloned().and_then(Distribution::of);
    let times = |wait: Wait| Times {
        wait,
        meaning: wait.meaning(),
        recorded: of(&in_recording, wait),
        sandbox: of(&in_sandbox, wait),
    };
    Wait::ALL.into_iter().map(times).collect()
}

/// Returns the waits that the calls show, in seconds.
fn waits(calls: &[&Call]) -> BTreeMap<Wait, Vec<f64>> {
    let mut calls: Vec<&Call> = calls.iter().copied().filter(|call| call.is_answered()).collect();
    calls.sort_by_key(|call| call.ended);
    let mut observer = Observer::default();
    calls.into_iter().for_each(|call| observer.observe(call));
    observer.waits
}

/// A wait that is not over.
#[derive(Clone, Copy, Debug)]
struct Open {
    since: Timestamp,
    /// The last answer that showed that it is not over.
    last: Option<Timestamp>,
}

/// Follows the calls in the order of their answers.
#[derive(Debug, Default)]
struct Observer {
    waits: BTreeMap<Wait, Vec<f64>>,
    open: BTreeMap<(Wait, String), Open>,
    /// What has been waited for, or whose wait is unknown.
    done: BTreeSet<(Wait, String)>,
    /// When each task's first event was received, by the task's ARN.
    versions: BTreeMap<String, BTreeMap<i64, Timestamp>>,
    /// The versions that DescribeTasks has shown.
    shown: BTreeMap<String, i64>,
    listed: BTreeSet<String>,
    /// The load balancers that were described: AWS also lets one be deleted that doesn't exist.
    described: BTreeSet<String>,
    /// The target groups of each load balancer that was described with some.
    groups: BTreeMap<String, BTreeSet<String>>,
    /// The latest data point of each series.
    data_points: BTreeMap<String, f64>,
}

fn seconds(from: Timestamp, until: Timestamp) -> f64 {
    until.duration_since(from).as_secs_f64().max(0.0)
}

/// Returns the items of a list, none if there is no list.
fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the values of the fields whose names begin so.
fn fields<'a>(call: &'a Call, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let fields = call.input.as_object().into_iter().flatten();
    fields.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str()?)))
}

fn field<'a>(call: &'a Call, name: &str) -> &'a str {
    text(&call.input[name])
}

impl Observer {
    fn observe(&mut self, call: &Call) {
        let is_ok = call.has_succeeded();
        match call.operation.as_str() {
            "elasticloadbalancing:DescribeLoadBalancers" => self.load_balancers(call),
            "elasticloadbalancing:DescribeTargetGroups" if is_ok => {
                for group in items(&call.result()["TargetGroups"]) {
                    for load_balancer in items(&group["LoadBalancerArns"]) {
                        let groups = self.groups.entry(text(load_balancer).to_owned()).or_default();
                        groups.insert(text(&group["TargetGroupArn"]).to_owned());
                    }
                }
            }
            "elasticloadbalancing:RegisterTargets" if is_ok => self.registration(call, true),
            "elasticloadbalancing:DeregisterTargets" if is_ok => self.registration(call, false),
            "elasticloadbalancing:DescribeTargetHealth" if is_ok => self.health(call),
            "elasticloadbalancing:DeleteLoadBalancer" if is_ok => {
                let arn = field(call, "LoadBalancerArn");
                if !self.described.contains(arn) {
                    return;
                }
                self.begin(Wait::Deleted, arn, call.ended);
                for group in self.groups.get(arn).cloned().unwrap_or_default() {
                    self.begin(Wait::GroupReleased, &group, call.ended);
                }
            }
            "elasticloadbalancing:DeleteTargetGroup" => {
                let arn = field(call, "TargetGroupArn");
                if is_ok {
                    self.end(Wait::GroupReleased, arn, call.ended)
                } else {
                    self.go_on(Wait::GroupReleased, arn, call.ended)
                }
            }
            "sqs:ReceiveMessage" if is_ok => self.messages(call),
            "ecs:DescribeTasks" if is_ok => self.tasks(call),
            "ecs:ListTasks" if is_ok => {
                for arn in items(&call.output["taskArns"]) {
                    self.end(Wait::TaskListed, text(arn), call.ended);
                    self.listed.insert(text(arn).to_owned());
                }
                self.go_on_all(Wait::TaskListed, call.ended);
            }
            "cloudwatch:GetMetricData" if is_ok => self.metrics(call),
            _ => {}
        }
    }

    fn begin(&mut self, wait: Wait, subject: &str, at: Timestamp) {
        if subject.is_empty() || self.done.contains(&(wait, subject.to_owned())) {
            return;
        }
        self.open.entry((wait, subject.to_owned())).or_insert(Open { since: at, last: None });
    }

    /// Notes an answer that shows that a wait is not over.
    fn go_on(&mut self, wait: Wait, subject: &str, at: Timestamp) {
        if let Some(open) = self.open.get_mut(&(wait, subject.to_owned())) {
            open.last = Some(at);
        }
    }

    fn go_on_all(&mut self, wait: Wait, at: Timestamp) {
        self.open.iter_mut().filter(|((of, _), _)| *of == wait).for_each(|(_, open)| open.last = Some(at));
    }

    fn end(&mut self, wait: Wait, subject: &str, at: Timestamp) {
        let key = (wait, subject.to_owned());
        if let Some(open) = self.open.remove(&key) {
            if seconds(open.last.unwrap_or(open.since), at) <= RESOLUTION {
                self.add(wait, seconds(open.since, at));
            }
            self.done.insert(key);
        }
    }

    fn forget(&mut self, wait: Wait, subject: &str) {
        let key = (wait, subject.to_owned());
        self.open.remove(&key);
        self.done.remove(&key);
    }

    fn add(&mut self, wait: Wait, seconds: f64) {
        self.waits.entry(wait).or_default().push(seconds);
    }

    fn load_balancers(&mut self, call: &Call) {
        let described = items(&call.result()["LoadBalancers"]);
        for load_balancer in described {
            let arn = text(&load_balancer["LoadBalancerArn"]);
            let created: Option<Timestamp> = text(&load_balancer["CreatedTime"]).parse().ok();
            self.described.insert(arn.to_owned());
            // Both by AWS's clock, to the second.
            let (Some(created), Some(now)) = (created, call.date()) else { continue };
            self.begin(Wait::Active, arn, created);
            match text(&load_balancer["State"]["Code"]) {
                "active" => self.end(Wait::Active, arn, now),
                _ => self.go_on(Wait::Active, arn, now),
            }
        }
        let is_not_found = call.error_code().is_some_and(|code| code.starts_with("LoadBalancerNotFound"));
        if !(is_not_found || call.has_succeeded()) {
            return;
        }
        let deleted: Vec<String> =
            self.open.keys().filter(|(wait, _)| *wait == Wait::Deleted).map(|(_, arn)| arn.clone()).collect();
        for arn in deleted {
            let name = arn.split('/').nth(2).unwrap_or_default();
            let names_it = |value: &str| value == name || value == arn;
            let is_about_it = fields(call, "").any(|(_, value)| names_it(value));
            if described.iter().any(|load_balancer| text(&load_balancer["LoadBalancerArn"]) == arn) {
                self.go_on(Wait::Deleted, &arn, call.ended);
            } else if is_about_it {
                self.end(Wait::Deleted, &arn, call.ended);
            }
        }
    }

    /// Notes targets that were registered or deregistered.
    fn registration(&mut self, call: &Call, is_registered: bool) {
        let group = field(call, "TargetGroupArn").to_owned();
        let (begins, is_void) =
            if is_registered { (Wait::Healthy, Wait::Drained) } else { (Wait::Drained, Wait::Healthy) };
        for (index, id) in fields(call, "Targets.member.").filter(|(name, _)| name.ends_with(".Id")) {
            let port = field(call, &format!("Targets.member.{}Port", index.trim_end_matches("Id")));
            let target = format!("{group} {id}:{port}");
            self.forget(is_void, &target);
            self.forget(begins, &target);
            self.begin(begins, &target, call.ended);
        }
    }

    fn health(&mut self, call: &Call) {
        let group = field(call, "TargetGroupArn");
        let mut described = BTreeSet::new();
        for description in items(&call.result()["TargetHealthDescriptions"]) {
            let target = &description["Target"];
            let target = format!("{group} {}:{}", text(&target["Id"]), text(&target["Port"]));
            match text(&description["TargetHealth"]["State"]) {
                "healthy" => self.end(Wait::Healthy, &target, call.ended),
                _ => self.go_on(Wait::Healthy, &target, call.ended),
            }
            described.insert(target);
        }
        let of_group = format!("{group} ");
        let draining =
            self.open.keys().filter(|(wait, target)| *wait == Wait::Drained && target.starts_with(&of_group));
        let draining: Vec<String> = draining.map(|(_, target)| target.clone()).collect();
        for target in draining {
            if described.contains(&target) {
                self.go_on(Wait::Drained, &target, call.ended);
            } else {
                self.end(Wait::Drained, &target, call.ended);
            }
        }
    }

    fn messages(&mut self, call: &Call) {
        for message in items(&call.output["Messages"]) {
            let Ok(event) = serde_json::from_str::<Value>(text(&message["Body"])) else { continue };
            let time: Option<Timestamp> = text(&event["time"]).parse().ok();
            // A message that is received again says nothing.
            if !self.done.insert((Wait::Event, text(&event["id"]).to_owned())) {
                continue;
            }
            if let (Some(time), Some(now)) = (time, call.date()) {
                self.add(Wait::Event, seconds(time, now));
            }
            let (task, version) = (text(&event["detail"]["taskArn"]), event["detail"]["version"].as_i64());
            let Some(version) = version.filter(|_| !task.is_empty()) else { continue };
            if self.shown.get(task).is_some_and(|shown| *shown >= version) {
                self.add(Wait::TaskShown, 0.0);
            } else {
                self.versions.entry(task.to_owned()).or_default().entry(version).or_insert(call.ended);
            }
            if self.listed.contains(task) {
                if self.done.insert((Wait::TaskListed, task.to_owned())) {
                    self.add(Wait::TaskListed, 0.0);
                }
            } else {
                self.begin(Wait::TaskListed, task, call.ended);
            }
        }
    }

    fn tasks(&mut self, call: &Call) {
        for task in items(&call.output["tasks"]) {
            let arn = text(&task["taskArn"]);
            let Some(version) = task["version"].as_i64() else { continue };
            let shown = self.shown.entry(arn.to_owned()).or_insert(version);
            *shown = (*shown).max(version);
            if let Some(open) = self.versions.get_mut(arn) {
                let later = open.split_off(&(version + 1));
                let over = std::mem::replace(open, later);
                for since in over.into_values() {
                    // A client that polls rarely sees its own interval.
                    let waited = seconds(since, call.ended);
                    if waited <= RESOLUTION {
                        self.waits.entry(Wait::TaskShown).or_default().push(waited);
                    }
                }
            }
        }
    }

    fn metrics(&mut self, call: &Call) {
        let Some(now) = call.date() else { return };
        let series: BTreeMap<&str, String> = items(&call.input["MetricDataQueries"])
            .iter()
            .map(|query| (text(&query["Id"]), query["MetricStat"]["Metric"].to_string()))
            .collect();
        for result in items(&call.output["MetricDataResults"]) {
            let Some(series) = series.get(text(&result["Id"])) else { continue };
            let latest = items(&result["Timestamps"]).iter().filter_map(Value::as_f64).reduce(f64::max);
            let Some(latest) = latest else { continue };
            let before = self.data_points.insert(series.clone(), latest);
            // The first answer has what was visible before.
            if before.is_some_and(|before| latest > before) {
                self.add(Wait::DataPoint, (now.as_second() as f64 - (latest + MINUTE)).max(0.0));
            }
        }
    }
}
