//! One service kept true: observe, plan, act.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::{AwsError, Calls, Platform};
use crate::clock::{Moment, SharedClock};
use crate::controller::message::Hint;
use crate::telemetry::log::{Event, Log, TargetFields, millis};
use crate::telemetry::metrics::{Metrics, Snapshot, Summary, Usage};
use jvb_watcher_rules::finding::{Finding, FindingLedger, StandingFindings};
use jvb_watcher_rules::model::{LoadBalancerState, Observation, Readiness, Service, TargetKey, TargetState, TaskId};
use jvb_watcher_rules::plan::{self, LifecycleAction, Plan, Policy};

mod act;
mod missed_events;
mod observe;

use missed_events::MissedEvents;

/// How long after a look began its knowledge is good enough to deregister, mark or delete on.
///
/// AWS has no conditional writes: what changes between the look and the write is lost. This bounds that window, for a
/// worker that was frozen in between as for a slow AWS.
pub const OBSERVATION_VALID_FOR: Duration = Duration::from_secs(10);

/// `reconciled` is logged at the first look after this time, also when nothing changes, so that silence means trouble.
/// A little less than the minute that lies between two looks, since a schedule's ticks come early at times.
const HEARTBEAT: Duration = Duration::from_secs(55);

/// What looks have seen is remembered for this long without a further one: it is no witness of what went on since.
const MEMORY_GOOD_FOR: Duration = Duration::from_secs(5 * 60);

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The cluster, by name or ARN.
    pub cluster: String,
    /// The service's name.
    pub service: String,
}

/// Why to look: what the messages in hand say.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The tasks that events named, each with the newest version among them.
    pub tasks: BTreeMap<TaskId, TaskHint>,
}

/// What the events said of one task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TaskHint {
    /// The newest version among them.
    pub version: Option<i64>,
    /// When the newest of them was made.
    pub time: Option<Timestamp>,
}

impl Hints {
    /// Adds what one event says.
    pub fn add(&mut self, hint: Hint) {
        let known = self.tasks.entry(hint.task).or_default();
        known.version = known.version.max(hint.version);
        known.time = known.time.max(hint.time);
    }
}

/// What came of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When to reconcile again at the latest.
    pub requeue_at: Timestamp,
    /// Whether more can be done at once, or only later.
    pub progress: Progress,
    /// How reachable the tasks were before the acts.
    pub readiness: Readiness,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// How many targets have no task, and may go once a later look finds none either.
    pub unmatched: usize,
}

/// Whether more can be done at once, or only later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All that can be done now is done.
    Settled,
    /// A teardown is under way.
    Underway,
}

/// What a look showed, and what follows from it.
#[derive(Debug)]
pub struct Look {
    /// What was seen.
    pub observation: Observation,
    /// What follows.
    pub plan: Plan,
    /// When the look began.
    began: Moment,
}

/// The decision: from an observation, a policy and the time to a plan.
pub type Planner = Arc<dyn Fn(&Observation, &Policy, Timestamp) -> Plan + Send + Sync>;

/// Keeps one service's targets and balancer true.
pub struct Reconciler<P> {
    platform: P,
    scope: Scope,
    policy: Policy,
    planner: Planner,
    log: Log,
    clock: SharedClock,
    metrics: Metrics,
    /// What is known of the feed beside the looks, for one that has a feed.
    feed_findings: Option<StandingFindings>,
    memory: Memory,
}

/// What is remembered from look to look. Losing it, in a restart, costs some waiting and some log lines; what must not
/// be lost is in the balancer's tags.
#[derive(Default)]
struct Memory {
    looked: Option<Moment>,
    unmatched_since: BTreeMap<TargetKey, Timestamp>,
    health: BTreeMap<TargetKey, TargetState>,
    findings: FindingLedger,
    missed_events: MissedEvents,
    teardown: Option<Teardown>,
    /// Since when each look has found a balancer and nobody who uses it.
    idle_since: Option<Timestamp>,
    messages: u64,
    foreign: u64,
    heartbeat: Option<Moment>,
    calls_told: u64,
}

/// A teardown that this process began or took over.
struct Teardown {
    load_balancer_arn: String,
    begun_at: Timestamp,
    /// When the balancer was created, while it was there to tell.
    created_at: Option<Timestamp>,
}

impl<P: Platform> Reconciler<P> {
    /// A reconciler that knows nothing yet.
    pub fn new(platform: P, scope: Scope, policy: Policy, log: Log, clock: SharedClock) -> Self {
        let (metrics, memory) = (Metrics::off(), Memory::default());
        let planner: Planner = Arc::new(plan::plan);
        Self { platform, scope, policy, planner, log, clock, metrics, feed_findings: None, memory }
    }

    /// Replaces the decision.
    pub fn with_planner(self, planner: Planner) -> Self {
        Self { planner, ..self }
    }

    /// The same, with its figures gathered.
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The same, for one that events lead: it tells what these say is wrong with the feed, and when events are missing.
    pub fn with_feed(self, findings: StandingFindings) -> Self {
        Self { feed_findings: Some(findings), ..self }
    }

    /// Counts messages, for the next `reconciled` line.
    pub fn count_messages(&mut self, relevant: usize, foreign: usize) {
        self.memory.messages += relevant as u64;
        self.memory.foreign += foreign as u64;
    }

    /// Looks, and does what follows. Calls made elsewhere, on the queue, are only counted.
    ///
    /// # Errors
    ///
    /// The first call that failed; what could be done beside it has been done.
    pub async fn reconcile(&mut self, hints: &Hints, calls_elsewhere: Calls) -> Result<Outcome, AwsError> {
        self.reconcile_and_show(hints, calls_elsewhere).await.map(|(outcome, _)| outcome)
    }

    /// The same, and shows what it went by: the state before its acts.
    ///
    /// # Errors
    ///
    /// As for [`Self::reconcile`].
    pub async fn reconcile_and_show(
        &mut self,
        hints: &Hints,
        calls_elsewhere: Calls,
    ) -> Result<(Outcome, Look), AwsError> {
        let reconciling = self.metrics.reconciling();
        let result = self.look_and_act(hints, calls_elsewhere).await;
        match &result {
            Ok(_) => reconciling.succeeded(),
            Err(_) => drop(reconciling),
        }
        self.metrics.publish_if_due(self.platform.calls() + calls_elsewhere);
        result
    }

    async fn look_and_act(&mut self, hints: &Hints, calls_elsewhere: Calls) -> Result<(Outcome, Look), AwsError> {
        let began = Instant::now();
        self.forget_what_is_old();
        if !hints.tasks.is_empty() {
            self.memory.missed_events.heard();
        }
        let mut look = self.look(hints).await?;
        if let LifecycleAction::DeleteLoadBalancer { .. } = look.plan.lifecycle {
            // The one dangerous act rests on two looks, the second one fresh.
            look = self.look(&Hints::default()).await?;
        }
        let health_changes = self.note_health(&look.observation);
        let acted = self.act(&look, hints).await;
        let mut findings = look.plan.findings.clone();
        // What AWS refuses for good, only a person can get on with.
        let blocked = !acted.findings.is_empty();
        findings.extend(acted.findings);
        findings.extend(self.feed_findings(&look.observation));
        let news = self.tell_findings(&findings);
        self.remember(&look);
        self.metrics.observed(self.seen(&look), self.memory.findings.len());
        if let Some(error) = acted.error {
            return Err(error);
        }
        let eventful = acted.changes + news + health_changes > 0;
        self.tell_reconciled(&look, acted.changes, eventful, calls_elsewhere, began.elapsed());
        let progress = match look.plan.lifecycle {
            LifecycleAction::DeleteLoadBalancer { .. } | LifecycleAction::DeleteTargetGroups { .. } if !blocked => {
                Progress::Underway
            }
            LifecycleAction::DeleteLoadBalancer { .. } | LifecycleAction::DeleteTargetGroups { .. } => {
                Progress::Settled
            }
            LifecycleAction::Keep | LifecycleAction::Mark { .. } | LifecycleAction::Unmark { .. } => Progress::Settled,
        };
        let readiness = look.observation.readiness();
        let (requeue_at, unmatched) = (look.plan.requeue_at, look.plan.unmatched.len());
        Ok((Outcome { requeue_at, progress, readiness, findings, unmatched }, look))
    }

    /// Looks, and changes nothing.
    ///
    /// # Errors
    ///
    /// The first call that failed.
    pub async fn look(&self, hints: &Hints) -> Result<Look, AwsError> {
        let began = Moment::now(&*self.clock);
        let observation = self.observe(hints).await?;
        let plan = (self.planner)(&observation, &self.policy, self.clock.now());
        Ok(Look { observation, plan, began })
    }

    /// A process that was frozen, or that had no work for long, begins to remember anew.
    fn forget_what_is_old(&mut self) {
        if self.memory.looked.is_some_and(|looked| looked.elapsed(&*self.clock) > MEMORY_GOOD_FOR) {
            self.memory.unmatched_since.clear();
            self.memory.idle_since = None;
            self.memory.missed_events.forget();
        }
    }

    /// What is wrong with the feed, as far as is known beside the look, and by the look.
    fn feed_findings(&mut self, observation: &Observation) -> Vec<Finding> {
        let Some(standing) = &self.feed_findings else { return Vec::new() };
        let now = self.clock.now();
        self.memory.missed_events.looked(observation, now);
        let mut findings = standing.get();
        findings.extend(self.memory.missed_events.finding(&self.scope.service, now));
        findings
    }

    fn remember(&mut self, look: &Look) {
        self.memory.looked = Some(look.began);
        let now = self.clock.now();
        let stands_idle = look.observation.load_balancer.is_some() && plan::is_idle(&look.observation, now);
        self.memory.idle_since = stands_idle.then(|| self.memory.idle_since.unwrap_or(now));
        let before = std::mem::take(&mut self.memory.unmatched_since);
        let since = |key: &TargetKey| before.get(key).copied().unwrap_or(now);
        self.memory.unmatched_since = look.plan.unmatched.iter().map(|key| (key.clone(), since(key))).collect();
    }

    /// Returns what the metrics show of an observation.
    fn seen(&self, look: &Look) -> Snapshot {
        let observation = &look.observation;
        // The mark outlives this process; but it is written only on a balancer that may be deleted.
        let marked_since = match &look.plan.lifecycle {
            LifecycleAction::Mark { idle_since, .. } => Some(*idle_since),
            _ => plan::marked_since(observation, self.clock.now()),
        };
        let idle_since = observation.load_balancer.as_ref().zip(self.memory.idle_since).map(|(balancer, since)| {
            // What is remembered may be of an earlier balancer, where this process was frozen in between.
            marked_since.map_or(since, |marked| marked.min(since)).max(balancer.created_at)
        });
        let is_used = matches!(observation.service, Service::Found(_)) && !plan::is_idle(observation, self.clock.now());
        let usage = match is_used || observation.load_balancer.is_some() || self.memory.teardown.is_some() {
            true => Usage::InUse,
            false => Usage::Idle,
        };
        Snapshot { summary: Summary::of(observation), idle_since, usage }
    }

    /// Logs each target whose state isn't what the last look saw; returns how many.
    fn note_health(&mut self, observation: &Observation) -> usize {
        let now = self.clock.now();
        let mut changes = 0;
        let mut health = BTreeMap::new();
        for (group, target) in observation.targets() {
            let key = group.key(target.ip, target.port);
            if let Some(from) = self.memory.health.get(&key).filter(|from| **from != target.state) {
                changes += 1;
                let task = observation.task_with_address(target.ip);
                let started_at = task.and_then(|task| task.started_at);
                self.log.emit(&Event::TargetHealthChanged {
                    target: TargetFields::new(&group.name, &key, task.map(|task| &task.id)),
                    from: from.as_str().to_owned(),
                    to: target.state.as_str().to_owned(),
                    reason: target.reason.clone(),
                    since_start_ms: started_at.map(|started_at| millis_between(started_at, now)),
                });
            }
            health.insert(key, target.state);
        }
        self.memory.health = health;
        changes
    }

    /// Logs what is new of the findings; returns how many lines that took.
    pub fn tell_findings(&mut self, findings: &[Finding]) -> usize {
        let news = self.memory.findings.update(findings, self.clock.now());
        for (state, finding) in &news {
            self.log.emit(&Event::Finding {
                finding: finding.name,
                state: *state,
                subject: finding.subject.clone(),
                detail: finding.detail.clone(),
                advice: finding.name.advice().to_owned(),
            });
        }
        news.len()
    }

    /// Logs what a look saw, for one that nothing is done after.
    pub fn tell_look(&mut self, look: &Look) {
        self.tell_reconciled(look, 0, true, Calls::default(), look.began.elapsed(&*self.clock));
    }

    fn tell_reconciled(&mut self, look: &Look, changes: usize, eventful: bool, calls_elsewhere: Calls, took: Duration) {
        let due = self.memory.heartbeat.is_none_or(|last| last.elapsed(&*self.clock) >= HEARTBEAT);
        if !eventful && !due {
            return;
        }
        let Summary { counts, serving, registered, healthy, load_balancer_state, .. } = Summary::of(&look.observation);
        let state = load_balancer_state.map(LoadBalancerState::as_str);
        let calls = (self.platform.calls() + calls_elsewhere).sent;
        self.log.emit(&Event::Reconciled {
            desired: counts.desired,
            running: counts.running,
            pending: counts.pending,
            serving,
            registered,
            healthy,
            load_balancer_state: state.unwrap_or("absent").to_owned(),
            changes,
            findings: self.memory.findings.len(),
            messages: std::mem::take(&mut self.memory.messages),
            foreign: std::mem::take(&mut self.memory.foreign),
            aws_calls: calls - self.memory.calls_told,
            duration_ms: millis(took),
        });
        self.memory.heartbeat = Some(Moment::now(&*self.clock));
        self.memory.calls_told = calls;
    }
}

/// From one instant to a later one, in milliseconds; 0 when the clocks say otherwise.
fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
