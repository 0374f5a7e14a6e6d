//! One run of an operation: its lease, the holds it releases, and its end.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use super::failure::{Failure, OperationError};
use super::hold::{self, HoldTarget};
use super::phase::CompletedPhase;
use crate::aws::{AwsError, ControllerPlatform, Deadline, ScalableService};
use crate::controller::scope::Scope;
use crate::retry::Retry;
use crate::telemetry::log::{Phase, Verb, rfc3339_millis};
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::lease::{Lease, LeaseHolder, LeaseState};
use jvb_watcher_rules::model::{OPERATION_TAG, Service, Tags, TargetState};

/// The longest wait before a failed call is retried.
pub(super) const MAX_RETRY_WAIT: Duration = Duration::from_secs(10);

/// The limit for each part of the cleanup after a failure. What remains is left to the hold's expiry and the next
/// operation.
pub(super) const FAILED_CLEANUP_LIMIT: Duration = Duration::from_secs(10);

/// The limit for each part of the cleanup after success.
const CLEANUP_LIMIT: Duration = Duration::from_secs(60);

/// One run of an operation: what `up` and `down` have in common.
pub struct Run<P> {
    pub(super) context: Context<P>,
    verb: Verb,
    lease: Option<HeldLease>,
    /// The id of the lease that the service had when this operation first read it.
    first_found: Option<Option<String>>,
    pub(super) command: CommandState,
    pub(super) completed: Vec<CompletedPhase>,
}

/// The state of the load balancer command's work, of this operation or of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandState {
    /// It has completed, or never ran.
    Settled,
    /// It started and has not completed: the load balancer may exist in part.
    Incomplete,
}

/// This operation's lease, and the one that it replaced.
struct HeldLease {
    lease: Lease,
    previous: Option<Lease>,
    acquired_at: Instant,
}

/// The service as read while this operation held the lease, and the deadline of writes that rest on it.
pub(super) struct LeasedService {
    pub(super) service: ScalableService,
    pub(super) deadline: Deadline,
}

impl<P: ControllerPlatform + Clone> Run<P> {
    pub(super) fn new(verb: Verb, context: Context<P>) -> Self {
        Self { context, verb, lease: None, first_found: None, command: CommandState::Settled, completed: Vec::new() }
    }

    /// Reads the service, without verifying the lease.
    pub(super) async fn service(&self) -> Result<ScalableService, OperationError> {
        let Scope { cluster, service } = &self.context.scope;
        let found = self.context.platform.scalable(cluster, service).await?;
        found.ok_or_else(|| {
            OperationError::Refused(format!(
                "service {service} doesn't exist in cluster {cluster}, or is being deleted; check --service and \
                 --cluster"
            ))
        })
    }

    // ---- the lease ----

    /// Fails if another operation has begun since this one first read the service: the later one wins, also while this
    /// one has no lease yet.
    pub(super) fn yield_to_later(&mut self, service: &ScalableService) -> Result<(), OperationError> {
        let found = Lease::of(&service.tags);
        let first = self.first_found.get_or_insert_with(|| found.as_ref().map(|lease| lease.id.clone()));
        let is_later = |lease: &Lease| {
            // What the watcher's stop does, `down` completes.
            lease.holder != LeaseHolder::Stop && lease.id != self.context.id && Some(&lease.id) != first.as_ref()
        };
        found.filter(is_later).map_or(Ok(()), |later| Err(OperationError::Superseded(later)))
    }

    /// Gives the lease back, while the operation waits again for what it had found before.
    pub(super) async fn give_back_lease(&mut self) -> Result<(), OperationError> {
        self.release_lease(self.final_lease_state()).await?;
        self.lease = None;
        Ok(())
    }

    /// Takes the lease; returns what it replaced, as text.
    pub(super) async fn acquire_lease(
        &mut self,
        service: &ScalableService,
        deadline: &Deadline,
    ) -> Result<String, OperationError> {
        let previous = Lease::of(&service.tags);
        let lease = Lease {
            holder: self.verb.into(),
            begun_at: self.context.now(),
            id: self.context.id.clone(),
            state: LeaseState::Active,
        };
        self.write_lease(&service.arn, &lease, deadline).await?;
        if previous.as_ref().is_some_and(Lease::leaves_incomplete) {
            self.command = CommandState::Incomplete;
        }
        self.lease = Some(HeldLease { lease, previous, acquired_at: Instant::now() });
        Ok(match self.replaced() {
            Some(other) => {
                let at = rfc3339_millis(other.begun_at);
                format!("supersedes the `{}` that began at {at}", other.holder.as_str())
            }
            None => "no other operation is running".to_owned(),
        })
    }

    /// Reads the service; fails if a later operation holds the lease.
    pub(super) async fn verify_lease(&self) -> Result<LeasedService, OperationError> {
        let deadline = self.context.deadline();
        let service = self.service().await?;
        if let Some(held) = &self.lease {
            let found = Lease::of(&service.tags);
            let previous = held.previous.as_ref().map(|previous| &previous.id);
            match found {
                Some(found) if found.id == held.lease.id => {}
                Some(found) if Some(&found.id) != previous => return Err(OperationError::Superseded(found)),
                // `terraform apply` has removed the tag, or the previous holder has written its own once more.
                _ => self.write_lease(&service.arn, &held.lease, &deadline).await?,
            }
        }
        Ok(LeasedService { service, deadline })
    }

    /// Returns the cause of an error: a later operation may have changed what this one refuses.
    pub(super) async fn root_cause(&self, error: OperationError) -> OperationError {
        if let OperationError::Refused(_) | OperationError::InUse(_) | OperationError::UseUnreadable { .. } = error
            && let Err(superseded @ OperationError::Superseded(_)) = self.verify_lease().await
        {
            return superseded;
        }
        error
    }

    /// Returns how long ago this operation superseded a running one, which may not have noticed yet.
    pub(super) fn since_superseding(&self) -> Option<Duration> {
        self.replaced().and(self.lease.as_ref()).map(|held| held.acquired_at.elapsed())
    }

    /// The operation that was running, or had been killed, when this one took the lease.
    fn replaced(&self) -> Option<&Lease> {
        self.lease.as_ref()?.previous.as_ref().filter(|previous| previous.state == LeaseState::Active)
    }

    async fn write_lease(&self, service_arn: &str, lease: &Lease, deadline: &Deadline) -> Result<(), AwsError> {
        let tags = Tags::from([(OPERATION_TAG.to_owned(), lease.to_string())]);
        self.context.platform.tag_service(service_arn, &tags, deadline).await
    }

    /// Returns the state of the lease after an operation that did not complete.
    fn final_lease_state(&self) -> LeaseState {
        match self.command {
            CommandState::Settled => LeaseState::Ended,
            CommandState::Incomplete => LeaseState::Failed,
        }
    }

    /// Releases the lease. It stays in the tag, in this final state, where another operation still has to find it.
    async fn release_lease(&self, state: LeaseState) -> Result<(), AwsError> {
        let Some(held) = &self.lease else { return Ok(()) };
        let Scope { cluster, service } = &self.context.scope;
        let deadline = self.context.deadline();
        let Some(found) = self.context.platform.scalable(cluster, service).await? else { return Ok(()) };
        // An unused service isn't stopped before a whole window after an `up`.
        let must_stay = state == LeaseState::Failed || self.replaced().is_some() || self.verb == Verb::Up;
        match Lease::of(&found.tags) {
            Some(lease) if lease.id != held.lease.id => Ok(()),
            None if state != LeaseState::Failed => Ok(()),
            Some(_) | None if must_stay => self.write_lease(&found.arn, &held.lease.with_state(state), &deadline).await,
            Some(_) | None => self.context.platform.untag_service(&found.arn, &[OPERATION_TAG], &deadline).await,
        }
    }

    // ---- the hold ----

    pub(super) async fn place_hold(
        &self,
        load_balancer_arn: &str,
        hold: &Hold,
        deadline: &Deadline,
    ) -> Result<(), AwsError> {
        let Context { platform, log, load_balancer, .. } = &self.context;
        let target = HoldTarget { name: load_balancer, arn: load_balancer_arn };
        hold::write(platform, log, target, hold, deadline).await
    }

    pub(super) async fn release_hold(
        &self,
        load_balancer_arn: &str,
        holder: &Holder,
        deadline: &Deadline,
    ) -> Result<(), AwsError> {
        let Context { platform, log, load_balancer, .. } = &self.context;
        let target = HoldTarget { name: load_balancer, arn: load_balancer_arn };
        hold::remove(platform, log, target, holder, deadline).await
    }

    /// Releases the hold of an `up`; an operator's stays.
    async fn release_hold_of_up(&self) -> Result<(), AwsError> {
        if self.lease.is_none() || self.verb != Verb::Up {
            return Ok(());
        }
        let deadline = self.context.deadline();
        let Some(load_balancer) = self.context.platform.load_balancer(&self.context.load_balancer).await? else {
            return Ok(());
        };
        let tags = self.context.platform.tags(std::slice::from_ref(&load_balancer.arn)).await?;
        match tags.get(&load_balancer.arn).and_then(Hold::of) {
            Some(Hold { holder: holder @ Holder::Up(_), .. }) => {
                self.release_hold(&load_balancer.arn, &holder, &deadline).await
            }
            Some(_) | None => Ok(()),
        }
    }

    // ---- the end ----

    /// Ends an operation whose phases have all completed.
    pub(super) async fn succeed(&mut self) -> Result<Vec<CompletedPhase>, OperationError> {
        self.retried_for(CLEANUP_LIMIT, || self.release_hold_of_up()).await?;
        // The lease goes last: a later operation's own hold must not be taken for this one's.
        self.retried_for(CLEANUP_LIMIT, || self.release_lease(LeaseState::Ended)).await?;
        Ok(std::mem::take(&mut self.completed))
    }

    /// Ends a dry run, which can fail only as its first phase would.
    pub(super) async fn dry_run(
        &mut self,
        first: Phase,
        steps: Result<Vec<String>, OperationError>,
    ) -> Result<Vec<String>, Failure> {
        match steps {
            Ok(steps) => Ok(steps),
            Err(error) => Err(self.fail(first, error).await),
        }
    }

    /// Ends an operation that failed: releases what it can, and reports the state that it leaves.
    pub(super) async fn fail(&mut self, phase: Phase, error: OperationError) -> Failure {
        if !matches!(error, OperationError::Superseded(_)) {
            let lease_state = self.final_lease_state();
            // A failed cleanup doesn't hide the error that led to it.
            let limit = FAILED_CLEANUP_LIMIT;
            let _ = tokio::time::timeout(limit, self.retried_for(limit, || self.release_hold_of_up())).await;
            let _ = tokio::time::timeout(limit, self.retried_for(limit, || self.release_lease(lease_state))).await;
        }
        let state = match tokio::time::timeout(FAILED_CLEANUP_LIMIT, self.state()).await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => format!("unknown: {error}"),
            Err(_) => "unknown: AWS did not answer in time".to_owned(),
        };
        let (reason, advice) = (error.reason(), error.advice(self.verb, phase));
        let completed = std::mem::take(&mut self.completed);
        Failure { verb: self.verb, phase, error, reason, state, advice, steps: Vec::new(), completed }
    }

    /// Retries a call until it succeeds, fails permanently, or this time is over.
    async fn retried_for<F: Future<Output = Result<(), AwsError>>>(
        &self,
        limit: Duration,
        call: impl Fn() -> F,
    ) -> Result<(), AwsError> {
        let began = Instant::now();
        let mut retry = Retry::new(self.context.jitter);
        loop {
            let Err(error) = call().await else { return Ok(()) };
            let (_, wait) = retry.failed(error.kind);
            if !error.kind.is_transient() || began.elapsed() + wait > limit {
                return Err(error);
            }
            tokio::time::sleep(wait.min(MAX_RETRY_WAIT)).await;
        }
    }

    /// Returns the state of service, load balancer and targets, in one line.
    async fn state(&self) -> Result<String, AwsError> {
        let Context { platform, scope: Scope { cluster, service }, load_balancer: name, .. } = &self.context;
        let counts = match platform.service(cluster, service, false).await?.service {
            Service::Missing => format!("service {service} doesn't exist"),
            Service::Found(counts) => {
                format!("{} desired, {} running, {} pending", counts.desired, counts.running, counts.pending)
            }
        };
        let Some(load_balancer) = platform.load_balancer(name).await? else {
            return Ok(format!("{counts}; no load balancer {name}"));
        };
        let tags = platform.tags(std::slice::from_ref(&load_balancer.arn)).await?;
        let hold = tags.get(&load_balancer.arn).and_then(Hold::of).filter(|hold| hold.is_in_force(self.context.now()));
        let held = hold.map_or(String::new(), |hold| {
            format!(", held by {} until {}", hold.holder.as_str(), rfc3339_millis(hold.until))
        });
        let (mut registered, mut healthy) = (0, 0);
        for group in platform.target_groups(Some(&load_balancer.arn)).await? {
            let targets = platform.target_health(&group.arn).await?;
            registered += targets.len();
            healthy += targets.iter().filter(|target| target.state == TargetState::Healthy).count();
        }
        let state = load_balancer.state.as_str();
        Ok(format!("{counts}; load balancer {name} {state}{held}, {registered} target(s), {healthy} healthy"))
    }
}
