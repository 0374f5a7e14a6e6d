//! `up`: creates the load balancer, scales the service up, and waits until clients can connect.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;

use super::context::{Context, Grace};
use super::engine::{Operation, PhaseStatus};
use super::failure::{Failure, OperationError};
use super::phase::{BoundedPhase, CompletedPhase};
use super::registration::Registrations;
use super::report::{GroupReport, TaskReport, UpReport};
use super::run::{CommandState, FAILED_CLEANUP_LIMIT, LeasedService, Run};
use super::{CONSISTENCY_DELAY, POLL_INTERVAL, SHORT_PHASE_LIMIT};
use crate::aws::{AwsError, ControllerPlatform, Deadline, LoadBalancerDescription};
use crate::controller::message::Hints;
use crate::controller::reconciler::{OBSERVATION_VALID_FOR, Reconciler};
use crate::telemetry::log::{Phase, Verb, rfc3339_millis};
use jvb_watcher_rules::finding::FindingName;
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{
    BridgeAddress, Counts, LoadBalancer, LoadBalancerKind, LoadBalancerState, OPERATION_TAG, Observation,
    Phase as TaskPhase, STOP_AT_TAG, Service, Startup, TargetGroup, TargetType, Task,
};
use jvb_watcher_rules::plan::{self, LifecycleAction, Teardown, UsagePolicy};

/// The number of stopped tasks, for each desired one, at which a service without a serving task counts as crashing.
const CRASHES_PER_TASK: usize = 3;

/// A request to the URL that must answer in the end.
pub trait Probe: Send + Sync {
    /// Returns the URL.
    fn url(&self) -> &str;

    /// Sends one request; returns the answer. The error says why there is none, or why it doesn't count.
    fn send(&self) -> BoxFuture<'_, Result<String, String>>;
}

/// The state that `up` brings about, and its time limits.
pub struct Spec {
    /// The desired count. A service with a higher one keeps it.
    pub desired: i32,
    /// The URL that must answer in the end.
    pub probe: Option<Arc<dyn Probe>>,
    /// The limit for the load balancer command.
    pub create_limit: Duration,
    /// The limit until the load balancer is active.
    pub active_limit: Duration,
    /// The limit until as many tasks serve as are desired.
    pub serving_limit: Duration,
    /// The limit until these tasks are registered.
    pub registered_limit: Duration,
    /// The limit until their targets are healthy.
    pub healthy_limit: Duration,
    /// The limit until the URL answers.
    pub answer_limit: Duration,
}

/// The operation `up`.
pub struct Up<P> {
    run: Run<P>,
    spec: Spec,
    /// Registers the serving tasks, and never changes the load balancer.
    registrar: Reconciler<P>,
    /// Completes the teardown of an earlier load balancer that has already begun, by the watcher's own rules.
    finisher: Reconciler<P>,
    /// The load balancer, as read in the phase "load balancer active".
    load_balancer: Option<LoadBalancerDescription>,
    origin: Origin,
    /// The time from which no watcher's observation from before the hold can lead to a write.
    settled_at: Option<Instant>,
    /// The desired count before this operation raised it.
    scaled_from: Option<i32>,
    /// Whether it was raised ahead of its phase, when nothing ran.
    is_scaled_ahead: bool,
    /// The time since which the service should keep its tasks.
    scaled_at: Option<Timestamp>,
    /// The number of tasks to wait for.
    wanted: i32,
    /// The latest observation.
    observation: Observation,
}

/// The origin of the load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It existed before.
    Existing,
    /// The load balancer command succeeded then.
    Command(Instant),
}

/// The watcher's default grace periods.
const GRACE: Grace = Grace { idle: Duration::from_secs(60), unused: Duration::from_secs(15 * 60) };

impl<P: ControllerPlatform + Clone> Up<P> {
    /// Returns an operation that has not started.
    pub fn new(context: Context<P>, spec: Spec) -> Self {
        let wanted = spec.desired;
        Self {
            registrar: context.reconciler(Teardown::Off, GRACE, UsagePolicy::OFF),
            finisher: context.reconciler(Teardown::All, GRACE, UsagePolicy::OFF),
            run: Run::new(Verb::Up, context),
            spec,
            load_balancer: None,
            origin: Origin::Existing,
            settled_at: None,
            scaled_from: None,
            is_scaled_ahead: false,
            scaled_at: None,
            wanted,
            observation: Observation::of_service(Service::Missing, Startup::default()),
        }
    }

    fn name(&self) -> &str {
        &self.run.context.load_balancer
    }

    fn command_text(&self) -> String {
        self.run.context.command.as_ref().map(|command| command.text()).unwrap_or_default()
    }

    // ---- the hold ----

    /// Returns the sum of all time limits.
    fn total_limit(&self) -> Duration {
        self.phases().iter().map(|bounded| bounded.limit).sum()
    }

    /// Holds the observed load balancer.
    async fn hold_observed(&self, load_balancer: &LoadBalancer, deadline: &Deadline) -> Result<(), AwsError> {
        if !self.run.context.owner_tag.is_among(&load_balancer.tags) {
            return Ok(());
        }
        self.hold(&load_balancer.arn, Hold::of(&load_balancer.tags), deadline).await
    }

    /// Holds the load balancer, unless an operator or this operation does already.
    async fn hold(&self, arn: &str, current: Option<Hold>, deadline: &Deadline) -> Result<(), AwsError> {
        let now = self.run.context.now();
        let id = &self.run.context.id;
        let is_held = current.filter(|hold| hold.is_in_force(now)).is_some_and(|hold| match hold.holder {
            Holder::Hand => true,
            Holder::Up(of) => of == *id,
        });
        if is_held {
            return Ok(());
        }
        let hold = Hold::for_duration(self.total_limit(), now, Holder::Up(id.clone()));
        self.run.place_hold(arn, &hold, deadline).await
    }

    /// Reads the load balancer, and holds it. One without the owner tag needs no hold: no watcher deletes it.
    async fn held_load_balancer(&self, deadline: &Deadline) -> Result<Option<LoadBalancerDescription>, AwsError> {
        let platform = &self.run.context.platform;
        let Some(load_balancer) = platform.load_balancer(self.name()).await? else { return Ok(None) };
        let tags = platform.tags(std::slice::from_ref(&load_balancer.arn)).await?;
        let owner_tag = &self.run.context.owner_tag;
        if let Some(tags) = tags.get(&load_balancer.arn).filter(|tags| owner_tag.is_among(tags)) {
            self.hold(&load_balancer.arn, Hold::of(tags), deadline).await?;
        }
        Ok(Some(load_balancer))
    }

    // ---- the phases ----

    /// Refuses an operation that can't succeed.
    fn validate(&self, load_balancer: Option<&LoadBalancer>) -> Result<(), OperationError> {
        let name = self.name();
        match (load_balancer.map(|load_balancer| &load_balancer.kind), &self.run.context.command) {
            (Some(LoadBalancerKind::Other(kind)), _) => Err(OperationError::Refused(format!(
                "load balancer {name} is of type {kind}, not network; correct --load-balancer"
            ))),
            (None, None) => Err(OperationError::Refused(format!(
                "load balancer {name} doesn't exist, and no command creates it; give --terraform-dir or \
                 --balancer-command"
            ))),
            (Some(LoadBalancerKind::Network), _) | (None, Some(_)) => self.validate_desired(load_balancer),
        }
    }

    /// Refuses several bridges behind one UDP listener. A load balancer that doesn't exist will have one.
    fn validate_desired(&self, load_balancer: Option<&LoadBalancer>) -> Result<(), OperationError> {
        let desired = self.spec.desired;
        let takes_no_udp = |load_balancer: &LoadBalancer| {
            let groups = &load_balancer.target_groups;
            !groups.is_empty() && !groups.iter().any(|group| group.protocol.takes_udp())
        };
        if desired <= 1 || self.run.context.allow_several_bridges || load_balancer.is_some_and(takes_no_udp) {
            return Ok(());
        }
        Err(OperationError::Refused(format!(
            "--desired {desired}: one UDP listener can serve one bridge; Jicofo chooses a conference's bridge, and the \
             load balancer each flow's target, so media would reach the wrong bridge and calls would fail. Give --desired \
             1; or --allow-several-bridges, if each bridge advertises an address of its own"
        )))
    }

    async fn acquire_lease(&mut self) -> Result<PhaseStatus, OperationError> {
        let deadline = self.run.context.deadline();
        let service = self.run.service().await?;
        let observed = self.registrar.observe(&Hints::default()).await?;
        self.validate(observed.observation.load_balancer.as_ref())?;
        Ok(PhaseStatus::Completed(self.run.acquire_lease(&service, &deadline).await?))
    }

    async fn create_load_balancer(&mut self) -> Result<PhaseStatus, OperationError> {
        let leased = self.run.verify_lease().await?;
        let observed = self.finisher.observe(&Hints::default()).await?;
        let Some(load_balancer) = &observed.observation.load_balancer else {
            self.settled_at = None;
            // The tasks that start could learn the addresses of the load balancer that is gone.
            self.scale_back(&leased).await?;
            let is_deleting = matches!(observed.plan.lifecycle, LifecycleAction::DeleteTargetGroups { .. });
            let is_marked = !observed.observation.orphaned_target_groups.is_empty();
            if is_deleting || is_marked && plan::is_idle(&observed.observation, self.run.context.now()) {
                // Terraform would adopt the old groups while a watcher deletes them.
                self.finisher.reconcile(&Hints::default()).await?;
                return Ok(PhaseStatus::Waiting("a teardown is in progress; its target groups go first".to_owned()));
            }
            return self.run_command();
        };
        let name = self.name().to_owned();
        self.hold_observed(load_balancer, &leased.deadline).await?;
        if let Origin::Command(_) = self.origin {
            return Ok(PhaseStatus::Completed(format!("{name} is created")));
        }
        if let LifecycleAction::Unmark { .. } = observed.plan.lifecycle {
            // An idle mark from before this operation would shorten the next grace period.
            self.finisher.reconcile(&Hints::default()).await?;
        }
        let settled_at = *self.settled_at.get_or_insert_with(|| Instant::now() + OBSERVATION_VALID_FOR);
        let Counts { desired, running, .. } = leased.service.counts;
        // What this operation has superseded, or a watcher that has announced a stop, may have sent a scale-in to zero: it
        // takes effect before the lease and the hold are ten seconds old.
        let is_superseding = self.run.since_superseding().is_some_and(|since| since < OBSERVATION_VALID_FOR);
        let may_be_stopped = is_superseding || load_balancer.tags.contains_key(STOP_AT_TAG);
        // A running task proves that no observation of an idle service is still valid: it took longer to start.
        let is_in_use = desired > 0 && running > 0 && !may_be_stopped;
        let takes_addresses = |group: &TargetGroup| matches!(group.target_type, TargetType::Ip { .. });
        let is_complete =
            load_balancer.target_groups.iter().any(takes_addresses) && self.run.command == CommandState::Settled;
        if !is_in_use && Instant::now() < settled_at {
            // The tasks take longer to start than the load balancer is in danger.
            if is_complete {
                self.scale_ahead(&leased, load_balancer.state).await?;
            }
            let seconds = OBSERVATION_VALID_FOR.as_secs();
            return Ok(PhaseStatus::Waiting(format!(
                "{name} exists; a watcher that observed it before the hold may delete it within {seconds} s"
            )));
        }
        if !is_complete && self.run.context.command.is_some() {
            // An interrupted terraform leaves out listeners; the next run creates them.
            return Ok(PhaseStatus::RunCommand);
        }
        let since = rfc3339_millis(load_balancer.created_at);
        Ok(PhaseStatus::Skipped(format!("{name} exists since {since}")))
    }

    /// Decides whether to run the load balancer command, while there is no load balancer.
    fn run_command(&self) -> Result<PhaseStatus, OperationError> {
        let name = self.name();
        match self.origin {
            Origin::Command(at) if at.elapsed() < CONSISTENCY_DELAY => {
                Ok(PhaseStatus::Waiting(format!("AWS doesn't show load balancer {name} yet")))
            }
            Origin::Command(_) => Err(OperationError::Refused(format!(
                "`{}` succeeded, but load balancer {name} doesn't exist; correct its name in that configuration, or \
                 --load-balancer",
                self.command_text()
            ))),
            Origin::Existing if self.run.since_superseding().is_some_and(|since| since < OBSERVATION_VALID_FOR) => {
                Ok(PhaseStatus::Waiting("the superseded operation has some seconds to stop".to_owned()))
            }
            Origin::Existing => Ok(PhaseStatus::RunCommand),
        }
    }

    async fn await_active(&mut self) -> Result<PhaseStatus, OperationError> {
        let leased = self.run.verify_lease().await?;
        let Some(load_balancer) = self.held_load_balancer(&leased.deadline).await? else {
            (self.origin, self.settled_at) = (Origin::Existing, None);
            let repeated = "the load balancer was deleted repeatedly; find out who deletes it";
            return Ok(PhaseStatus::RestartFrom { phase: Phase::LoadBalancerMade, repeated });
        };
        let (state, name) = (load_balancer.state, load_balancer.name.clone());
        self.load_balancer = Some(load_balancer);
        match state {
            LoadBalancerState::Active => Ok(PhaseStatus::Completed(format!("{name} is active"))),
            LoadBalancerState::ActiveImpaired => {
                Ok(PhaseStatus::Completed(format!("{name} is active, but impaired: it lacks resources to scale")))
            }
            LoadBalancerState::Failed => Err(OperationError::Refused(format!(
                "load balancer {name} is in state failed; delete it (jvb-watcher down), check that its subnets have \
                 free addresses, and run jvb-watcher up again"
            ))),
            LoadBalancerState::Provisioning | LoadBalancerState::Unknown => {
                self.scale_ahead(&leased, state).await?;
                let tasks = match self.is_scaled_ahead {
                    true => {
                        // A target is registered before its health checks can begin.
                        let outcome = self.registrar.reconcile(&Hints::default()).await?;
                        let tasks = &outcome.observed.observation.tasks;
                        let live = tasks.iter().filter(|task| task.phase() != TaskPhase::Stopping).count();
                        format!("; {live} task(s) start or serve")
                    }
                    false => String::new(),
                };
                Ok(PhaseStatus::Waiting(format!("{name} is {}{tasks}", state.as_str())))
            }
        }
    }

    async fn scale(&mut self) -> Result<PhaseStatus, OperationError> {
        let leased = self.run.verify_lease().await?;
        let (current, desired) = (leased.service.counts.desired, self.spec.desired);
        if self.raise_desired_count(&leased).await? {
            return Ok(match (self.scaled_from, self.scaled_at) {
                (Some(from), Some(at)) if self.is_scaled_ahead => {
                    PhaseStatus::Completed(format!("desired count from {from} to {current} at {}", rfc3339_millis(at)))
                }
                (Some(from), _) => PhaseStatus::Completed(format!("desired count from {from} to {current}")),
                (None, _) => PhaseStatus::Skipped(format!("desired count is {current}")),
            });
        }
        Ok(PhaseStatus::Waiting(format!("desired count from {current} to {desired}")))
    }

    /// Raises the desired count; returns true if it is high enough already.
    async fn raise_desired_count(&mut self, leased: &LeasedService) -> Result<bool, OperationError> {
        let (current, desired) = (leased.service.counts.desired, self.spec.desired);
        self.wanted = desired.max(current);
        self.scaled_at.get_or_insert(self.run.context.now());
        if current >= desired {
            return Ok(true);
        }
        // The answer may be lost, and the write take effect.
        self.scaled_from.get_or_insert(current);
        let Context { platform, scope, .. } = &self.run.context;
        platform.scale(&scope.cluster, &scope.service, desired, &leased.deadline).await?;
        Ok(false)
    }

    /// Starts the tasks ahead of their phase, where nothing runs and the load balancer's state doesn't matter to them.
    ///
    /// An active load balancer's name resolves. While it is provisioning, AWS documents neither whether it does nor its
    /// addresses, so the service's tag must say that its bridge waits or needs none.
    async fn scale_ahead(&mut self, leased: &LeasedService, state: LoadBalancerState) -> Result<(), OperationError> {
        let is_safe = match BridgeAddress::of(&leased.service.tags) {
            BridgeAddress::Awaited | BridgeAddress::Fixed => state != LoadBalancerState::Failed,
            BridgeAddress::Unknown => state.is_active(),
        };
        if is_safe && leased.service.counts == Counts::default() {
            self.is_scaled_ahead = true;
            self.raise_desired_count(leased).await?;
        }
        Ok(())
    }

    /// Sets the desired count back to zero, if it was raised ahead of its phase and no other operation has changed it since.
    async fn scale_back(&mut self, leased: &LeasedService) -> Result<(), OperationError> {
        if self.is_scaled_ahead && leased.service.counts.desired == self.spec.desired {
            let Context { platform, scope, .. } = &self.run.context;
            platform.scale(&scope.cluster, &scope.service, 0, &leased.deadline).await?;
        }
        if self.is_scaled_ahead {
            (self.is_scaled_ahead, self.scaled_from, self.scaled_at) = (false, None, None);
        }
        Ok(())
    }

    /// Sets the desired count back, unless clients can have reached a task.
    async fn scale_back_unless_in_use(&mut self) -> Result<(), OperationError> {
        let leased = self.run.verify_lease().await?;
        let load_balancer = self.run.context.platform.load_balancer(self.name()).await?;
        let is_reachable = load_balancer.is_some_and(|found| found.state.is_active());
        match is_reachable && leased.service.counts.running > 0 {
            true => Ok(()),
            false => self.scale_back(&leased).await,
        }
    }

    /// Registers the serving tasks, and keeps the observation; returns the finding that hinders a start or a registration.
    async fn register(&mut self) -> Result<Option<String>, OperationError> {
        self.run.verify_lease().await?;
        let outcome = self.registrar.reconcile(&Hints::default()).await?;
        let observation = outcome.observed.observation;
        if let Service::Found(counts) = observation.service
            && counts.desired < self.wanted
        {
            return Err(OperationError::Refused(format!(
                "the desired count was set to {} during the operation; find out who scales down",
                counts.desired
            )));
        }
        if observation.load_balancer.is_none() {
            return Err(OperationError::Refused(format!(
                "load balancer {} was deleted during the operation; find out who deletes it",
                self.name()
            )));
        }
        self.observation = observation;
        // The reason of a task that has stopped is reported with the task.
        let explains = self.crashed().is_empty();
        let delays =
            |name: FindingName| name.hinders_registration() || (explains && name == FindingName::TasksNotStarting);
        let hindrance = outcome.findings.iter().find(|finding| delays(finding.name));
        Ok(hindrance.map(|finding| format!("{}: {}. {}", finding.subject, finding.detail, finding.name.advice())))
    }

    /// Returns the tasks that have stopped since the desired count was set, the latest last.
    fn crashed(&self) -> Vec<&Task> {
        let Some(since) = self.scaled_at else { return Vec::new() };
        let tasks = self.observation.tasks.iter();
        let mut crashed: Vec<_> = tasks.filter(|task| task.stopped_at.is_some_and(|at| at > since)).collect();
        crashed.sort_by_key(|task| task.stopped_at);
        crashed
    }

    async fn await_serving(&mut self) -> Result<PhaseStatus, OperationError> {
        let hindrance = self.register().await?;
        let serving = self.observation.serving().count();
        let wanted = usize::try_from(self.wanted).unwrap_or(0);
        if serving >= wanted {
            return Ok(PhaseStatus::Completed(format!("{serving} task(s) serve")));
        }
        let crashed = self.crashed();
        let last = crashed.last().map(|task| {
            let reason = task.stopped_reason.as_deref().unwrap_or("ECS gives no reason");
            format!("; the last stopped task, {}: {reason}", task.id)
        });
        let last = last.unwrap_or_default();
        if serving == 0 && crashed.len() >= CRASHES_PER_TASK * wanted.max(1) {
            return Err(OperationError::Refused(format!(
                "{} tasks have stopped, and none serves{last}; check the service's events and the tasks' logs",
                crashed.len()
            )));
        }
        let hindrance = hindrance.map(|hindrance| format!("; {hindrance}")).unwrap_or_default();
        Ok(PhaseStatus::Waiting(format!("{serving} of {wanted} task(s) serve{last}{hindrance}")))
    }

    async fn await_registered(&mut self) -> Result<PhaseStatus, OperationError> {
        let hindrance = self.register().await?;
        let registrations = Registrations::of(&self.observation);
        let Registrations { wanted, registered, .. } = registrations;
        if registrations.is_complete() {
            return Ok(PhaseStatus::Completed(format!("{registered} target(s) are registered")));
        }
        let groups = self.observation.load_balancer.iter().flat_map(|load_balancer| &load_balancer.target_groups);
        let take_addresses = groups.filter(|group| matches!(group.target_type, TargetType::Ip { .. })).count();
        Ok(PhaseStatus::Waiting(match (take_addresses, hindrance) {
            (0, _) => format!("{} has no target group of type ip", self.name()),
            (_, Some(hindrance)) => hindrance,
            (_, None) => format!("{registered} of {wanted} target(s) are registered"),
        }))
    }

    async fn await_healthy(&mut self) -> Result<PhaseStatus, OperationError> {
        self.register().await?;
        let registrations = Registrations::of(&self.observation);
        let readiness = self.observation.readiness();
        Ok(match readiness.is_complete() && registrations.is_complete() {
            true => PhaseStatus::Completed(format!("{} target(s) are healthy", readiness.healthy)),
            false => {
                PhaseStatus::Waiting(format!("of {} target(s): {}", registrations.wanted, registrations.summary()))
            }
        })
    }

    async fn await_answer(&mut self) -> Result<PhaseStatus, OperationError> {
        self.register().await?;
        let Some(probe) = self.spec.probe.clone() else {
            return Ok(PhaseStatus::Skipped("there is no URL".to_owned()));
        };
        Ok(match probe.send().await {
            Ok(answer) => PhaseStatus::Completed(format!("{} answers {answer}", probe.url())),
            Err(reason) => PhaseStatus::Waiting(format!("{}: {reason}", probe.url())),
        })
    }

    // ---- the results ----

    /// Returns the result of the completed operation.
    pub fn report(&self, completed: Vec<CompletedPhase>) -> UpReport {
        let Context { project, scope, .. } = &self.run.context;
        let load_balancer = self.load_balancer.as_ref();
        let groups = self.observation.load_balancer.iter().flat_map(|load_balancer| &load_balancer.target_groups);
        let group = |group: &TargetGroup| GroupReport { name: group.name.clone(), arn: group.arn.clone() };
        let task = |task: &Task| TaskReport {
            id: task.id.to_string(),
            ipv4: task.ipv4.map(|ip| ip.to_string()),
            ipv6: task.ipv6.map(|ip| ip.to_string()),
        };
        UpReport {
            operation: Verb::Up,
            project: project.clone(),
            cluster: scope.cluster.clone(),
            service: scope.service.clone(),
            load_balancer: self.name().to_owned(),
            load_balancer_arn: load_balancer.map(|load_balancer| load_balancer.arn.clone()).unwrap_or_default(),
            dns_name: load_balancer.and_then(|load_balancer| load_balancer.dns_name.clone()).unwrap_or_default(),
            target_groups: groups.map(group).collect(),
            tasks: self.observation.serving().map(task).collect(),
            phases: completed,
        }
    }

    /// Returns the steps that the operation would take, in order.
    ///
    /// # Errors
    ///
    /// Returns what would make the operation fail in its first phase.
    pub async fn dry_run(&mut self) -> Result<Vec<String>, Failure> {
        let steps = self.steps().await;
        self.run.dry_run(Phase::Claimed, steps).await
    }

    async fn steps(&self) -> Result<Vec<String>, OperationError> {
        let service = self.run.service().await?;
        let observed = self.registrar.observe(&Hints::default()).await?;
        let load_balancer = observed.observation.load_balancer.as_ref();
        self.validate(load_balancer)?;
        let (name, spec) = (self.name(), &self.spec);
        let limit = |limit: Duration| format!("(limit {})", humantime::format_duration(limit));
        let mut steps = vec![format!("acquire the lease: tag {OPERATION_TAG} on the service")];
        steps.push(match self.run.context.command.as_ref().filter(|_| load_balancer.is_none()) {
            None => format!("keep load balancer {name}, which exists, and hold it"),
            Some(command) => format!("run `{}`, and hold {name} {}", command.text(), limit(spec.create_limit)),
        });
        let (from, to) = (service.counts.desired, spec.desired);
        let scale = match (from >= to, BridgeAddress::of(&service.tags)) {
            (true, _) => format!("leave the desired count at {from}"),
            (false, BridgeAddress::Fixed) => format!("set the desired count from {from} to {to} once {name} exists"),
            (false, BridgeAddress::Awaited) => {
                format!("set the desired count from {from} to {to} once {name} is complete")
            }
            (false, BridgeAddress::Unknown) => {
                format!("set the desired count from {from} to {to} once {name} is active")
            }
        };
        let active = format!("wait until {name} is active {}", limit(spec.active_limit));
        steps.extend(match BridgeAddress::of(&service.tags) {
            BridgeAddress::Unknown => [active, scale],
            BridgeAddress::Awaited | BridgeAddress::Fixed => [scale, active],
        });
        let tasks = from.max(to);
        steps.push(format!("wait until {tasks} task(s) serve {}", limit(spec.serving_limit)));
        steps.push(format!("register them, unless a watcher has {}", limit(spec.registered_limit)));
        steps.push(format!("wait until all targets are healthy {}", limit(spec.healthy_limit)));
        if let Some(probe) = &spec.probe {
            steps.push(format!("wait until {} answers {}", probe.url(), limit(spec.answer_limit)));
        }
        steps.push("release the hold and the lease".to_owned());
        Ok(steps)
    }
}

impl<P: ControllerPlatform + Clone> Operation for Up<P> {
    type Platform = P;

    fn run(&self) -> &Run<P> {
        &self.run
    }

    fn run_mut(&mut self) -> &mut Run<P> {
        &mut self.run
    }

    fn phases(&self) -> Vec<BoundedPhase> {
        let mut phases = vec![
            BoundedPhase { phase: Phase::Claimed, limit: SHORT_PHASE_LIMIT },
            BoundedPhase { phase: Phase::LoadBalancerMade, limit: self.spec.create_limit },
            BoundedPhase { phase: Phase::LoadBalancerActive, limit: self.spec.active_limit },
            BoundedPhase { phase: Phase::ServiceScaled, limit: SHORT_PHASE_LIMIT },
            BoundedPhase { phase: Phase::TasksServing, limit: self.spec.serving_limit },
            BoundedPhase { phase: Phase::TargetsRegistered, limit: self.spec.registered_limit },
            BoundedPhase { phase: Phase::TargetsHealthy, limit: self.spec.healthy_limit },
        ];
        if self.spec.probe.is_some() {
            phases.push(BoundedPhase { phase: Phase::UrlAnswering, limit: self.spec.answer_limit });
        }
        phases
    }

    async fn check(&mut self, phase: Phase) -> Result<PhaseStatus, OperationError> {
        match phase {
            Phase::Claimed => self.acquire_lease().await,
            Phase::LoadBalancerMade => self.create_load_balancer().await,
            Phase::LoadBalancerActive => self.await_active().await,
            Phase::ServiceScaled => self.scale().await,
            Phase::TasksServing => self.await_serving().await,
            Phase::TargetsRegistered => self.await_registered().await,
            Phase::TargetsHealthy => self.await_healthy().await,
            Phase::UrlAnswering => self.await_answer().await,
            Phase::LoadBalancerUnused | Phase::TasksDrained | Phase::LoadBalancerGone | Phase::NothingLeft => {
                Ok(PhaseStatus::Skipped("not a phase of up".to_owned()))
            }
        }
    }

    /// Holds the load balancer as soon as it exists: terraform goes on for minutes after that.
    ///
    /// The record of the platform's name is still the one before, so only tasks that need no name start beside the command.
    async fn beside_command(&mut self) -> Result<(), OperationError> {
        let leased = self.run.verify_lease().await?;
        let load_balancer = self.held_load_balancer(&leased.deadline).await?;
        if let (Some(load_balancer), BridgeAddress::Fixed) = (load_balancer, BridgeAddress::of(&leased.service.tags)) {
            self.scale_ahead(&leased, load_balancer.state).await?;
        }
        Ok(())
    }

    fn command_succeeded(&mut self) {
        self.origin = Origin::Command(Instant::now());
    }

    /// Sets the desired count back, if the load balancer did not become active: tasks without one cost money for nothing.
    async fn undo(&mut self, failed: Phase) {
        if !self.is_scaled_ahead || !matches!(failed, Phase::LoadBalancerMade | Phase::LoadBalancerActive) {
            return;
        }
        let undone = async {
            while let Err(OperationError::Aws(error)) = self.scale_back_unless_in_use().await {
                if !error.kind.is_transient() {
                    return;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        // What remains is reported with the failure.
        let _ = tokio::time::timeout(FAILED_CLEANUP_LIMIT, undone).await;
    }
}
