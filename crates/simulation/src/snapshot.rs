//! The state of AWS at one instant, read once for all that check it: reading it is a large part of a day's cost.

use jvb_watcher_sandbox::world::{GroupView, LoadBalancerView, ServiceView, TaskView, World};

/// The resources of a world.
pub struct Snapshot {
    /// The services.
    pub services: Vec<ServiceView>,
    /// The tasks.
    pub tasks: Vec<TaskView>,
    /// The load balancers.
    pub load_balancers: Vec<LoadBalancerView>,
    /// The target groups with their targets.
    pub groups: Vec<GroupView>,
}

impl Snapshot {
    /// Takes a snapshot of a world.
    pub fn of(world: &World) -> Self {
        Self {
            services: world.services(),
            tasks: world.tasks(),
            load_balancers: world.load_balancers(),
            groups: world.groups(),
        }
    }
}
