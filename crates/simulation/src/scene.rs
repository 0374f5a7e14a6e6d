//! What there is in AWS at one instant, for whoever watches it: read once, since it is much of what a day costs.

use jvb_watcher_sandbox::world::{GroupView, LoadBalancerView, ServiceView, TaskView, World};

/// What there is.
pub struct Scene {
    /// The services.
    pub services: Vec<ServiceView>,
    /// The tasks.
    pub tasks: Vec<TaskView>,
    /// The load balancers.
    pub balancers: Vec<LoadBalancerView>,
    /// The target groups with their targets.
    pub groups: Vec<GroupView>,
}

impl Scene {
    /// What there is now.
    pub fn of(world: &World) -> Self {
        Self {
            services: world.services(),
            tasks: world.tasks(),
            balancers: world.load_balancers(),
            groups: world.groups(),
        }
    }
}
