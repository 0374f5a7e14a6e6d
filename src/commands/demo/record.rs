//! What the world itself shows of the evening: for the summary, and for judging the watcher.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use jvb_watcher_sandbox::platform::PROJECT;
use jvb_watcher_sandbox::world::{GroupView, TaskView, World};

/// A task that served no longer than this without being registered may have been gone before anybody could.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Record {
    tasks: BTreeMap<String, Served>,
    balancers: BTreeMap<String, (Timestamp, Timestamp)>,
}

/// How it went with a task that served.
#[derive(Debug)]
struct Served {
    /// From here on it should have been registered: it ran, and there were target groups.
    since: Timestamp,
    /// When it was last seen to serve.
    until: Timestamp,
    /// When it was first seen in every target group.
    registered: Option<Timestamp>,
}

impl Record {
    /// Looks at the world.
    pub fn sample(&mut self, world: &World, now: Timestamp) {
        let balancers = world.load_balancers();
        for balancer in &balancers {
            self.balancers.entry(balancer.arn.clone()).or_insert((balancer.created_at, now)).1 = now;
        }
        let groups = world.groups();
        let groups: Vec<&GroupView> = groups.iter().filter(|group| !group.load_balancers.is_empty()).collect();
        if groups.is_empty() {
            return;
        }
        for task in world.tasks().iter().filter(|task| serves(task)) {
            let Some(address) = task.address.map(|address| address.to_string()) else { continue };
            let served = self.tasks.entry(task.id.clone()).or_insert_with(|| Served {
                // Exactly when it came to RUNNING, unless there was nothing to register it in yet.
                since: if balancers.iter().any(|balancer| Some(balancer.created_at) <= task.started_at) {
                    task.started_at.unwrap_or(now)
                } else {
                    now
                },
                until: now,
                registered: None,
            });
            served.until = now;
            let is_in = |group: &&GroupView| {
                group.targets.iter().any(|target| target.id == address && target.state != "draining")
            };
            if served.registered.is_none() && groups.iter().all(is_in) {
                served.registered = Some(now);
            }
        }
    }

    /// How many tasks served.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// How long each registration took, the quickest first.
    pub fn registrations(&self) -> Vec<Duration> {
        let took = |served: &Served| served.registered.map(|at| span(served.since, at));
        let mut took: Vec<Duration> = self.tasks.values().filter_map(took).collect();
        took.sort();
        took
    }

    /// The tasks that served and never were registered.
    pub fn unregistered(&self) -> Vec<&str> {
        let is_missed = |served: &Served| served.registered.is_none() && span(served.since, served.until) > TOO_SHORT;
        self.tasks.iter().filter(|(_, served)| is_missed(served)).map(|(id, _)| id.as_str()).collect()
    }

    /// How many load balancers there were, and for how long in all.
    pub fn balancers(&self) -> (usize, Duration) {
        let uptime = self.balancers.values().map(|(from, until)| span(*from, *until)).sum();
        (self.balancers.len(), uptime)
    }
}

/// What is left in the world that a whole evening would have cleared away, a sentence each.
pub fn what_is_left(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    left.extend(
        world.load_balancers().iter().map(|balancer| format!("load balancer {} is {}", balancer.name, balancer.state)),
    );
    left.extend(world.groups().iter().map(|group| format!("target group {} is there", group.name)));
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

/// Whether the service's task should be registered.
fn serves(task: &TaskView) -> bool {
    task.group == format!("service:{PROJECT}-service")
        && task.last_status == "RUNNING"
        && task.desired_status == "RUNNING"
}

fn span(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO)
}
