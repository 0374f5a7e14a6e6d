//! A day of a fleet: several platforms in one AWS account, whose services the same workers watch, and of which one fails for
//! hours.
//!
//! Each platform has a day of its own, drawn as a single one. What happens to the processes and to AWS as a whole is that of
//! the first platform's day: the others share it.

use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;

use super::draw::{Conditions, Draw, draw_without_use};
use super::run::Run;
use super::{Action, Day, HOUR, MINUTE, Options, Report, SCHEDULE_ENDS_AT, Severity, on_virtual_time, usage};
use crate::checker::LONGEST_LATENCY;
use jvb_watcher_sandbox::faults::{Effect, FaultPlan, Pattern, Rule, Throttle};
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::world::Incident;

/// Makes the stream of random numbers another one than those of single days.
const STREAM: u64 = 0x666c_6565_7400_0000;

/// The projects. The first one has the queue, and the callers.
const PROJECTS: [&str; 4] = [platform::PROJECT, "meet", "webinar", "acme"];

/// The parameters of a fleet's day, drawn from a seed.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The seed.
    pub seed: u64,
    /// The platforms' days, whose actions are in the schedule of the fleet.
    pub platforms: Vec<Day>,
    /// The service that fails at the end, while the others are used.
    pub failing: Failing,
    /// The actions with their times since midnight and the numbers of their platforms, in order.
    pub schedule: Vec<(Duration, usize, Action)>,
}

/// A service about which all calls fail.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// The number of its platform.
    pub platform: usize,
    /// How the calls fail.
    pub kind: FailureKind,
}

/// A way in which the calls about a service fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// AWS denies them.
    Refused,
    /// AWS throttles them.
    Throttled,
    /// The reads are not answered before their time-out.
    Hanging,
    /// The reads are answered just before their time-out, so that an observation is stale before it is complete.
    Slow,
}

impl FailureKind {
    const ALL: [Self; 4] = [Self::Refused, Self::Throttled, Self::Hanging, Self::Slow];

    /// Returns the faults of the calls. The latency of writes stays within its bound.
    pub fn plan(self) -> FaultPlan {
        let all = || Pattern("*".to_owned());
        let reads = |least, most| {
            let rule = |on: &str| {
                let effect = Effect::Latency { least, most: Some(most) };
                Rule { on: Pattern(on.to_owned()), rate: 1.0, times: None, effect }
            };
            FaultPlan { rules: ["*:Describe*", "*:List*", "*:Get*"].map(rule).into(), ..FaultPlan::default() }
        };
        match self {
            Self::Refused => {
                let effect = Effect::Error { code: "AccessDenied".to_owned(), status: 403, message: String::new() };
                let rule = Rule { on: all(), rate: 1.0, times: None, effect };
                FaultPlan { rules: vec![rule], ..FaultPlan::default() }
            }
            Self::Throttled => {
                // A call an hour.
                let throttle = Throttle { on: all(), capacity: 1, refill_per_second: 1.0 / HOUR.as_secs_f64() };
                FaultPlan { throttles: vec![throttle], ..FaultPlan::default() }
            }
            Self::Hanging => reads(3 * LONGEST_LATENCY, 6 * LONGEST_LATENCY),
            Self::Slow => reads(Duration::from_secs(8), Duration::from_millis(9_800)),
        }
    }

    /// Returns the name of the moment at which a service has failed like this for hours.
    pub(super) fn moment(self) -> &'static str {
        match self {
            Self::Refused => "the calls about a service were refused for hours",
            Self::Throttled => "the calls about a service were throttled for hours",
            Self::Hanging => "the calls about a service hung for hours",
            Self::Slow => "the calls about a service were slow for hours",
        }
    }
}

impl Fleet {
    /// Draws the fleet's day of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ STREAM);
        let severity = match random.u32(0..10) {
            0..2 => Severity::Calm,
            2..6 => Severity::Rough,
            _ => Severity::Hostile,
        };
        let clock = |random: &mut Rng| match severity {
            Severity::Calm => SignedDuration::ZERO,
            Severity::Rough | Severity::Hostile => SignedDuration::from_millis(random.i64(-60_000..=60_000)),
        };
        let clocks = (0..random.usize(1..=2)).map(|_| clock(&mut random)).collect();
        let conditions = Conditions { severity, clocks };
        let count = random.usize(3..=PROJECTS.len());
        let platform = random.usize(0..count);
        let kind = FailureKind::ALL[random.usize(0..FailureKind::ALL.len())];
        let mut platforms: Vec<Day> = PROJECTS[..count]
            .iter()
            .map(|project| draw_without_use(random.u64(..), project, Some(&conditions)))
            .collect();
        // The callers know one domain.
        usage::draw(&mut platforms[0]);
        let mut draw = Draw::of(&platforms[platform], random);
        draw.failures();
        platforms[platform].schedule = draw.schedule;
        let mut schedule = Vec::new();
        for (number, day) in platforms.iter_mut().enumerate() {
            let actions = std::mem::take(&mut day.schedule).into_iter();
            let own = actions.filter(|(at, action)| *at < SCHEDULE_ENDS_AT && (number == 0 || is_of_one(action)));
            schedule.extend(own.map(|(at, action)| (at, number, action)));
        }
        schedule.sort_by_key(|(at, number, _)| (*at, *number));
        Self { seed, platforms, failing: Failing { platform, kind }, schedule }
    }

    /// Returns the same day with only some of its actions, by their indices.
    pub fn with_only(&self, kept: &[usize]) -> Self {
        let schedule = self.schedule.iter().enumerate().filter(|(index, _)| kept.contains(index));
        Self { schedule: schedule.map(|(_, action)| action.clone()).collect(), ..self.clone() }
    }

    /// Plays the day, until its end or the first violation.
    pub fn play(&self, options: Options) -> Report {
        let schedule = self.schedule.iter().map(|(at, platform, action)| (*at, *platform, action)).collect();
        on_virtual_time(async { Run::new(&self.platforms, Some(&self.failing), options).play(schedule).await })
    }
}

/// Returns whether an action concerns one platform, and not the processes, the queue or AWS as a whole.
fn is_of_one(action: &Action) -> bool {
    !matches!(
        action,
        Action::SetRule { .. }
            | Action::SetFaults(_)
            | Action::SetEventFaults { .. }
            | Action::SetMetrics(_)
            | Action::SetUsageFaults(_)
            | Action::FailWorker { .. }
            | Action::FailAtCall(_)
            | Action::Inject(
                Incident::FailToStart { .. } | Incident::Replay { .. } | Incident::MalformedMessage { .. }
            )
    )
}

impl Draw {
    /// The service fails for hours, in one way after another.
    fn failures(&mut self) {
        let mut at = self.span(HOUR, 12 * HOUR);
        let end = at + self.span(2 * HOUR, 6 * HOUR);
        while at < end {
            let kind = FailureKind::ALL[self.random.usize(0..FailureKind::ALL.len())];
            self.at(at, Action::SetPlatformFaults(kind.plan()));
            at += self.span(20 * MINUTE, 2 * HOUR);
        }
        self.at(end, Action::SetPlatformFaults(FaultPlan::default()));
    }
}
