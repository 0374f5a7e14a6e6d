//! One observation of AWS: the whole input of a decision.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::lease::LeaseReading;

use super::{
    AddressFamily, Advertised, FlowHistory, LoadBalancer, Phase, Service, Startup, Target, TargetGroup, TargetKey,
    TargetState, TargetType, Task, TaskId,
};

/// One observation of AWS, with what the observer remembers of earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The service.
    pub service: Service,
    /// The service's tasks, running and recently stopped, each once; not read while the service is at rest.
    pub tasks: Vec<Task>,
    /// What tells why tasks don't start.
    pub startup: Startup,
    /// The addresses that the tasks advertise, and those that the load balancer has.
    pub advertised: Advertised,
    /// The load balancer of the configured name, if there is one.
    pub load_balancer: Option<LoadBalancer>,
    /// The flows over the load balancer; `None` if they were not asked for.
    pub flows: Option<FlowHistory>,
    /// The lease on the service; read only where the watcher may stop the service, and it seems unused.
    pub lease: LeaseReading,
    /// Target groups behind no load balancer that carry a mark; read only while there is no load balancer of the
    /// configured name, and only when a search for them is due.
    pub orphaned_target_groups: Vec<TargetGroup>,
    /// The targets for which an earlier observation found no task, with the time of the first such observation.
    pub unmatched_since: BTreeMap<TargetKey, Timestamp>,
    /// The time at which this process started, or resumed, the teardown in progress.
    pub teardown_begun_at: Option<Timestamp>,
}

impl Observation {
    /// The observation of a service without tasks and without a load balancer.
    pub fn of_service(service: Service, startup: Startup) -> Self {
        Self {
            service,
            tasks: Vec::new(),
            startup,
            advertised: Advertised::default(),
            load_balancer: None,
            flows: None,
            lease: LeaseReading::NotRead,
            orphaned_target_groups: Vec::new(),
            unmatched_since: BTreeMap::new(),
            teardown_begun_at: None,
        }
    }

    /// Returns every target behind the load balancer, each with its group.
    pub fn targets(&self) -> impl Iterator<Item = (&TargetGroup, &Target)> {
        self.target_groups().flat_map(|group| group.targets.iter().map(move |target| (group, target)))
    }

    /// Returns the target groups behind the load balancer.
    pub fn target_groups(&self) -> impl Iterator<Item = &TargetGroup> {
        self.load_balancer.iter().flat_map(|load_balancer| &load_balancer.target_groups)
    }

    /// Returns the tasks that serve.
    pub fn serving(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.phase() == Phase::Serving)
    }

    /// Returns the tasks by their addresses.
    pub fn tasks_by_address(&self) -> TasksByAddress<'_> {
        let mut tasks: Vec<&Task> = self.tasks.iter().collect();
        tasks.sort_by(|a, b| precedence(b).cmp(&precedence(a)));
        let mut by_address = BTreeMap::new();
        for task in tasks {
            for address in [AddressFamily::Ipv4, AddressFamily::Ipv6].into_iter().filter_map(|of| task.address(of)) {
                // Replaces the task that it precedes.
                by_address.insert(address, task);
            }
        }
        TasksByAddress(by_address)
    }

    /// Returns how far the service is from serving calls.
    pub fn readiness(&self) -> Readiness {
        let Service::Found(counts) = self.service else { return Readiness::default() };
        let mut readiness = Readiness {
            desired: usize::try_from(counts.desired).unwrap_or(0),
            serving: self.serving().count(),
            ..Readiness::default()
        };
        for group in self.target_groups() {
            let TargetType::Ip { family, port } = group.target_type else { continue };
            readiness.wanted += readiness.serving;
            let healthy = group.addresses(port, |target| target.state == TargetState::Healthy);
            let is_healthy = |task: &&Task| task.address(family).is_some_and(|address| healthy.contains(&address));
            readiness.healthy += self.serving().filter(is_healthy).count();
        }
        readiness
    }
}

/// The tasks of an observation by their addresses.
#[derive(Clone, Debug)]
pub struct TasksByAddress<'a>(BTreeMap<IpAddr, &'a Task>);

impl<'a> TasksByAddress<'a> {
    /// Returns the task that has an address. VPCs assign addresses again, so a task that serves or starts comes before
    /// one that stops.
    pub fn get(&self, ip: IpAddr) -> Option<&'a Task> {
        self.0.get(&ip).copied()
    }
}

/// Orders the tasks that share an address. Of several in one phase the last to start comes first; the id makes the choice
/// independent of the order of the list.
fn precedence(task: &Task) -> (u8, Reverse<Option<Timestamp>>, &TaskId) {
    let rank = match task.phase() {
        Phase::Serving => 0,
        Phase::Starting => 1,
        Phase::Stopping => 2,
    };
    (rank, Reverse(task.started_at), &task.id)
}

/// The progress of a service towards serving calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The number of desired tasks.
    pub desired: usize,
    /// The number of tasks that serve.
    pub serving: usize,
    /// The number of registrations that these need: one for each serving task and target group.
    pub wanted: usize,
    /// The number of those registrations that are healthy.
    pub healthy: usize,
}

impl Readiness {
    /// Returns whether as many tasks serve as are desired, and each is healthy in every target group.
    pub fn is_complete(self) -> bool {
        let reachable = self.wanted > 0 || self.serving == 0;
        self.serving >= self.desired && self.healthy == self.wanted && reachable
    }
}
