//! Findings about what the service runs: tasks that don't start, several bridges behind one listener, and addresses that
//! the load balancer doesn't have. They change nothing on AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::Planner;
use crate::finding::FindingName;
use crate::model::{
    ADVERTISED_ADDRESSES_VARIABLE, AddressFamily, Counts, Deployment, LoadBalancer, LoadBalancerKind, Phase, Rollout,
    SchedulerMessage, Service, ServiceEvent, StopCode, TargetType, Task,
};

/// How long a task must run to have started well. A task whose essential container exits sooner has failed to start: ECS
/// counts it as started as soon as it reaches RUNNING, and sends no event (see "Amazon ECS service throttle logic" in the
/// ECS developer guide).
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// The number of tasks in a row whose failure to start is a finding. One may fail by chance.
const FAILURES_IN_A_ROW: usize = 2;

/// How long fewer tasks than desired may run, without any sign of a failure. A Fargate task takes a minute or two.
const SHORT_FOR: Duration = Duration::from_secs(10 * 60);

/// How long an event explains a finding.
const EVENT_EXPLAINS_FOR: Duration = Duration::from_secs(60 * 60);

/// The most characters of ECS's words that a finding quotes.
const QUOTED: usize = 300;

impl<'a> Planner<'a> {
    /// Finds a service whose tasks don't start. What DescribeServices and DescribeTasks show decides; an event only adds
    /// its reason.
    pub(super) fn find_tasks_not_starting(&mut self) {
        let Service::Found(counts) = self.observation.service else { return };
        let settled = self.observation.serving().filter(|task| self.has_settled(task)).count();
        if settled >= usize::try_from(counts.desired).unwrap_or(0) {
            return;
        }
        let failures = self.failures_in_a_row();
        let Some(problem) = self.startup_problem(counts, &failures) else { return };
        let mut detail = format!("{} task(s) are desired, and {problem}", counts.desired);
        for explanation in self.explanations(&failures) {
            detail = format!("{detail}; {explanation}");
        }
        self.find(FindingName::TasksNotStarting, &self.policy.service, detail);
    }

    /// Returns what shows that tasks don't start, if anything does. Normal starts show none of it.
    fn startup_problem(&self, counts: Counts, failures: &[&Task]) -> Option<&'static str> {
        let Counts { desired, running, pending } = counts;
        let startup = &self.observation.startup;
        let has_failed = self.deployment().is_some_and(|deployment| deployment.rollout == Rollout::Failed);
        let failed_tasks =
            self.deployment().map_or(0, |deployment| usize::try_from(deployment.failed_tasks).unwrap_or(0));
        if has_failed {
            Some("ECS has given up the deployment")
        } else if failures.len().max(failed_tasks) >= FAILURES_IN_A_ROW {
            Some("the last ones stopped while they started")
        } else if running.saturating_add(pending) < desired && self.failure_message().is_some() {
            Some("ECS can't start them")
        } else if startup.short_since.is_some_and(|since| since + SHORT_FOR <= self.now) {
            Some("fewer have run for ten minutes")
        } else {
            None
        }
    }

    /// Returns ECS's reasons, as clauses.
    fn explanations(&self, failures: &[&Task]) -> Vec<String> {
        let event = self.observation.startup.event.as_ref().filter(|event| self.explains(event));
        let event_reason = event.and_then(|event| event.reason.as_deref());
        let mut explanations = Vec::new();
        explanations.extend(event.map(|ServiceEvent { name, reason, .. }| match reason {
            Some(reason) => format!("ECS reports {}: {}", name.as_str(), quote(reason)),
            None => format!("ECS reports {}", name.as_str()),
        }));
        let failed = self.deployment().filter(|deployment| deployment.rollout == Rollout::Failed);
        let rollout_reason = failed.and_then(|deployment| deployment.rollout_reason.as_deref());
        explanations.extend(rollout_reason.filter(|reason| Some(*reason) != event_reason).map(quote));
        match failures.first().and_then(|task| task.stopped_reason.as_deref()) {
            Some(reason) => explanations.push(format!("the last one stopped: {}", quote(reason))),
            None => explanations.extend(self.failure_message().map(|message| quote(&message.text))),
        }
        explanations
    }

    /// Returns the tasks of the primary deployment that failed to start, the latest first, back to one that didn't fail.
    fn failures_in_a_row(&self) -> Vec<&'a Task> {
        let is_of_deployment = |task: &&Task| {
            self.deployment().is_none_or(|deployment| task.started_by.as_deref() == Some(deployment.id.as_str()))
        };
        let mut stopped: Vec<_> = self
            .observation
            .tasks
            .iter()
            .filter(|task| task.phase() == Phase::Stopping)
            .filter(is_of_deployment)
            .filter_map(|task| Some((task.left_at()?, task)))
            .collect();
        stopped.sort_by(|(at, task), (other_at, other)| (other_at, &other.id).cmp(&(at, &task.id)));
        stopped.into_iter().map(|(_, task)| task).take_while(|task| failed_to_start(task)).collect()
    }

    /// Returns whether a serving task has run for long enough.
    fn has_settled(&self, task: &Task) -> bool {
        task.started_at.is_none_or(|at| at + SETTLED_AFTER <= self.now)
    }

    fn deployment(&self) -> Option<&'a Deployment> {
        self.observation.startup.deployment.as_ref()
    }

    /// Returns the scheduler's latest message, if it is about a failure of this deployment.
    fn failure_message(&self) -> Option<&'a SchedulerMessage> {
        let begun_at = self.deployment().and_then(|deployment| deployment.created_at);
        let message = self.observation.startup.message.as_ref();
        message.filter(|message| message.tells_of_failure() && begun_at.is_none_or(|at| message.at >= at))
    }

    /// Returns whether an event may be about the present failure.
    fn explains(&self, event: &ServiceEvent) -> bool {
        let begun_at = self.deployment().and_then(|deployment| deployment.created_at);
        // The times of EventBridge are in whole seconds, those of ECS in milliseconds.
        let is_of_deployment = |at: Timestamp| begun_at.is_none_or(|begun_at| at.as_second() >= begun_at.as_second());
        let is_recent = |at| self.now < at + EVENT_EXPLAINS_FOR && is_of_deployment(at);
        event.time.is_some_and(is_recent)
    }

    /// Finds target groups behind a UDP listener with more than one serving task.
    ///
    /// Jicofo chooses the bridge of a conference, and the load balancer the target of each flow, without knowing of each
    /// other (jitsi-contrib/jitsi-helm, `docs/guides/exposing.md`: the number of replicas "must remain at 1").
    pub(super) fn find_several_bridges(&mut self) {
        if self.policy.allow_several_bridges || self.observation.service == Service::Missing {
            return;
        }
        let Some(load_balancer) = self.network_load_balancer() else { return };
        for group in load_balancer.target_groups.iter().filter(|group| group.protocol.takes_udp()) {
            let TargetType::Ip { family, .. } = group.target_type else { continue };
            let bridges: BTreeSet<_> = self.observation.serving().filter_map(|task| task.address(family)).collect();
            if bridges.len() > 1 {
                let detail = format!(
                    "{} tasks serve behind its UDP listener, which can serve one bridge: Jicofo chooses a conference's \
                     bridge, and the load balancer each flow's target, so media reaches the wrong bridge",
                    bridges.len()
                );
                self.find(FindingName::SeveralBridges, &group.name, detail);
            }
        }
    }

    /// Finds task definitions that pin addresses for media which the load balancer doesn't have. Unknown addresses on
    /// either side are no finding.
    pub(super) fn find_mismatched_addresses(&mut self) {
        let Some(load_balancer) = self.network_load_balancer() else { return };
        let advertised = &self.observation.advertised;
        let known = |address: &IpAddr| {
            let family = if address.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
            advertised.load_balancer.of(family)
        };
        let mut mismatched: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for pinned in &advertised.pinned {
            if known(&pinned.address).is_some_and(|known| !known.contains(&pinned.address)) {
                mismatched.entry((&pinned.task_definition, &pinned.container)).or_default().insert(pinned.address);
            }
        }
        for ((task_definition, container), addresses) in mismatched {
            let known: BTreeSet<_> = addresses.iter().filter_map(known).flatten().copied().collect();
            let detail = format!(
                "{ADVERTISED_ADDRESSES_VARIABLE} of its container {container} has {}; load balancer {} has {}",
                list(&addresses),
                load_balancer.name,
                if known.is_empty() { "no address of that family".to_owned() } else { list(&known) },
            );
            self.find(FindingName::AdvertisedAddressMismatched, task_definition, detail);
        }
    }

    /// Returns the load balancer, if it is of the type that the watcher manages.
    pub(super) fn network_load_balancer(&self) -> Option<&'a LoadBalancer> {
        let load_balancer = self.observation.load_balancer.as_ref();
        load_balancer.filter(|load_balancer| load_balancer.kind == LoadBalancerKind::Network)
    }
}

/// Returns whether a stopped task failed to start: before RUNNING, or soon after it.
fn failed_to_start(task: &Task) -> bool {
    match task.stop_code {
        Some(StopCode::FailedToStart) => true,
        Some(StopCode::EssentialContainerExited) => {
            let has_settled = |(started_at, left_at)| started_at + SETTLED_AFTER <= left_at;
            !task.started_at.zip(task.left_at()).is_some_and(has_settled)
        }
        Some(StopCode::Other) | None => false,
    }
}

/// Returns ECS's words on one line, cut to a length.
fn quote(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.trim_end_matches('.').to_owned(),
    }
}

fn list(addresses: &BTreeSet<IpAddr>) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
