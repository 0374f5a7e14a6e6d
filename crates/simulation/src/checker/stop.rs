//! The sixth guarantee: nothing in use is stopped, and what is unused is stopped.
//!
//! Whether callers are in a call is read from the calls themselves, not from CloudWatch. A call uses a minute if there were
//! more callers than the threshold on average. A worker must know each minute of the window, which ends at the minute that
//! ended three minutes before its second observation; and of the later minutes those that CloudWatch showed by then.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    CLOCK_ERROR, Checker, Guarantee, HOLD_UNTIL, IDLE_SINCE, LONGEST_LATENCY, OBSERVATION_VALID_FOR, OPERATION, STOP_AT,
};
use crate::coverage::Coverage;
use crate::environment::Actor;
use crate::snapshot::Snapshot;
use jvb_watcher_sandbox::api::ecs;
use jvb_watcher_sandbox::world::{DataPointView, FlowProtocol, LoadBalancerView, World};

const MINUTE: Duration = Duration::from_secs(60);

/// How late CloudWatch may show a minute.
const CLOUDWATCH_LAG: Duration = Duration::from_secs(3 * 60);

/// The time for which an operation that was killed keeps its lease.
const OPERATION_RUNS_AT_MOST: Duration = Duration::from_secs(60 * 60);

/// A difference between averages that counts as none.
const ROUNDING: f64 = 0.001;

/// What was written about stops and operations.
#[derive(Default)]
pub(super) struct Stops {
    announcement: Option<Announcement>,
    operation: Option<Operation>,
    quiet: Option<Quiet>,
}

/// The announcement that was written last.
struct Announcement {
    load_balancer_arn: String,
    value: String,
    written_at: Timestamp,
    /// The time at which it was withdrawn, or its load balancer was deleted.
    ended_at: Option<Timestamp>,
}

/// The operation that wrote its lease last.
struct Operation {
    is_up: bool,
    begun_at: Timestamp,
    written_at: Timestamp,
    runs: bool,
}

/// A service that is up, and that is unused and unchanged.
struct Quiet {
    since: Timestamp,
    state: Vec<String>,
}

/// The times that limit what a worker had to know when it stopped the service at an instant.
struct Window {
    /// The latest beginning of the window.
    starts_by: Timestamp,
    /// The earliest end of the window.
    ends_from: Timestamp,
    /// The earliest beginning of the second observation.
    observed_from: Timestamp,
}

impl Window {
    fn before(stopped_at: Timestamp, after: Duration) -> Self {
        let observed_from = stopped_at - OBSERVATION_VALID_FOR - LONGEST_LATENCY - CLOCK_ERROR;
        let ends_by = minute_of(stopped_at + CLOCK_ERROR - CLOUDWATCH_LAG);
        Self {
            starts_by: minute_of(ends_by - after),
            ends_from: minute_of(observed_from - CLOUDWATCH_LAG),
            observed_from,
        }
    }

    /// Returns the minutes that every window of such a stop has.
    fn minutes(&self) -> impl Iterator<Item = Timestamp> {
        let (starts_by, ends_from) = (self.starts_by, self.ends_from);
        (0..).map(move |index| starts_by + MINUTE * index).take_while(move |minute| *minute < ends_from)
    }
}

impl Stops {
    /// Records a write of `up` or `down` to the service.
    pub fn command_wrote(&mut self, request: &ecs::Request, now: Timestamp) {
        match request {
            ecs::Request::TagResource(input) => {
                let lease = input.tags.iter().find(|tag| tag.key == OPERATION);
                let mut words = lease.iter().flat_map(|tag| tag.value.split(' '));
                let (Some(holder), Some(begun_at), Some(_)) = (words.next(), words.next(), words.next()) else {
                    return;
                };
                let Ok(begun_at) = begun_at.parse() else { return };
                let runs = words.next().is_none();
                self.operation = Some(Operation { is_up: holder == "up", begun_at, written_at: now, runs });
            }
            ecs::Request::UntagResource(_) => self.operation = None,
            _ => {}
        }
    }
}

impl Checker {
    /// Notes announcements, and how long the service has been unused.
    pub(super) fn observe_stops(&mut self, snapshot: &Snapshot, world: &World, now: Timestamp) {
        if self.bounds.stop.is_none() {
            return;
        }
        if self.missing_since.is_some() {
            // The lease is gone with the service.
            self.stops.operation = None;
        }
        let name = self.load_balancer_name();
        let load_balancer = snapshot.load_balancers.iter().find(|found| found.name == name);
        let announced = load_balancer.and_then(|found| Some((&found.arn, tag(found, STOP_AT)?)));
        let is_known = |known: &Announcement| {
            announced.is_some_and(|(arn, value)| known.load_balancer_arn == *arn && known.value == value)
        };
        match &mut self.stops.announcement {
            Some(known) if is_known(known) => known.ended_at = None,
            known => match announced {
                Some((arn, value)) => {
                    *known = Some(Announcement {
                        load_balancer_arn: arn.clone(),
                        value: value.to_owned(),
                        written_at: now,
                        ended_at: None,
                    });
                }
                None => {
                    if let Some(known) = known {
                        known.ended_at.get_or_insert(now);
                    }
                }
            },
        }
        if let Some(within) = self.bounds.stop_within {
            self.check_quiet(snapshot, load_balancer, world, within, now);
        }
    }

    /// Checks that an unused service is stopped within the bound. Whatever could delay the stop restarts the time.
    fn check_quiet(
        &mut self,
        snapshot: &Snapshot,
        load_balancer: Option<&LoadBalancerView>,
        world: &World,
        within: Duration,
        now: Timestamp,
    ) {
        let group = self.group();
        let is_operating =
            self.stops.operation.as_ref().is_some_and(|operation| {
                operation.runs && now < operation.begun_at + OPERATION_RUNS_AT_MOST + CLOCK_ERROR
            });
        let is_held = load_balancer.is_some_and(|found| {
            tag(found, HOLD_UNTIL).and_then(|until| until.parse().ok()).is_some_and(|until: Timestamp| now < until)
        });
        let is_up = self.desired_since.is_some()
            && snapshot.tasks.iter().any(|task| task.group == group && task.last_status == "RUNNING")
            && load_balancer.is_some_and(|found| found.state == "active");
        let has_flows = load_balancer.is_some_and(|found| world.flows(&found.arn, FlowProtocol::Udp) > 0);
        if !is_up || is_operating || is_held || has_flows || self.budget.is_failing() {
            self.stops.quiet = None;
            return;
        }
        let state = self.quiet_state(snapshot, load_balancer);
        match &self.stops.quiet {
            Some(quiet) if quiet.state == state => {
                let since = quiet.since;
                if since + within < now {
                    let what = format!("the service is still up, and it has been unused since {since:.0}");
                    self.fail(Guarantee::NothingIdleStays, now, what);
                }
            }
            _ => self.stops.quiet = Some(Quiet { since: now, state }),
        }
    }

    /// Returns what must not change while the time of a stop is measured: all of the platform but what the watcher writes for
    /// it.
    fn quiet_state(&self, snapshot: &Snapshot, load_balancer: Option<&LoadBalancerView>) -> Vec<String> {
        let (group, service) = (self.group(), self.service());
        let tasks = snapshot.tasks.iter().filter(|task| task.group == group && task.last_status != "STOPPED");
        let tasks = tasks.map(|task| format!("{} {} {}", task.id, task.last_status, task.desired_status));
        let desired = snapshot.services.iter().filter(|found| found.name == service);
        let desired = desired.map(|service| format!("{} {} {}", service.name, service.status, service.desired));
        let own = |key: &str| key == STOP_AT || key == IDLE_SINCE;
        let tags = load_balancer.into_iter().flat_map(|found| found.tags.iter().filter(|(key, _)| !own(key)));
        let tags = tags.map(|(key, value)| format!("{key}={value}"));
        let groups = snapshot.groups.iter().filter(|group| self.is_of_the_platform(&group.name));
        let targets = groups.flat_map(|group| &group.targets);
        let targets = targets.map(|target| format!("{}:{} {}", target.id, target.port, target.state));
        let arn = load_balancer.map(|found| found.arn.clone());
        tasks.chain(desired).chain(tags).chain(targets).chain(arn).collect()
    }

    /// Checks a write to ECS by a worker: only a stop makes any.
    pub(super) fn before_ecs(
        &mut self,
        actor: Actor,
        request: &ecs::Request,
        world: &World,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        let service = self.service();
        let is_of_stop = self.bounds.stop.is_some()
            && match request {
                ecs::Request::UpdateService(input) => {
                    let only_to_zero = ecs::UpdateServiceInput {
                        cluster: input.cluster.clone(),
                        service: service.clone(),
                        desired_count: Some(0),
                        ..Default::default()
                    };
                    *input == only_to_zero
                }
                ecs::Request::TagResource(input) => {
                    input.resource_arn.ends_with(&format!("/{service}"))
                        && input.tags.iter().all(|tag| tag.key == OPERATION)
                }
                ecs::Request::UntagResource(input) => {
                    input.resource_arn.ends_with(&format!("/{service}"))
                        && input.tag_keys.iter().all(|key| key == OPERATION)
                }
                _ => false,
            };
        if !is_of_stop {
            self.violate(Guarantee::NothingElseIsTouched, now, actor, format!("calls {request:?}"));
            return;
        }
        match request {
            ecs::Request::UpdateService(_) => self.check_stop(actor, world, now, coverage),
            ecs::Request::TagResource(_) => self.budget.stops(),
            _ => {}
        }
    }

    fn violate_stop(&mut self, actor: Actor, now: Timestamp, what: impl std::fmt::Display) {
        self.violate(Guarantee::NothingInUseIsStopped, now, actor, format!("stops the service {what}"));
    }

    fn check_stop(&mut self, actor: Actor, world: &World, now: Timestamp, coverage: &mut Coverage) {
        let name = self.load_balancer_name();
        let Some(load_balancer) = world.load_balancers().into_iter().find(|found| found.name == name) else {
            coverage.moment("a service was stopped just after its load balancer was deleted");
            return;
        };
        let Some(rule) = self.bounds.stop else { return };
        let window = Window::before(now, rule.after);
        if self.is_due(self.not_owned_since.get(&load_balancer.arn).copied(), now) {
            let what = "stops the service behind a load balancer that lacks the owner tag";
            self.violate(Guarantee::NothingElseIsTouched, now, actor, what);
        }
        if load_balancer.created_at > window.starts_by + CLOCK_ERROR {
            self.violate_stop(actor, now, "within the window after its load balancer's creation");
        }
        self.check_announcement(actor, &load_balancer, rule.notice, now);
        self.check_hold_and_operation(actor, world, &window, now);
        self.check_newest_task(actor, &load_balancer, world, &window, now);
        self.check_minutes(actor, &load_balancer, world, &window, now, coverage);
    }

    /// Checks that the stop was announced, at least the notice ahead less the age of an observation.
    fn check_announcement(&mut self, actor: Actor, load_balancer: &LoadBalancerView, notice: Duration, now: Timestamp) {
        let announcement = self.stops.announcement.as_ref().filter(|it| it.load_balancer_arn == load_balancer.arn);
        let Some(Announcement { value, written_at, ended_at, .. }) = announcement else {
            return self.violate_stop(actor, now, "without an announcement");
        };
        let (value, written_at, ended_at) = (value.clone(), *written_at, *ended_at);
        if self.is_due(ended_at, now) {
            return self.violate_stop(actor, now, format!("after its announcement ended at {ended_at:?}"));
        }
        let least = notice.saturating_sub(OBSERVATION_VALID_FOR + LONGEST_LATENCY + 2 * CLOCK_ERROR);
        let stop_at = value.parse::<Timestamp>().unwrap_or(Timestamp::MAX);
        if now < written_at + least || now + CLOCK_ERROR < stop_at {
            let what = format!("before the notice is over, announced at {written_at} for {value}");
            self.violate_stop(actor, now, what);
        }
    }

    fn check_hold_and_operation(&mut self, actor: Actor, world: &World, window: &Window, now: Timestamp) {
        if self.is_held(world, now) {
            self.violate_stop(actor, now, "although it is held");
        }
        let hold = self.scale_ups.hold.as_ref().filter(|hold| self.is_due(Some(hold.placed_at), now));
        let hold = hold.filter(|hold| world.load_balancers().iter().any(|found| found.arn == hold.load_balancer_arn));
        let held_until = hold.map(|hold| hold.until).filter(|until| *until <= now);
        if let Some(until) = held_until.filter(|until| *until > window.starts_by + CLOCK_ERROR) {
            self.violate_stop(actor, now, format!("within the window after its hold ended at {until}"));
        }
        let Some(Operation { is_up, begun_at, written_at, runs }) = self.stops.operation else { return };
        if !self.is_due(Some(written_at), now) {
            return;
        }
        if runs && now + CLOCK_ERROR < begun_at + OPERATION_RUNS_AT_MOST {
            self.violate_stop(actor, now, format!("while an operation runs that began at {begun_at}"));
        }
        if is_up && begun_at > window.starts_by + 2 * CLOCK_ERROR {
            self.violate_stop(actor, now, format!("within the window after an `up` that began at {begun_at}"));
        }
    }

    /// Checks that the newest task served for the whole window, and had its first call or the grace for it.
    fn check_newest_task(
        &mut self,
        actor: Actor,
        load_balancer: &LoadBalancerView,
        world: &World,
        window: &Window,
        now: Timestamp,
    ) {
        let Some(rule) = self.bounds.stop else { return };
        let group = self.group();
        let tasks = world.tasks();
        let serving = tasks
            .iter()
            .filter(|task| task.group == group && task.last_status == "RUNNING" && task.desired_status == "RUNNING");
        let started_at = serving.filter_map(|task| task.started_at).filter(|at| self.is_due(Some(*at), now)).max();
        let Some(started_at) = started_at else { return };
        if started_at > window.starts_by + CLOCK_ERROR {
            self.violate_stop(actor, now, format!("within the window after a task's start at {started_at}"));
        }
        let flows = world.data_points("ActiveFlowCount_UDP", &load_balancer.arn, None);
        let had_call = flows.iter().any(|point| point.at >= minute_of(started_at) && self.is_use(point.average));
        if !had_call && now + CLOCK_ERROR < started_at + rule.first_call_grace {
            self.violate_stop(actor, now, format!("within the grace for the first call after {started_at}"));
        }
    }

    /// Checks that no caller was in a call in the window, that CloudWatch showed that, and that it showed no later use.
    fn check_minutes(
        &mut self,
        actor: Actor,
        load_balancer: &LoadBalancerView,
        world: &World,
        window: &Window,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        let calls = Calls::through(load_balancer, world);
        for minute in window.minutes() {
            if self.is_use(calls.average(minute, now)) {
                self.violate_stop(actor, now, format!("although it was used in the minute from {minute}"));
            }
        }
        let groups = world.groups();
        let media = groups.iter().find(|group| group.name == format!("{}-jvb-udp", self.bounds.project));
        let healthy = media
            .map_or_else(Vec::new, |group| world.data_points("HealthyHostCount", &load_balancer.arn, Some(&group.arn)));
        let healthy: BTreeMap<Timestamp, &DataPointView> = healthy.iter().map(|point| (point.at, point)).collect();
        for minute in window.minutes() {
            match healthy.get(&minute).filter(|point| point.visible_at <= now) {
                Some(point) if point.average >= 1.0 => {}
                Some(_) => {
                    self.violate_stop(actor, now, format!("without a healthy target in the minute from {minute}"))
                }
                None => self.violate_stop(actor, now, format!("although the minute from {minute} is unknown")),
            }
        }
        for point in world.data_points("ActiveFlowCount_UDP", &load_balancer.arn, None) {
            let is_late = window.starts_by <= point.at && point.visible_at <= window.observed_from;
            if is_late && self.is_use(point.average) {
                let what = format!("although CloudWatch has shown the use in the minute from {}", point.at);
                self.violate_stop(actor, now, what);
            }
        }
        let mut joined_at = calls.joined_at();
        joined_at.sort_unstable();
        // The call that exceeds the threshold.
        let exceeding = usize::try_from(self.bounds.use_threshold).ok().and_then(|index| joined_at.get(index));
        if let Some(begun_at) = exceeding {
            coverage.moment("a stop ended a call that CloudWatch could not show yet");
            let gap = Duration::try_from(now.duration_since(*begun_at)).unwrap_or_default();
            coverage.longest_gap = coverage.longest_gap.max(gap);
        } else if !joined_at.is_empty() {
            coverage.moment("a stop ended a call that did not exceed the threshold");
        }
    }

    fn is_use(&self, flows: f64) -> bool {
        flows > self.bounds.use_threshold as f64 + ROUNDING
    }
}

/// The calls through a load balancer so far, by their begin and end.
struct Calls(Vec<(Timestamp, Option<Timestamp>)>);

impl Calls {
    fn through(load_balancer: &LoadBalancerView, world: &World) -> Self {
        let connections = world.connections().iter();
        let through = connections.filter(|connection| connection.load_balancer == load_balancer.arn);
        Self(through.map(|connection| (connection.began_at, connection.ended_at)).collect())
    }

    /// Returns the average number of callers in the minute from an instant.
    fn average(&self, minute: Timestamp, now: Timestamp) -> f64 {
        let end = minute + MINUTE;
        let seconds = |(from, until): &(Timestamp, Option<Timestamp>)| {
            let (from, until) = ((*from).max(minute), until.unwrap_or(now).min(end));
            until.duration_since(from).max(SignedDuration::ZERO).as_secs_f64()
        };
        self.0.iter().map(seconds).sum::<f64>() / MINUTE.as_secs_f64()
    }

    /// Returns when those who are in a call joined it.
    fn joined_at(&self) -> Vec<Timestamp> {
        self.0.iter().filter(|(_, until)| until.is_none()).map(|(from, _)| *from).collect()
    }
}

fn minute_of(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(at)
}

fn tag<'a>(load_balancer: &'a LoadBalancerView, key: &str) -> Option<&'a str> {
    load_balancer.tags.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_of_a_stop_has_the_minutes_between_its_latest_beginning_and_its_earliest_end() {
        let noon: Timestamp = "2026-11-20T12:00:00Z".parse().expect("an instant");
        let minutes = |after| Window::before(noon, after * MINUTE).minutes().collect::<Vec<_>>();
        // A worker whose clock is ahead lets the window end at 11:57; one that is slow has observed at 11:59:42.
        assert_eq!(minutes(5), [8, 7, 6, 5].map(|ago| noon - ago * MINUTE));
        assert_eq!(minutes(30).len(), 29);
    }
}
