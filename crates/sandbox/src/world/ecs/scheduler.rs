//! The service scheduler: launches and stops tasks until a service has its desired count.

use super::services::{Deployment, RolloutState, ServiceKey, ServiceStatus};
use super::task::{LaunchSpec, Subnet};
use super::{Ecs, Status, Task, Timer};
use crate::api::ecs as api;
use crate::world::{Context, Timer as WorldTimer};

/// Subnet of tasks whose service or request names none.
const DEFAULT_SUBNET: &str = "subnet-0a1b2c3d4e5f60718";

impl Ecs {
    /// Starts the scheduler's timer of a service, unless it runs already.
    pub(super) fn wake_scheduler(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        let Some(service) = self.services.get_mut(key) else { return };
        if !service.is_inactive() && !service.scheduler_is_due {
            service.scheduler_is_due = true;
            let timer = Timer::RunScheduler { service: key.clone() };
            context.start_timer(context.settings.services.scheduler, WorldTimer::Ecs(timer));
        }
    }

    /// Reconciles the tasks of a service with its desired state.
    pub(super) fn run_scheduler(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        let Some(service) = self.services.get_mut(key) else { return };
        service.scheduler_is_due = false;
        let desired = service.desired_state.current().clone();
        let Some(primary) = desired.deployments.last() else { return };
        let count = usize::try_from(desired.count).unwrap_or(0);
        match desired.status {
            ServiceStatus::Active => {
                self.scale_deployment(key, primary, count, context);
                self.replace_older_tasks(key, primary, count, context);
                self.remove_finished_deployments(key, context);
                self.report_steady_state(key, context);
            }
            ServiceStatus::Draining => {
                self.scale_deployment(key, primary, 0, context);
                self.replace_older_tasks(key, primary, 0, context);
                self.finish_deletion(key, context);
            }
            ServiceStatus::Inactive => (),
        }
    }

    /// Launches or stops tasks of the primary deployment.
    fn scale_deployment(&mut self, key: &ServiceKey, primary: &Deployment, count: usize, context: &mut Context<'_>) {
        let present = self.tasks_to_run(key, |task| is_of(task, primary));
        let surplus = present.len().saturating_sub(count);
        for id in present.iter().take(surplus) {
            self.scale_in(id, primary, context);
        }
        self.report_tasks(key, "has stopped", "running tasks", &present[..surplus], context);
        // A deployment that has failed launches no tasks.
        if primary.rollout == RolloutState::Failed {
            return;
        }
        let mut launched = Vec::new();
        for _ in present.len()..count {
            if self.placement_failures > 0 {
                self.placement_failures -= 1;
                self.report_no_capacity(key, &primary.id, context);
                let timer = Timer::RunScheduler { service: key.clone() };
                context.start_timer(context.settings.services.placement_retry, WorldTimer::Ecs(timer));
                break;
            }
            launched.extend(self.launch_for_service(key, primary, context));
        }
        self.report_tasks(key, "has started", "tasks", &launched, context);
    }

    /// Adds a message about tasks that the scheduler has started or stopped.
    fn report_tasks(&mut self, key: &ServiceKey, verb: &str, noun: &str, ids: &[String], context: &mut Context<'_>) {
        if !ids.is_empty() {
            let tasks: Vec<_> = ids.iter().map(|id| format!("(task {id})")).collect();
            self.message(key, &format!("{verb} {} {noun}: {}.", ids.len(), tasks.join(" ")), context);
        }
    }

    /// Stops tasks of older deployments, as far as running tasks of the primary one have replaced them.
    fn replace_older_tasks(&mut self, key: &ServiceKey, primary: &Deployment, count: usize, context: &mut Context<'_>) {
        let old = self.tasks_to_run(key, |task| !is_of(task, primary));
        let runs = |task: &&Task| task.status == Status::Running && task.should_run();
        let running = self.unstopped_tasks(key).filter(runs).count();
        let mut spare = running.saturating_sub(count);
        for id in old {
            let is_running = self.tasks.get(&id).is_some_and(|task| task.status == Status::Running);
            if is_running && spare == 0 {
                continue;
            }
            if is_running {
                spare -= 1;
            }
            self.scale_in(&id, primary, context);
        }
    }

    /// Removes deployments without tasks, the primary one aside.
    fn remove_finished_deployments(&mut self, key: &ServiceKey, context: &Context<'_>) {
        let started_by: Vec<String> =
            self.unstopped_tasks(key).filter_map(|task| task.description().started_by.clone()).collect();
        let Some(service) = self.services.get_mut(key) else { return };
        let deployments = &service.desired_state.current().deployments;
        let primary = deployments.last().map(|deployment| deployment.id.clone());
        let is_active =
            |deployment: &Deployment| Some(&deployment.id) == primary.as_ref() || started_by.contains(&deployment.id);
        if !deployments.iter().all(is_active) {
            service.change(|desired| desired.deployments.retain(is_active), context);
        }
    }

    /// Turns a draining service INACTIVE once its last task has stopped.
    fn finish_deletion(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        if self.unstopped_tasks(key).next().is_some() {
            return;
        }
        let Some(service) = self.services.get_mut(key) else { return };
        service.change(|desired| desired.status = ServiceStatus::Inactive, context);
        let timer = Timer::ForgetService { service: key.clone(), created_at: service.created_at };
        context.start_timer(context.settings.services.inactive_visible, WorldTimer::Ecs(timer));
    }

    /// Returns the ids of the tasks with desiredStatus RUNNING in the order in which the scheduler stops them: tasks that
    /// don't run yet first, then the oldest.
    fn tasks_to_run(&self, key: &ServiceKey, filter: impl Fn(&Task) -> bool) -> Vec<String> {
        let mut tasks: Vec<&Task> =
            self.unstopped_tasks(key).filter(|task| task.should_run() && filter(task)).collect();
        tasks.sort_by_key(|task| (task.status == Status::Running, task.description().created_at, task.id.clone()));
        tasks.into_iter().map(|task| task.id.clone()).collect()
    }

    /// Launches a task of a service and returns its id.
    fn launch_for_service(
        &mut self,
        key: &ServiceKey,
        deployment: &Deployment,
        context: &mut Context<'_>,
    ) -> Option<String> {
        let definition = self.definition(&deployment.definition).ok()?.clone();
        let network = self.services.get(key).and_then(|service| service.network.clone());
        let spec = LaunchSpec {
            cluster: key.cluster.clone(),
            service: Some(key.clone()),
            group: format!("service:{}", key.name),
            started_by: Some(deployment.id.clone()),
            definition,
            subnet: self.next_subnet(network.as_ref(), context),
        };
        Some(self.launch(spec, context))
    }

    fn scale_in(&mut self, id: &str, deployment: &Deployment, context: &mut Context<'_>) {
        let reason = format!("Scaling activity initiated by (deployment {})", deployment.id);
        if let Some(task) = self.tasks.get_mut(id) {
            task.stop("ServiceSchedulerInitiated", &reason, context);
        }
    }

    /// Launches a task and returns its id.
    pub(super) fn launch(&mut self, spec: LaunchSpec, context: &mut Context<'_>) -> String {
        let fails = self.start_failures > 0;
        self.start_failures = self.start_failures.saturating_sub(1);
        let reason = "CannotPullContainerError: pull image manifest has been retried 5 time(s)".to_owned();
        let task = Task::launch(spec, fails.then_some(reason), context);
        let id = task.id.clone();
        self.tasks.insert(id.clone(), task);
        id
    }

    /// Returns the subnet of the next task; the subnets take turns.
    pub(super) fn next_subnet(&mut self, network: Option<&api::NetworkConfiguration>, context: &Context<'_>) -> Subnet {
        let subnets = network.map(|network| network.awsvpc_configuration.subnets.as_slice()).unwrap_or_default();
        let turn = self.launched % subnets.len().max(1);
        self.launched += 1;
        let id = subnets.get(turn).cloned().unwrap_or_else(|| DEFAULT_SUBNET.to_owned());
        Subnet { id, zone: context.settings.zone(turn) }
    }
}

fn is_of(task: &Task, deployment: &Deployment) -> bool {
    task.description().started_by.as_ref() == Some(&deployment.id)
}
