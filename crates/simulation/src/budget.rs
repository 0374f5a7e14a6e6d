//! How many calls a day may take: what happened and the minutes that went by say it, not how the watcher is built.
//!
//! The formula. A worker may look
//!
//! - once when it starts, once for each message it receives, and once every resync interval;
//! - every 5 s while nothing is desired, nothing serves, and a task has yet to stop;
//! - every 10 s while a target's first health checks run;
//! - every 30 s while a target that isn't healthy has no task;
//! - while an idle balancer, or a group of one, stands: every 2 s at first, then less and less often, at a tenth of the
//!   time gone by, and so again when the grace is over; each time twice, since a deletion rests on two looks;
//! - a few times more for each change that others make to the balancer, its groups, their targets and tags; hardly for
//!   what it changes itself, or else it could earn its looks by writing.
//!
//! It may poll whenever a poll's time is over, and once more for each look and each message. Where AWS fails, each of
//! these may fail as often as the growing waits between two tries allow, and each call is tried three times in all. A
//! look takes a dozen calls; a message a few more, while ECS's answers lag behind it.
//!
//! What isn't used is saved up only so far: a quiet night doesn't pay for a busy minute.

use std::time::Duration;

use jiff::Timestamp;

use super::scene::Scene;
use jvb_watcher_rules::plan::Policy;

/// Looks, by what they are for: the times between two, in seconds.
const NEARLY_IDLE: f64 = 5.0;
const FIRST_HEALTH_CHECKS: f64 = 10.0;
const WITHOUT_TASK: f64 = 30.0;
const TEARDOWN: f64 = 2.0;

/// The share of the time that a teardown has taken which is waited between its looks.
const TEARDOWN_SHARE: f64 = 0.1;

/// The looks that a change to the balancer, a tag or a group may ask of each worker, and one to its targets.
const LOOKS_PER_CHANGE: f64 = 20.0;
const LOOKS_PER_TARGET_CHANGE: f64 = 2.0;

/// And one that a worker makes itself: less than the look that it takes.
const LOOKS_PER_OWN_CHANGE: f64 = 0.5;

/// The waits between tries double from half a second to a minute: within a minute there are so many of them.
const TRIES_PER_FAILURE: f64 = 9.0;

/// How often a call is tried before it counts as failed.
const ATTEMPTS: f64 = 3.0;

/// Two pages of tasks, the tasks, the service; the balancer, its groups, all tags, two groups' targets; and a write or
/// two for each group.
const CALLS_PER_LOOK: f64 = 12.0;

/// The tasks again until they are as new as the message says, hiding it meanwhile, deleting it.
const CALLS_PER_MESSAGE: f64 = 10.0;

/// What a process takes beside: its queue's settings, once an hour.
const CALLS_PER_START: f64 = 30.0;

/// What may be saved up for each worker: as much as the first hour of a teardown that AWS refuses.
const LOOKS_SAVED: f64 = 150.0;
const POLLS_SAVED: f64 = 200.0;

/// Where a day stands against what it may take.
#[derive(Debug)]
pub struct Budget {
    resync_interval: f64,
    idle_grace: f64,
    poll_time: f64,
    workers: f64,
    situation: Situation,
    /// Up to when all is counted.
    counted_until: Timestamp,
    /// Since when the teardown's looks grow rarer.
    settling_since: Timestamp,
    does_aws_fail: bool,
    looks: Allowance,
    polls: Allowance,
    calls: Allowance,
}

/// How many of something are allowed now.
#[derive(Debug)]
struct Allowance {
    left: f64,
    most: f64,
    least_left: f64,
}

impl Allowance {
    fn new(most: f64) -> Self {
        Self { left: most, most, least_left: most }
    }

    fn add(&mut self, more: f64) {
        self.left = (self.left + more).min(self.most);
    }

    /// Whether there was one left to take.
    fn take(&mut self) -> bool {
        self.left -= 1.0;
        self.least_left = self.least_left.min(self.left);
        self.left >= 0.0
    }
}

/// What makes a worker look sooner than by the resync interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Situation {
    is_nearly_idle: bool,
    is_first_checked: bool,
    is_without_task: bool,
    stands_idle: bool,
}

impl Budget {
    /// Of a day with so many workers, that poll so often and look by these rules.
    pub fn new(policy: &Policy, poll_time: Duration, workers: usize, midnight: Timestamp) -> Self {
        let workers = workers as f64;
        Self {
            resync_interval: policy.resync_interval.as_secs_f64(),
            idle_grace: policy.idle_grace.as_secs_f64(),
            poll_time: poll_time.as_secs_f64(),
            workers,
            situation: Situation::default(),
            counted_until: midnight,
            settling_since: midnight,
            does_aws_fail: false,
            looks: Allowance::new(LOOKS_SAVED * workers),
            polls: Allowance::new(POLLS_SAVED * workers),
            calls: Allowance::new(LOOKS_SAVED * CALLS_PER_LOOK * workers),
        }
    }

    /// The world has changed.
    pub fn observe(&mut self, scene: &Scene, (service, group, project): (&str, &str, &str), now: Timestamp) {
        self.count_until(now);
        let Scene { services, tasks, balancers, groups } = scene;
        let ours = || tasks.iter().filter(|task| task.group == group);
        let desired = services.iter().any(|s| s.name == service && s.status == "ACTIVE" && s.desired > 0);
        let serves = ours().any(|task| task.last_status == "RUNNING" && task.desired_status == "RUNNING");
        let lives = ours().any(|task| task.last_status != "STOPPED");
        let has_task = |id: &str| ours().any(|task| task.address.is_some_and(|address| address.to_string() == id));
        let is_ours = |name: &str| name.strip_prefix(project).is_some_and(|rest| rest.starts_with('-'));
        let targets = || groups.iter().filter(|group| is_ours(&group.name)).flat_map(|group| &group.targets);
        let stands = balancers.iter().any(|balancer| is_ours(&balancer.name));
        let situation = Situation {
            is_nearly_idle: !desired && !serves && lives,
            is_first_checked: targets().any(|target| target.state == "initial"),
            is_without_task: targets()
                .any(|target| !["healthy", "draining"].contains(&target.state) && !has_task(&target.id)),
            stands_idle: !desired && !lives && (stands || groups.iter().any(|group| is_ours(&group.name))),
        };
        if situation != self.situation {
            self.situation = situation;
            self.settling_since = now;
            // What a worker saw just before it doesn't unsee at once.
            self.allow(LOOKS_PER_TARGET_CHANGE * self.workers);
        }
    }

    /// AWS begins to fail, or works again.
    pub fn aws_fails(&mut self, fails: bool, now: Timestamp) {
        self.count_until(now);
        // The last wait is still to come.
        self.allow(self.workers);
        self.does_aws_fail = fails;
    }

    /// A process starts, or comes back from where it has been frozen.
    pub fn started(&mut self, now: Timestamp) {
        self.count_until(now);
        self.settling_since = now;
        self.calls.add(CALLS_PER_START);
        self.allow(LOOKS_PER_CHANGE);
    }

    /// Something became of the balancer, a group or a tag.
    pub fn changed(&mut self, now: Timestamp) {
        self.count_until(now);
        self.settling_since = now;
        self.allow(LOOKS_PER_CHANGE * self.workers);
    }

    /// Targets were registered or deregistered.
    pub fn targets_changed(&mut self) {
        self.allow(LOOKS_PER_TARGET_CHANGE * self.workers);
    }

    /// A worker has changed something itself.
    pub fn changed_by_a_worker(&mut self) {
        self.allow(LOOKS_PER_OWN_CHANGE);
    }

    /// A worker has deleted something: from here on the teardown's looks grow rarer anew.
    pub fn deleted_by_a_worker(&mut self, now: Timestamp) {
        self.count_until(now);
        self.settling_since = now;
        self.allow(LOOKS_PER_OWN_CHANGE);
    }

    /// A worker has got so many messages.
    pub fn received(&mut self, messages: usize) {
        self.allow(messages as f64);
        self.polls.add(messages as f64);
        self.calls.add(CALLS_PER_MESSAGE * messages as f64);
    }

    /// A worker sends a call.
    ///
    /// # Errors
    ///
    /// What is too much of it.
    pub fn sent(&mut self, operation: &str, now: Timestamp) -> Result<(), String> {
        self.count_until(now);
        let enough = self.calls.take()
            && match operation {
                // One a look.
                "DescribeServices" => self.looks.take(),
                "ReceiveMessage" => self.polls.take(),
                _ => true,
            };
        match enough {
            true => Ok(()),
            false => Err(format!("more than the events and the minutes so far ask for, in {:?}", self.situation)),
        }
    }

    /// How near to the bound it came; 1 is there.
    pub fn used(&self) -> f64 {
        let of = |allowance: &Allowance| 1.0 - allowance.least_left / allowance.most;
        of(&self.looks).max(of(&self.polls)).max(of(&self.calls))
    }

    /// What time allows.
    fn count_until(&mut self, now: Timestamp) {
        let seconds = now.duration_since(self.counted_until).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let Situation { is_nearly_idle, is_first_checked, is_without_task, stands_idle } = self.situation;
        let mut looks = seconds / self.resync_interval;
        let situations =
            [(is_nearly_idle, NEARLY_IDLE), (is_first_checked, FIRST_HEALTH_CHECKS), (is_without_task, WITHOUT_TASK)];
        looks += situations.iter().filter(|(is_so, _)| *is_so).map(|(_, every)| seconds / every).sum::<f64>();
        if stands_idle {
            let from = self.counted_until.duration_since(self.settling_since).as_secs_f64();
            for from in [from, from - self.idle_grace] {
                looks += 2.0 * (teardown_looks(from + seconds) - teardown_looks(from));
            }
        }
        self.counted_until = now;
        let polls = self.factor() * self.workers * seconds / self.poll_time;
        self.polls.add(polls);
        self.calls.add(polls);
        self.allow(looks * self.workers);
    }

    fn allow(&mut self, looks: f64) {
        let looks = looks * self.factor();
        self.looks.add(looks);
        self.polls.add(looks);
        self.calls.add(looks * (CALLS_PER_LOOK + 1.0));
    }

    /// By how much failures multiply what is sent.
    fn factor(&self) -> f64 {
        if self.does_aws_fail { TRIES_PER_FAILURE * ATTEMPTS } else { 1.0 }
    }
}

/// How many looks a teardown takes in so many seconds.
fn teardown_looks(seconds: f64) -> f64 {
    let seconds = seconds.max(0.0);
    let growing_from = TEARDOWN / TEARDOWN_SHARE;
    if seconds <= growing_from {
        return seconds / TEARDOWN;
    }
    growing_from / TEARDOWN + (seconds / growing_from).ln() / TEARDOWN_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use jvb_watcher_rules::plan::samples::{noon, policy, seconds};

    /// How many looks, so far apart, one worker may take of this many.
    fn looks_allowed(every: Duration, of: u32) -> u32 {
        let mut budget = Budget::new(&policy(), seconds(20), 1, noon());
        budget.started(noon());
        let within = |look: &u32| budget.sent("DescribeServices", noon() + every * (look + 1)).is_ok();
        u32::try_from((0..of).take_while(within).count()).expect("a count")
    }

    #[test]
    fn a_look_every_resync_interval_is_within_it_for_ever() {
        assert_eq!(looks_allowed(policy().resync_interval, 1_440), 1_440);
    }

    #[test]
    fn a_look_every_five_seconds_for_nothing_is_not() {
        let allowed = looks_allowed(seconds(5), 1_440);
        assert!((100..300).contains(&allowed), "{allowed}");
    }

    #[test]
    fn a_quiet_night_does_not_pay_for_a_busy_minute() {
        let mut budget = Budget::new(&policy(), seconds(20), 1, noon());
        let morning = noon() + seconds(12 * 60 * 60);
        let taken = (0..1_000).take_while(|_| budget.sent("DescribeServices", morning).is_ok()).count();
        assert!(taken <= 150, "{taken}");
    }
}
