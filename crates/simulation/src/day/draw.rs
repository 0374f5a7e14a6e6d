//! Draws a day from a seed.

use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;

use super::{Action, Day, HOUR, MINUTE, SCHEDULE_ENDS_AT, Severity, policy, usage};
use crate::checker::{LONGEST_LAG, LONGEST_LATENCY};
use crate::command::Command;
use crate::faults::{CallFault, ProcessFault, Side, Victim};
use jvb_watcher::controller::worker::LONGEST_POLL;
use jvb_watcher_rules::plan::Policy;
use jvb_watcher_sandbox::faults::{Effect, FaultPlan, Moment, Pattern, Rule, Throttle};
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::world::{Incident, MetricSettings};

/// The beginning of the addresses that operators register by hand; those of tasks differ.
const BY_HAND: &str = "10.0.0.";

/// The beginning of the tasks' addresses.
const OF_TASKS: &str = "10.0.1.";

/// The processes of a day, and the rate at which they and AWS fail.
#[derive(Clone)]
pub(super) struct Conditions {
    pub(super) severity: Severity,
    pub(super) clocks: Vec<SignedDuration>,
}

/// Draws the day of a seed.
pub(super) fn draw(seed: u64) -> Day {
    let mut day = draw_without_use(seed, platform::PROJECT, None);
    usage::draw(&mut day);
    day
}

/// Draws the day of a project without the use of its platform. Its conditions are drawn, too, unless they are given.
pub(super) fn draw_without_use(seed: u64, project: &str, conditions: Option<&Conditions>) -> Day {
    let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let severity = match random.u32(0..10) {
        0..2 => Severity::Calm,
        2..6 => Severity::Rough,
        _ => Severity::Hostile,
    };
    let workers = [1, 1, 2, 2, 3][random.usize(0..5)];
    let off = |random: &mut Rng| SignedDuration::from_millis(random.i64(-60_000..=60_000));
    let clocks = (0..workers).map(|_| if severity == Severity::Calm { SignedDuration::ZERO } else { off(&mut random) });
    let drawn = Conditions { severity, clocks: clocks.collect() };
    let Conditions { severity, clocks } = conditions.unwrap_or(&drawn).clone();
    let idle_grace = [MINUTE, 2 * MINUTE, 5 * MINUTE][random.usize(0..3)];
    let unused_grace = [5 * MINUTE, 15 * MINUTE][random.usize(0..2)];
    let policy = Policy {
        until_paid_hour: seed.is_multiple_of(5),
        ..policy(project, idle_grace, unused_grace, resync_interval(random.u32(0..32)))
    };
    // SQS accepts twenty seconds. Longer polls make a day cheaper, and change little: a message ends a poll at once.
    let longest_poll = [LONGEST_POLL, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE][random.usize(0..4)];
    let stopping = Duration::from_secs([26, 26, 26, 120][random.usize(0..4)]);
    let deleted_visible = Duration::from_secs([0, 0, 5, 30][random.usize(0..4)]);
    let (project, metrics, schedule) = (project.to_owned(), MetricSettings::default(), Vec::new());
    let mut day =
        Day { seed, project, severity, clocks, policy, longest_poll, stopping, deleted_visible, metrics, schedule };
    let mut draw = Draw::of(&day, random);
    draw.sessions();
    draw.disturbances();
    day.schedule = draw.schedule;
    day.schedule.retain(|(at, _)| *at < SCHEDULE_ENDS_AT);
    day.schedule.sort_by_key(|(at, _)| *at);
    day
}

/// Returns a resync interval by a number below 32. Most are long: reconciliations by the clock take most of a day's
/// computing time, and hide what events alone must achieve.
fn resync_interval(drawn: u32) -> Duration {
    match drawn {
        0 => Duration::from_secs(30),
        1..4 => MINUTE,
        4..16 => 5 * MINUTE,
        16..26 => 15 * MINUTE,
        _ => 30 * MINUTE,
    }
}

/// The drawing of a schedule.
pub(super) struct Draw {
    pub(super) random: Rng,
    project: String,
    pub(super) severity: Severity,
    workers: usize,
    grace: Duration,
    pub(super) schedule: Vec<(Duration, Action)>,
}

impl Draw {
    /// The drawing of further actions of a day.
    pub(super) fn of(day: &Day, random: Rng) -> Self {
        Self {
            random,
            project: day.project.clone(),
            severity: day.severity,
            workers: day.clocks.len(),
            grace: day.policy.idle_grace,
            schedule: day.schedule.clone(),
        }
    }

    pub(super) fn at(&mut self, at: Duration, action: Action) {
        self.schedule.push((at, action));
    }

    pub(super) fn span(&mut self, least: Duration, most: Duration) -> Duration {
        let span = least + most.saturating_sub(least).mul_f64(self.random.f64());
        Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or_default())
    }

    pub(super) fn moment(&mut self) -> Duration {
        self.span(Duration::ZERO, SCHEDULE_ENDS_AT)
    }

    pub(super) fn chance(&mut self, rate: f64) -> bool {
        self.random.f64() < rate
    }

    /// Sessions: operators scale up, and down again.
    fn sessions(&mut self) {
        for _ in 0..self.random.usize(2..=5) {
            let begin = self.moment();
            let end = begin + self.span(5 * MINUTE, HOUR);
            let tasks = self.random.i32(1..=3);
            let pace = self.span(Duration::from_secs(1), MINUTE);
            let action = self.scale_up(tasks, pace);
            self.at(begin, action);
            if self.chance(0.3) {
                let (middle, tasks) = (self.span(begin + MINUTE, end), self.random.i32(1..=4));
                self.at(middle, Action::Scale { tasks });
            }
            if self.chance(0.4) {
                let action = self.run(Command::Down);
                self.at(end, action);
            } else if self.chance(0.15) {
                self.at(end, Action::ScaleDownWithTerraform);
            } else {
                self.at(end, Action::Scale { tasks: 0 });
            }
            // The service is used again when the teardown is about to begin, or has begun: after about a minute of
            // stopping, and the grace period.
            let around = end + MINUTE + self.grace;
            if self.chance(0.2) {
                let held = self.span(around.saturating_sub(self.grace), around);
                let time = self.span(MINUTE, 30 * MINUTE);
                self.at(held, Action::Hold { time });
            }
            if self.chance(0.6) {
                let back = self.span(around.saturating_sub(MINUTE), around + MINUTE);
                let pace = self.span(Duration::from_secs(1), Duration::from_secs(30));
                let action = match self.random.u32(0..4) {
                    0 => Action::Scale { tasks: 1 },
                    1 => Action::ReplaceLoadBalancer,
                    _ => self.scale_up(1, pace),
                };
                self.at(back, action);
                let gone = back + self.span(MINUTE, 20 * MINUTE);
                self.at(gone, Action::Scale { tasks: 0 });
            }
        }
    }

    fn scale_up(&mut self, tasks: i32, pace: Duration) -> Action {
        match self.chance(0.5) {
            true => self.run(Command::Up { tasks, pace }),
            false => Action::ScaleUp { tasks, pace },
        }
    }

    /// A run of a command, which may be killed.
    pub(super) fn run(&mut self, command: Command) -> Action {
        let killed_after = self.chance(0.3).then(|| self.span(Duration::from_secs(1), 6 * MINUTE));
        Action::Run { command, killed_after }
    }

    fn disturbances(&mut self) {
        let rate = match self.severity {
            Severity::Calm => return,
            Severity::Rough => 6,
            Severity::Hostile => 25,
        };
        for _ in 0..rate {
            let at = self.moment();
            let action = self.by_hand();
            self.undo_later(at, &action);
            self.at(at, action);
            if self.chance(0.15) {
                let (at, pace) = (self.moment(), self.span(Duration::from_secs(1), MINUTE / 2));
                let command = if self.chance(0.5) { Command::Down } else { Command::Up { tasks: 1, pace } };
                // Often another one runs at nearly the same time.
                for _ in 0..self.random.usize(1..=2) {
                    let action = self.run(command.clone());
                    let soon = self.span(Duration::ZERO, 3 * MINUTE);
                    self.at(at + soon, action);
                }
                let gone = at + self.span(5 * MINUTE, HOUR);
                self.at(gone, Action::Scale { tasks: 0 });
            }
            let (at, action) = (self.moment(), self.incident());
            self.at(at, action);
            let at = self.moment();
            let fault = self.process_fault();
            let slot = self.random.usize(0..self.workers);
            self.at(at, Action::FailWorker { slot, fault });
            let at = self.moment();
            let fault = self.call_fault();
            self.at(at, Action::FailAtCall(fault));
            if self.chance(0.4) {
                self.faults();
            }
        }
    }

    /// An operator's action.
    fn by_hand(&mut self) -> Action {
        let ip = format!("{BY_HAND}{}", self.random.u32(4..40));
        let task_ip = format!("{OF_TASKS}{}", self.random.u32(4..12));
        match self.random.u32(0..16) {
            0 => Action::DeleteLoadBalancer,
            1 => Action::ReplaceLoadBalancer,
            2 => Action::CreateLoadBalancer,
            3 => Action::Hold { time: self.span(MINUTE, 30 * MINUTE) },
            4 => Action::ReleaseHold,
            5 => Action::SetOwnerTag { present: false },
            6 => Action::SetDeletionProtection { enabled: true },
            7 | 8 => Action::SetTarget { ip, registered: true },
            9 => Action::SetTarget { ip, registered: false },
            10 => Action::SetRule { enabled: false },
            11 => Action::SendForeignMessage,
            12 => Action::DeleteService,
            13 => Action::SetTarget { ip: task_ip, registered: true },
            14 => Action::SetTarget { ip: task_ip, registered: false },
            _ => Action::RunForeignTask { time: self.span(MINUTE, 20 * MINUTE) },
        }
    }

    /// Schedules the end of an action that would prevent the rest of the day.
    fn undo_later(&mut self, at: Duration, action: &Action) {
        let undo = match action {
            Action::SetOwnerTag { .. } => Action::SetOwnerTag { present: true },
            Action::SetDeletionProtection { .. } => Action::SetDeletionProtection { enabled: false },
            Action::SetRule { .. } => Action::SetRule { enabled: true },
            Action::DeleteService => Action::CreateService,
            _ => return,
        };
        let later = at + self.span(MINUTE, HOUR);
        self.at(later, undo);
    }

    /// An incident of tasks, events or the load balancer.
    fn incident(&mut self) -> Action {
        let service = format!("{}-service", self.project);
        let queue = format!("{}-jvb-watcher", platform::PROJECT);
        Action::Inject(match self.random.u32(0..13) {
            12 => Incident::FailLoadBalancer { name: format!("{}-jvb-nlb", self.project) },
            kind => return self.frequent_incident(kind / 2, service, queue),
        })
    }

    fn frequent_incident(&mut self, kind: u32, service: String, queue: String) -> Action {
        Action::Inject(match kind {
            0 => Incident::CrashTask { service, task: None, exit_code: 1 },
            1 => Incident::SpotNotice { service, task: None },
            2 => Incident::FailToStart { n: self.random.u32(1..4) },
            3 => Incident::TargetUnhealthy { ip: [10, 0, 1, self.random.u8(4..40)].into(), port: None },
            4 => Incident::Replay { n: self.random.usize(1..20) },
            _ => Incident::MalformedMessage { queue, body: "{\"no\": event".to_owned() },
        })
    }

    fn process_fault(&mut self) -> ProcessFault {
        let downtime = self.span(Duration::from_millis(100), 10 * MINUTE);
        match self.random.u32(0..3) {
            0 => ProcessFault::Kill { downtime },
            1 => ProcessFault::Terminate { downtime },
            _ => ProcessFault::Suspend { time: self.span(Duration::from_secs(1), 10 * MINUTE) },
        }
    }

    fn call_fault(&mut self) -> CallFault {
        let of_workers: &[_] = &[
            "DeleteLoadBalancer",
            "DeleteLoadBalancer",
            "DeleteTargetGroup",
            "AddTags",
            "AddTags",
            "RemoveTags",
            "RegisterTargets",
            "DeregisterTargets",
            "DeleteMessageBatch",
            "DescribeTags",
            "DescribeServices",
        ];
        let of_commands: &[_] = &[
            "UpdateService",
            "TagResource",
            "UntagResource",
            "AddTags",
            "RemoveTags",
            "RegisterTargets",
            "DeleteLoadBalancer",
            "DeleteTargetGroup",
        ];
        let (victim, operations) = match self.chance(0.25) {
            true => (Victim::Command, of_commands),
            false => (Victim::Worker, of_workers),
        };
        let operation = operations[self.random.usize(0..operations.len())];
        let side = if self.random.bool() { Side::Before } else { Side::After };
        CallFault { victim, operation, side, fault: self.process_fault() }
    }

    /// For a while calls fail, are throttled or slow; for another, events are lost, duplicated, late.
    fn faults(&mut self) {
        let (begin, time) = (self.moment(), self.span(MINUTE, HOUR));
        let on = ["*", "ecs:*", "elasticloadbalancing:*", "sqs:*", "ecs:DescribeTasks", "elasticloadbalancing:Delete*"]
            [self.random.usize(0..6)];
        let rate = self.random.f64();
        let on = Pattern(on.to_owned());
        let error = |code: &str, status| Effect::Error { code: code.to_owned(), status, message: String::new() };
        let effect = match self.random.u32(0..7) {
            0 => {
                let most = Some(LONGEST_LATENCY - Duration::from_secs(1));
                Effect::Latency { least: Duration::ZERO, most }
            }
            1 => error("InternalFailure", 500),
            2 => error("ServiceUnavailable", 503),
            3 => error("AccessDenied", 403),
            4 => Effect::Drop { when: Moment::Before },
            _ => Effect::Drop { when: Moment::After },
        };
        let mut plan = FaultPlan::default();
        match self.random.u32(0..10) {
            0..3 => plan.throttles.push(Throttle { on, capacity: 5, refill_per_second: 0.5 }),
            3 => plan.rules.push(self.hanging_reads(rate)),
            _ => plan.rules.push(Rule { on, rate, times: None, effect }),
        }
        self.at(begin, Action::SetFaults(plan));
        self.at(begin + time, Action::SetFaults(FaultPlan::default()));
        let mut share = || if self.random.bool() { self.random.f64() * 0.5 } else { 0.0 };
        let (lost, duplicated, delayed, reordered) = (share(), share(), share(), share());
        let lag = if self.chance(0.5) { self.span(Duration::ZERO, LONGEST_LAG) } else { Duration::ZERO };
        let at = self.moment();
        self.at(at, Action::SetEventFaults { lost, duplicated, delayed, reordered, lag });
        let end = at + self.span(MINUTE, HOUR);
        self.at(
            end,
            Action::SetEventFaults { lost: 0.0, duplicated: 0.0, delayed: 0.0, reordered: 0.0, lag: Duration::ZERO },
        );
    }

    /// Reads take about as long as their time-out, or longer. Writes don't: their latency is part of the window in which a
    /// deletion may miss a use, and is bounded.
    fn hanging_reads(&mut self, rate: f64) -> Rule {
        let on = ["ecs:Describe*", "ecs:List*", "elasticloadbalancing:Describe*"][self.random.usize(0..3)];
        let effect = Effect::Latency { least: LONGEST_LATENCY, most: Some(4 * LONGEST_LATENCY) };
        Rule { on: Pattern(on.to_owned()), rate, times: None, effect }
    }
}
