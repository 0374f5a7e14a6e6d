//! The quiet end of one platform's day.

use std::sync::Arc;
use std::time::Duration;

use crate::checker::Guarantee;
use crate::command::Command;
use crate::day::run::{OTHER_PROJECT, Platform, Run};
use crate::day::{Action, Day, HOUR, MINUTE, Severity};
use crate::environment::Environment;
use crate::faults::{CallFault, ProcessFault, Side, Victim};
use crate::operator::Operator;
use jvb_watcher::retry;
use jvb_watcher_rules::plan::NEARLY_IDLE_REQUEUE;
use jvb_watcher_sandbox::world::{GroupView, Incident, TaskView};

/// The number of tasks that serve before the last scale-down.
const SERVING_AT_THE_END: usize = 2;

/// The downtime of a worker that is killed in the last teardown.
const DOWNTIME_AT_THE_END: Duration = Duration::from_secs(10);

/// The quiet end of one platform's day.
pub(super) struct End<'r, 'a> {
    run: &'r mut Run<'a>,
    environment: Arc<Environment>,
    day: &'a Day,
    operator: Operator,
    platform: usize,
}

impl<'r, 'a> End<'r, 'a> {
    /// The end of this platform's day.
    pub(super) fn of(run: &'r mut Run<'a>, platform: usize) -> Self {
        let Platform { day, operator, .. } = &run.platforms[platform];
        let (day, operator, environment) = (*day, operator.clone(), run.environment.clone());
        Self { run, environment, day, operator, platform }
    }

    /// Plays the quiet end and checks the final state.
    pub(super) async fn play(&mut self) {
        self.repair_platform();
        // What began before (e.g. a slow Terraform run) ends, and every process resumes.
        self.advance(40 * MINUTE).await;
        self.expect_promptness();
        // A service that was still draining could not be created before.
        self.repair_platform();
        let _ = self.operator.delete_failed_load_balancer();
        if self.day.seed.is_multiple_of(3) {
            self.stay_idle().await;
        }
        if self.day.has_stops() {
            self.hold().await;
        }
        self.scale_up().await;
        if self.day.has_stops() {
            // Terraform has removed the hold, or the load balancer is a new one.
            self.hold().await;
        }
        self.await_registrations().await;
        self.check_registrations();
        // A task crashes, and the scheduler replaces it.
        let crash = Incident::CrashTask { service: self.day.policy.service.clone(), task: None, exit_code: 1 };
        self.perform(&Action::Inject(crash));
        self.advance(MINUTE).await;
        self.await_registrations().await;
        self.check_registrations();
        if self.day.has_stops() {
            let _ = self.operator.release_hold();
        }
        if self.day.seed.is_multiple_of(4) {
            self.run_to_success(&Command::Down).await;
        } else {
            self.scale_down().await;
        }
        self.run.check_all_running();
        self.check_no_load_balancer();
        self.check_no_group();
        self.check_messages();
    }

    async fn advance(&mut self, time: Duration) {
        self.run.advance(time).await;
    }

    fn perform(&mut self, action: &Action) {
        self.run.perform(self.platform, action);
    }

    /// Records a violation of the platform's guarantees.
    fn violate(&self, guarantee: Guarantee, what: String) {
        self.environment.with(|state, at| state.checkers.of(self.platform).fail(guarantee, at, what));
    }

    /// Expects that from now on the messages about the service are deleted soon.
    fn expect_promptness(&self) {
        self.environment.with(|state, now| state.checkers.of(self.platform).expect_promptness(now));
    }

    /// Undoes what operators have done that would prevent the scale-up or the teardown.
    fn repair_platform(&self) {
        let _ = self.operator.create_service();
        let _ = self.operator.set_owner_tag(true);
        let _ = self.operator.release_hold();
        let _ = self.operator.set_deletion_protection(false);
        self.deregister_others();
    }

    /// Checks that a load balancer, used or never used, is deleted without a further session.
    async fn stay_idle(&mut self) {
        let _ = self.operator.scale(0);
        self.advance(self.stopping_bound() + self.day.policy.unused_grace + self.teardown_bound()).await;
        // Target groups may be left of a load balancer that an operator deleted; they cost nothing.
        self.check_no_load_balancer();
    }

    /// Scales up with the command on every second day, with the platform's script on the others.
    async fn scale_up(&mut self) {
        let (tasks, pace) = (i32::try_from(SERVING_AT_THE_END).unwrap_or_default(), Duration::from_secs(5));
        if self.day.seed.is_multiple_of(2) {
            self.run_to_success(&Command::Up { tasks, pace }).await;
            // The command doesn't reduce a higher desired count.
            let _ = self.operator.scale(tasks);
        } else {
            let operator = self.operator.clone();
            let up = tokio::spawn(async move { operator.scale_up(tasks, pace).await });
            while !up.is_finished() {
                self.advance(Duration::from_secs(1)).await;
            }
        }
    }

    /// Holds the load balancer for the checks that follow: the service is unused.
    async fn hold(&mut self) {
        let _ = self.operator.hold_until(self.environment.now() + 3 * HOUR);
        // A stop that was announced before may still follow from an observation that began before.
        self.advance(MINUTE).await;
    }

    /// Lets callers come and leave, and checks that the watcher stops the service within its bound.
    async fn stay_unused(&mut self) {
        self.end_health_incidents();
        self.perform(&Action::Inject(Incident::Callers { n: 3 }));
        // A killed operation keeps its lease for an hour, of which the end of the day has taken more than half.
        self.advance(25 * MINUTE).await;
        self.perform(&Action::Inject(Incident::Callers { n: 0 }));
        self.advance(self.day.stop_bound()).await;
        let services = self.environment.with(|state, _| state.world.services());
        let service = services.iter().find(|service| service.name == self.day.policy.service);
        if let Some(desired) = service.map(|service| service.desired).filter(|desired| *desired > 0) {
            let what = format!("{desired} task(s) are desired, and everybody has left long ago");
            self.violate(Guarantee::NothingIdleStays, what);
        }
    }

    /// Scales down, and lets the workers tear down while they are killed at the worst moments.
    async fn scale_down(&mut self) {
        // The watcher itself does, on every second day on which it stops what is unused.
        if self.day.has_stops() && self.day.seed % 4 < 3 {
            self.stay_unused().await;
        }
        let _ = self.operator.scale(0);
        let fault = ProcessFault::Kill { downtime: DOWNTIME_AT_THE_END };
        let kills =
            [("AddTags", Side::After), ("DeleteLoadBalancer", Side::After), ("DeleteTargetGroup", Side::Before)];
        if self.day.severity != Severity::Calm {
            let faults = kills.map(|(operation, side)| CallFault { victim: Victim::Worker, operation, side, fault });
            self.environment.with(|state, _| state.call_faults.extend(faults));
        }
        let restarts = u32::try_from(kills.len()).unwrap_or_default();
        let delay = (DOWNTIME_AT_THE_END + self.starting_bound()) * restarts;
        self.advance(self.stopping_bound() + self.teardown_bound() + delay).await;
    }

    /// Runs a command until it succeeds, a few times at most: its errors may ask for another run.
    async fn run_to_success(&mut self, command: &Command) {
        let mut error = String::new();
        for _ in 0..4 {
            self.end_health_incidents();
            let running = self.run.launch(self.platform, command.clone(), None);
            while !running.is_finished() {
                self.advance(Duration::from_secs(1)).await;
            }
            match running.await {
                Ok(Ok(())) => return self.note_success(command),
                Ok(Err(failure)) => error = failure,
                Err(failure) => error = failure.to_string(),
            }
        }
        let guarantee =
            if *command == Command::Down { Guarantee::NothingIdleStays } else { Guarantee::TargetsFollowTasks };
        self.violate(guarantee, format!("{command:?} doesn't succeed: {error}"));
    }

    /// Counts the success of a command beside a failing service.
    fn note_success(&self, command: &Command) {
        if self.run.failing.is_some_and(|failing| failing.platform != self.platform) {
            let moment = match command {
                Command::Up { .. } => "up succeeded beside a failing service",
                Command::Down => "down succeeded beside a failing service",
            };
            self.environment.with(|state, _| state.coverage.moment(moment));
        }
    }

    /// Lets targets be healthy again that an incident has made unhealthy: `up` waits for them.
    fn end_health_incidents(&self) {
        self.environment.with(|state, now| {
            for target in state.world.groups().into_iter().flat_map(|group| group.targets) {
                if let Ok(ip) = target.id.parse() {
                    let _ = state.world.inject(Incident::TargetHealthy { ip, port: None }, now);
                }
            }
        });
    }

    /// Waits until all tasks serve, and then for the bound of a registration. A task takes less than a minute to start,
    /// unless an incident makes it fail.
    async fn await_registrations(&mut self) {
        for _ in 0..20 {
            if self.serving().len() == SERVING_AT_THE_END {
                break;
            }
            self.advance(MINUTE).await;
        }
        self.advance(self.registration_bound()).await;
    }

    /// Deregisters targets without a task: a healthy one of them would keep the load balancer.
    fn deregister_others(&self) {
        let tasks = self.tasks();
        let has_address =
            |task: &TaskView, id: &str| task.last_status != "STOPPED" && address(task).is_some_and(|own| own == id);
        for target in self.groups().into_iter().flat_map(|group| group.targets) {
            if !tasks.iter().any(|task| has_address(task, &target.id)) {
                let _ = self.operator.set_target(&target.id, false);
            }
        }
    }

    /// The longest time from RUNNING to the registration: a reconciliation that was just over, the longest wait between
    /// two that fail, and the reconciliation itself.
    fn registration_bound(&self) -> Duration {
        self.day.policy.resync_interval + retry::LONGEST_WAIT + Duration::from_secs(30)
    }

    /// The longest time from a worker's start to its first reconciliation of the service: the first ones of several services
    /// are spread over the resync interval.
    fn starting_bound(&self) -> Duration {
        match self.run.platforms.as_slice() {
            [_] => Duration::ZERO,
            _ => self.day.policy.resync_interval,
        }
    }

    /// The longest time from the scale-down to the last task's end: half a minute besides the time after SIGTERM.
    fn stopping_bound(&self) -> Duration {
        MINUTE / 2 + self.day.stopping
    }

    /// The longest time from the last task's end to the deletion of the load balancer and its target groups.
    fn teardown_bound(&self) -> Duration {
        let paid_hour = if self.day.policy.until_paid_hour { HOUR } else { Duration::ZERO };
        self.day.policy.resync_interval
            + self.day.policy.idle_grace
            + paid_hour
            + retry::LONGEST_WAIT
            + NEARLY_IDLE_REQUEUE
            + MINUTE
    }

    /// Returns the service's tasks.
    fn tasks(&self) -> Vec<TaskView> {
        let group = format!("service:{}", self.day.policy.service);
        let tasks = self.environment.with(|state, _| state.world.tasks());
        tasks.into_iter().filter(|task| task.group == group).collect()
    }

    /// Returns the platform's target groups.
    fn groups(&self) -> Vec<GroupView> {
        let groups = self.environment.with(|state, _| state.world.groups());
        groups.into_iter().filter(|group| self.is_of_the_platform(&group.name)).collect()
    }

    fn is_of_the_platform(&self, name: &str) -> bool {
        name.strip_prefix(self.day.project.as_str()).is_some_and(|rest| rest.starts_with('-'))
    }

    /// Returns the addresses of the tasks that serve.
    fn serving(&self) -> Vec<String> {
        self.tasks().iter().filter(|task| serves(task)).filter_map(address).collect()
    }

    fn check_registrations(&self) {
        let (tasks, groups, serving) = (self.tasks(), self.groups(), self.serving());
        if serving.len() != SERVING_AT_THE_END {
            let what = format!("the scale-up itself failed: {} task(s) serve", serving.len());
            self.violate(Guarantee::TargetsFollowTasks, what);
        }
        if groups.len() != 2 {
            let what = format!("the scale-up itself failed: {} target group(s) exist", groups.len());
            self.violate(Guarantee::TargetsFollowTasks, what);
        }
        for group in groups {
            let targets = || group.targets.iter().filter(|target| target.state != "draining");
            for missing in serving.iter().filter(|ip| !targets().any(|target| target.id == **ip)) {
                let what = format!("{missing} serves, and is not registered in {}", group.name);
                self.violate(Guarantee::TargetsFollowTasks, what);
            }
            let has_address = |task: &TaskView, id: &str| address(task).is_some_and(|own| own == id);
            let is_stale =
                |id: &str| !serving.iter().any(|ip| ip == id) && tasks.iter().any(|task| has_address(task, id));
            for stale in targets().filter(|target| is_stale(&target.id)) {
                let what = format!("{} has stopped, and is still registered in {}", stale.id, group.name);
                self.violate(Guarantee::TargetsFollowTasks, what);
            }
        }
    }

    fn check_no_load_balancer(&self) {
        let load_balancers = self.environment.with(|state, _| state.world.load_balancers());
        for load_balancer in load_balancers.iter().filter(|load_balancer| self.is_of_the_platform(&load_balancer.name))
        {
            self.violate(Guarantee::NothingIdleStays, format!("{} is idle, and still exists", load_balancer.name));
        }
        if !load_balancers.iter().any(|load_balancer| load_balancer.name.starts_with(OTHER_PROJECT)) {
            self.violate(Guarantee::NothingElseIsTouched, "the other project's load balancer is gone".to_owned());
        }
    }

    fn check_no_group(&self) {
        for group in self.groups() {
            self.violate(Guarantee::NothingIdleStays, format!("{} still exists", group.name));
        }
    }

    /// Checks that each message about the service was deleted soon.
    fn check_messages(&self) {
        self.environment.with(|state, now| {
            let checker = state.checkers.of(self.platform);
            for sent_at in checker.late_messages(now) {
                let what = format!("a message of {sent_at} about the service is not deleted");
                checker.fail(Guarantee::NoMessageIsLost, now, what);
            }
        });
    }
}

fn serves(task: &TaskView) -> bool {
    task.last_status == "RUNNING" && task.desired_status == "RUNNING"
}

fn address(task: &TaskView) -> Option<String> {
    task.address.map(|address| address.to_string())
}
