//! The fleet's days that are played, what they must cover, and how to replay one.
//!
//! - `JVB_WATCHER_SIMULATION_FLEET_DAYS=20000 cargo test --release -p jvb-watcher-simulation fleet::no_guarantee_is_broken --
//!   --nocapture` plays more days, from the seed `JVB_WATCHER_SIMULATION_FLEET_FIRST` on.
//! - `JVB_WATCHER_SIMULATION_FLEET_REPLAY="17" cargo test -p jvb-watcher-simulation fleet::replay -- --nocapture` plays one day
//!   and prints its history; `"17 keep 3 8 9"` only with those actions of its schedule.

use jvb_watcher_simulation::day::fleet::Fleet;
use jvb_watcher_simulation::day::{Options, Report};

use crate::campaign::{Campaign, Playable, check_determinism};

/// The number of days, from seed 1 on.
const DAYS: u64 = 32;

/// The moments and log lines that the days must reach.
const REQUIRED: &[&str] = &[
    "the calls about a service were refused for hours",
    "the calls about a service were throttled for hours",
    "the calls about a service hung for hours",
    "the calls about a service were slow for hours",
    "a service was registered and torn down beside a failing one",
    "up succeeded beside a failing service",
    "down succeeded beside a failing service",
    "messages about a failing service were deleted after its recovery",
    "a worker was killed just after AddTags",
    "a worker was killed just after DeleteLoadBalancer",
    "a worker was killed just before DeleteTargetGroup",
    "a worker was killed just after DeleteMessageBatch",
    "a worker was suspended just before DeleteLoadBalancer",
    "a write was not sent after its deadline",
    "teardown_started resumed",
    "target_registered task_starting",
    "target_deregistered no_task",
    "service_stopped",
    "message_rejected",
    "finding hold_active",
    "finding target_of_others",
];

impl Playable for Fleet {
    const REPLAY: &str = "JVB_WATCHER_SIMULATION_FLEET_REPLAY";
    const TEST: &str = "fleet::replay";

    fn draw(seed: u64) -> Self {
        Self::draw(seed)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn actions(&self) -> usize {
        self.schedule.len()
    }

    fn with_only(&self, kept: &[usize]) -> Self {
        self.with_only(kept)
    }

    fn play(&self, options: Options) -> Report {
        self.play(options)
    }

    fn title(&self) -> String {
        let severity = self.platforms.first().map(|day| day.severity);
        format!("the fleet of seed {} ({} services, {:?}, {severity:?})", self.seed, self.platforms.len(), self.failing)
    }
}

#[test]
fn no_guarantee_is_broken() {
    let (days, first) = (("JVB_WATCHER_SIMULATION_FLEET_DAYS", DAYS), "JVB_WATCHER_SIMULATION_FLEET_FIRST");
    Campaign { days, first, required: REQUIRED }.run::<Fleet>();
}

#[test]
fn a_seed_gives_the_same_day_to_the_byte() {
    check_determinism::<Fleet>(3);
}

#[test]
fn replay() {
    crate::campaign::replay::<Fleet>();
}
