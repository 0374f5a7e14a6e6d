//! A day of the platform: what happens when, drawn from a seed; played; and judged in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use super::budget::Budget;
use super::checker::{Checker, Promise, Promises, Violation};
use super::command::Command;
use super::operator::Operator;
use super::process::{Freezable, Gate, Process, Setup};
use super::stage::{Actor, Blow, Inner, Stage, Trap, Victim, When};
use super::tally::Tally;
use jvb_watcher::controller::reconciler::OBSERVATION_VALID_FOR;
use jvb_watcher::controller::scope::Scope;
use jvb_watcher::controller::worker::LONGEST_POLL;
use jvb_watcher::retry;
use jvb_watcher_rules::plan::{NEARLY_IDLE_REQUEUE, OwnerTag, Policy, Teardown};
use jvb_watcher_sandbox::faults::{Effect, FaultPlan, Faults, Moment, Pattern, Rule, Throttle};
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::world::{Incident, Settings, TaskView, World};

/// How rough a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// People come and go; AWS does as documented.
    Calm,
    /// Some of everything goes wrong.
    Rough,
    /// Much of everything does, at once.
    Hostile,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// The platform's scale-up, terraform and all, at some pace.
    ScaleUp {
        tasks: i32,
        pace: Duration,
    },
    /// The command `up` or `down`, killed after a while or not.
    Run {
        command: Command,
        killed_after: Option<Duration>,
    },
    /// Only the desired count.
    Scale {
        tasks: i32,
    },
    /// The platform's own scale-down.
    ScaleDownWithTerraform,
    /// Somebody deletes the balancer by hand.
    DeleteBalancer,
    /// Somebody deletes it and makes another.
    ReplaceBalancer,
    /// Somebody makes one for nothing.
    CreateBalancer,
    /// Somebody holds it.
    Hold {
        time: Duration,
    },
    /// Somebody lets go of it.
    Release,
    /// The owner tag goes, or comes back.
    Own {
        owned: bool,
    },
    /// Deletion protection, on or off.
    Protect {
        protected: bool,
    },
    /// Somebody registers an address, or deregisters it.
    Target {
        ip: String,
        registered: bool,
    },
    /// A task of nobody's service serves behind the balancer for a while.
    Visit {
        time: Duration,
    },
    /// The rule is switched on or off.
    Rule {
        enabled: bool,
    },
    /// The service is deleted, or made anew.
    DeleteService,
    CreateService,
    /// Something befalls the tasks or the events.
    Act(Incident),
    /// A message that is not of this service.
    Foreign,
    /// From now on AWS is like this.
    Faults(FaultPlan),
    /// From now on events go like this, and ECS's answers lag.
    Events {
        lost: f64,
        duplicated: f64,
        delayed: f64,
        reordered: f64,
        lag: Duration,
    },
    /// A process's lot.
    Blow {
        slot: usize,
        blow: Blow,
    },
    /// What waits for the next call of an operation.
    Trap(Trap),
}

/// What is drawn from a seed.
#[derive(Clone, Debug)]
pub struct Day {
    /// The seed.
    pub seed: u64,
    /// How rough it is.
    pub temper: Temper,
    /// How many workers watch, and how far their clocks are off.
    pub clocks: Vec<SignedDuration>,
    /// By which rules.
    pub policy: Policy,
    /// How long a poll waits for messages.
    pub poll_time: Duration,
    /// How long a task takes from SIGTERM to its end.
    pub stopping: Duration,
    /// How long a deleted balancer still shows.
    pub deleted_visible: Duration,
    /// What happens when, in its order.
    pub deeds: Vec<(Duration, Deed)>,
}

/// What came of a day.
#[derive(Debug)]
pub struct Report {
    /// What was broken.
    pub violations: Vec<Violation>,
    /// What was visited.
    pub tally: Tally,
    /// What happened, if it was asked for.
    pub history: Vec<String>,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Where the addresses begin that are registered by hand; tasks get others.
const BY_HAND: &str = "10.0.0.";

/// Where those of tasks begin.
const OF_TASKS: &str = "10.0.1.";

/// How many tasks serve at the quiet end, before the last scale-down.
const SERVING_AT_THE_END: usize = 2;

/// How long a worker is away that is killed in the last teardown.
const DOWN_AT_THE_END: Duration = Duration::from_secs(10);

/// After that nothing is disturbed any more.
const EVENTFUL: Duration = Duration::from_secs(22 * 60 * 60);

/// The longest that a write is on its way, faults and all.
const LONGEST_WAY: Duration = Duration::from_secs(5);

/// The most by which ECS's answers lag behind.
const LONGEST_LAG: Duration = Duration::from_secs(8);

impl Day {
    /// The day of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let temper = match random.u32(0..10) {
            0..2 => Temper::Calm,
            2..6 => Temper::Rough,
            _ => Temper::Hostile,
        };
        let workers = [1, 1, 2, 2, 3][random.usize(0..5)];
        let off = |random: &mut Rng| SignedDuration::from_millis(random.i64(-60_000..=60_000));
        let clocks = (0..workers).map(|_| if temper == Temper::Calm { SignedDuration::ZERO } else { off(&mut random) });
        let clocks = clocks.collect();
        let policy = Policy {
            service: format!("{}-service", platform::PROJECT),
            load_balancer: format!("{}-jvb-nlb", platform::PROJECT),
            owner_tag: OwnerTag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() },
            teardown: Teardown::All,
            idle_grace: [MINUTE, 2 * MINUTE, 5 * MINUTE][random.usize(0..3)],
            unused_grace: [5 * MINUTE, 15 * MINUTE][random.usize(0..2)],
            resync_interval: resync_interval(random.u32(0..32)),
        };
        // SQS's twenty seconds, and on most days more: while a worker waits it does nothing, and neither does an empty
        // queue; what comes ends the wait at once.
        let poll_time = [LONGEST_POLL, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE][random.usize(0..4)];
        let stopping = Duration::from_secs([26, 26, 26, 120][random.usize(0..4)]);
        let deleted_visible = Duration::from_secs([0, 0, 5, 30][random.usize(0..4)]);
        let mut draft = Draft { random, temper, workers, deeds: Vec::new(), grace: policy.idle_grace };
        draft.evenings();
        draft.disturbances();
        let mut deeds = draft.deeds;
        deeds.retain(|(at, _)| *at < EVENTFUL);
        deeds.sort_by_key(|(at, _)| *at);
        Self { seed, temper, clocks, policy, poll_time, stopping, deleted_visible, deeds }
    }

    /// The same day with only some of its deeds, by their places.
    pub fn with_only(&self, kept: &[usize]) -> Self {
        let deeds = self.deeds.iter().enumerate().filter(|(index, _)| kept.contains(index));
        Self { deeds: deeds.map(|(_, deed)| deed.clone()).collect(), ..self.clone() }
    }

    /// Plays it; with its history, if somebody wants to read it.
    pub fn play(&self, with_history: bool) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            // Timers go by whole milliseconds of the runtime's; so does the day from here on.
            tokio::time::sleep(Duration::from_millis(1)).await;
            Course::begin(self, with_history).run().await
        })
    }
}

/// Drawn of 32. Looks by the clock find little that is new and take most of a day's time, so most days have few of them;
/// what they hide in the others, the events must make up for.
fn resync_interval(drawn: u32) -> Duration {
    match drawn {
        0 => Duration::from_secs(30),
        1..4 => MINUTE,
        4..16 => 5 * MINUTE,
        16..26 => 15 * MINUTE,
        _ => 30 * MINUTE,
    }
}

/// A day in the making.
struct Draft {
    random: Rng,
    temper: Temper,
    workers: usize,
    grace: Duration,
    deeds: Vec<(Duration, Deed)>,
}

impl Draft {
    fn at(&mut self, at: Duration, deed: Deed) {
        self.deeds.push((at, deed));
    }

    fn span(&mut self, least: Duration, most: Duration) -> Duration {
        let span = least + most.saturating_sub(least).mul_f64(self.random.f64());
        Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or_default())
    }

    fn moment(&mut self) -> Duration {
        self.span(Duration::ZERO, EVENTFUL)
    }

    fn chance(&mut self, rate: f64) -> bool {
        self.random.f64() < rate
    }

    /// People come and go.
    fn evenings(&mut self) {
        for _ in 0..self.random.usize(2..=5) {
            let begin = self.moment();
            let end = begin + self.span(5 * MINUTE, HOUR);
            let tasks = self.random.i32(1..=3);
            let pace = self.span(Duration::from_secs(1), MINUTE);
            let deed = self.scale_up(tasks, pace);
            self.at(begin, deed);
            if self.chance(0.3) {
                let (middle, tasks) = (self.span(begin + MINUTE, end), self.random.i32(1..=4));
                self.at(middle, Deed::Scale { tasks });
            }
            if self.chance(0.4) {
                let deed = self.run(Command::Down);
                self.at(end, deed);
            } else if self.chance(0.15) {
                self.at(end, Deed::ScaleDownWithTerraform);
            } else {
                self.at(end, Deed::Scale { tasks: 0 });
            }
            // Somebody comes back when the teardown is about to begin, or has begun: a minute or so of stopping, and
            // the grace.
            let around = end + MINUTE + self.grace;
            if self.chance(0.2) {
                let held = self.span(around.saturating_sub(self.grace), around);
                let time = self.span(MINUTE, 30 * MINUTE);
                self.at(held, Deed::Hold { time });
            }
            if self.chance(0.6) {
                let back = self.span(around.saturating_sub(MINUTE), around + MINUTE);
                let pace = self.span(Duration::from_secs(1), Duration::from_secs(30));
                let deed = match self.random.u32(0..4) {
                    0 => Deed::Scale { tasks: 1 },
                    1 => Deed::ReplaceBalancer,
                    _ => self.scale_up(1, pace),
                };
                self.at(back, deed);
                let gone = back + self.span(MINUTE, 20 * MINUTE);
                self.at(gone, Deed::Scale { tasks: 0 });
            }
        }
    }

    fn scale_up(&mut self, tasks: i32, pace: Duration) -> Deed {
        match self.chance(0.5) {
            true => self.run(Command::Up { tasks, pace }),
            false => Deed::ScaleUp { tasks, pace },
        }
    }

    /// A command; somebody may cut it off, and not look after it.
    fn run(&mut self, command: Command) -> Deed {
        let killed_after = self.chance(0.3).then(|| self.span(Duration::from_secs(1), 6 * MINUTE));
        Deed::Run { command, killed_after }
    }

    fn disturbances(&mut self) {
        let rate = match self.temper {
            Temper::Calm => return,
            Temper::Rough => 6,
            Temper::Hostile => 25,
        };
        for _ in 0..rate {
            let at = self.moment();
            let deed = self.by_hand();
            self.undo_later(at, &deed);
            self.at(at, deed);
            if self.chance(0.15) {
                let (at, pace) = (self.moment(), self.span(Duration::from_secs(1), MINUTE / 2));
                let command = if self.chance(0.5) { Command::Down } else { Command::Up { tasks: 1, pace } };
                // And another at nearly the same time, often enough.
                for _ in 0..self.random.usize(1..=2) {
                    let deed = self.run(command.clone());
                    let soon = self.span(Duration::ZERO, 3 * MINUTE);
                    self.at(at + soon, deed);
                }
                let gone = at + self.span(5 * MINUTE, HOUR);
                self.at(gone, Deed::Scale { tasks: 0 });
            }
            let (at, deed) = (self.moment(), self.mishap());
            self.at(at, deed);
            let at = self.moment();
            let blow = self.blow();
            let slot = self.random.usize(0..self.workers);
            self.at(at, Deed::Blow { slot, blow });
            let at = self.moment();
            let trap = self.trap();
            self.at(at, Deed::Trap(trap));
            if self.chance(0.4) {
                self.weather();
            }
        }
    }

    /// What somebody does by hand.
    fn by_hand(&mut self) -> Deed {
        let ip = format!("{BY_HAND}{}", self.random.u32(4..40));
        let of_a_task = format!("{OF_TASKS}{}", self.random.u32(4..12));
        match self.random.u32(0..16) {
            0 => Deed::DeleteBalancer,
            1 => Deed::ReplaceBalancer,
            2 => Deed::CreateBalancer,
            3 => Deed::Hold { time: self.span(MINUTE, 30 * MINUTE) },
            4 => Deed::Release,
            5 => Deed::Own { owned: false },
            6 => Deed::Protect { protected: true },
            7 | 8 => Deed::Target { ip, registered: true },
            9 => Deed::Target { ip, registered: false },
            10 => Deed::Rule { enabled: false },
            11 => Deed::Foreign,
            12 => Deed::DeleteService,
            13 => Deed::Target { ip: of_a_task, registered: true },
            14 => Deed::Target { ip: of_a_task, registered: false },
            _ => Deed::Visit { time: self.span(MINUTE, 20 * MINUTE) },
        }
    }

    /// What can't last for ever, ends.
    fn undo_later(&mut self, at: Duration, deed: &Deed) {
        let undo = match deed {
            Deed::Own { .. } => Deed::Own { owned: true },
            Deed::Protect { .. } => Deed::Protect { protected: false },
            Deed::Rule { .. } => Deed::Rule { enabled: true },
            Deed::DeleteService => Deed::CreateService,
            _ => return,
        };
        let later = at + self.span(MINUTE, HOUR);
        self.at(later, undo);
    }

    /// What befalls tasks and events.
    fn mishap(&mut self) -> Deed {
        let service = format!("{}-service", platform::PROJECT);
        let queue = format!("{}-jvb-watcher", platform::PROJECT);
        Deed::Act(match self.random.u32(0..13) {
            12 => Incident::FailLoadBalancer { name: format!("{}-jvb-nlb", platform::PROJECT) },
            kind => return self.usual_mishap(kind / 2, service, queue),
        })
    }

    fn usual_mishap(&mut self, kind: u32, service: String, queue: String) -> Deed {
        Deed::Act(match kind {
            0 => Incident::CrashTask { service, task: None, exit_code: 1 },
            1 => Incident::SpotNotice { service, task: None },
            2 => Incident::FailToStart { n: self.random.u32(1..4) },
            3 => Incident::TargetUnhealthy { ip: [10, 0, 1, self.random.u8(4..40)].into() },
            4 => Incident::Replay { n: self.random.usize(1..20) },
            _ => Incident::MalformedMessage { queue, body: "{\"no\": event".to_owned() },
        })
    }

    fn blow(&mut self) -> Blow {
        let down = self.span(Duration::from_millis(100), 10 * MINUTE);
        match self.random.u32(0..3) {
            0 => Blow::Kill { down },
            1 => Blow::Terminate { down },
            _ => Blow::Freeze { time: self.span(Duration::from_secs(1), 10 * MINUTE) },
        }
    }

    fn trap(&mut self) -> Trap {
        let of_watchers: &[_] = &[
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
            false => (Victim::Watcher, of_watchers),
        };
        let operation = operations[self.random.usize(0..operations.len())];
        let when = if self.random.bool() { When::Before } else { When::After };
        Trap { victim, operation, when, blow: self.blow() }
    }

    /// For a while AWS is slow, fails, throttles; events are lost, late, doubled.
    fn weather(&mut self) {
        let (begin, time) = (self.moment(), self.span(MINUTE, HOUR));
        let on = ["*", "ecs:*", "elasticloadbalancing:*", "sqs:*", "ecs:DescribeTasks", "elasticloadbalancing:Delete*"]
            [self.random.usize(0..6)];
        let rate = self.random.f64();
        let on = Pattern(on.to_owned());
        let error = |code: &str, status| Effect::Error { code: code.to_owned(), status, message: String::new() };
        let effect = match self.random.u32(0..7) {
            0 => {
                let most = Some(LONGEST_WAY - Duration::from_secs(1));
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
        self.at(begin, Deed::Faults(plan));
        self.at(begin + time, Deed::Faults(FaultPlan::default()));
        let mut share = || if self.random.bool() { self.random.f64() * 0.5 } else { 0.0 };
        let (lost, duplicated, delayed, reordered) = (share(), share(), share(), share());
        let lag = if self.chance(0.5) { self.span(Duration::ZERO, LONGEST_LAG) } else { Duration::ZERO };
        let at = self.moment();
        self.at(at, Deed::Events { lost, duplicated, delayed, reordered, lag });
        let end = at + self.span(MINUTE, HOUR);
        self.at(end, Deed::Events { lost: 0.0, duplicated: 0.0, delayed: 0.0, reordered: 0.0, lag: Duration::ZERO });
    }

    /// Reads take longer than anybody waits for them, or nearly. Writes don't: how late they take effect is the network's
    /// part of the window, and bounded.
    fn hanging_reads(&mut self, rate: f64) -> Rule {
        let on = ["ecs:Describe*", "ecs:List*", "elasticloadbalancing:Describe*"][self.random.usize(0..3)];
        let effect = Effect::Latency { least: LONGEST_WAY, most: Some(4 * LONGEST_WAY) };
        Rule { on: Pattern(on.to_owned()), rate, times: None, effect }
    }
}

/// A day in progress.
struct Course<'a> {
    day: &'a Day,
    stage: Arc<Stage>,
    setup: Setup,
    operator: Operator,
    slots: Vec<Option<(u32, Process)>>,
    /// The commands that were run, by number: how to kill them, and how to freeze them.
    commands: BTreeMap<u32, (AbortHandle, Arc<Gate>)>,
    next_number: u32,
    next_command: u32,
    /// Slots that come back, and when.
    returns: Vec<(Instant, usize)>,
    sprung: UnboundedReceiver<(Actor, Blow)>,
    began: Instant,
    /// How many messages that nobody can read were sent.
    malformed: usize,
}

/// Another project in the same account, which nobody may touch.
const OTHER: &str = "other";

impl<'a> Course<'a> {
    fn begin(day: &'a Day, with_history: bool) -> Self {
        let midnight: Timestamp = "2026-11-20T00:00:00Z".parse().expect("an instant");
        let mut settings = Settings::default();
        settings.tasks.stopping = day.stopping;
        settings.load_balancers.deleted_visible = day.deleted_visible;
        let mut world = World::new(settings, day.seed, midnight);
        platform::set_up(&mut world, midnight).expect("a platform");
        let promises = Promises {
            project: platform::PROJECT.to_owned(),
            idle_grace: day.policy.idle_grace,
            unused_grace: day.policy.unused_grace,
            window: OBSERVATION_VALID_FOR + LONGEST_WAY + LONGEST_LAG,
        };
        let budget = Budget::new(&day.policy, day.poll_time, day.clocks.len(), midnight);
        let (sender, sprung) = unbounded_channel();
        let queue_url = {
            let settings = world.settings();
            format!("{}/{}/{}-jvb-watcher", settings.endpoint, settings.account, platform::PROJECT)
        };
        let inner = Inner {
            world,
            faults: Faults::new(day.seed),
            random: Rng::with_seed(day.seed),
            checker: Checker::new(promises, budget),
            tally: Tally { days: 1, ..Tally::default() },
            traps: Vec::new(),
            sprung: sender,
            history: with_history.then(Vec::new),
        };
        let stage = Arc::new(Stage::new(inner, midnight));
        let operator = Operator::new(stage.clone(), platform::PROJECT);
        let other = Operator::new(stage.clone(), OTHER);
        other.create_cluster().and_then(|()| other.create_service()).expect("another platform");
        other.create_all().expect("another balancer");
        let scope = Scope { cluster: format!("{}-cluster", platform::PROJECT), service: day.policy.service.clone() };
        let setup =
            Setup { stage: stage.clone(), scope, policy: day.policy.clone(), queue_url, longest_poll: day.poll_time };
        Self {
            day,
            stage,
            setup,
            operator,
            slots: day.clocks.iter().map(|_| None).collect(),
            commands: BTreeMap::new(),
            next_number: 1,
            next_command: 1,
            returns: Vec::new(),
            sprung,
            began: Instant::now(),
            malformed: 0,
        }
    }

    /// The whole day, or what there is of it until a promise is broken.
    async fn run(mut self) -> Report {
        let stage = self.stage.clone();
        tokio::select! {
            biased;
            () = stage.broken.notified() => {}
            () = self.hours() => {}
        }
        stage.with(|inner, _| {
            inner.tally.largest_share_of_calls = inner.checker.budget.used();
            Report {
                violations: std::mem::take(&mut inner.checker.violations),
                tally: std::mem::take(&mut inner.tally),
                history: inner.history.take().unwrap_or_default(),
            }
        })
    }

    async fn hours(&mut self) {
        for slot in 0..self.slots.len() {
            self.start(slot);
        }
        for (at, deed) in &self.day.deeds {
            self.until(self.began + *at).await;
            self.perform(deed);
        }
        self.until(self.began + EVENTFUL).await;
        self.end().await;
    }

    /// Lets time pass, with traps being sprung and processes coming back.
    async fn until(&mut self, until: Instant) {
        loop {
            let next = self.returns.iter().map(|(at, _)| *at).min();
            tokio::select! {
                biased;
                Some((actor, blow)) = self.sprung.recv() => match actor {
                    Actor::Watcher(number) => {
                        let is_it = |slot: &Option<(u32, Process)>| slot.as_ref().is_some_and(|(n, _)| *n == number);
                        if let Some(slot) = self.slots.iter().position(is_it) {
                            self.strike(slot, blow);
                        }
                    }
                    Actor::Command(number) => self.strike_command(number, blow),
                    Actor::Operator => {}
                },
                () = tokio::time::sleep_until(next.unwrap_or(until).min(until)) => {
                    let now = Instant::now();
                    let due: Vec<_> = self.returns.extract_if(.., |(at, _)| *at <= now).collect();
                    for (_, slot) in due {
                        self.start(slot);
                    }
                    if now >= until {
                        return;
                    }
                }
            }
        }
    }

    fn start(&mut self, slot: usize) {
        if self.slots[slot].is_none() {
            let number = self.next_number;
            self.next_number += 1;
            self.stage.note(|| format!("Watcher({number}) starts in slot {slot}"));
            self.stage.with(|inner, now| inner.checker.budget.started(now));
            self.slots[slot] = Some((number, Process::start(&self.setup, number, self.day.clocks[slot])));
        }
    }

    fn strike(&mut self, slot: usize, blow: Blow) {
        self.stage.note(|| format!("slot {slot}: {blow:?}"));
        match blow {
            Blow::Kill { down } => {
                let Some((_, process)) = self.slots[slot].take() else { return };
                self.check_alive(slot, &process);
                process.kill();
                self.returns.push((Instant::now() + down, slot));
            }
            Blow::Terminate { down } => {
                let Some((_, process)) = self.slots[slot].take() else { return };
                self.check_alive(slot, &process);
                let stage = self.stage.clone();
                tokio::spawn(async move {
                    if let Err(why) = process.terminate().await {
                        let what = format!("the worker of slot {slot} doesn't stop as it should: {why}");
                        stage.with(|inner, at| inner.checker.fail(Promise::NothingIdleStays, at, what));
                    }
                });
                self.returns.push((Instant::now() + down, slot));
            }
            Blow::Freeze { time } => {
                if let Some((_, process)) = &self.slots[slot] {
                    process.freeze(time);
                    self.stage.with(|inner, now| inner.checker.budget.started(now));
                }
            }
        }
    }

    /// A worker runs until somebody ends it.
    fn check_alive(&self, slot: usize, process: &Process) {
        if process.has_ended() {
            self.fail(Promise::NothingIdleStays, format!("the worker of slot {slot} has ended by itself"));
        }
    }

    fn strike_command(&self, number: u32, blow: Blow) {
        let Some((kill, gate)) = self.commands.get(&number) else { return };
        match blow {
            Blow::Kill { .. } | Blow::Terminate { .. } => kill.abort(),
            Blow::Freeze { time } => gate.close(time),
        }
    }

    /// Starts a command, which goes on beside.
    fn launch(&mut self, command: Command, killed_after: Option<Duration>) -> JoinHandle<Result<(), String>> {
        let number = self.next_command;
        self.next_command += 1;
        let off = self.day.clocks.first().copied().unwrap_or_default();
        self.stage.note(|| format!("Command({number}) is {command:?}"));
        let (work, gate) = Freezable::new(command.run(self.setup.clone(), number, off));
        let running = tokio::spawn(work);
        self.commands.insert(number, (running.abort_handle(), gate));
        if let Some(after) = killed_after {
            let (kill, stage) = (running.abort_handle(), self.stage.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if !kill.is_finished() {
                    stage.note(|| format!("Command({number}) is killed"));
                    stage.with(|inner, _| inner.tally.moment("a command was killed"));
                    kill.abort();
                }
            });
        }
        running
    }

    /// What somebody made unhealthy may be healthy again: `up` says so, and waits for it.
    fn mend_targets(&self) {
        self.stage.with(|inner, now| {
            for target in inner.world.groups().into_iter().flat_map(|group| group.targets) {
                if let Ok(ip) = target.id.parse() {
                    let _ = inner.world.inject(Incident::TargetHealthy { ip }, now);
                }
            }
        });
    }

    /// Runs a command in the quiet end, where it must come to its own; as often as its messages ask for, but not for
    /// ever.
    async fn run_to_its_end(&mut self, command: &Command) {
        let mut why = String::new();
        for _ in 0..4 {
            self.mend_targets();
            let running = self.launch(command.clone(), None);
            while !running.is_finished() {
                self.until(Instant::now() + Duration::from_secs(1)).await;
            }
            match running.await {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => why = failure,
                Err(error) => why = error.to_string(),
            }
        }
        let promise = if *command == Command::Down { Promise::NothingIdleStays } else { Promise::TargetsAreTrue };
        self.fail(promise, format!("{command:?} doesn't get there: {why}"));
    }

    fn perform(&mut self, deed: &Deed) {
        self.stage.note(|| format!("{deed:?}"));
        let operator = self.operator.clone();
        let done = match deed.clone() {
            Deed::ScaleUp { tasks, pace } => {
                tokio::spawn(async move { operator.scale_up(tasks, pace).await });
                Ok(())
            }
            Deed::Run { command, killed_after } => {
                self.launch(command, killed_after);
                Ok(())
            }
            Deed::Scale { tasks } => operator.scale(tasks),
            Deed::ScaleDownWithTerraform => {
                tokio::spawn(async move { operator.scale_down_with_terraform().await });
                Ok(())
            }
            Deed::DeleteBalancer => operator.delete_balancer(),
            Deed::ReplaceBalancer => operator.replace_balancer(),
            Deed::CreateBalancer => operator.create_balancer().map(drop),
            Deed::Hold { time } => operator.hold(Some(self.stage.now() + time)),
            Deed::Release => operator.hold(None),
            Deed::Own { owned } => operator.own(owned),
            Deed::Protect { protected } => operator.protect(protected),
            Deed::Target { ip, registered } => operator.target(&ip, registered),
            Deed::Visit { time } => {
                tokio::spawn(async move { operator.visit(time).await });
                Ok(())
            }
            Deed::Rule { enabled } => operator.rule(enabled),
            Deed::DeleteService => operator.delete_service(),
            Deed::CreateService => operator.create_service(),
            Deed::Act(act) => {
                self.malformed += usize::from(matches!(act, Incident::MalformedMessage { .. }));
                let done = self.stage.with(|inner, now| {
                    let done = inner.world.inject(act, now);
                    inner.checker.observe(&inner.world, now, Some(Actor::Operator));
                    done
                });
                self.stage.changed.notify_waiters();
                done
            }
            Deed::Foreign => operator.send(&self.setup.queue_url, Operator::foreign_event()),
            Deed::Faults(plan) => {
                self.stage.with(|inner, now| {
                    inner.checker.budget.aws_fails(plan != FaultPlan::default(), now);
                    inner.faults.set(plan).expect("a plan that makes sense");
                });
                Ok(())
            }
            Deed::Events { lost, duplicated, delayed, reordered, lag } => {
                self.stage.with(|inner, _| {
                    let settings = inner.world.settings_mut();
                    settings.ecs_lag = lag;
                    let events = &mut settings.events;
                    (events.lost, events.duplicated) = (lost, duplicated);
                    (events.delayed, events.reordered) = (delayed, reordered);
                });
                Ok(())
            }
            Deed::Blow { slot, blow } => {
                self.strike(slot, blow);
                Ok(())
            }
            Deed::Trap(trap) => {
                self.stage.with(|inner, _| inner.traps.push(trap));
                Ok(())
            }
        };
        // Much of what is tried has nothing to befall just then.
        if let Err(error) = done {
            self.stage.note(|| format!("… {error}"));
        }
    }

    /// Nothing is disturbed any more: a clean scale-up, then a scale-down; each must have come to its end in time.
    async fn end(&mut self) {
        self.stage.note(|| "the quiet end".to_owned());
        self.stage.with(|inner, now| {
            inner.traps.clear();
            inner.faults.clear();
            inner.checker.budget.aws_fails(false, now);
            let settings = inner.world.settings_mut();
            settings.ecs_lag = Duration::ZERO;
            settings.events = Settings::default().events;
        });
        let _ = self.operator.create_service();
        let _ = (self.operator.own(true), self.operator.hold(None), self.operator.protect(false));
        self.deregister_others();
        // What was begun before (a slow terraform, say) comes to its end, and everybody wakes up.
        let pause = 40 * MINUTE;
        self.until(Instant::now() + pause).await;
        // One that was still being deleted could not be made anew before.
        let _ = self.operator.create_service();
        let _ = (self.operator.own(true), self.operator.hold(None), self.operator.protect(false));
        let _ = self.operator.delete_failed_balancer();
        self.deregister_others();
        if self.day.seed.is_multiple_of(3) {
            self.nobody_comes().await;
        }
        let (tasks, pace) = (i32::try_from(SERVING_AT_THE_END).unwrap_or_default(), Duration::from_secs(5));
        // By the command on every second day, by the platform's script on the others.
        if self.day.seed.is_multiple_of(2) {
            self.run_to_its_end(&Command::Up { tasks, pace }).await;
            // It leaves a service that has more tasks as it is.
            let _ = self.operator.scale(tasks);
        } else {
            let operator = self.operator.clone();
            let up = tokio::spawn(async move { operator.scale_up(tasks, pace).await });
            while !up.is_finished() {
                self.until(Instant::now() + Duration::from_secs(1)).await;
            }
        }
        self.settle_in().await;
        self.check_registered();
        // One goes, and another comes in its place.
        let crash = Incident::CrashTask { service: self.day.policy.service.clone(), task: None, exit_code: 1 };
        self.perform(&Deed::Act(crash));
        self.until(Instant::now() + MINUTE).await;
        self.settle_in().await;
        self.check_registered();
        if self.day.seed.is_multiple_of(4) {
            self.run_to_its_end(&Command::Down).await;
            return self.judge();
        }
        let _ = self.operator.scale(0);
        // However often the workers are killed meanwhile, at the worst moments.
        let blow = Blow::Kill { down: DOWN_AT_THE_END };
        let kills =
            [("AddTags", When::After), ("DeleteLoadBalancer", When::After), ("DeleteTargetGroup", When::Before)];
        if self.day.temper != Temper::Calm {
            let traps = kills.map(|(operation, when)| Trap { victim: Victim::Watcher, operation, when, blow });
            self.stage.with(|inner, _| inner.traps.extend(traps));
        }
        // Whoever was made to look like somebody's target stays healthy no longer.
        let kills = DOWN_AT_THE_END * u32::try_from(kills.len()).unwrap_or_default();
        self.until(Instant::now() + self.stopping_bound() + self.teardown_bound() + kills).await;
        self.judge();
    }

    /// What stands there, used or never used, goes without another evening.
    async fn nobody_comes(&mut self) {
        let _ = self.operator.scale(0);
        let bound = self.stopping_bound() + self.day.policy.unused_grace + self.teardown_bound();
        self.until(Instant::now() + bound).await;
        // Groups may have been left before by somebody who deleted their balancer by hand; they cost nothing.
        self.check_no_balancer();
    }

    fn judge(&self) {
        for (slot, process) in self.slots.iter().enumerate() {
            if let Some((_, process)) = process {
                self.check_alive(slot, process);
            }
        }
        self.check_no_balancer();
        self.check_no_group();
        self.check_queue();
    }

    /// Until all tasks serve, and must have been registered. They take less than a minute, unless some were yet to fail.
    async fn settle_in(&mut self) {
        for _ in 0..20 {
            if self.serving().len() == SERVING_AT_THE_END {
                break;
            }
            self.until(Instant::now() + MINUTE).await;
        }
        self.until(Instant::now() + self.registration_bound()).await;
    }

    /// Whatever answers behind an address that somebody registered by hand keeps the balancer for good.
    fn deregister_others(&self) {
        let (tasks, groups) = self.stage.with(|inner, _| (inner.world.tasks(), inner.world.groups()));
        let of_ours = format!("service:{}", self.day.policy.service);
        let has = |task: &TaskView, id: &str| {
            task.group == of_ours
                && task.last_status != "STOPPED"
                && task.address.is_some_and(|address| address.to_string() == id)
        };
        let prefix = format!("{}-", platform::PROJECT);
        let targets = groups.iter().filter(|group| group.name.starts_with(&prefix)).flat_map(|group| &group.targets);
        for target in targets.filter(|target| !tasks.iter().any(|task| has(task, &target.id))) {
            let _ = self.operator.target(&target.id, false);
        }
    }

    /// From a task's RUNNING to its registration, at the latest: a look that was just over, the longest wait between two
    /// looks that fail, and the look itself.
    fn registration_bound(&self) -> Duration {
        self.day.policy.resync_interval + retry::LONGEST_WAIT + 30 * Duration::from_secs(1)
    }

    /// From the scale-down to the last task's end: all that stopping takes comes to half a minute beside SIGTERM's part.
    fn stopping_bound(&self) -> Duration {
        MINUTE / 2 + self.day.stopping
    }

    /// From the last task's end to the balancer's and its groups'.
    fn teardown_bound(&self) -> Duration {
        self.day.policy.resync_interval
            + self.day.policy.idle_grace
            + retry::LONGEST_WAIT
            + NEARLY_IDLE_REQUEUE
            + MINUTE
    }

    fn fail(&self, promise: Promise, what: String) {
        self.stage.with(|inner, at| inner.checker.fail(promise, at, what));
    }

    /// The addresses of the tasks that serve.
    fn serving(&self) -> Vec<String> {
        let group = format!("service:{}", self.day.policy.service);
        let tasks = self.stage.with(|inner, _| inner.world.tasks());
        let serves =
            |task: &&TaskView| task.group == group && task.last_status == "RUNNING" && task.desired_status == "RUNNING";
        let addresses = tasks.iter().filter(serves).filter_map(|task| task.address);
        addresses.map(|address| address.to_string()).collect()
    }

    fn check_registered(&self) {
        let (tasks, groups) = self.stage.with(|inner, _| (inner.world.tasks(), inner.world.groups()));
        let group = format!("service:{}", self.day.policy.service);
        let of_ours = |address: &str, serving: bool| {
            tasks.iter().filter(|task| task.group == group).any(|task| {
                let serves = task.last_status == "RUNNING" && task.desired_status == "RUNNING";
                task.address.is_some_and(|own| own.to_string() == address) && serves == serving
            })
        };
        let serving = self.serving();
        if serving.len() != SERVING_AT_THE_END {
            self.fail(Promise::TargetsAreTrue, format!("the scale-up itself failed: {} task(s) serve", serving.len()));
        }
        let prefix = format!("{}-", platform::PROJECT);
        let behind: Vec<_> = groups.iter().filter(|group| group.name.starts_with(&prefix)).collect();
        if behind.len() != 2 {
            self.fail(Promise::TargetsAreTrue, format!("the scale-up itself failed: {} group(s) stand", behind.len()));
        }
        for group in behind {
            let registered =
                |address: &str| group.targets.iter().any(|target| target.id == address && target.state != "draining");
            for address in &serving {
                if !registered(address) {
                    self.fail(
                        Promise::TargetsAreTrue,
                        format!("{address} serves, and is not registered in {}", group.name),
                    );
                }
            }
            for target in group.targets.iter().filter(|target| target.state != "draining") {
                if of_ours(&target.id, false) && !of_ours(&target.id, true) {
                    self.fail(
                        Promise::TargetsAreTrue,
                        format!("{} has stopped, and is still registered in {}", target.id, group.name),
                    );
                }
            }
        }
    }

    fn check_no_balancer(&self) {
        let balancers = self.stage.with(|inner, _| inner.world.load_balancers());
        let prefix = format!("{}-", platform::PROJECT);
        for balancer in balancers.iter().filter(|balancer| balancer.name.starts_with(&prefix)) {
            self.fail(Promise::NothingIdleStays, format!("{} runs on, and nobody calls", balancer.name));
        }
        if !balancers.iter().any(|balancer| balancer.name.starts_with(OTHER)) {
            self.fail(Promise::OnlyItsOwnIsWritten, "the other project's balancer is gone".to_owned());
        }
    }

    fn check_no_group(&self) {
        let groups = self.stage.with(|inner, _| inner.world.groups());
        let prefix = format!("{}-", platform::PROJECT);
        for group in groups.iter().filter(|group| group.name.starts_with(&prefix)) {
            self.fail(Promise::NothingIdleStays, format!("{} is left over", group.name));
        }
    }

    fn check_queue(&self) {
        let queues = self.stage.with(|inner, _| inner.world.queues());
        for queue in queues.iter().filter(|queue| queue.name.ends_with("jvb-watcher")) {
            if let Some(age) = queue.oldest.filter(|age| *age > 15 * MINUTE) {
                self.fail(Promise::NoMessageIsLost, format!("a message has been in {} for {age:?}", queue.name));
            }
        }
        let dead = self.operator.malformed_in(&format!("{}-dlq", self.setup.queue_url));
        if dead < self.malformed {
            let what = format!("of {} malformed message(s) {dead} came to the dead-letter queue", self.malformed);
            self.fail(Promise::NoMessageIsLost, what);
        }
    }
}
