//! Tasks: the operations on them, and the incidents that affect them.

use super::services::{check_network, key_of, service_not_found};
use super::task::LaunchSpec;
use super::{Ecs, ServiceKey, Status, Task, Timer, arn, in_cluster, invalid, invalid_token, last_part, page_size};
use crate::api::ApiError;
use crate::api::ecs as api;
use crate::world::page::page;
use crate::world::timers::before;
use crate::world::{Context, Timer as WorldTimer};

/// Maximum number of tasks in a DescribeTasks request.
const MAX_DESCRIBED: usize = 100;

/// Maximum number of tasks that a RunTask request launches.
const MAX_LAUNCHED: i32 = 10;

impl Ecs {
    /// Moves a task to its next status.
    pub(super) fn advance_task(&mut self, id: &str, context: &mut Context<'_>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.advance(&mut self.addresses, context);
        self.after_change(id, context);
    }

    /// Applies the consequences of a task's change: forgets it later, and wakes the scheduler of its service.
    fn after_change(&mut self, id: &str, context: &mut Context<'_>) {
        self.note_start(id, context);
        let Some(task) = self.tasks.get(id) else { return };
        if task.status == Status::Stopped {
            let timer = Timer::ForgetTask { id: id.to_owned() };
            context.start_timer(context.settings.tasks.stopped_visible, WorldTimer::Ecs(timer));
        }
        if let Some(service) = task.service.clone() {
            self.wake_scheduler(&service, context);
        }
    }

    /// Makes the essential container of a running task exit.
    ///
    /// # Errors
    ///
    /// Returns an error when no such task runs.
    pub fn crash_task(
        &mut self,
        service: &ServiceKey,
        task: Option<&str>,
        exit_code: i32,
        context: &mut Context<'_>,
    ) -> Result<(), ApiError> {
        let id = self.pick_running(service, task, context)?;
        self.exit_containers(&id, exit_code, context);
        Ok(())
    }

    /// Makes the essential containers of a task exit.
    pub fn exit_containers(&mut self, id: &str, exit_code: i32, context: &mut Context<'_>) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.crash(exit_code, &mut self.addresses, context);
            self.after_change(id, context);
        }
    }

    /// Gives a running task a Spot interruption notice.
    ///
    /// # Errors
    ///
    /// Returns an error when no such task runs.
    pub fn spot_notice(
        &mut self,
        service: &ServiceKey,
        task: Option<&str>,
        context: &mut Context<'_>,
    ) -> Result<(), ApiError> {
        let id = self.pick_running(service, task, context)?;
        if let Some(task) = self.tasks.get_mut(&id) {
            task.spot_notice(context);
        }
        self.after_change(&id, context);
        Ok(())
    }

    /// Returns the id of the named task, or of any running task of the service.
    fn pick_running(
        &self,
        service: &ServiceKey,
        task: Option<&str>,
        context: &mut Context<'_>,
    ) -> Result<String, ApiError> {
        if !self.services.contains_key(service) {
            return Err(service_not_found());
        }
        let runs = |task: &&Task| task.status == Status::Running && task.should_run();
        let running: Vec<&str> = self.unstopped_tasks(service).filter(runs).map(|task| task.id.as_str()).collect();
        let found = match task {
            Some(task) => running.iter().find(|id| **id == last_part(task)).copied(),
            None => context.random.pick(&running).copied(),
        };
        let missing = || invalid(format!("No such task of the service {} is running.", service.name));
        found.map(str::to_owned).ok_or_else(missing)
    }

    pub(super) fn run_task(
        &mut self,
        input: api::RunTaskInput,
        context: &mut Context<'_>,
    ) -> Result<api::TasksOutput, ApiError> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let count = input.count.unwrap_or(1);
        if !(1..=MAX_LAUNCHED).contains(&count) {
            return Err(invalid(format!("count must be between 1 and {MAX_LAUNCHED}.")));
        }
        let definition = self.definition(&input.task_definition)?.clone();
        check_network(&definition, input.network_configuration.as_ref())?;
        let group = input.group.unwrap_or_else(|| format!("family:{}", definition.family));
        let mut output = api::TasksOutput::default();
        for _ in 0..count {
            let spec = LaunchSpec {
                cluster: cluster.clone(),
                service: None,
                group: group.clone(),
                started_by: input.started_by.clone(),
                definition: definition.clone(),
                subnet: self.next_subnet(input.network_configuration.as_ref(), context),
            };
            let id = self.launch(spec, context);
            self.set_tags(&arn(context.settings, &format!("task/{cluster}/{id}")), &input.tags);
            output.tasks.extend(self.tasks.get(&id).map(|task| task.description().clone()));
        }
        Ok(output)
    }

    pub(super) fn stop_task(
        &mut self,
        input: &api::StopTaskInput,
        context: &mut Context<'_>,
    ) -> Result<api::TaskOutput, ApiError> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let id = task_id(&input.task, &cluster)?;
        let missing = || invalid("The referenced task was not found.");
        let task = self.tasks.get_mut(id).filter(|task| task.cluster == cluster).ok_or_else(missing)?;
        let reason = input.reason.as_deref().unwrap_or("Task stopped by user");
        let should_run = task.should_run();
        task.stop("UserInitiated", reason, context);
        let description = task.description().clone();
        if should_run {
            self.after_change(id, context);
        }
        Ok(api::TaskOutput { task: description })
    }

    pub(super) fn list_tasks(
        &self,
        input: &api::ListTasksInput,
        context: &Context<'_>,
    ) -> Result<api::ListTasksOutput, ApiError> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let desired = input.desired_status.as_deref().unwrap_or("RUNNING");
        if !["RUNNING", "PENDING", "STOPPED"].contains(&desired) {
            return Err(invalid("desiredStatus must be one of RUNNING, PENDING and STOPPED."));
        }
        let service = match &input.service_name {
            Some(name) => {
                let key = key_of(&cluster, name)?;
                Some(key).filter(|key| self.services.contains_key(key)).ok_or_else(service_not_found).map(Some)?
            }
            None => None,
        };
        let mut at = before(context.now, context.settings.ecs_lag);
        if desired == "STOPPED" {
            at = before(at, context.settings.stopped_list_lag);
        }
        let matches = |task: &&Task| {
            let Some(description) = task.history.at(at) else { return false };
            let family = last_part(&description.task_definition_arn).split(':').next();
            task.cluster == cluster
                && description.desired_status == desired
                && service.as_ref().is_none_or(|service| task.service.as_ref() == Some(service))
                && input.family.as_deref().is_none_or(|prefix| family == Some(prefix))
                && (input.started_by.is_none() || description.started_by == input.started_by)
        };
        let tasks = self.tasks.values().filter(matches);
        let size = page_size(input.max_results, 100)?;
        let (page, next_token) =
            page(tasks, |task| &task.id, size, input.next_token.as_deref()).map_err(|_| invalid_token())?;
        Ok(api::ListTasksOutput {
            task_arns: page.into_iter().map(|task| task.description().task_arn.clone()).collect(),
            next_token,
        })
    }

    pub(super) fn describe_tasks(
        &self,
        input: &api::DescribeTasksInput,
        context: &Context<'_>,
    ) -> Result<api::TasksOutput, ApiError> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        if input.tasks.is_empty() {
            return Err(invalid("Tasks cannot be empty."));
        }
        if input.tasks.len() > MAX_DESCRIBED {
            return Err(invalid(format!("Tasks list cannot have more than {MAX_DESCRIBED} entries.")));
        }
        let ids: Vec<&str> = input.tasks.iter().map(|given| task_id(given, &cluster)).collect::<Result<_, _>>()?;
        let at = before(context.now, context.settings.ecs_lag);
        let mut output = api::TasksOutput::default();
        for id in ids {
            let task = self.tasks.get(id).filter(|task| task.cluster == cluster);
            match task.and_then(|task| task.history.at(at)) {
                Some(description) => output.tasks.push(description.clone()),
                None => output.failures.push(api::Failure {
                    arn: arn(context.settings, &format!("task/{cluster}/{id}")),
                    reason: "MISSING".to_owned(),
                }),
            }
        }
        Ok(output)
    }
}

/// Returns the id of the task that a request names by id or by ARN, in the long or the short form.
fn task_id<'a>(given: &'a str, cluster: &str) -> Result<&'a str, ApiError> {
    let id = in_cluster(given, "task", cluster)?;
    let is_valid = |c: char| c.is_ascii_hexdigit() || (c == '-' && id.len() == 36);
    if !matches!(id.len(), 32 | 36) || !id.chars().all(is_valid) {
        return Err(invalid("taskId length should be one of [32,36]"));
    }
    Ok(id)
}
