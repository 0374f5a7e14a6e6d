//! A record of the evening, sampled from the sandbox's state.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use jvb_watcher_sandbox::platform::PROJECT;
use jvb_watcher_sandbox::world::{GroupView, TaskView, World};

/// A task that served for less than this can stop before a registration is possible.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// The samples so far.
#[derive(Debug, Default)]
pub struct Record {
    tasks: BTreeMap<String, Served>,
    load_balancers: BTreeMap<String, LoadBalancerUptime>,
}

/// A task that served.
#[derive(Debug)]
struct Served {
    /// The time from which it could be registered: it was RUNNING, and there were target groups.
    since: Timestamp,
    /// The last sample in which it served.
    until: Timestamp,
    /// The first sample in which it was in every target group.
    registered: Option<Timestamp>,
    /// The time by which the clock had been set ahead in the first sample, and by which it was until the registration.
    advanced: Duration,
    advanced_before_registration: Duration,
}

/// The uptime of a load balancer.
#[derive(Debug)]
struct LoadBalancerUptime {
    /// The time of its creation and that of the last sample with it.
    from: Timestamp,
    until: Timestamp,
    /// The time by which the clock had been set ahead in the first and the last sample.
    advanced_from: Duration,
    advanced_until: Duration,
}

/// The total uptime of the load balancers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uptime {
    /// The time that passed on this machine's clock.
    pub played: Duration,
    /// The time that passed at once.
    pub advanced: Duration,
}

impl Record {
    /// Takes a sample.
    pub fn sample(&mut self, world: &World, now: Timestamp, advanced: Duration) {
        let load_balancers = world.load_balancers();
        for load_balancer in &load_balancers {
            let uptime = self.load_balancers.entry(load_balancer.arn.clone()).or_insert(LoadBalancerUptime {
                from: load_balancer.created_at,
                until: now,
                advanced_from: advanced,
                advanced_until: advanced,
            });
            (uptime.until, uptime.advanced_until) = (now, advanced);
        }
        let groups = world.groups();
        let groups: Vec<&GroupView> = groups.iter().filter(|group| !group.load_balancers.is_empty()).collect();
        if groups.is_empty() {
            return;
        }
        for task in world.tasks().iter().filter(|task| serves(task)) {
            let Some(address) = task.address.map(|address| address.to_string()) else { continue };
            let served = self.tasks.entry(task.id.clone()).or_insert_with(|| Served {
                // The time of RUNNING, unless there was no target group yet.
                since: if load_balancers.iter().any(|load_balancer| Some(load_balancer.created_at) <= task.started_at) {
                    task.started_at.unwrap_or(now)
                } else {
                    now
                },
                until: now,
                registered: None,
                advanced,
                advanced_before_registration: Duration::ZERO,
            });
            served.until = now;
            let is_in = |group: &&GroupView| {
                group.targets.iter().any(|target| target.id == address && target.state != "draining")
            };
            if served.registered.is_none() && groups.iter().all(is_in) {
                served.registered = Some(now);
                served.advanced_before_registration = advanced.saturating_sub(served.advanced);
            }
        }
    }

    /// Returns the number of tasks that served.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Returns the time that each registration took, shortest first.
    pub fn registrations(&self) -> Vec<Duration> {
        let took = |served: &Served| {
            let took = span(served.since, served.registered?);
            Some(took.saturating_sub(served.advanced_before_registration))
        };
        let mut took: Vec<Duration> = self.tasks.values().filter_map(took).collect();
        took.sort();
        took
    }

    /// Returns the tasks that served and were never registered.
    pub fn unregistered(&self) -> Vec<&str> {
        let is_missed = |served: &Served| served.registered.is_none() && span(served.since, served.until) > TOO_SHORT;
        self.tasks.iter().filter(|(_, served)| is_missed(served)).map(|(id, _)| id.as_str()).collect()
    }

    /// Returns the number of load balancers, and their total uptime.
    pub fn load_balancers(&self) -> (usize, Uptime) {
        let uptime = self.load_balancers.values().fold(Uptime::default(), |sum, of| {
            let advanced = of.advanced_until.saturating_sub(of.advanced_from);
            let played = span(of.from, of.until).saturating_sub(advanced);
            Uptime { played: sum.played + played, advanced: sum.advanced + advanced }
        });
        (self.load_balancers.len(), uptime)
    }
}

/// Returns what is left in the sandbox that should be gone after the evening, a sentence each.
pub fn what_is_left(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    left.extend(
        world
            .load_balancers()
            .iter()
            .map(|load_balancer| format!("load balancer {} is {}", load_balancer.name, load_balancer.state)),
    );
    left.extend(world.groups().iter().map(|group| format!("target group {} exists", group.name)));
    for queue in world.queues() {
        let messages = queue.visible + queue.in_flight + queue.delayed;
        if messages > 0 {
            left.push(format!("queue {} has {messages} message(s)", queue.name));
        }
    }
    for service in world.services() {
        if (service.desired, service.running, service.pending) != (0, 0, 0) {
            let (desired, running, pending) = (service.desired, service.running, service.pending);
            left.push(format!("service {} has {desired} desired, {running} running, {pending} pending", service.name));
        }
    }
    left
}

/// Returns whether a task of the service is to be registered.
fn serves(task: &TaskView) -> bool {
    task.group == format!("service:{PROJECT}-service")
        && task.last_status == "RUNNING"
        && task.desired_status == "RUNNING"
}

fn span(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO)
}
