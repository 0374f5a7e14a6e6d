//! Reconciles one service: observes, plans, and executes the plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::{AwsError, ControllerPlatform, Deadline, Urgency};
use crate::clock::Moment;
use crate::controller::advertised::AdvertisedCache;
use crate::controller::basis::Basis;
use crate::controller::context::Context;
use crate::controller::findings::CurrentFindings;
use crate::controller::gate::Gate;
pub use crate::controller::last_seen::ECS_LAG;
use crate::controller::last_seen::LastSeen;
use crate::controller::latest::{LatestReconciliation, Reconciliation};
use crate::controller::message::Hints;
use crate::controller::missed_events::MissedEvents;
use crate::controller::observer::{Observer, Reading};
use crate::controller::orphans::{OrphanIndex, OrphanSearch};
use crate::controller::stop::Stop;
use crate::controller::target_health::{TargetHealth, millis_between};
use crate::controller::teardown::{ProcessId, Teardown, takeover_after};
use crate::controller::totals::Counts;
use crate::controller::usage::{Freshness, UsageCache};
use crate::controller::writes::{Applied, Writer};
use crate::telemetry::log::{Event, millis, rfc3339_millis};
use crate::telemetry::metrics::{Flows, Snapshot, Summary, Usage};
use crate::trace::{self, Trigger};
use jvb_watcher_rules::finding::{Finding, FindingName, StandingFindings};
use jvb_watcher_rules::model::{LoadBalancerState, Observation, Readiness, Service, ServiceEvent, Startup, TargetKey};
use jvb_watcher_rules::plan::{self, LifecycleAction, Plan, Policy, StopAction};

/// The time after its beginning within which writes may follow from an observation, except RegisterTargets.
///
/// AWS has no conditional writes: a write overrides what changed since the observation. This bounds that window, also for
/// a process that was frozen in between and for an AWS that is slow.
pub const OBSERVATION_VALID_FOR: Duration = Duration::from_secs(10);

/// The time after which a reconciliation logs `reconciled` although nothing changed, so that a missing line shows a fault.
/// It is a little shorter than the minute between two reconciliations, since a schedule's ticks may come early.
const HEARTBEAT: Duration = Duration::from_secs(55);

/// The time for which the memory of observations is valid without a further one: later changes are not in it.
const MEMORY_VALID_FOR: Duration = Duration::from_secs(5 * 60);

/// The decision: from an observation, a policy and the time to a plan. It is [`plan::plan`] unless a test replaces it.
pub type Planner = Arc<dyn Fn(&Observation, &Policy, Timestamp) -> Plan + Send + Sync>;

/// The planner of commands that only register and deregister targets: it leaves the load balancer alone, and doesn't report
/// that it would not be deleted.
pub fn registrations_only(observation: &Observation, policy: &Policy, now: Timestamp) -> Plan {
    let policy = Policy { teardown: plan::Teardown::Off, ..policy.clone() };
    let mut plan = plan::plan(observation, &policy, now);
    plan.findings.retain(|finding| finding.name != FindingName::TeardownOff);
    plan
}

/// The parts of a [`Reconciler`].
pub struct ReconcilerParts<P> {
    /// AWS.
    pub platform: P,
    /// The service, the log, the clock, the metrics and the totals.
    pub context: Context,
    /// The policy.
    pub policy: Policy,
    /// The decision.
    pub planner: Planner,
    /// The findings of the checks of the event source, for a reconciler that has one. With these the reconciler also
    /// reports missing events.
    pub event_source_findings: Option<StandingFindings>,
    /// The findings of the service so far. Those of a reconciler that this one replaces are its own.
    pub findings: CurrentFindings,
    /// The gate that ends the reconciler's deletions.
    pub gate: Gate,
    /// The id that distinguishes this process's marks from those of others.
    pub process: ProcessId,
    /// The least time after the grace period before this process deletes a load balancer that another process marked.
    pub takeover_after: Duration,
    /// The longest time by which an answer of ECS is assumed to lag. A deletion waits so long between its two observations.
    pub ecs_lag: Duration,
    /// The marked target groups in the region; the reconcilers of one process share them.
    pub orphan_index: OrphanIndex,
    /// Where the latest reconciliation is kept, if it is.
    pub latest: LatestReconciliation,
}

impl<P> ReconcilerParts<P> {
    /// The parts of a reconciler with the rules' own planner and without an event source.
    pub fn new(platform: P, context: Context, policy: Policy) -> Self {
        Self {
            platform,
            context,
            planner: Arc::new(plan::plan),
            event_source_findings: None,
            findings: CurrentFindings::default(),
            gate: Gate::default(),
            process: ProcessId::default(),
            takeover_after: takeover_after(policy.idle_grace),
            // A grace period that is shorter can't bridge the lag either.
            ecs_lag: ECS_LAG.min(policy.idle_grace),
            orphan_index: OrphanIndex::default(),
            latest: LatestReconciliation::default(),
            policy,
        }
    }
}

/// Reconciles the targets and the load balancer of one service with its tasks.
pub struct Reconciler<P> {
    platform: P,
    context: Context,
    policy: Policy,
    planner: Planner,
    event_source_findings: Option<StandingFindings>,
    findings: CurrentFindings,
    gate: Gate,
    latest: LatestReconciliation,
    process: ProcessId,
    /// The time in the id of the last observation, in milliseconds since 1970.
    last_id: AtomicI64,
    ecs_lag: Duration,
    memory: Memory,
}

/// The memory from one reconciliation to the next. A restart loses it, which costs some waiting and some log lines;
/// durable state is in the load balancer's tags.
struct Memory {
    observed_at: Option<Moment>,
    unmatched_since: BTreeMap<TargetKey, Timestamp>,
    target_health: TargetHealth,
    load_balancer_state: Option<LoadBalancerState>,
    teardown: Teardown,
    advertised: AdvertisedCache,
    usage: UsageCache,
    last_seen: LastSeen,
    orphans: OrphanSearch,
    stop: Stop,
    /// The latest event about the service.
    service_event: Option<ServiceEvent>,
    /// The time since which each observation has found fewer running tasks than desired.
    short_since: Option<Timestamp>,
    /// The time since which each observation has found the load balancer idle.
    idle_since: Option<Timestamp>,
    heartbeat: Option<Moment>,
    /// The totals at the last `reconciled` line.
    reported: Counts,
}

/// An observation, and the plan that follows from it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The state that AWS shows, and the memory of earlier observations.
    pub observation: Observation,
    /// The plan.
    pub plan: Plan,
    /// The id of the observation in the log: the time at which it began, as this process's marks are written. No other
    /// observation of the service has the same, by this process or another.
    pub id: String,
    /// The id of the observation before, if this one repeats it because of a dangerous write.
    first_id: Option<String>,
    /// The time of the plan.
    planned_at: Timestamp,
    /// The beginning of the observation.
    began: Moment,
    /// Whether the service is at rest, so that its tasks were not read.
    is_at_rest: bool,
}

/// The outcome of a reconciliation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The latest time of the next reconciliation.
    pub requeue_at: Timestamp,
    /// The progress of a teardown.
    pub progress: Progress,
    /// The observation before the writes, and the plan that they executed.
    pub observed: Observed,
    /// The conditions that an operator must know about.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// Returns how far the serving tasks are from being reachable.
    pub fn readiness(&self) -> Readiness {
        self.observed.observation.readiness()
    }

    /// The number of targets without a task; a later observation that finds none either confirms that they are stale.
    pub fn unmatched(&self) -> usize {
        self.observed.plan.unmatched.len()
    }
}

/// The progress of a teardown: whether more can be done at once, or only later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything that can be done now is done.
    Settled,
    /// A teardown is under way.
    Underway,
}

impl<P: ControllerPlatform> Reconciler<P> {
    /// A reconciler that has observed nothing.
    pub fn new(parts: ReconcilerParts<P>) -> Self {
        let ReconcilerParts {
            platform,
            context,
            policy,
            planner,
            event_source_findings,
            findings,
            gate,
            process,
            takeover_after,
            ecs_lag,
            orphan_index,
            latest,
        } = parts;
        let memory = Memory {
            observed_at: None,
            unmatched_since: BTreeMap::new(),
            target_health: TargetHealth::default(),
            load_balancer_state: None,
            teardown: Teardown::new(process, takeover_after),
            advertised: AdvertisedCache::default(),
            usage: UsageCache::default(),
            last_seen: LastSeen::default(),
            orphans: OrphanSearch::new(orphan_index, &*context.clock),
            stop: Stop::new(process, takeover_after),
            service_event: None,
            short_since: None,
            idle_since: None,
            heartbeat: None,
            reported: Counts::default(),
        };
        let last_id = AtomicI64::default();
        Self {
            platform,
            context,
            policy,
            planner,
            event_source_findings,
            findings,
            gate,
            ecs_lag,
            latest,
            process,
            last_id,
            memory,
        }
    }

    /// Returns the context that the reconciler shares with the other parts of its controller.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns the longest time between two reconciliations.
    pub fn resync_interval(&self) -> Duration {
        self.policy.resync_interval
    }

    /// Reconciles the service once.
    ///
    /// # Errors
    ///
    /// The first call that failed; the other writes have been made.
    pub async fn reconcile(&mut self, hints: &Hints) -> Result<Outcome, AwsError> {
        let trigger = if hints.is_empty() { Trigger::Timer } else { Trigger::Messages };
        let trace = self.context.traces.reconciliation(trigger);
        let result = trace.within(self.reconcile_untraced(hints)).await;
        match &result {
            Ok(outcome) => trace.succeeded(outcome.findings.len()),
            Err(error) => trace.failed(error, error.code.as_deref()),
        }
        result
    }

    async fn reconcile_untraced(&mut self, hints: &Hints) -> Result<Outcome, AwsError> {
        let began = Instant::now();
        let reconciling = self.context.metrics.reconciling();
        self.forget_stale_memory();
        self.platform.ready(self.urgency(hints)).await;
        if !hints.tasks.is_empty() {
            self.findings.missed_events(MissedEvents::event_arrived);
        }
        if let Some(event) = &hints.service_event {
            event.clone().replace_older(&mut self.memory.service_event);
        }
        let result = match trace::phase("observe", self.observe_for_writes(hints)).await {
            Ok(observed) => {
                let Self { platform, context, policy, gate, memory, .. } = self;
                let now = context.clock.now();
                let health_changes = memory.target_health.log_changes(&observed.observation, now, &context.log);
                let writer = Writer {
                    platform: &*platform,
                    context: &*context,
                    load_balancer: &policy.load_balancer,
                    hints,
                    basis: Basis {
                        observation: &observed.observation,
                        id: &observed.id,
                        first_id: observed.first_id.as_deref(),
                        owner_tag: &policy.owner_tag,
                        planned_at: observed.planned_at,
                    },
                    gate,
                    deadline: Deadline::new(observed.began, OBSERVATION_VALID_FOR, context.clock.clone()),
                };
                let execution = writer.execute(&observed.plan, &mut memory.teardown, &mut memory.stop);
                let applied = trace::phase("execute", execution).await;
                self.conclude(observed, applied, health_changes, began)
            }
            Err(error) => Err(error),
        };
        let Context { metrics, totals, .. } = &self.context;
        match &result {
            Ok(_) => reconciling.succeeded(),
            Err(error) => {
                self.latest.failed(error, self.context.clock.now());
                drop(reconciling);
            }
        }
        totals.set_platform_calls(self.platform.calls());
        metrics.publish_if_due(totals.get().aws_calls());
        result
    }

    /// Observes and plans, without any write.
    ///
    /// # Errors
    ///
    /// The first call that failed.
    pub async fn observe(&self, hints: &Hints) -> Result<Observed, AwsError> {
        self.observe_with(hints, Freshness::Remembered).await
    }

    /// Observes and plans, without any write; the use of the load balancer is read again.
    ///
    /// # Errors
    ///
    /// The first call that failed.
    pub async fn observe_fresh(&self, hints: &Hints) -> Result<Observed, AwsError> {
        self.observe_with(hints, Freshness::Fresh).await
    }

    async fn observe_with(&self, hints: &Hints, freshness: Freshness) -> Result<Observed, AwsError> {
        let began = Moment::now(&*self.context.clock);
        let observation = self.observer(freshness).observe(hints).await?;
        Ok(self.plan(Reading { observation, is_at_rest: false }, began))
    }

    /// Observes and plans; of a service at rest reads no more than shows that it still is.
    async fn observe_unless_at_rest(&self, hints: &Hints) -> Result<Observed, AwsError> {
        let began = Moment::now(&*self.context.clock);
        let reading = self.observer(Freshness::Remembered).observe_unless_at_rest(hints).await?;
        Ok(self.plan(reading, began))
    }

    fn observer(&self, freshness: Freshness) -> Observer<'_, P> {
        let Self { platform, context, policy, memory, .. } = self;
        let Memory { advertised, usage, last_seen, orphans, teardown, .. } = memory;
        let is_tearing_down = teardown.begun_at().is_some();
        Observer { platform, context, policy, advertised, usage, last_seen, orphans, is_tearing_down, freshness }
    }

    /// Adds what is remembered to an observation, and plans.
    fn plan(&self, Reading { observation: observed, is_at_rest }: Reading, began: Moment) -> Observed {
        let Self { context, policy, memory, .. } = self;
        let observation = Observation {
            startup: Startup {
                event: memory.service_event.clone(),
                short_since: memory.short_since,
                ..observed.startup
            },
            unmatched_since: memory.unmatched_since.clone(),
            teardown_begun_at: memory.teardown.begun_at(),
            ..observed
        };
        let planned_at = context.clock.now();
        let plan = (self.planner)(&observation, policy, planned_at);
        // By the clock as it is now: the answers to the first calls have corrected it.
        let id = self.observation_id(planned_at - began.elapsed(&*context.clock));
        Observed { observation, plan, id, first_id: None, planned_at, began, is_at_rest }
    }

    /// Returns the id of an observation that began at this time.
    fn observation_id(&self, began_at: Timestamp) -> String {
        let at = began_at.as_millisecond();
        // Answers within a millisecond are those of a test.
        let at = if at == self.last_id.load(Ordering::Relaxed) { at + 1 } else { at };
        self.last_id.store(at, Ordering::Relaxed);
        self.process.mark(Timestamp::from_millisecond(at).unwrap_or(began_at))
    }

    /// Observes once, or twice before a deletion or a stop: the dangerous writes rest on two observations, the second one
    /// fresh.
    async fn observe_for_writes(&self, hints: &Hints) -> Result<Observed, AwsError> {
        let shows_every_task = self.shows_every_task_in() == Some(Duration::ZERO);
        let observed = self.wait_for_turn(self.observe_unless_at_rest(hints).await?);
        let second = match (&observed.plan.lifecycle, &observed.plan.stop) {
            (_, StopAction::ScaleToZero { .. }) => self.observe_fresh(&Hints::default()).await?,
            // A deletion doesn't rest on the use of the load balancer, so CloudWatch isn't asked again.
            (LifecycleAction::DeleteLoadBalancer { .. }, _) => self.observe_for_deletion().await?,
            (LifecycleAction::DeleteTargetGroups { .. }, _) if !shows_every_task => self.observe_for_deletion().await?,
            _ => return Ok(observed),
        };
        Ok(Observed { first_id: Some(observed.id), ..self.wait_for_turn(second) })
    }

    async fn observe_for_deletion(&self) -> Result<Observed, AwsError> {
        self.wait_until_every_task_is_shown().await?;
        self.observe(&Hints::default()).await
    }

    /// Waits until an observation that begins now misses no task that serves or is stopping.
    ///
    /// # Errors
    ///
    /// The first call of an earlier observation, if there is need of one, that failed.
    pub async fn wait_until_every_task_is_shown(&self) -> Result<(), AwsError> {
        loop {
            match self.shows_every_task_in() {
                Some(Duration::ZERO) => return Ok(()),
                Some(wait) => tokio::time::sleep(wait).await,
                // This is the first observation, or the process was frozen.
                None => drop(self.observe(&Hints::default()).await?),
            }
        }
    }

    fn shows_every_task_in(&self) -> Option<Duration> {
        self.memory.last_seen.shows_every_task_in(self.ecs_lag, &*self.context.clock)
    }

    fn wait_for_turn(&self, mut observed: Observed) -> Observed {
        let Observed { observation, plan, .. } = &mut observed;
        let now = self.context.clock.now();
        self.memory.teardown.wait_for_turn(observation, plan, &self.policy, now);
        self.memory.stop.wait_for_turn(observation, plan, now);
        observed
    }

    /// Logs what has changed, and remembers it.
    fn conclude(
        &mut self,
        observed: Observed,
        applied: Applied,
        health_changes: usize,
        began: Instant,
    ) -> Result<Outcome, AwsError> {
        let Context { clock, metrics, totals, .. } = self.context.clone();
        if observed.plan.lifecycle == LifecycleAction::Keep {
            let Self { memory, policy, context, .. } = self;
            memory.teardown.conclude(&observed.observation, &observed.id, &policy.load_balancer, context);
        }
        let event_source_findings = self.event_source_findings(&observed);
        let mut findings = observed.plan.findings.clone();
        findings.extend(applied.refusals.iter().cloned());
        findings.extend(event_source_findings.iter().cloned());
        let finding_changes = self.log_findings(&findings, &observed.id);
        self.remember(&observed);
        let after = applied.after(&observed.observation);
        self.memory.target_health.remember(&after);
        let summary = Summary::of(&after);
        metrics.observed(self.snapshot(&observed, summary), self.findings.needing_action());
        self.latest.observed(|| {
            let mut plan = observed.plan.clone();
            plan.findings.extend(applied.refusals.iter().cloned());
            let is_complete = applied.error.is_none() && applied.refusals.is_empty();
            Reconciliation { at: clock.now(), observation: after, plan, is_complete, event_source_findings }
        });
        let state_before = std::mem::replace(&mut self.memory.load_balancer_state, summary.load_balancer_state);
        if let Some(error) = applied.error {
            return Err(error);
        }
        totals.count_reconciliation();
        let is_eventful = applied.changes() + finding_changes + health_changes > 0
            || state_before != summary.load_balancer_state
            || self.memory.heartbeat.is_none_or(|last| last.elapsed(&*clock) >= HEARTBEAT);
        if is_eventful {
            let flows = self.flows(&observed.observation);
            self.log_reconciled(&observed.id, summary, flows, applied.changes(), began.elapsed());
        }
        let progress = match observed.plan.lifecycle {
            // What AWS refuses, only an operator can continue.
            LifecycleAction::DeleteLoadBalancer { .. } | LifecycleAction::DeleteTargetGroups { .. }
                if applied.refusals.is_empty() =>
            {
                Progress::Underway
            }
            _ => Progress::Settled,
        };
        Ok(Outcome { requeue_at: observed.plan.requeue_at, progress, observed, findings })
    }

    /// Returns how soon the service should be observed.
    fn urgency(&self, hints: &Hints) -> Urgency {
        let is_being_torn_down = self.memory.idle_since.is_some() || self.memory.teardown.begun_at().is_some();
        if is_being_torn_down || !hints.is_empty() { Urgency::Urgent } else { Urgency::Resync }
    }

    /// Forgets observations that are too old to compare with: the process was frozen, or had no work.
    fn forget_stale_memory(&mut self) {
        let is_stale = |at: Moment| at.elapsed(&*self.context.clock) > MEMORY_VALID_FOR;
        if self.memory.observed_at.is_some_and(is_stale) {
            self.memory.unmatched_since.clear();
            self.memory.idle_since = None;
            self.memory.short_since = None;
            self.findings.missed_events(MissedEvents::reset);
            self.memory.last_seen.forget();
            self.memory.orphans.require();
        }
    }

    /// The findings about the event source: those of its checks, and missing events.
    fn event_source_findings(&mut self, observed: &Observed) -> Vec<Finding> {
        let Some(standing) = &self.event_source_findings else { return Vec::new() };
        let now = self.context.clock.now();
        // Of a service at rest no tasks were read.
        if !observed.is_at_rest {
            self.findings.missed_events(|missed| missed.observe(&observed.observation, now));
        }
        let mut findings = standing.get();
        findings.extend(self.findings.missed_events(|missed| missed.finding(&self.context.scope.service, now)));
        findings
    }

    fn remember(&mut self, observed: &Observed) {
        let Self { context, memory, .. } = self;
        memory.observed_at = Some(observed.began);
        let now = context.clock.now();
        let is_idle = observed.observation.load_balancer.is_some() && plan::is_idle(&observed.observation, now);
        memory.idle_since = is_idle.then(|| memory.idle_since.unwrap_or(now));
        let is_short =
            matches!(observed.observation.service, Service::Found(counts) if counts.running < counts.desired);
        memory.short_since = is_short.then(|| memory.short_since.unwrap_or(now));
        let before = std::mem::take(&mut memory.unmatched_since);
        let since = |key: &TargetKey| before.get(key).copied().unwrap_or(now);
        memory.unmatched_since = observed.plan.unmatched.iter().map(|key| (key.clone(), since(key))).collect();
    }

    /// The values of the gauges after the writes.
    fn snapshot(&self, observed: &Observed, summary: Summary) -> Snapshot {
        let Observed { observation, plan, .. } = observed;
        let now = self.context.clock.now();
        // The mark outlives this process, but only a load balancer that may be deleted has one.
        let marked_since = match &plan.lifecycle {
            LifecycleAction::Mark { idle_since, .. } => Some(*idle_since),
            _ => plan::marked_since(observation, now),
        };
        let load_balancer = observation.load_balancer.as_ref().filter(|_| summary.load_balancer_state.is_some());
        let idle_since = load_balancer.zip(self.memory.idle_since).map(|(load_balancer, since)| {
            // What is remembered may be about an earlier load balancer, if this process was frozen in between.
            marked_since.map_or(since, |marked| marked.min(since)).max(load_balancer.created_at)
        });
        let is_used = matches!(observation.service, Service::Found(_)) && !plan::is_idle(observation, now);
        let is_torn_down = self.memory.teardown.begun_at().is_some();
        let usage = match is_used || summary.load_balancer_state.is_some() || is_torn_down {
            true => Usage::InUse,
            false => Usage::Idle,
        };
        Snapshot { summary, idle_since, usage, flows: self.flows(observation) }
    }

    /// Logs the findings that are new, changed or cleared, and returns how many they are. None, once the service is no longer
    /// watched, or another reconciler has replaced this one: its findings would never be cleared.
    pub fn log_findings(&mut self, findings: &[Finding], observation: &str) -> usize {
        if self.gate.is_closed() {
            return 0;
        }
        self.findings.update(findings, Some(observation), &self.context.log, self.context.clock.now())
    }

    /// Logs an observation that no write follows.
    pub fn log_observed(&mut self, observed: &Observed) {
        self.context.totals.set_platform_calls(self.platform.calls());
        let took = observed.began.elapsed(&*self.context.clock);
        let flows = self.flows(&observed.observation);
        self.log_reconciled(&observed.id, Summary::of(&observed.observation), flows, 0, took);
    }

    fn flows(&self, observation: &Observation) -> Option<Flows> {
        Flows::of(observation, self.policy.usage.threshold, self.context.clock.now())
    }

    fn log_reconciled(
        &mut self,
        observation: &str,
        summary: Summary,
        flows: Option<Flows>,
        changes: usize,
        took: Duration,
    ) {
        let Summary { counts, serving, registered, healthy, load_balancer_state, load_balancer_created_at, .. } =
            summary;
        let now = self.context.clock.now();
        self.context.totals.set_platform_calls(self.platform.calls());
        let totals = self.context.totals.get();
        let reported = std::mem::replace(&mut self.memory.reported, totals);
        self.context.log.emit(&Event::Reconciled {
            observation: observation.to_owned(),
            desired: counts.desired,
            running: counts.running,
            pending: counts.pending,
            serving,
            registered,
            healthy,
            load_balancer_state: load_balancer_state.map_or("absent", LoadBalancerState::as_str).to_owned(),
            load_balancer_age_seconds: load_balancer_created_at
                .map(|created_at| millis_between(created_at, now) / 1000),
            flows: flows.map(|flows| flows.newest),
            flows_minute: flows.map(|flows| rfc3339_millis(flows.minute)),
            unused_since: flows.and_then(|flows| flows.unused_since).map(rfc3339_millis),
            changes,
            findings: self.findings.count(),
            messages: totals.messages - reported.messages,
            foreign: totals.foreign - reported.foreign,
            aws_calls: totals.aws_calls().sent - reported.aws_calls().sent,
            duration_ms: millis(took),
        });
        self.memory.heartbeat = Some(Moment::now(&*self.context.clock));
    }
}

#[cfg(test)]
mod tests;
