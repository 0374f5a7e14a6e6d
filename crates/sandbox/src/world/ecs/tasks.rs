//! The calls about tasks, and what befalls tasks from outside.

use super::services::{check_network, key_of, service_missing};
use super::task::Plan;
use super::{Due, Ecs, ServiceKey, Status, Task, arn, bad_token, in_cluster, invalid, last_part, page_size};
use crate::api::ApiError;
use crate::api::ecs as api;
use crate::world::agenda::before;
use crate::world::page::page;
use crate::world::{Context, Due as WorldDue};

/// How many tasks DescribeTasks takes.
const DESCRIBED: usize = 100;

/// How many tasks RunTask starts at most.
const STARTED: i32 = 10;

impl Ecs {
    /// Brings a task to its next status.
    pub(super) fn go_on(&mut self, id: &str, context: &mut Context<'_>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.go_on(&mut self.addresses, context);
        self.after_change(id, context);
    }

    /// What follows from a task's change for others.
    fn after_change(&mut self, id: &str, context: &mut Context<'_>) {
        let Some(task) = self.tasks.get(id) else { return };
        if task.status == Status::Stopped {
            let due = Due::TaskForgotten { id: id.to_owned() };
            context.due_in(context.settings.tasks.stopped_visible, WorldDue::Ecs(due));
        }
        if let Some(service) = task.service.clone() {
            self.reschedule(&service, context);
        }
    }

    /// Has a container of a running task exit.
    ///
    /// # Errors
    ///
    /// When there is no such task, or it doesn't run.
    pub fn crash(
        &mut self,
        service: &ServiceKey,
        task: Option<&str>,
        exit_code: i32,
        context: &mut Context<'_>,
    ) -> Result<(), ApiError> {
        let id = self.pick(service, task, context)?;
        if let Some(task) = self.tasks.get_mut(&id) {
            task.crash(exit_code, &mut self.addresses, context);
        }
        self.after_change(&id, context);
        Ok(())
    }

    /// Gives a running task two minutes' notice.
    ///
    /// # Errors
    ///
    /// When there is no such task, or it doesn't run.
    pub fn spot_notice(
        &mut self,
        service: &ServiceKey,
        task: Option<&str>,
        context: &mut Context<'_>,
    ) -> Result<(), ApiError> {
        let id = self.pick(service, task, context)?;
        if let Some(task) = self.tasks.get_mut(&id) {
            task.spot_notice(context);
        }
        self.after_change(&id, context);
        Ok(())
    }

    /// The task that is meant, or, where none is named, any of the service that runs.
    fn pick(&self, service: &ServiceKey, task: Option<&str>, context: &mut Context<'_>) -> Result<String, ApiError> {
        if !self.services.contains_key(service) {
            return Err(service_missing());
        }
        let runs = |task: &&Task| task.status == Status::Running && task.is_wanted();
        let running: Vec<&str> = self.living_tasks(service).filter(runs).map(|task| task.id.as_str()).collect();
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
        if !(1..=STARTED).contains(&count) {
            return Err(invalid(format!("count must be between 1 and {STARTED}.")));
        }
        let definition = self.definition(&input.task_definition)?.clone();
        check_network(&definition, input.network_configuration.as_ref())?;
        let group = input.group.unwrap_or_else(|| format!("family:{}", definition.family));
        let mut output = api::TasksOutput::default();
        for _ in 0..count {
            let plan = Plan {
                cluster: cluster.clone(),
                service: None,
                group: group.clone(),
                started_by: input.started_by.clone(),
                definition: definition.clone(),
                subnet: self.next_subnet(input.network_configuration.as_ref(), context),
            };
            let id = self.start(plan, context);
            self.set_tags(&arn(context.settings, &format!("task/{cluster}/{id}")), &input.tags);
            output.tasks.extend(self.tasks.get(&id).map(|task| task.shown().clone()));
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
        let was_wanted = task.is_wanted();
        task.stop("UserInitiated", reason, context);
        let shown = task.shown().clone();
        if was_wanted {
            self.after_change(id, context);
        }
        Ok(api::TaskOutput { task: shown })
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
                Some(key).filter(|key| self.services.contains_key(key)).ok_or_else(service_missing).map(Some)?
            }
            None => None,
        };
        let at = before(context.now, context.settings.ecs_lag);
        let is_wanted = |task: &&Task| {
            let Some(shown) = task.history.at(at) else { return false };
            let family = last_part(&shown.task_definition_arn).split(':').next();
            task.cluster == cluster
                && shown.desired_status == desired
                && service.as_ref().is_none_or(|service| task.service.as_ref() == Some(service))
                && input.family.as_deref().is_none_or(|wanted| family == Some(wanted))
                && (input.started_by.is_none() || shown.started_by == input.started_by)
        };
        let tasks = self.tasks.values().filter(is_wanted);
        let size = page_size(input.max_results, 100)?;
        let (page, next_token) =
            page(tasks, |task| &task.id, size, input.next_token.as_deref()).map_err(|_| bad_token())?;
        Ok(api::ListTasksOutput {
            task_arns: page.into_iter().map(|task| task.shown().task_arn.clone()).collect(),
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
        if input.tasks.len() > DESCRIBED {
            return Err(invalid(format!("Tasks list cannot have more than {DESCRIBED} entries.")));
        }
        let ids: Vec<&str> = input.tasks.iter().map(|given| task_id(given, &cluster)).collect::<Result<_, _>>()?;
        let at = before(context.now, context.settings.ecs_lag);
        let mut output = api::TasksOutput::default();
        for id in ids {
            let task = self.tasks.get(id).filter(|task| task.cluster == cluster);
            match task.and_then(|task| task.history.at(at)) {
                Some(shown) => output.tasks.push(shown.clone()),
                None => output.failures.push(api::Failure {
                    arn: arn(context.settings, &format!("task/{cluster}/{id}")),
                    reason: "MISSING".to_owned(),
                }),
            }
        }
        Ok(output)
    }
}

/// The id in what a call names a task by: an id, or an ARN in the long or the short form.
fn task_id<'a>(given: &'a str, cluster: &str) -> Result<&'a str, ApiError> {
    let id = in_cluster(given, "task", cluster)?;
    let is_good = |c: char| c.is_ascii_hexdigit() || (c == '-' && id.len() == 36);
    if !matches!(id.len(), 32 | 36) || !id.chars().all(is_good) {
        return Err(invalid("taskId length should be one of [32,36]"));
    }
    Ok(id)
}
