//! A day of the platform: its parameters, and its schedule of actions.

use std::future::Future;
use std::time::Duration;

use jiff::SignedDuration;

use crate::bugs::Bug;
use crate::checker::Violation;
use crate::command::Command;
use crate::coverage::Coverage;
use crate::faults::{CallFault, ProcessFault};
use jvb_watcher::controller::worker::LONGEST_POLL;
use jvb_watcher::retry;
use jvb_watcher_rules::plan::{OwnerTag, Policy, Teardown, UsagePolicy};
use jvb_watcher_sandbox::faults::FaultPlan;
use jvb_watcher_sandbox::platform;
use jvb_watcher_sandbox::world::{Incident, MetricSettings};

mod draw;
mod end;
pub mod fleet;
mod run;
mod usage;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How late CloudWatch may show a minute, as the guarantees have it.
const CLOUDWATCH_LAG: Duration = Duration::from_secs(3 * 60);

/// The end of the schedule; the quiet end of the day follows.
const SCHEDULE_ENDS_AT: Duration = Duration::from_secs(22 * 60 * 60);

/// The rate of faults on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Operators scale; AWS behaves as documented.
    Calm,
    /// Some faults of each kind.
    Rough,
    /// Many faults, often at the same time.
    Hostile,
}

/// An entry of a day's schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// An operator runs the platform's scale-up script: Terraform, then the desired count.
    ScaleUp {
        /// The desired count.
        tasks: i32,
        /// The time between Terraform's steps.
        pace: Duration,
    },
    /// An operator runs `up` or `down`.
    Run {
        /// The command.
        command: Command,
        /// The time at which it is killed, unless it ends before.
        killed_after: Option<Duration>,
    },
    /// An operator sets the desired count.
    Scale {
        /// The desired count.
        tasks: i32,
    },
    /// An operator runs the platform's scale-down script.
    ScaleDownWithTerraform,
    /// An operator deletes the load balancer.
    DeleteLoadBalancer,
    /// An operator deletes the load balancer and creates another.
    ReplaceLoadBalancer,
    /// An operator creates a load balancer that nothing uses.
    CreateLoadBalancer,
    /// An operator places a hold.
    Hold {
        /// The duration.
        time: Duration,
    },
    /// An operator releases the hold.
    ReleaseHold,
    /// An operator removes the owner tag, or restores it.
    SetOwnerTag {
        /// True if the load balancer has it from now on.
        present: bool,
    },
    /// An operator switches deletion protection on or off.
    SetDeletionProtection {
        /// True if it is on.
        enabled: bool,
    },
    /// An operator registers or deregisters an address.
    SetTarget {
        /// The address.
        ip: String,
        /// True if it is registered.
        registered: bool,
    },
    /// An operator runs a task of no service behind the load balancer for a while.
    RunForeignTask {
        /// The duration.
        time: Duration,
    },
    /// An operator enables or disables the rule that fills the queue.
    SetRule {
        /// True if it is enabled.
        enabled: bool,
    },
    /// An operator deletes the service.
    DeleteService,
    /// An operator creates the service again.
    CreateService,
    /// An incident in AWS occurs.
    Inject(Incident),
    /// A message about another service arrives in the queue.
    SendForeignMessage,
    /// From now on calls to AWS have these faults.
    SetFaults(FaultPlan),
    /// From now on events have these faults, and ECS's answers lag.
    SetEventFaults {
        /// The share of events that is lost.
        lost: f64,
        /// The share that is duplicated.
        duplicated: f64,
        /// The share that is delayed.
        delayed: f64,
        /// The share that is reordered.
        reordered: f64,
        /// The lag of ECS's answers.
        lag: Duration,
    },
    /// From now on calls about the platform have these faults, besides those of all calls.
    SetPlatformFaults(FaultPlan),
    /// From now on CloudWatch shows minutes like this.
    SetMetrics(MetricSettings),
    /// From now on calls to CloudWatch have these faults, besides those of all calls.
    SetUsageFaults(FaultPlan),
    /// A worker fails.
    FailWorker {
        /// Its slot.
        slot: usize,
        /// The fault.
        fault: ProcessFault,
    },
    /// The next process that makes a certain call fails there.
    FailAtCall(CallFault),
}

/// The parameters of a day, drawn from a seed.
#[derive(Clone, Debug)]
pub struct Day {
    /// The seed.
    pub seed: u64,
    /// The project whose platform it is.
    pub project: String,
    /// The rate of faults.
    pub severity: Severity,
    /// The error of each worker's clock; its length is the number of workers.
    pub clocks: Vec<SignedDuration>,
    /// The workers' policy.
    pub policy: Policy,
    /// The time that a poll waits for messages.
    pub longest_poll: Duration,
    /// The time that a task takes from SIGTERM to STOPPED.
    pub stopping: Duration,
    /// The time for which a deleted load balancer is still described.
    pub deleted_visible: Duration,
    /// How CloudWatch shows minutes while nothing disturbs it.
    pub metrics: MetricSettings,
    /// The actions with their times since midnight, in order.
    pub schedule: Vec<(Duration, Action)>,
}

/// Options for playing a day.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// True to record the history.
    pub history: bool,
    /// The deliberate bug in every worker.
    pub bug: Option<Bug>,
    /// True to record the log of every process. The day then goes on for a while after its first violation, so that the log
    /// has the lines about it.
    pub log: bool,
}

/// The outcome of a day.
#[derive(Debug)]
pub struct Report {
    /// The violations of the guarantees, in order; a day ends at its first one, unless its log is recorded.
    pub violations: Vec<Violation>,
    /// The day's coverage.
    pub coverage: Coverage,
    /// The history, if it was recorded.
    pub history: Vec<String>,
    /// The lines that the processes logged, if they were recorded.
    pub log: String,
}

impl Day {
    /// Draws the day of a seed.
    pub fn draw(seed: u64) -> Self {
        draw::draw(seed)
    }

    /// A calm day with one worker and no scheduled actions.
    pub fn quiet() -> Self {
        Self::quiet_of(platform::PROJECT)
    }

    /// A calm day of a project's platform, with one worker and no scheduled actions.
    pub fn quiet_of(project: &str) -> Self {
        Self {
            seed: 1,
            project: project.to_owned(),
            severity: Severity::Calm,
            clocks: vec![SignedDuration::ZERO],
            policy: policy(project, MINUTE, 15 * MINUTE, MINUTE),
            longest_poll: LONGEST_POLL,
            stopping: Duration::from_secs(26),
            deleted_visible: Duration::ZERO,
            metrics: usage::known_metrics(),
            schedule: Vec::new(),
        }
    }

    /// Returns the same day with only some of its actions, by their indices.
    pub fn with_only(&self, kept: &[usize]) -> Self {
        let schedule = self.schedule.iter().enumerate().filter(|(index, _)| kept.contains(index));
        Self { schedule: schedule.map(|(_, action)| action.clone()).collect(), ..self.clone() }
    }

    /// Returns whether the watcher stops an unused service.
    pub fn has_stops(&self) -> bool {
        self.policy.usage.stop.is_some()
    }

    /// The longest time from the last use of a service to its stop, while CloudWatch is at most three minutes late and
    /// nothing else intervenes: that of the guarantees, and the waits of a worker whose calls fail.
    pub(crate) fn stop_bound(&self) -> Duration {
        let Some(stop) = self.policy.usage.stop else { return Duration::ZERO };
        // Two minutes for which a load balancer remembers a flow, the two minutes at whose edges the window begins and
        // ends, and CloudWatch's lag.
        let known = 2 * MINUTE + 2 * MINUTE + CLOUDWATCH_LAG;
        (stop.after + known).max(stop.first_call_grace + MINUTE)
            + stop.notice
            + 2 * self.policy.resync_interval
            + retry::LONGEST_WAIT
            + MINUTE
    }

    /// Plays the day, until its end or the first violation.
    pub fn play(&self, options: Options) -> Report {
        let schedule = self.schedule.iter().map(|(at, action)| (*at, 0, action)).collect();
        on_virtual_time(async { run::Run::new(std::slice::from_ref(self), None, options).play(schedule).await })
    }
}

/// Runs a future on virtual time.
pub fn on_virtual_time<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        // Timers have a resolution of a millisecond of the runtime's clock; the day begins at a whole one.
        tokio::time::sleep(Duration::from_millis(1)).await;
        future.await
    })
}

/// The policy of every day of a project, with these times.
fn policy(project: &str, idle_grace: Duration, unused_grace: Duration, resync_interval: Duration) -> Policy {
    Policy {
        service: format!("{project}-service"),
        load_balancer: format!("{project}-jvb-nlb"),
        owner_tag: OwnerTag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() },
        teardown: Teardown::All,
        idle_grace,
        until_paid_hour: false,
        unused_grace,
        resync_interval,
        // The guarantees are about any number of tasks.
        allow_several_bridges: true,
        usage: UsagePolicy::OFF,
    }
}
