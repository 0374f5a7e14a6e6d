//! `up` and `down`: the platform scaled phase by phase, each waited for by its condition.
//!
//! An operation keeps nothing that it needs in itself: what it has done stands in AWS. So it may be cut off anywhere, and
//! the same command, or the opposite one, goes on from what it finds. Of several at once the latest wins (see [`lease`]);
//! watchers are kept off a balancer that is about to be used by a [`Hold`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::aws::{AwsError, Deadline, Platform, ScalableService, Scaling};
use crate::clock::{Moment, SharedClock};
use crate::controller::context::Context;
use crate::controller::reconciler::{OBSERVATION_VALID_FOR, Reconciler, ReconcilerParts};
use crate::controller::scope::Scope;
use crate::retry::{Jitter, Retry};
use crate::shutdown::Shutdown;
use crate::telemetry::log::{Log, Phase, Verb, millis, rfc3339_millis};
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{OPERATION_TAG, Observation, Service, Tags, TargetState};
use jvb_watcher_rules::plan::{OwnerTag, Policy, Teardown};

pub mod bill;
pub mod command;
pub mod down;
pub mod hold;
pub mod lease;
pub mod phase;
pub mod progress;
mod registration;
pub mod up;

use command::BalancerCommand;
use lease::{Lease, LeaseState};
use phase::{Bounded, Completed};
use progress::Progress;

/// How often a condition is looked at, to begin with.
const POLL: Duration = Duration::from_secs(2);

/// How often at least.
const SLOWEST_POLL: Duration = Duration::from_secs(10);

/// A call that failed in passing is made again after this time at the latest.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The attempt that the limit of a phase finds under way has this long to end.
const LAST_ATTEMPT: Duration = Duration::from_secs(10);

/// A phase that is a look and a write has this long; most of it is for an AWS that fails.
const SHORT: Duration = Duration::from_secs(5 * 60);

/// After the balancer command has ended, DescribeLoadBalancers shows what it made, and no longer what it destroyed, within
/// this time.
const SHOWS_WITHIN: Duration = Duration::from_secs(15);

/// What is put in order after a failure has this long for it; what isn't done by then, the hold's own end does.
const WIND_UP: Duration = Duration::from_secs(10);

/// What must be put in order after success has this long for it.
const CLOSE: Duration = Duration::from_secs(60);

/// An operation that took over from another gives that one's balancer command this long to stop, and goes on trying its
/// own: terraform locks its state.
const OTHERS_STOP_WITHIN: Duration = Duration::from_secs(120);

/// How often a balancer may vanish under `up` before somebody is taken to delete it on purpose.
const MOST_RETURNS: u32 = 3;

/// What an operation works on, and with.
pub struct Setting<P> {
    /// AWS.
    pub platform: P,
    /// The cluster and the service.
    pub scope: Scope,
    /// The project's name.
    pub project: String,
    /// The load balancer's name.
    pub load_balancer: String,
    /// The tag without which nothing is held or deleted.
    pub owner_tag: OwnerTag,
    /// The command that makes the balancer, or destroys it.
    pub command: Option<Arc<dyn BalancerCommand>>,
    /// Where the acts are told.
    pub log: Log,
    /// Where the phases are told.
    pub progress: Arc<dyn Progress>,
    /// AWS's time.
    pub clock: SharedClock,
    /// Whether to stop.
    pub shutdown: Shutdown,
    /// What tells this operation from any other.
    pub id: String,
    /// The variation of waits between retries.
    pub jitter: Jitter,
}

impl<P: Platform + Clone> Setting<P> {
    /// The watcher's own look and repair, by rules that differ in these.
    fn reconciler(&self, teardown: Teardown, idle_grace: Duration, unused_grace: Duration) -> Reconciler<P> {
        let policy = Policy {
            service: self.scope.service.clone(),
            load_balancer: self.load_balancer.clone(),
            owner_tag: self.owner_tag.clone(),
            teardown,
            idle_grace,
            unused_grace,
            resync_interval: POLL,
        };
        let context = Context::new(self.scope.clone(), self.log.clone(), self.clock.clone());
        // The operator has decided: nothing waits for the worker that has marked the load balancer.
        let takeover_after = Duration::ZERO;
        Reconciler::new(ReconcilerParts {
            takeover_after,
            ..ReconcilerParts::new(self.platform.clone(), context, policy)
        })
    }
}

/// Why an operation stops before its end.
#[derive(Debug)]
pub enum Stop {
    /// A call failed.
    Call(AwsError),
    /// Something is as it must not be: what, and what to do about it.
    Refused(String),
    /// A later operation has signed.
    Superseded(Lease),
    /// A phase took too long.
    TimedOut {
        /// How long it was given.
        limit: Duration,
        /// What it still waited for.
        waiting_for: String,
    },
    /// Somebody stopped it.
    Interrupted,
}

impl From<AwsError> for Stop {
    fn from(error: AwsError) -> Self {
        Self::Call(error)
    }
}

impl Stop {
    fn why(&self) -> String {
        match self {
            Self::Call(error) => error.with_remedy(),
            Self::Refused(why) => why.clone(),
            Self::Superseded(later) => {
                let (verb, at) = (later.verb.as_str(), rfc3339_millis(later.begun_at));
                format!("superseded by another `{verb}`, begun at {at}")
            }
            Self::TimedOut { limit, waiting_for } => {
                format!("not done within {}: {waiting_for}", humantime::format_duration(*limit))
            }
            Self::Interrupted => "stopped".to_owned(),
        }
    }
}

/// How an operation failed.
#[derive(Debug, thiserror::Error)]
#[error("{} stopped in the phase {:?}: {why}\nas it stands: {state}\nto go on: {advice}", verb.as_str(), phase.label())]
pub struct Failure {
    /// Which way it went.
    pub verb: Verb,
    /// In which phase.
    pub phase: Phase,
    /// What kind of end it was.
    pub stop: Stop,
    /// Why, in words.
    pub why: String,
    /// What state everything is in.
    pub state: String,
    /// Which command goes on from there.
    pub advice: String,
    /// The phases before.
    pub completed: Vec<Completed>,
}

/// How far a phase is.
#[derive(Debug)]
pub enum Step {
    /// It holds now: what there is.
    Done(String),
    /// It held before anything was done for it.
    AlreadySo(String),
    /// It doesn't hold yet: what it waits for.
    Waiting(String),
    /// The balancer command is to be run, and the phase looked at again.
    Command,
    /// What an earlier phase made is gone.
    Back(Phase),
}

/// One of the two ways.
pub trait Operation: Send + Sync {
    /// What is AWS to it.
    type Platform: Platform + Scaling + Clone;

    /// What it has in common with the other.
    fn course(&self) -> &Course<Self::Platform>;

    /// The same, to change.
    fn course_mut(&mut self) -> &mut Course<Self::Platform>;

    /// Its phases, in their order.
    fn phases(&self) -> Vec<Bounded>;

    /// Looks whether the phase's condition holds, and does what brings it about.
    fn attempt(&mut self, phase: Phase) -> impl Future<Output = Result<Step, Stop>> + Send;

    /// What must be seen to while the balancer command runs.
    fn beside_command(&self) -> impl Future<Output = Result<(), Stop>> + Send;

    /// The balancer command has succeeded.
    fn command_done(&mut self);
}

/// What the two ways have in common.
pub struct Course<P> {
    setting: Setting<P>,
    verb: Verb,
    standing: Option<Standing>,
    /// Whether the balancer command was begun and has not come to its end.
    command: CommandState,
    completed: Vec<Completed>,
}

/// How far the balancer command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommandState {
    /// It hasn't run, or has succeeded.
    AtRest,
    /// It was begun: what it makes may be there in part.
    Begun,
}

/// This operation's signature, and what stood there before.
struct Standing {
    lease: Lease,
    previous: Option<Lease>,
    since: Instant,
}

/// The service, by a look that found this operation to be the latest; and until when to act on that.
struct Latest {
    service: ScalableService,
    deadline: Deadline,
}

impl<P: Platform + Scaling + Clone> Course<P> {
    fn new(verb: Verb, setting: Setting<P>) -> Self {
        Self { setting, verb, standing: None, command: CommandState::AtRest, completed: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        self.setting.clock.now()
    }

    /// Until when what is known now is good enough to act on.
    fn deadline(&self) -> Deadline {
        let clock = self.setting.clock.clone();
        Deadline::new(Moment::now(&*clock), OBSERVATION_VALID_FOR, clock)
    }

    /// The service, whoever is the latest.
    async fn service(&self) -> Result<ScalableService, Stop> {
        let Scope { cluster, service } = &self.setting.scope;
        let found = self.setting.platform.scalable(cluster, service).await?;
        found.ok_or_else(|| {
            Stop::Refused(format!(
                "there is no service {service} in cluster {cluster}, or it is being deleted; give --service and --cluster"
            ))
        })
    }

    /// The service, as long as no later operation has signed there.
    async fn latest(&self) -> Result<Latest, Stop> {
        let deadline = self.deadline();
        let service = self.service().await?;
        if let Some(standing) = &self.standing {
            let found = Lease::of(&service.tags);
            let previous = standing.previous.as_ref().map(|previous| &previous.id);
            match found {
                Some(found) if found.id == standing.lease.id => {}
                Some(found) if Some(&found.id) != previous => return Err(Stop::Superseded(found)),
                // Terraform has taken it away; or the one before hasn't noticed yet.
                _ => self.sign(&service.arn, &standing.lease, &deadline).await?,
            }
        }
        Ok(Latest { service, deadline })
    }

    /// What isn't as it should be, another operation may have changed just now.
    async fn root_of(&self, stop: Stop) -> Stop {
        if let Stop::Refused(_) = stop
            && let Err(superseded @ Stop::Superseded(_)) = self.latest().await
        {
            return superseded;
        }
        stop
    }

    async fn sign(&self, service_arn: &str, lease: &Lease, deadline: &Deadline) -> Result<(), AwsError> {
        let tags = Tags::from([(OPERATION_TAG.to_owned(), lease.to_string())]);
        self.setting.platform.tag_service(service_arn, &tags, deadline).await
    }

    /// Makes this the latest operation.
    async fn lease(&mut self, service: &ScalableService, deadline: &Deadline) -> Result<String, Stop> {
        let previous = Lease::of(&service.tags);
        let lease =
            Lease { verb: self.verb, begun_at: self.now(), id: self.setting.id.clone(), state: LeaseState::UnderWay };
        self.sign(&service.arn, &lease, deadline).await?;
        self.standing = Some(Standing { lease, previous, since: Instant::now() });
        Ok(match self.taken_over() {
            Some(other) => {
                let at = rfc3339_millis(other.begun_at);
                format!("taking over from the `{}` begun at {at}", other.verb.as_str())
            }
            None => "no other operation is under way".to_owned(),
        })
    }

    /// The operation that was under way when this one became the latest.
    fn taken_over(&self) -> Option<&Lease> {
        self.standing.as_ref()?.previous.as_ref().filter(|previous| previous.state == LeaseState::UnderWay)
    }

    /// Whether an `up` before this one may have left a balancer made in part.
    fn took_over_from_up(&self) -> bool {
        self.taken_over().is_some_and(|previous| previous.verb == Verb::Up)
    }

    /// Since when this is the latest operation, if another was under way then: it may not have noticed yet.
    fn took_over(&self) -> Option<Duration> {
        self.taken_over().and(self.standing.as_ref()).map(|standing| standing.since.elapsed())
    }

    /// Takes the signature away; but leaves it, as ended, where another operation may still have to find it.
    async fn unsign(&self) -> Result<(), AwsError> {
        let Some(standing) = &self.standing else { return Ok(()) };
        let Scope { cluster, service } = &self.setting.scope;
        let deadline = self.deadline();
        let Some(found) = self.setting.platform.scalable(cluster, service).await? else { return Ok(()) };
        let own = Lease::of(&found.tags);
        if own.is_none_or(|own| own.id != standing.lease.id) {
            return Ok(());
        }
        match self.took_over() {
            Some(_) => self.sign(&found.arn, &standing.lease.ended(), &deadline).await,
            None => self.setting.platform.untag_service(&found.arn, &[OPERATION_TAG]).await,
        }
    }

    // ---- the hold ----

    /// Writes a hold.
    async fn place_hold(&self, load_balancer_arn: &str, hold: &Hold, deadline: &Deadline) -> Result<(), AwsError> {
        let Setting { platform, log, load_balancer, .. } = &self.setting;
        hold::place(platform, log, (load_balancer, load_balancer_arn), hold, deadline).await
    }

    /// Takes a hold away.
    async fn release_hold(
        &self,
        load_balancer_arn: &str,
        holder: &Holder,
        deadline: &Deadline,
    ) -> Result<(), AwsError> {
        let Setting { platform, log, load_balancer, .. } = &self.setting;
        hold::release(platform, log, (load_balancer, load_balancer_arn), holder, deadline).await
    }

    /// Takes away what an `up` holds; one by hand stays.
    async fn release_holds_of_up(&self) -> Result<(), AwsError> {
        let deadline = self.deadline();
        let Some(balancer) = self.setting.platform.load_balancer(&self.setting.load_balancer).await? else {
            return Ok(());
        };
        let tags = self.setting.platform.tags(std::slice::from_ref(&balancer.arn)).await?;
        match tags.get(&balancer.arn).and_then(Hold::of) {
            Some(Hold { holder: holder @ Holder::Up(_), .. }) => {
                self.release_hold(&balancer.arn, &holder, &deadline).await
            }
            Some(_) | None => Ok(()),
        }
    }

    // ---- the ends ----

    /// Puts in order what only holds while an operation is under way.
    async fn put_in_order(&self) -> Result<(), AwsError> {
        if self.standing.is_some() {
            if self.verb == Verb::Up {
                self.release_holds_of_up().await?;
            }
            // By the signature of one that isn't over the next one knows that the balancer may be made in part.
            if self.command == CommandState::AtRest {
                self.unsign().await?;
            }
        }
        Ok(())
    }

    /// The end of an operation that got there.
    async fn close(&self) -> Result<(), Stop> {
        let began = Instant::now();
        let mut retry = Retry::new(self.setting.jitter);
        loop {
            let Err(error) = self.put_in_order().await else { return Ok(()) };
            let (_, pause) = retry.failed(error.kind);
            if !error.kind.is_transient() || began.elapsed() + pause > CLOSE {
                return Err(Stop::Call(error));
            }
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }

    /// The end of an operation that failed: what it can still put in order, and what it leaves.
    async fn fail(&mut self, phase: Phase, stop: Stop) -> Failure {
        if !matches!(stop, Stop::Superseded(_)) {
            // What this doesn't get done, the hold's own end does, and the next operation.
            let _ = tokio::time::timeout(WIND_UP, self.put_in_order()).await;
        }
        let state = match tokio::time::timeout(WIND_UP, self.state()).await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => format!("not known: {error}"),
            Err(_) => "not known: AWS doesn't answer".to_owned(),
        };
        let advice = match (&stop, self.verb) {
            (Stop::Superseded(later), _) => {
                format!("nothing is to be done: the later `{}` goes on; wait for its end", later.verb.as_str())
            }
            (_, verb) => {
                let first = if matches!(stop, Stop::Interrupted) { "" } else { "mend that and " };
                let (other, does) = match verb {
                    Verb::Up => (Verb::Down, "takes everything away"),
                    Verb::Down => (Verb::Up, "brings everything back"),
                };
                format!(
                    "{first}run `jvb-watcher {}` again, which goes on from here; or run `jvb-watcher {}`, which {does}",
                    verb.as_str(),
                    other.as_str(),
                )
            }
        };
        let completed = std::mem::take(&mut self.completed);
        Failure { verb: self.verb, phase, why: stop.why(), stop, state, advice, completed }
    }

    /// What state everything is in, in one line.
    async fn state(&self) -> Result<String, AwsError> {
        let Scope { cluster, service } = &self.setting.scope;
        let name = &self.setting.load_balancer;
        let platform = &self.setting.platform;
        let counts = match platform.service(cluster, service).await? {
            Service::Missing => format!("there is no service {service}"),
            Service::Found(counts) => {
                format!("{} desired, {} running, {} pending", counts.desired, counts.running, counts.pending)
            }
        };
        let Some(balancer) = platform.load_balancer(name).await? else {
            return Ok(format!("{counts}; no load balancer {name}"));
        };
        let tags = platform.tags(std::slice::from_ref(&balancer.arn)).await?;
        let hold = tags.get(&balancer.arn).and_then(Hold::of).filter(|hold| hold.is_in_force(self.now()));
        let held = hold.map_or(String::new(), |hold| {
            format!(", held by {} until {}", hold.holder.as_str(), rfc3339_millis(hold.until))
        });
        let (mut registered, mut healthy) = (0, 0);
        for group in platform.target_groups(Some(&balancer.arn)).await? {
            let targets = platform.target_health(&group.arn).await?;
            registered += targets.len();
            healthy += targets.iter().filter(|target| target.state == TargetState::Healthy).count();
        }
        let state = balancer.state.as_str();
        Ok(format!("{counts}; load balancer {name} {state}{held}, {registered} target(s), {healthy} healthy"))
    }
}

/// Goes through an operation's phases to the end; returns them.
///
/// # Errors
///
/// The phase that failed, and how everything stands.
pub async fn perform<O: Operation>(operation: &mut O) -> Result<Vec<Completed>, Failure> {
    let phases = operation.phases();
    let (mut at, mut returns) = (0, 0);
    while let Some(bounded) = phases.get(at) {
        let next = match go_through(operation, *bounded).await {
            Ok(None) => Ok(at + 1),
            Ok(Some(_)) if returns == MOST_RETURNS => {
                let why = "the load balancer was deleted again and again; find out who deletes it";
                Err(Stop::Refused(why.to_owned()))
            }
            Ok(Some(earlier)) => {
                returns += 1;
                Ok(phases.iter().position(|bounded| bounded.phase == earlier).unwrap_or(at))
            }
            Err(stop) => Err(stop),
        };
        match next {
            Ok(next) => at = next,
            Err(stop) => return Err(operation.course_mut().fail(bounded.phase, stop).await),
        }
    }
    let course = operation.course_mut();
    if let Err(stop) = course.close().await {
        let last = phases.last().map_or(Phase::Claimed, |bounded| bounded.phase);
        return Err(course.fail(last, stop).await);
    }
    Ok(std::mem::take(&mut course.completed))
}

/// How long to wait before the next look at a condition that has been waited for so long. Ten minutes of an idle grace
/// are not worth three hundred looks at AWS, whose limits the whole account shares: a tenth of the time adds little to it.
fn pause_after(waited: Duration) -> Duration {
    (waited / 10).clamp(POLL, SLOWEST_POLL)
}

/// Goes through one phase; returns an earlier one where that must be gone through again.
async fn go_through<O: Operation>(operation: &mut O, bounded: Bounded) -> Result<Option<Phase>, Stop> {
    let Bounded { phase, limit } = bounded;
    let (progress, shutdown) =
        (operation.course().setting.progress.clone(), operation.course().setting.shutdown.clone());
    let (began, started_at) = (Instant::now(), rfc3339_millis(operation.course().now()));
    let deadline = began + limit;
    let mut retry = Retry::new(operation.course().setting.jitter);
    let mut told = String::new();
    progress.began(bounded);
    loop {
        let attempted = tokio::select! {
            biased;
            _ = shutdown.begun() => return Err(Stop::Interrupted),
            attempted = tokio::time::timeout_at(deadline + LAST_ATTEMPT, operation.attempt(phase)) => attempted,
        };
        let mut complete = |skipped, detail| {
            let started_at = started_at.clone();
            let completed = Completed { phase, skipped, detail, started_at, duration_ms: millis(began.elapsed()) };
            progress.completed(&completed);
            operation.course_mut().completed.push(completed);
        };
        let (waiting_for, pause) = match attempted {
            Ok(Ok(Step::Done(detail))) => {
                complete(false, detail);
                return Ok(None);
            }
            Ok(Ok(Step::AlreadySo(detail))) => {
                complete(true, detail);
                return Ok(None);
            }
            Ok(Ok(Step::Back(earlier))) => return Ok(Some(earlier)),
            Ok(Ok(Step::Command)) => {
                if let Err(stop) = run_command(operation, bounded, deadline).await {
                    return Err(operation.course().root_of(stop).await);
                }
                continue;
            }
            Ok(Ok(Step::Waiting(for_what))) => {
                retry.succeeded();
                (for_what, pause_after(began.elapsed()))
            }
            Ok(Err(Stop::Call(error))) if error.kind.is_transient() => {
                let (_, pause) = retry.failed(error.kind);
                (error.to_string(), pause.min(LONGEST_PAUSE))
            }
            Ok(Err(stop)) => return Err(operation.course().root_of(stop).await),
            Err(_) => ("AWS did not answer in time".to_owned(), Duration::ZERO),
        };
        if Instant::now() >= deadline {
            return Err(Stop::TimedOut { limit, waiting_for });
        }
        if told != waiting_for {
            progress.waiting(bounded, &waiting_for);
            told = waiting_for;
        }
        // The last look is at the limit itself.
        tokio::select! {
            biased;
            _ = shutdown.begun() => return Err(Stop::Interrupted),
            () = tokio::time::sleep_until((Instant::now() + pause).min(deadline)) => {}
        }
    }
}

/// Runs the balancer command, and sees to the rest beside it. It is told to stop, and waited for, when there is reason to.
async fn run_command<O: Operation>(operation: &mut O, bounded: Bounded, deadline: Instant) -> Result<(), Stop> {
    let setting = &operation.course().setting;
    let Some(command) = setting.command.clone() else { return Err(Stop::Refused("there is no command".to_owned())) };
    let (progress, shutdown) = (setting.progress.clone(), setting.shutdown.clone());
    loop {
        operation.course_mut().command = CommandState::Begun;
        progress.waiting(bounded, &format!("running {}", command.text()));
        let (interrupt, interrupted) = oneshot::channel();
        let tell = |line: &str| progress.said(line);
        let mut running = command.run(&tell, interrupted);
        let ended = tokio::select! {
            biased;
            _ = shutdown.begun() => Err(Stop::Interrupted),
            result = &mut running => Ok(result),
            stop = beside_command(operation, bounded, deadline) => Err(stop),
        };
        match ended {
            Ok(Ok(())) => {
                drop(running);
                operation.course_mut().command = CommandState::AtRest;
                operation.command_done();
                return Ok(());
            }
            Ok(Err(why)) => {
                let course = operation.course();
                // Whoever was taken over from may still hold terraform's lock.
                let passing = course.took_over().is_some_and(|since| since + LONGEST_PAUSE < OTHERS_STOP_WITHIN);
                if !passing || Instant::now() + LONGEST_PAUSE >= deadline {
                    return Err(Stop::Refused(why));
                }
                progress.waiting(bounded, &format!("{why}; trying again, since another operation may be stopping"));
                tokio::select! {
                    biased;
                    _ = shutdown.begun() => return Err(Stop::Interrupted),
                    () = tokio::time::sleep(LONGEST_PAUSE) => {}
                }
                course.latest().await?;
            }
            Err(stop) => {
                progress.waiting(bounded, "waiting for the command to stop");
                // It may have ended in this very moment.
                let _ = interrupt.send(());
                let _ = running.await;
                return Err(stop);
            }
        }
    }
}

/// Returns when the command must stop, and why.
async fn beside_command<O: Operation>(operation: &O, Bounded { limit, .. }: Bounded, deadline: Instant) -> Stop {
    loop {
        tokio::time::sleep_until((Instant::now() + POLL).min(deadline)).await;
        if Instant::now() >= deadline {
            return Stop::TimedOut { limit, waiting_for: "the balancer command has not ended".to_owned() };
        }
        match operation.beside_command().await {
            Ok(()) => {}
            // The command goes on; the next time may be better.
            Err(Stop::Call(error)) if error.kind.is_transient() => {}
            Err(stop) => return stop,
        }
    }
}

/// The balancer's tags, where it is the watchers' to delete; nobody needs to be kept off another, and none of its tags
/// are written.
fn owned_tags<'a>(observation: &'a Observation, owner_tag: &OwnerTag) -> Option<(&'a str, &'a Tags)> {
    let balancer = observation.load_balancer.as_ref()?;
    owner_tag.is_among(&balancer.tags).then_some((balancer.arn.as_str(), &balancer.tags))
}

#[cfg(test)]
mod tests;
