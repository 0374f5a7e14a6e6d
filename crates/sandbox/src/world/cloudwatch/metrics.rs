//! Data points of each minute.
//!
//! The Network Load Balancers user guide ("CloudWatch metrics for your Network Load Balancer") says when each metric is
//! reported: `ActiveFlowCount` and `NewFlowCount` always, those by protocol and `ProcessedBytes_UDP` when there is a nonzero
//! value, `HealthyHostCount` and `UnHealthyHostCount` if there are registered targets. The most useful statistics are
//! Average, Maximum and Minimum of the active flows, Maximum and Minimum of the hosts, and Sum of the new flows and the bytes.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::{CloudWatch, DataPoint, Elb, Flows, MetricKey, Settings, Value};
use crate::world::elb::{LoadBalancer, LoadBalancerState, TargetState};
use crate::world::flows::{FlowProtocol, TrackedFlow};
use crate::world::timers::after;

/// Finest resolution of a metric.
const FINEST: Duration = Duration::from_secs(1);

/// Number of minutes in an hour, by which `MetricSettings::silent_hours` counts.
const MINUTES: i64 = 60;

/// Maximum number of data points of a metric: AWS keeps those of a minute for 15 days.
const KEPT: usize = 15 * 24 * 60;

/// Names of the metrics of flows: all flows, then those of each protocol in the order of `FlowProtocol::ALL`.
const ACTIVE_FLOWS: [&str; 4] =
    ["ActiveFlowCount", "ActiveFlowCount_TCP", "ActiveFlowCount_TLS", "ActiveFlowCount_UDP"];
const NEW_FLOWS: [&str; 4] = ["NewFlowCount", "NewFlowCount_TCP", "NewFlowCount_TLS", "NewFlowCount_UDP"];

/// Bytes through UDP listeners, the only ones that the sandbox counts.
const UDP_BYTES: &str = "ProcessedBytes_UDP";

/// Length of a flow's first packet, headers included.
const FIRST_PACKET: f64 = 100.0;

const HEALTHY_HOSTS: &str = "HealthyHostCount";
const UNHEALTHY_HOSTS: &str = "UnHealthyHostCount";

/// Returns the metric of a name.
pub(super) fn named(name: &str) -> Option<&'static str> {
    let others = [UDP_BYTES, HEALTHY_HOSTS, UNHEALTHY_HOSTS];
    ACTIVE_FLOWS.into_iter().chain(NEW_FLOWS).chain(others).find(|known| *known == name)
}

/// Returns the unit of a metric.
pub(super) fn unit(name: &str) -> &'static str {
    if name == UDP_BYTES { "Bytes" } else { "Count" }
}

/// A minute, or what is left of it after a change of `MetricSettings::interval`.
#[derive(Clone, Copy, Debug)]
struct Minute {
    start: Timestamp,
    end: Timestamp,
    /// Number of the minute since the epoch.
    number: i64,
}

impl CloudWatch {
    /// Adds the data points of the minutes that have ended.
    pub fn report(&mut self, until: Timestamp, elb: &Elb, flows: &mut Flows, settings: &Settings) {
        while let Some(mut minute) = minute_of(self.unreported, settings).filter(|minute| minute.end <= until) {
            minute.start = minute.start.max(self.unreported);
            flows.discard(minute.start, |arn| reporting(elb).any(|load_balancer| load_balancer.arn == arn));
            if reporting(elb).next().is_none() {
                // Nothing changes before `until`, so the minutes until then have no data points either.
                self.unreported = minute_of(until, settings).map_or(until, |minute| minute.start.max(self.unreported));
                break;
            }
            let is_silent = self.is_silent(minute, settings);
            for load_balancer in reporting(elb) {
                // Drawn even if the minute has no data points, so that a gap doesn't shift the draws after it.
                let is_missing = self.random.chance(settings.metrics.missing);
                let spread = settings.metrics.latest.saturating_sub(settings.metrics.earliest);
                let late = settings.metrics.earliest.saturating_add(self.random.up_to(spread));
                if !is_silent && !is_missing {
                    self.report_flows(load_balancer, minute, late, flows, settings);
                    self.report_hosts(load_balancer, minute, late, elb, settings);
                }
            }
            self.unreported = minute.end;
        }
    }

    /// Leaves out the data points of the minutes that end within a time.
    pub fn leave_gap(&mut self, lasts: Duration, now: Timestamp) {
        self.gap_until = Some(after(now, lasts));
    }

    /// Returns whether no load balancer's minute has data points.
    fn is_silent(&mut self, minute: Minute, settings: &Settings) -> bool {
        let number = minute.number.div_euclid(MINUTES);
        let is_silent = match self.hour {
            Some((hour, is_silent)) if hour == number => is_silent,
            _ => self.random.chance(settings.metrics.silent_hours),
        };
        self.hour = Some((number, is_silent));
        is_silent || self.gap_until.is_some_and(|until| minute.end <= until)
    }

    fn report_flows(
        &mut self,
        load_balancer: &LoadBalancer,
        minute: Minute,
        late: Duration,
        flows: &Flows,
        settings: &Settings,
    ) {
        let flows: Vec<&TrackedFlow> = flows.of(&load_balancer.arn).collect();
        for index in 0..ACTIVE_FLOWS.len() {
            let protocol = index.checked_sub(1).map(|index| FlowProtocol::ALL[index]);
            let counted = flows.iter().filter(|flow| protocol.is_none_or(|protocol| flow.protocol == protocol));
            let (mut changes, mut new) = (Vec::new(), 0_u32);
            for flow in counted.filter(|flow| flow.opened_at < minute.end) {
                new += u32::from(flow.opened_at >= minute.start);
                changes.push((flow.opened_at.max(minute.start), 1));
                changes.extend(flow.end.map(|end| (end.forgotten_at.max(minute.start), -1)));
            }
            let active = concurrent(changes, minute);
            if protocol.is_none() || active.maximum > 0.0 {
                self.add(ACTIVE_FLOWS[index], load_balancer, None, minute, active, late, settings);
            }
            if protocol.is_none() || new > 0 {
                let value = Value::of(f64::from(new));
                self.add(NEW_FLOWS[index], load_balancer, None, minute, value, late, settings);
            }
        }
        let udp = flows.iter().filter(|flow| flow.protocol == FlowProtocol::Udp);
        let bytes: f64 = udp.map(|flow| bytes_in(flow, minute)).sum();
        if bytes > 0.0 {
            self.add(UDP_BYTES, load_balancer, None, minute, Value::of(bytes), late, settings);
        }
    }

    fn report_hosts(
        &mut self,
        load_balancer: &LoadBalancer,
        minute: Minute,
        late: Duration,
        elb: &Elb,
        settings: &Settings,
    ) {
        let listeners = elb.listeners().filter(|listener| listener.load_balancer == load_balancer.arn);
        let arns: BTreeSet<&str> = listeners.flat_map(|listener| listener.groups()).collect();
        for group in elb.groups().filter(|group| arns.contains(group.arn.as_str()) && !group.targets.is_empty()) {
            for (name, state) in [(HEALTHY_HOSTS, TargetState::Healthy), (UNHEALTHY_HOSTS, TargetState::Unhealthy)] {
                let count = group.targets.values().filter(|target| target.state == state).count() as f64;
                self.add(name, load_balancer, Some(&group.arn), minute, Value::of(count), late, settings);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a data point has this many parts")]
    fn add(
        &mut self,
        name: &'static str,
        load_balancer: &LoadBalancer,
        group: Option<&str>,
        minute: Minute,
        value: Value,
        late: Duration,
        settings: &Settings,
    ) {
        let key = MetricKey::new(name, &load_balancer.arn, group);
        let visible_at = after(after(minute.end, late), self.random.up_to(settings.metrics.skew));
        let series = self.series.entry(key).or_default();
        series.push_back(DataPoint { at: minute.start, visible_at, value });
        if series.len() > KEPT {
            series.pop_front();
        }
    }
}

/// Returns the load balancers that report metrics. A deleted one reports none, not even for the minute of its deletion.
fn reporting(elb: &Elb) -> impl Iterator<Item = &LoadBalancer> {
    elb.load_balancers()
        .filter(|load_balancer| load_balancer.kind == "network" && load_balancer.state == LoadBalancerState::Active)
}

/// Returns the minute that a time belongs to; `None` if it never ends.
fn minute_of(at: Timestamp, settings: &Settings) -> Option<Minute> {
    let interval = i64::try_from(settings.metrics.interval.max(FINEST).as_millis()).ok()?;
    let number = at.as_millisecond().div_euclid(interval);
    let start = Timestamp::from_millisecond(number.checked_mul(interval)?).ok()?;
    let end = Timestamp::from_millisecond(number.checked_add(1)?.checked_mul(interval)?).ok()?;
    Some(Minute { start, end, number })
}

/// Returns the bytes of a flow in a minute.
fn bytes_in(flow: &TrackedFlow, minute: Minute) -> f64 {
    let (begins, ends) = (flow.opened_at, flow.end.map_or(minute.end, |end| end.last_packet_at));
    let seconds = ends.min(minute.end).duration_since(begins.max(minute.start)).as_secs_f64();
    let is_new = begins >= minute.start && begins < minute.end;
    f64::from(flow.bytes_per_second) * seconds.max(0.0) + if is_new { FIRST_PACKET } else { 0.0 }
}

/// Returns the average, the minimum and the maximum number of concurrent flows, from the changes of their number.
fn concurrent(mut changes: Vec<(Timestamp, i32)>, minute: Minute) -> Value {
    changes.retain(|(at, _)| *at < minute.end);
    changes.sort_unstable();
    let mut value = Value { average: 0.0, minimum: f64::INFINITY, maximum: 0.0 };
    let (mut level, mut since) = (0_i32, minute.start);
    for (at, change) in changes.into_iter().chain([(minute.end, 0)]) {
        if at > since {
            let count = f64::from(level);
            value.average += count * at.duration_since(since).as_secs_f64();
            value.minimum = value.minimum.min(count);
            value.maximum = value.maximum.max(count);
            since = at;
        }
        level += change;
    }
    value.average /= minute.end.duration_since(minute.start).as_secs_f64();
    value
}
