//! Plays a day: starts and fails processes, performs the schedule, and lets virtual time pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use super::fleet::Failing;
use super::{Action, Day, Options, Report, SCHEDULE_ENDS_AT};
use crate::checker::Guarantee;
use crate::command::Command;
use crate::environment::{Actor, Environment};
use crate::faults::ProcessFault;
use crate::operator::Operator;
use crate::process::{Setup, Suspendable, Suspension, Worker};
use jvb_watcher_sandbox::faults::FaultPlan;
use jvb_watcher_sandbox::world::Incident;

/// Another project in the same account, which the watcher must not touch.
pub(in crate::day) const OTHER_PROJECT: &str = "other";

/// How long a day whose log is recorded goes on after its first violation: long enough for the lines about it.
const GOES_ON: Duration = Duration::from_secs(60 * 60);

/// A day in progress, of one platform or of several.
pub(super) struct Run<'a> {
    pub(super) environment: Arc<Environment>,
    pub(super) platforms: Vec<Platform<'a>>,
    /// The platform whose service fails at the end, if one does.
    pub(super) failing: Option<&'a Failing>,
    /// The number of malformed messages that were sent.
    pub(super) malformed: usize,
    clocks: &'a [SignedDuration],
    slots: Vec<Slot>,
    /// The handles to kill and suspend the commands that were started, by number.
    commands: BTreeMap<u32, (AbortHandle, Arc<Suspension>)>,
    next_worker: u32,
    next_command: u32,
    /// The slots that get a worker again, and when.
    restarts: Vec<(Instant, usize)>,
    process_faults: UnboundedReceiver<(Actor, ProcessFault)>,
    midnight: Instant,
    /// How long the day goes on after its first violation.
    goes_on: Duration,
}

/// A platform that the workers watch.
pub(super) struct Platform<'a> {
    pub(super) day: &'a Day,
    pub(super) operator: Operator,
    pub(super) setup: Setup,
}

/// The place of a worker, and the number of the one that is there.
type Slot = Option<(u32, Worker)>;

impl<'a> Run<'a> {
    /// Prepares the environment of the platforms' days.
    pub fn new(days: &'a [Day], failing: Option<&'a Failing>, options: Options) -> Self {
        let (environment, process_faults) = Environment::of_platforms(days, options);
        let environment = Arc::new(environment);
        let platform = |day: &'a Day| Platform {
            day,
            operator: Operator::new(environment.clone(), &day.project),
            setup: Setup::new(environment.clone(), day, options.bug),
        };
        let platforms: Vec<_> = days.iter().map(platform).collect();
        if let [Platform { operator, .. }, _, ..] = platforms.as_slice() {
            let projects: Vec<_> = days.iter().map(|day| day.project.as_str()).collect();
            operator.route_events_of(&projects).expect("the rule exists");
        }
        let other = Operator::new(environment.clone(), OTHER_PROJECT);
        other.create_cluster().and_then(|()| other.create_service()).expect("another platform");
        other.create_all().expect("another load balancer");
        let clocks = days.first().map_or(&[][..], |day| &day.clocks);
        Self {
            environment,
            platforms,
            failing,
            malformed: 0,
            slots: clocks.iter().map(|_| None).collect(),
            clocks,
            commands: BTreeMap::new(),
            next_worker: 1,
            next_command: 1,
            restarts: Vec::new(),
            process_faults,
            midnight: Instant::now(),
            goes_on: if options.log { GOES_ON } else { Duration::ZERO },
        }
    }

    /// Plays a schedule of the platforms' actions, by their numbers, and the end, until the first violation.
    pub async fn play(mut self, schedule: Vec<(Duration, usize, &Action)>) -> Report {
        let environment = self.environment.clone();
        let goes_on = self.goes_on;
        let broken = async {
            environment.broken.notified().await;
            if !goes_on.is_zero() {
                tokio::time::sleep(goes_on).await;
            }
        };
        tokio::select! {
            biased;
            () = broken => {}
            () = self.play_to_the_end(schedule) => {}
        }
        environment.with(|state, _| {
            let used = state.checkers.budgets().map(|budget| budget.used()).fold(0.0, f64::max);
            state.coverage.largest_share_of_calls = used;
            Report {
                violations: state.checkers.violations(),
                coverage: std::mem::take(&mut state.coverage),
                history: state.history.take().unwrap_or_default(),
                log: state.log.take().unwrap_or_default(),
            }
        })
    }

    async fn play_to_the_end(&mut self, schedule: Vec<(Duration, usize, &Action)>) {
        for slot in 0..self.slots.len() {
            self.start_worker(slot);
        }
        for (at, platform, action) in schedule {
            self.advance_to(self.midnight + at).await;
            self.perform(platform, action);
        }
        self.advance_to(self.midnight + SCHEDULE_ENDS_AT).await;
        self.end().await;
    }

    /// Lets time pass, while process faults occur and workers restart.
    pub(super) async fn advance(&mut self, time: Duration) {
        self.advance_to(Instant::now() + time).await;
    }

    async fn advance_to(&mut self, until: Instant) {
        loop {
            let next = self.restarts.iter().map(|(at, _)| *at).min();
            tokio::select! {
                biased;
                Some((actor, fault)) = self.process_faults.recv() => self.fail(actor, fault),
                () = tokio::time::sleep_until(next.unwrap_or(until).min(until)) => {
                    let now = Instant::now();
                    let due: Vec<_> = self.restarts.extract_if(.., |(at, _)| *at <= now).collect();
                    for (_, slot) in due {
                        self.start_worker(slot);
                    }
                    if now >= until {
                        return;
                    }
                }
            }
        }
    }

    fn start_worker(&mut self, slot: usize) {
        if self.slots[slot].is_none() {
            let number = self.next_worker;
            self.next_worker += 1;
            self.environment.note(|| format!("Worker({number}) starts in slot {slot}"));
            self.note_start();
            let setups: Vec<_> = self.platforms.iter().map(|platform| platform.setup.clone()).collect();
            self.slots[slot] = Some((number, Worker::start(&setups, number, self.clocks[slot])));
        }
    }

    /// Allows the calls of a process that starts, or resumes.
    fn note_start(&self) {
        self.environment.with(|state, now| state.checkers.budgets().for_each(|budget| budget.started(now)));
    }

    /// Lets a process fail at its call.
    fn fail(&mut self, actor: Actor, fault: ProcessFault) {
        match actor {
            Actor::Worker(number) => {
                let has_it = |slot: &Slot| slot.as_ref().is_some_and(|(running, _)| *running == number);
                if let Some(slot) = self.slots.iter().position(has_it) {
                    self.fail_worker(slot, fault);
                }
            }
            Actor::Command(number) => {
                let Some((kill, suspension)) = self.commands.get(&number) else { return };
                match fault {
                    ProcessFault::Kill { .. } | ProcessFault::Terminate { .. } => kill.abort(),
                    ProcessFault::Suspend { time } => suspension.suspend(time),
                }
            }
            Actor::Operator => {}
        }
    }

    fn fail_worker(&mut self, slot: usize, fault: ProcessFault) {
        self.environment.note(|| format!("slot {slot}: {fault:?}"));
        match fault {
            ProcessFault::Kill { downtime } => {
                let Some((_, worker)) = self.slots[slot].take() else { return };
                self.check_running(slot, &worker);
                worker.kill();
                self.restarts.push((Instant::now() + downtime, slot));
            }
            ProcessFault::Terminate { downtime } => {
                let Some((_, worker)) = self.slots[slot].take() else { return };
                self.check_running(slot, &worker);
                let environment = self.environment.clone();
                tokio::spawn(async move {
                    if let Err(why) = worker.terminate().await {
                        let what = format!("the worker in slot {slot} doesn't stop in time: {why}");
                        environment.with(|state, at| state.checkers.fail(Guarantee::NothingIdleStays, at, what));
                    }
                });
                self.restarts.push((Instant::now() + downtime, slot));
            }
            ProcessFault::Suspend { time } => {
                if let Some((_, worker)) = &self.slots[slot] {
                    worker.suspend(time);
                    self.note_start();
                }
            }
        }
    }

    /// Checks that no worker has ended by itself.
    pub(super) fn check_all_running(&self) {
        for (slot, worker) in self.slots.iter().enumerate() {
            if let Some((_, worker)) = worker {
                self.check_running(slot, worker);
            }
        }
    }

    fn check_running(&self, slot: usize, worker: &Worker) {
        if worker.has_ended() {
            self.violate(Guarantee::NothingIdleStays, format!("the worker in slot {slot} has ended by itself"));
        }
    }

    pub(super) fn violate(&self, guarantee: Guarantee, what: String) {
        self.environment.with(|state, at| state.checkers.fail(guarantee, at, what));
    }

    /// Starts a command on a platform in the background.
    pub(super) fn launch(
        &mut self,
        platform: usize,
        command: Command,
        killed_after: Option<Duration>,
    ) -> JoinHandle<Result<(), String>> {
        let number = self.next_command;
        self.next_command += 1;
        let clock_error = self.clocks.first().copied().unwrap_or_default();
        self.note(platform, || format!("Command({number}) is {command:?}"));
        let setup = self.platforms[platform].setup.clone();
        let (work, suspension) = Suspendable::new(command.run(setup, number, clock_error));
        let running = tokio::spawn(work);
        self.commands.insert(number, (running.abort_handle(), suspension));
        if let Some(after) = killed_after {
            let (kill, environment) = (running.abort_handle(), self.environment.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if !kill.is_finished() {
                    environment.note(|| format!("Command({number}) is killed"));
                    environment.with(|state, _| state.coverage.moment("a command was killed"));
                    kill.abort();
                }
            });
        }
        running
    }

    /// Adds a line about a platform to the history, if it is recorded.
    pub(super) fn note(&self, platform: usize, text: impl FnOnce() -> String) {
        self.environment.with(|state, now| {
            let on = state.checkers.label(Some(platform));
            state.note(now, || text() + &on);
        });
    }

    /// Performs an action on a platform. Those that take time continue in the background.
    pub(super) fn perform(&mut self, platform: usize, action: &Action) {
        self.note(platform, || format!("{action:?}"));
        let operator = self.platforms[platform].operator.clone();
        let result = match action.clone() {
            Action::ScaleUp { tasks, pace } => {
                tokio::spawn(async move { operator.scale_up(tasks, pace).await });
                Ok(())
            }
            Action::Run { command, killed_after } => {
                self.launch(platform, command, killed_after);
                Ok(())
            }
            Action::Scale { tasks } => operator.scale(tasks),
            Action::ScaleDownWithTerraform => {
                tokio::spawn(async move { operator.scale_down_with_terraform().await });
                Ok(())
            }
            Action::DeleteLoadBalancer => operator.delete_load_balancer(),
            Action::ReplaceLoadBalancer => operator.replace_load_balancer(),
            Action::CreateLoadBalancer => operator.create_load_balancer().map(drop),
            Action::Hold { time } => operator.hold_until(self.environment.now() + time),
            Action::ReleaseHold => operator.release_hold(),
            Action::SetOwnerTag { present } => operator.set_owner_tag(present),
            Action::SetDeletionProtection { enabled } => operator.set_deletion_protection(enabled),
            Action::SetTarget { ip, registered } => operator.set_target(&ip, registered),
            Action::RunForeignTask { time } => {
                tokio::spawn(async move { operator.run_foreign_task(time).await });
                Ok(())
            }
            Action::SetRule { enabled } => operator.set_rule(enabled),
            Action::DeleteService => operator.delete_service(),
            Action::CreateService => operator.create_service(),
            Action::Inject(incident) => {
                self.malformed += usize::from(matches!(incident, Incident::MalformedMessage { .. }));
                let result = self.environment.with(|state, now| {
                    let result = state.world.inject(incident, now);
                    state.checkers.observe(&state.world, now, Some(Actor::Operator));
                    result
                });
                self.environment.changed.notify_waiters();
                result
            }
            Action::SendForeignMessage => operator.send_foreign_message(),
            Action::SetFaults(plan) => {
                self.environment.with(|state, now| {
                    let fails = plan != FaultPlan::default();
                    state.checkers.budgets().for_each(|budget| budget.set_aws_failing(fails, now));
                    state.faults.set(plan).expect("a plan that makes sense");
                });
                Ok(())
            }
            Action::SetPlatformFaults(plan) => {
                self.environment.with(|state, now| {
                    state.checkers.of(platform).budget.set_platform_failing(plan != FaultPlan::default(), now);
                    state.platform_faults[platform].set(plan).expect("a plan that makes sense");
                });
                Ok(())
            }
            Action::SetMetrics(metrics) => {
                self.environment.with(|state, _| state.world.settings_mut().metrics = metrics);
                Ok(())
            }
            Action::SetUsageFaults(plan) => {
                self.environment.with(|state, now| {
                    let fails = plan != FaultPlan::default();
                    state.checkers.budgets().for_each(|budget| budget.set_usage_failing(fails, now));
                    state.usage_faults.set(plan).expect("a plan that makes sense");
                });
                Ok(())
            }
            Action::SetEventFaults { lost, duplicated, delayed, reordered, lag } => {
                self.environment.with(|state, _| {
                    let settings = state.world.settings_mut();
                    // The list of stopped tasks lags with the other answers, or alone.
                    let is_alone = lag.as_millis() % 2 == 1;
                    let lags = if is_alone { (Duration::ZERO, lag) } else { (lag, Duration::ZERO) };
                    (settings.ecs_lag, settings.stopped_list_lag) = lags;
                    let events = &mut settings.events;
                    (events.lost, events.duplicated) = (lost, duplicated);
                    (events.delayed, events.reordered) = (delayed, reordered);
                });
                Ok(())
            }
            Action::FailWorker { slot, fault } => {
                self.fail_worker(slot, fault);
                Ok(())
            }
            Action::FailAtCall(fault) => {
                self.environment.with(|state, _| state.call_faults.push(fault));
                Ok(())
            }
        };
        // A random action often finds nothing to change.
        if let Err(error) = result {
            self.environment.note(|| format!("… {error}"));
        }
    }
}
