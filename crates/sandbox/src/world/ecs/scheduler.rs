//! The service scheduler: starts and stops tasks until there are as many as are desired.

use super::services::{Deployment, ServiceKey, ServiceStatus};
use super::task::Plan;
use super::{Due, Ecs, Status, Task};
use crate::api::ecs as api;
use crate::world::{Context, Due as WorldDue};

/// The subnet of tasks whose service or call names none.
const SUBNET: &str = "subnet-0a1b2c3d4e5f60718";

impl Ecs {
    /// Looks at a service, and does what is needed there.
    pub(super) fn schedule(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        let Some(service) = self.services.get_mut(key) else { return };
        service.is_scheduled = false;
        let wanted = service.wanted.newest().clone();
        let Some(primary) = wanted.deployments.last() else { return };
        let desired = usize::try_from(wanted.desired).unwrap_or(0);
        match wanted.status {
            ServiceStatus::Active => {
                self.bring_to(key, primary, desired, context);
                self.roll_over(key, primary, desired, context);
                self.forget_deployments(key, context);
            }
            ServiceStatus::Draining => {
                self.bring_to(key, primary, 0, context);
                self.roll_over(key, primary, 0, context);
                self.finish_deletion(key, context);
            }
            ServiceStatus::Inactive => (),
        }
    }

    /// Starts or stops tasks of the primary deployment.
    fn bring_to(&mut self, key: &ServiceKey, primary: &Deployment, desired: usize, context: &mut Context<'_>) {
        let present = self.wanted_tasks(key, |task| is_of(task, primary));
        for _ in present.len()..desired {
            self.start_for(key, primary, context);
        }
        let surplus = present.len().saturating_sub(desired);
        for id in present.into_iter().take(surplus) {
            self.scale_in(&id, primary, context);
        }
    }

    /// Stops tasks of earlier deployments, as far as those of the primary one have taken their place.
    fn roll_over(&mut self, key: &ServiceKey, primary: &Deployment, desired: usize, context: &mut Context<'_>) {
        let old = self.wanted_tasks(key, |task| !is_of(task, primary));
        let runs = |task: &&Task| task.status == Status::Running && task.is_wanted();
        let running = self.living_tasks(key).filter(runs).count();
        let mut spare = running.saturating_sub(desired);
        for id in old {
            let serves = self.tasks.get(&id).is_some_and(|task| task.status == Status::Running);
            if serves && spare == 0 {
                continue;
            }
            if serves {
                spare -= 1;
            }
            self.scale_in(&id, primary, context);
        }
    }

    /// Deployments without tasks are over.
    fn forget_deployments(&mut self, key: &ServiceKey, context: &Context<'_>) {
        let started_by: Vec<String> =
            self.living_tasks(key).filter_map(|task| task.shown().started_by.clone()).collect();
        let Some(service) = self.services.get_mut(key) else { return };
        let deployments = &service.wanted.newest().deployments;
        let newest = deployments.last().map(|deployment| deployment.id.clone());
        let is_alive =
            |deployment: &Deployment| Some(&deployment.id) == newest.as_ref() || started_by.contains(&deployment.id);
        if !deployments.iter().all(is_alive) {
            service.want(|wanted| wanted.deployments.retain(is_alive), context);
        }
    }

    /// A service that is being deleted is gone when its tasks are.
    fn finish_deletion(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        if self.living_tasks(key).next().is_some() {
            return;
        }
        let Some(service) = self.services.get_mut(key) else { return };
        service.want(|wanted| wanted.status = ServiceStatus::Inactive, context);
        let due = Due::ServiceForgotten { service: key.clone(), created_at: service.created_at };
        context.due_in(context.settings.services.inactive_visible, WorldDue::Ecs(due));
    }

    /// The ids of the tasks that are to run, in the order in which they would be stopped: those that don't serve yet
    /// first, then the oldest.
    fn wanted_tasks(&self, key: &ServiceKey, of: impl Fn(&Task) -> bool) -> Vec<String> {
        let mut tasks: Vec<&Task> = self.living_tasks(key).filter(|task| task.is_wanted() && of(task)).collect();
        tasks.sort_by_key(|task| (task.status == Status::Running, task.shown().created_at, task.id.clone()));
        tasks.into_iter().map(|task| task.id.clone()).collect()
    }

    fn start_for(&mut self, key: &ServiceKey, deployment: &Deployment, context: &mut Context<'_>) {
        let Ok(definition) = self.definition(&deployment.definition).cloned() else { return };
        let network = self.services.get(key).and_then(|service| service.network.clone());
        let plan = Plan {
            cluster: key.cluster.clone(),
            service: Some(key.clone()),
            group: format!("service:{}", key.name),
            started_by: Some(deployment.id.clone()),
            definition,
            subnet: self.next_subnet(network.as_ref(), context),
        };
        self.start(plan, context);
    }

    fn scale_in(&mut self, id: &str, deployment: &Deployment, context: &mut Context<'_>) {
        let reason = format!("Scaling activity initiated by (deployment {})", deployment.id);
        if let Some(task) = self.tasks.get_mut(id) {
            task.stop("ServiceSchedulerInitiated", &reason, context);
        }
    }

    /// Starts a task, and returns its id.
    pub(super) fn start(&mut self, plan: Plan, context: &mut Context<'_>) -> String {
        let fails = self.failing > 0;
        self.failing = self.failing.saturating_sub(1);
        let reason = "CannotPullContainerError: pull image manifest has been retried 5 time(s)".to_owned();
        let task = Task::start(plan, fails.then_some(reason), context);
        let id = task.id.clone();
        self.tasks.insert(id.clone(), task);
        id
    }

    /// The subnet for the next task, with its zone: each in turn.
    pub(super) fn next_subnet(
        &mut self,
        network: Option<&api::NetworkConfiguration>,
        context: &Context<'_>,
    ) -> (String, String) {
        let subnets = network.map(|network| network.awsvpc_configuration.subnets.as_slice()).unwrap_or_default();
        let turn = self.started % subnets.len().max(1);
        self.started += 1;
        let subnet = subnets.get(turn).cloned().unwrap_or_else(|| SUBNET.to_owned());
        (subnet, context.settings.zone(turn))
    }
}

fn is_of(task: &Task, deployment: &Deployment) -> bool {
    task.shown().started_by.as_ref() == Some(&deployment.id)
}
