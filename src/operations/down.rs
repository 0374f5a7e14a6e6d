//! `down`: verifies that the load balancer is unused, scales the service to zero, waits until its tasks have stopped, and
//! deletes the load balancer.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::callers::{CallPolicy, Callers, Verdict};
use super::context::{Context, Grace};
use super::cost::Cost;
use super::engine::{Operation, PhaseStatus};
use super::failure::{Failure, OperationError};
use super::phase::{BoundedPhase, CompletedPhase};
use super::report::DownReport;
use super::run::{LeasedService, Run};
use super::{CONSISTENCY_DELAY, SHORT_PHASE_LIMIT};
use crate::aws::{ControllerPlatform, Deadline};
use crate::controller::message::Hints;
use crate::controller::reconciler::{OBSERVATION_VALID_FOR, Reconciler};
use crate::telemetry::log::{Phase, Verb, rfc3339_millis};
use jvb_watcher_cost::Model;
use jvb_watcher_rules::finding::FindingName;
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{
    LastStatus, LoadBalancer, LoadBalancerKind, OPERATION_TAG, Observation, Phase as TaskPhase, Service, Task,
};
use jvb_watcher_rules::plan::{self, Teardown, UsagePolicy};

/// The extent of `down`, and its time limits.
pub struct Spec {
    /// The extent of the deletion.
    pub extent: Extent,
    /// The response to an operator's hold.
    pub hold_policy: HoldPolicy,
    /// The response to callers.
    pub call_policy: CallPolicy,
    /// What counts as use of the load balancer.
    pub usage: UsagePolicy,
    /// The model of the cost in the report.
    pub costs: Model,
    /// The limit until every task has stopped.
    pub drain_limit: Duration,
    /// The limit until the load balancer is deleted.
    pub teardown_limit: Duration,
}

/// The extent of the deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The load balancer, its listeners and its target groups.
    All,
    /// The load balancer and its listeners; the target groups stay.
    LoadBalancer,
}

/// The response to an operator's hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldPolicy {
    /// Fail while it is in force.
    Respect,
    /// Release it.
    Release,
}

/// The operation `down`.
pub struct Down<P> {
    run: Run<P>,
    spec: Spec,
    /// Deletes the load balancer by the watcher's own rules, without a grace period.
    teardown: Reconciler<P>,
    /// Deregisters the tasks that stop, and never changes the load balancer.
    registrar: Reconciler<P>,
    callers: Callers<P>,
    /// The load balancer, as first observed.
    initial: Option<InitialLoadBalancer>,
    /// The desired count before this operation set it to zero.
    scaled_from: Option<i32>,
    /// The time at which the load balancer command succeeded.
    command_succeeded_at: Option<Instant>,
    /// The time of the first observation that found no load balancer.
    gone_at: Option<Timestamp>,
}

/// The load balancer, as first observed.
struct InitialLoadBalancer {
    arn: String,
    created_at: Timestamp,
    /// The names of its target groups with the owner tag, by ARN.
    groups: BTreeMap<String, String>,
}

/// The operator has decided that the load balancer is no longer needed.
const NO_GRACE: Grace = Grace { idle: Duration::ZERO, unused: Duration::ZERO };

impl<P: ControllerPlatform + Clone> Down<P> {
    /// Returns an operation that has not started.
    pub fn new(context: Context<P>, spec: Spec) -> Self {
        let extent = match spec.extent {
            Extent::All => Teardown::All,
            Extent::LoadBalancer => Teardown::LoadBalancer,
        };
        Self {
            teardown: context.reconciler(extent, NO_GRACE, UsagePolicy::OFF),
            registrar: context.reconciler(Teardown::Off, NO_GRACE, UsagePolicy::OFF),
            callers: Callers::new(&context, spec.call_policy, spec.usage),
            run: Run::new(Verb::Down, context),
            spec,
            initial: None,
            scaled_from: None,
            command_succeeded_at: None,
            gone_at: None,
        }
    }

    fn name(&self) -> &str {
        &self.run.context.load_balancer
    }

    /// Returns what forbids the load balancer's deletion, whatever the service's state.
    fn hindrance(&self, load_balancer: &LoadBalancer) -> Option<String> {
        let name = &load_balancer.name;
        if let LoadBalancerKind::Other(kind) = &load_balancer.kind {
            return Some(format!("load balancer {name} is of type {kind}, not network; correct --load-balancer"));
        }
        let owner_tag = &self.run.context.owner_tag;
        if !owner_tag.is_among(&load_balancer.tags) {
            return Some(format!(
                "load balancer {name} doesn't have the tag {owner_tag}, without which it is not deleted; add the tag, \
                 or give another one as --owner-tag"
            ));
        }
        let hold = Hold::of(&load_balancer.tags).filter(|hold| hold.is_in_force(self.run.context.now()));
        match (hold, self.spec.hold_policy) {
            (Some(Hold { until, holder: Holder::Hand }), HoldPolicy::Respect) => Some(format!(
                "load balancer {name} is held by hand until {}; release it (jvb-watcher hold --release), or give --force",
                rfc3339_millis(until)
            )),
            _ => None,
        }
    }

    fn hindrance_in(&self, observation: &Observation) -> Result<(), OperationError> {
        match observation.load_balancer.as_ref().and_then(|load_balancer| self.hindrance(load_balancer)) {
            Some(reason) => Err(OperationError::Refused(reason)),
            None => Ok(()),
        }
    }

    /// Releases the load balancer's hold, if it may; returns true if there was one.
    async fn release_hold(&self, observation: &Observation, deadline: &Deadline) -> Result<bool, OperationError> {
        let owner_tag = &self.run.context.owner_tag;
        let load_balancer = observation.load_balancer.as_ref();
        let Some(load_balancer) = load_balancer.filter(|load_balancer| owner_tag.is_among(&load_balancer.tags)) else {
            return Ok(false);
        };
        let hold = Hold::of(&load_balancer.tags).filter(|hold| match hold.holder {
            Holder::Up(_) => true,
            Holder::Hand => self.spec.hold_policy == HoldPolicy::Release,
        });
        let Some(hold) = hold else { return Ok(false) };
        self.run.release_hold(&load_balancer.arn, &hold.holder, deadline).await?;
        Ok(true)
    }

    /// Keeps what the report and the last phase need.
    fn record(&mut self, observation: &Observation) {
        match &observation.load_balancer {
            Some(load_balancer) => {
                let groups = self.run.context.owner_tag.owned_groups(load_balancer);
                let groups = groups.map(|group| (group.arn.clone(), group.name.clone()));
                let known = self.initial.take().filter(|known| known.arn == load_balancer.arn);
                let mut initial = known.unwrap_or_else(|| InitialLoadBalancer {
                    arn: load_balancer.arn.clone(),
                    created_at: load_balancer.created_at,
                    groups: BTreeMap::new(),
                });
                initial.groups.extend(groups);
                self.initial = Some(initial);
                self.gone_at = None;
            }
            None => {
                self.gone_at.get_or_insert(self.run.context.now());
            }
        }
    }

    // ---- the phases ----

    /// Waits until the load balancer is unused, or fails if it may be in use. Changes nothing: the lease comes later, so
    /// that an `up` can run meanwhile, which wins.
    async fn await_unused(&mut self) -> Result<PhaseStatus, OperationError> {
        let service = self.run.service().await?;
        self.run.yield_to_later(&service)?;
        if service.counts.desired > 0
            && let Some(awaited) = self.callers.recently_awaited()
        {
            return Ok(PhaseStatus::Waiting(awaited));
        }
        let observation = self.callers.observe().await?;
        self.hindrance_in(&observation)?;
        Ok(match self.callers.judge(&observation, &self.run.context)? {
            Verdict::NoCall(why) => PhaseStatus::Skipped(why),
            Verdict::Unused(since) => PhaseStatus::Completed(since),
            Verdict::Unread(why) | Verdict::Wait(why) => PhaseStatus::Waiting(why),
        })
    }

    /// Observes the use once more, just before the service is scaled; returns to the wait if there is use again.
    async fn verify_unused(&mut self) -> Result<Option<PhaseStatus>, OperationError> {
        if self.callers.policy == CallPolicy::CutOff || self.scaled_from.is_some() {
            return Ok(None);
        }
        let observation = self.callers.observe_fresh().await?;
        match self.callers.judge(&observation, &self.run.context)? {
            Verdict::NoCall(_) | Verdict::Unused(_) => Ok(None),
            Verdict::Unread(why) => Ok(Some(PhaseStatus::Waiting(why))),
            Verdict::Wait(_) => {
                self.run.give_back_lease().await?;
                let repeated = "the load balancer was used again each time; run the command again";
                Ok(Some(PhaseStatus::RestartFrom { phase: Phase::LoadBalancerUnused, repeated }))
            }
        }
    }

    async fn acquire_lease(&mut self) -> Result<PhaseStatus, OperationError> {
        let deadline = self.run.context.deadline();
        let service = self.run.service().await?;
        self.run.yield_to_later(&service)?;
        // Its tasks are remembered until ECS shows that they have stopped, also while its lists don't show them.
        let observed = self.teardown.observe(&Hints::default()).await?;
        self.hindrance_in(&observed.observation)?;
        let detail = self.run.acquire_lease(&service, &deadline).await?;
        self.record(&observed.observation);
        Ok(PhaseStatus::Completed(detail))
    }

    async fn scale(&mut self) -> Result<PhaseStatus, OperationError> {
        // The write rests on the observation of the use, too.
        let deadline = self.run.context.deadline();
        if let Some(status) = self.verify_unused().await? {
            return Ok(status);
        }
        let leased = self.run.verify_lease().await?;
        if leased.service.counts.desired > 0 {
            return self.scale_to_zero(&LeasedService { deadline, ..leased }).await;
        }
        Ok(match self.scaled_from {
            Some(from) => PhaseStatus::Completed(format!("desired count from {from} to 0")),
            None => PhaseStatus::Skipped("desired count is 0".to_owned()),
        })
    }

    async fn scale_to_zero(&mut self, leased: &LeasedService) -> Result<PhaseStatus, OperationError> {
        let from = leased.service.counts.desired;
        let Context { platform, scope, .. } = &self.run.context;
        platform.scale(&scope.cluster, &scope.service, 0, &leased.deadline).await?;
        self.scaled_from.get_or_insert(from);
        Ok(PhaseStatus::Waiting(format!("desired count from {from} to 0")))
    }

    /// Fails if the service was scaled up during the operation; reverts what a superseded `up` still had in progress.
    async fn verify_scaled_down(&mut self) -> Result<Option<PhaseStatus>, OperationError> {
        let leased = self.run.verify_lease().await?;
        let desired = leased.service.counts.desired;
        if desired == 0 {
            return Ok(None);
        }
        if self.run.since_superseding().is_some_and(|since| since < 2 * OBSERVATION_VALID_FOR) {
            return self.scale_to_zero(&leased).await.map(Some);
        }
        Err(OperationError::Refused(format!(
            "the desired count was set to {desired} during the operation; find out who scales up"
        )))
    }

    async fn await_stopped(&mut self) -> Result<PhaseStatus, OperationError> {
        if let Some(status) = self.verify_scaled_down().await? {
            return Ok(status);
        }
        // Without a command, the teardown begins with the same observation that finds the service idle.
        let observation = match self.run.context.command {
            None => self.teardown.reconcile(&Hints::default()).await?.observed.observation,
            Some(_) => {
                let observed = self.teardown.observe(&Hints::default()).await?;
                if !plan::is_idle(&observed.observation, self.run.context.now()) {
                    self.registrar.reconcile(&Hints::default()).await?;
                }
                observed.observation
            }
        };
        self.record(&observation);
        if plan::is_idle(&observation, self.run.context.now()) {
            return Ok(PhaseStatus::Completed(format!("all {} task(s) have stopped", observation.tasks.len())));
        }
        let Service::Found(counts) = observation.service else {
            let service = &self.run.context.scope.service;
            return Err(OperationError::Refused(format!(
                "service {service} was deleted during the operation, and its load balancer stays; find out who deletes it"
            )));
        };
        let stopping = observation.tasks.iter().filter(|task| task.last_status != LastStatus::Stopped);
        let ids: Vec<_> = stopping.map(|task| task.id.to_string()).collect();
        let now = self.run.context.now();
        let targets = plan::targets_of_others(&observation, now).map(|(group, target)| {
            format!("; {} port {} in {} is healthy without a task: deregister it", target.ip, target.port, group.name)
        });
        let groups = plan::groups_of_others(&observation).map(|group| {
            format!("; {} target(s) in {} are healthy: deregister them", group.healthy_others, group.name)
        });
        let (running, pending) = (counts.running, counts.pending);
        Ok(PhaseStatus::Waiting(format!(
            "{running} running, {pending} pending; not stopped yet: {}{}",
            if ids.is_empty() { "none".to_owned() } else { ids.join(", ") },
            targets.chain(groups).collect::<String>()
        )))
    }

    async fn delete_load_balancer(&mut self) -> Result<PhaseStatus, OperationError> {
        if let Some(status) = self.verify_scaled_down().await? {
            return Ok(status);
        }
        let is_left = self.initial.is_some() && self.gone_at.is_none();
        if self.run.context.command.is_some() && self.command_succeeded_at.is_none() && is_left {
            // The command deletes without a further observation.
            self.teardown.wait_until_every_task_is_shown().await?;
        }
        let deadline = self.run.context.deadline();
        let observed = self.teardown.observe(&Hints::default()).await?;
        let observation = &observed.observation;
        self.record(observation);
        self.hindrance_in(observation)?;
        if self.release_hold(observation, &deadline).await? {
            return Ok(PhaseStatus::Waiting("the hold is released".to_owned()));
        }
        let name = self.name().to_owned();
        if observation.load_balancer.is_none() && observation.orphaned_target_groups.is_empty() {
            return Ok(match &self.initial {
                Some(initial) => {
                    PhaseStatus::Completed(format!("{name} and {} target group(s) are deleted", initial.groups.len()))
                }
                None => PhaseStatus::Skipped(format!("load balancer {name} doesn't exist")),
            });
        }
        if !plan::is_idle(observation, self.run.context.now()) {
            let is_stopping =
                |task: &Task| task.phase() == TaskPhase::Stopping && task.last_status != LastStatus::Stopped;
            if observation.tasks.iter().any(is_stopping) {
                // ECS didn't show it before.
                let repeated = "tasks of the service are stopping each time; find out who starts them";
                return Ok(PhaseStatus::RestartFrom { phase: Phase::TasksDrained, repeated });
            }
            return Err(OperationError::Refused(format!("{name} is in use again; find out who uses it")));
        }
        if let Some(command) = &self.run.context.command
            && observation.load_balancer.is_some()
        {
            return match self.command_succeeded_at {
                None => Ok(PhaseStatus::RunCommand),
                Some(at) if at.elapsed() < CONSISTENCY_DELAY => {
                    Ok(PhaseStatus::Waiting(format!("AWS still shows load balancer {name}")))
                }
                Some(_) => Err(OperationError::Refused(format!(
                    "`{}` succeeded, but load balancer {name} still exists; correct the command, or --load-balancer",
                    command.text()
                ))),
            };
        }
        let outcome = self.teardown.reconcile(&Hints::default()).await?;
        if let Some(finding) = outcome.findings.iter().find(|finding| finding.name == FindingName::DeletionProtected) {
            return Err(OperationError::Refused(format!("{name}: {}. {}", finding.detail, finding.name.advice())));
        }
        Ok(PhaseStatus::Waiting(match &observation.load_balancer {
            Some(_) => format!("deleting {name}"),
            None => {
                let groups = observation.orphaned_target_groups.iter().map(|group| group.name.as_str());
                format!("deleting target group(s) {}", groups.collect::<Vec<_>>().join(", "))
            }
        }))
    }

    /// Verifies the deletion independently of the reconciler: by the project's names, and by what existed before.
    async fn verify_deleted(&mut self) -> Result<PhaseStatus, OperationError> {
        self.run.verify_lease().await?;
        let Context { platform, project, owner_tag, .. } = &self.run.context;
        let name = self.name();
        if let Some(load_balancer) = platform.load_balancer(name).await? {
            return Err(OperationError::Refused(format!(
                "load balancer {name} exists again, or still ({}); find out who creates it",
                load_balancer.arn
            )));
        }
        if self.spec.extent == Extent::LoadBalancer {
            return Ok(PhaseStatus::Completed(format!("no load balancer {name}; the target groups stay")));
        }
        let prefix = format!("{project}-jvb-");
        let is_known = |arn: &str| self.initial.as_ref().is_some_and(|initial| initial.groups.contains_key(arn));
        let mut groups = platform.target_groups(None).await?;
        groups.retain(|group| {
            is_known(&group.arn) || group.load_balancer_arns.is_empty() && group.name.starts_with(&prefix)
        });
        let arns: Vec<_> = groups.iter().map(|group| group.arn.clone()).collect();
        let tags = platform.tags(&arns).await?;
        // One without the owner tag stays.
        let is_owned = |arn: &str| tags.get(arn).is_some_and(|tags| owner_tag.is_among(tags));
        let remaining = groups.iter().filter(|group| is_owned(&group.arn));
        let remaining: Vec<_> = remaining.map(|group| group.name.as_str()).collect();
        match remaining.as_slice() {
            [] if groups.is_empty() => {
                Ok(PhaseStatus::Completed("no load balancer, listener or target group remains".to_owned()))
            }
            [] => {
                let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
                let names = names.join(", ");
                Ok(PhaseStatus::Completed(format!(
                    "no load balancer or listener remains; target group(s) {names} stay: no tag {owner_tag}"
                )))
            }
            // A group without the watcher's mark may be in use elsewhere. AWS shows a deleted one for a moment, too.
            remaining => Ok(PhaseStatus::Waiting(format!(
                "target group(s) {} remain; if they stay, delete them (terraform destroy, or aws elbv2 \
                 delete-target-group)",
                remaining.join(", ")
            ))),
        }
    }

    // ---- the results ----

    /// Returns the result of the completed operation.
    pub fn report(&self, completed: Vec<CompletedPhase>) -> DownReport {
        let Context { project, scope, .. } = &self.run.context;
        let up = self.initial.as_ref().zip(self.gone_at);
        let up = up.and_then(|(initial, gone_at)| Duration::try_from(gone_at.duration_since(initial.created_at)).ok());
        let groups = self.initial.iter().flat_map(|initial| initial.groups.values().cloned());
        DownReport {
            operation: Verb::Down,
            project: project.clone(),
            cluster: scope.cluster.clone(),
            service: scope.service.clone(),
            load_balancer: self.name().to_owned(),
            load_balancer_arn: self.initial.as_ref().map(|initial| initial.arn.clone()),
            target_groups: groups.collect(),
            cost: Cost::new(up, &self.spec.costs),
            phases: completed,
        }
    }

    /// Returns the steps that the operation would take, in order.
    ///
    /// # Errors
    ///
    /// Returns what would make the operation fail in its first phase. If that is the use of the load balancer, it has the steps.
    pub async fn dry_run(&mut self) -> Result<Vec<String>, Failure> {
        let (steps, error) = match self.steps().await {
            Ok((steps, None)) => return Ok(steps),
            Ok((steps, Some(in_use))) => (steps, in_use),
            Err(error) => (Vec::new(), error),
        };
        let first = self.phases().first().map_or(Phase::Claimed, |bounded| bounded.phase);
        Err(Failure { steps, ..self.run.fail(first, error).await })
    }

    /// Returns the steps, and the use that would end the operation in the first of them.
    async fn steps(&mut self) -> Result<(Vec<String>, Option<OperationError>), OperationError> {
        let service = self.run.service().await?;
        let observed = self.registrar.observe(&Hints::default()).await?;
        self.hindrance_in(&observed.observation)?;
        let limit = |limit: Duration| format!("(limit {})", humantime::format_duration(limit));
        let (unused, in_use) = self.unused_step().await?;
        let mut steps = unused.into_iter().collect::<Vec<_>>();
        let name = self.name();
        steps.push(format!("acquire the lease: tag {OPERATION_TAG} on the service"));
        steps.push(match service.counts.desired {
            0 => "leave the desired count at 0".to_owned(),
            from => format!("set the desired count from {from} to 0"),
        });
        steps.push(format!("wait until every task has stopped {}", limit(self.spec.drain_limit)));
        match &observed.observation.load_balancer {
            None => steps.push(format!("delete nothing: load balancer {name} doesn't exist")),
            Some(load_balancer) => {
                if Hold::of(&load_balancer.tags).is_some() {
                    steps.push("release the hold".to_owned());
                }
                let limit = limit(self.spec.teardown_limit);
                let groups = self.run.context.owner_tag.owned_groups(load_balancer);
                let groups: Vec<_> = groups.map(|group| group.name.as_str()).collect();
                steps.push(match (&self.run.context.command, self.spec.extent) {
                    (Some(command), _) => format!("run `{}` {limit}", command.text()),
                    (None, Extent::All) if !groups.is_empty() => {
                        format!("delete {name}, its listeners and {} {limit}", groups.join(", "))
                    }
                    (None, _) => format!("delete {name} and its listeners {limit}"),
                });
            }
        }
        steps.push("verify the deletion, and release the lease".to_owned());
        Ok((steps, in_use))
    }

    /// Returns the step about callers with the present use, and the error that this use would be; no step if callers are cut
    /// off.
    async fn unused_step(&mut self) -> Result<(Option<String>, Option<OperationError>), OperationError> {
        if self.callers.policy == CallPolicy::CutOff {
            return Ok((None, None));
        }
        let observation = self.callers.observe().await?;
        let verify = |now: &str| Some(format!("verify that no call is cut off: {now}"));
        Ok(match (self.callers.judge(&observation, &self.run.context), self.callers.policy) {
            (Ok(Verdict::NoCall(now) | Verdict::Unused(now)), _) => (verify(&now), None),
            (Ok(Verdict::Unread(now) | Verdict::Wait(now)), CallPolicy::AwaitEnd(limit)) => {
                let limit = humantime::format_duration(limit);
                (Some(format!("wait until the load balancer is unused (limit {limit}): {now}")), None)
            }
            (Ok(Verdict::Unread(now) | Verdict::Wait(now)), _) => (verify(&now), Some(OperationError::InUse(now))),
            (Err(in_use), _) => (verify(&in_use.reason()), Some(in_use)),
        })
    }
}

impl<P: ControllerPlatform + Clone> Operation for Down<P> {
    type Platform = P;

    fn run(&self) -> &Run<P> {
        &self.run
    }

    fn run_mut(&mut self) -> &mut Run<P> {
        &mut self.run
    }

    fn phases(&self) -> Vec<BoundedPhase> {
        let unused_limit = match self.callers.policy {
            CallPolicy::CutOff => None,
            CallPolicy::Respect => Some(SHORT_PHASE_LIMIT),
            CallPolicy::AwaitEnd(limit) => Some(limit),
        };
        let unused = unused_limit.map(|limit| BoundedPhase { phase: Phase::LoadBalancerUnused, limit });
        let scaled_down = [
            BoundedPhase { phase: Phase::Claimed, limit: SHORT_PHASE_LIMIT },
            BoundedPhase { phase: Phase::ServiceScaled, limit: SHORT_PHASE_LIMIT },
            BoundedPhase { phase: Phase::TasksDrained, limit: self.spec.drain_limit },
            BoundedPhase { phase: Phase::LoadBalancerGone, limit: self.spec.teardown_limit },
            BoundedPhase { phase: Phase::NothingLeft, limit: SHORT_PHASE_LIMIT },
        ];
        unused.into_iter().chain(scaled_down).collect()
    }

    async fn check(&mut self, phase: Phase) -> Result<PhaseStatus, OperationError> {
        match phase {
            Phase::LoadBalancerUnused => self.await_unused().await,
            Phase::Claimed => self.acquire_lease().await,
            Phase::ServiceScaled => self.scale().await,
            Phase::TasksDrained => self.await_stopped().await,
            Phase::LoadBalancerGone => self.delete_load_balancer().await,
            Phase::NothingLeft => self.verify_deleted().await,
            Phase::LoadBalancerMade
            | Phase::LoadBalancerActive
            | Phase::TasksServing
            | Phase::TargetsRegistered
            | Phase::TargetsHealthy
            | Phase::UrlAnswering => Ok(PhaseStatus::Skipped("not a phase of down".to_owned())),
        }
    }

    async fn beside_command(&mut self) -> Result<(), OperationError> {
        self.run.verify_lease().await?;
        Ok(())
    }

    fn command_succeeded(&mut self) {
        self.command_succeeded_at = Some(Instant::now());
    }

    async fn undo(&mut self, _: Phase) {}
}
