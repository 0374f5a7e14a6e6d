//! Services: their desired state and their description.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{Ecs, Status, Task, arn, check_name, in_cluster, invalid, invalid_token, page_size};
use crate::api::ApiError;
use crate::api::ecs as api;
use crate::world::Context;
use crate::world::history::History;
use crate::world::page::page;
use crate::world::settings::Settings;
use crate::world::timers::before;

/// Maximum number of services in a DescribeServices request.
const MAX_DESCRIBED: usize = 10;

/// Identity of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub name: String,
}

/// Status of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceStatus {
    /// The service runs.
    Active,
    /// The service is deleted, but still has tasks.
    Draining,
    /// The service is deleted and has no tasks.
    Inactive,
}

impl ServiceStatus {
    /// Returns AWS's name of the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// State of a deployment's rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutState {
    /// The service hasn't reached a steady state.
    InProgress,
    /// The service has reached a steady state.
    Completed,
    /// The deployment circuit breaker has ended the deployment.
    Failed,
}

impl RolloutState {
    /// Returns AWS's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

/// A deployment of a service.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Id (`ecs-svc/…`), which is the startedBy of the deployment's tasks.
    pub id: String,
    /// ARN of the task definition.
    pub definition: String,
    /// Time of creation.
    pub created_at: Timestamp,
    /// State of the rollout.
    pub rollout: RolloutState,
    /// Reason of that state.
    pub rollout_reason: String,
    /// Number of tasks in a row that failed to start, or that could not be placed.
    pub failed_tasks: i32,
}

/// Desired state of a service.
#[derive(Clone, Debug)]
pub struct DesiredState {
    /// Status of the service.
    pub status: ServiceStatus,
    /// desiredCount.
    pub count: i32,
    /// Deployments, the primary one last. There is always one.
    pub deployments: Vec<Deployment>,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Desired state, current and past.
    pub desired_state: History<DesiredState>,
    /// Time of creation.
    pub created_at: Timestamp,
    pub(super) network: Option<api::NetworkConfiguration>,
    /// Set while the scheduler's timer runs.
    pub(super) scheduler_is_due: bool,
    /// Messages of the scheduler, the latest first.
    pub(super) messages: VecDeque<api::ServiceEvent>,
    /// Whether the scheduler has reported a steady state since the last change.
    pub(super) is_steady: bool,
    /// Whether the scheduler has reported that tasks don't start, and none has started since.
    pub(super) is_impaired: bool,
    /// Task definition of the last deployment that completed.
    pub(super) completed_definition: Option<String>,
    pub(super) circuit_breaker: Option<api::DeploymentCircuitBreaker>,
    launch_type: Option<String>,
}

/// Numbers of tasks of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Tasks in RUNNING.
    pub running: i32,
    /// Tasks on their way to RUNNING.
    pub pending: i32,
}

impl Service {
    /// Returns whether the service is deleted and has no tasks.
    pub fn is_inactive(&self) -> bool {
        self.desired_state.current().status == ServiceStatus::Inactive
    }

    /// Changes the desired state. Past states are kept for the lag of the API, and for ten minutes in case the lag grows.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut DesiredState), context: &Context<'_>) {
        let mut desired = self.desired_state.current().clone();
        change(&mut desired);
        self.desired_state.record(context.now, desired);
        let lag = context.settings.ecs_lag.max(std::time::Duration::from_secs(600));
        self.desired_state.discard_before(before(context.now, lag));
    }
}

impl Ecs {
    pub(super) fn create_service(
        &mut self,
        input: api::CreateServiceInput,
        context: &mut Context<'_>,
    ) -> Result<api::ServiceOutput, ApiError> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        check_name("Service", &input.service_name)?;
        let key = ServiceKey { cluster, name: input.service_name };
        match self.services.get(&key).map(|service| service.desired_state.current().status) {
            Some(ServiceStatus::Active) => return Err(invalid("Creation of service was not idempotent.")),
            Some(ServiceStatus::Draining) => {
                return Err(invalid("Unable to Start a service that is still Draining."));
            }
            Some(ServiceStatus::Inactive) | None => (),
        }
        check_count(input.desired_count)?;
        if input.task_definition.is_empty() {
            return Err(invalid("TaskDefinition can not be blank."));
        }
        let definition = self.definition(&input.task_definition)?;
        check_network(definition, input.network_configuration.as_ref())?;
        let deployment = new_deployment(definition.task_definition_arn.clone(), context);
        let desired =
            DesiredState { status: ServiceStatus::Active, count: input.desired_count, deployments: vec![deployment] };
        let service = Service {
            desired_state: History::new(context.now, desired),
            created_at: context.now,
            network: input.network_configuration,
            scheduler_is_due: false,
            messages: VecDeque::new(),
            is_steady: false,
            is_impaired: false,
            completed_definition: None,
            circuit_breaker: input.deployment_configuration.and_then(|given| given.deployment_circuit_breaker),
            launch_type: input.launch_type,
        };
        self.services.insert(key.clone(), service);
        self.set_tags(&service_arn(&key, context.settings), &input.tags);
        self.report_deployment(&key, context);
        self.wake_scheduler(&key, context);
        self.output(&key, context)
    }

    pub(super) fn update_service(
        &mut self,
        input: &api::UpdateServiceInput,
        context: &mut Context<'_>,
    ) -> Result<api::ServiceOutput, ApiError> {
        let key = self.service_key(input.cluster.as_deref(), &input.service)?;
        let definition = match &input.task_definition {
            Some(given) => Some(self.definition(given)?.task_definition_arn.clone()),
            None => None,
        };
        let service = self.services.get_mut(&key).ok_or_else(service_not_found)?;
        if service.desired_state.current().status != ServiceStatus::Active {
            return Err(ApiError::new("ServiceNotActiveException", "Service was not ACTIVE."));
        }
        if let Some(count) = input.desired_count {
            check_count(count)?;
        }
        let current =
            service.desired_state.current().deployments.last().map(|deployment| deployment.definition.clone());
        let definition = definition
            .or_else(|| current.clone())
            .filter(|new| input.force_new_deployment || current.as_ref() != Some(new));
        let deployment = definition.map(|definition| new_deployment(definition, context));
        let is_new = deployment.is_some();
        if let Some(configuration) = input.deployment_configuration {
            service.circuit_breaker = configuration.deployment_circuit_breaker;
        }
        let change = |desired: &mut DesiredState| {
            desired.count = input.desired_count.unwrap_or(desired.count);
            desired.deployments.extend(deployment);
        };
        service.change(change, context);
        if is_new {
            self.report_deployment(&key, context);
        }
        self.wake_scheduler(&key, context);
        self.output(&key, context)
    }

    pub(super) fn delete_service(
        &mut self,
        input: &api::DeleteServiceInput,
        context: &mut Context<'_>,
    ) -> Result<api::ServiceOutput, ApiError> {
        let key = self.service_key(input.cluster.as_deref(), &input.service)?;
        let service =
            self.services.get_mut(&key).filter(|service| !service.is_inactive()).ok_or_else(service_not_found)?;
        if service.desired_state.current().count > 0 && !input.force {
            return Err(invalid("The service cannot be stopped while it is scaled above 0."));
        }
        let change = |desired: &mut DesiredState| {
            desired.status = ServiceStatus::Draining;
            desired.count = 0;
        };
        service.change(change, context);
        self.wake_scheduler(&key, context);
        self.output(&key, context)
    }

    pub(super) fn describe_services(
        &self,
        input: &api::DescribeServicesInput,
        context: &Context<'_>,
    ) -> Result<api::DescribeServicesOutput, ApiError> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        if input.services.is_empty() {
            return Err(invalid("Services cannot be empty."));
        }
        if input.services.len() > MAX_DESCRIBED {
            return Err(invalid(format!("Services list cannot have more than {MAX_DESCRIBED} entries.")));
        }
        if let Some(other) = input.include.iter().find(|field| *field != "TAGS") {
            return Err(invalid(format!("Invalid include value {other}.")));
        }
        let at = before(context.now, context.settings.ecs_lag);
        let mut output = api::DescribeServicesOutput::default();
        for given in &input.services {
            let key = key_of(&cluster, given)?;
            // AWS reports a missing service by the ARN in the request, or by an ARN in the short form for a name.
            let missing = if given.starts_with("arn:") {
                given.clone()
            } else {
                arn(context.settings, &format!("service/{given}"))
            };
            match self.describe_service(&key, at, context.settings) {
                Some(service) => {
                    // Only at request (DescribeServices, include).
                    let wants_tags = input.include.iter().any(|field| field == "TAGS");
                    let tags = if wants_tags { self.tags_of(&service.service_arn) } else { Vec::new() };
                    output.services.push(api::Service { tags, ..service });
                }
                None => output.failures.push(api::Failure { arn: missing, reason: "MISSING".to_owned() }),
            }
        }
        Ok(output)
    }

    pub(super) fn list_services(
        &self,
        input: &api::ListServicesInput,
        settings: &Settings,
    ) -> Result<api::ListServicesOutput, ApiError> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let keys = self.services.iter().filter(|(_, service)| !service.is_inactive()).map(|(key, _)| key);
        let keys = keys.filter(|key| key.cluster == cluster);
        let size = page_size(input.max_results, 10)?;
        let (page, next_token) =
            page(keys, |key| &key.name, size, input.next_token.as_deref()).map_err(|_| invalid_token())?;
        Ok(api::ListServicesOutput {
            service_arns: page.into_iter().map(|key| service_arn(key, settings)).collect(),
            next_token,
        })
    }

    /// Returns the key of the service that a request names in an active cluster. The service need not exist.
    pub(super) fn service_key(&self, cluster: Option<&str>, service: &str) -> Result<ServiceKey, ApiError> {
        key_of(&self.cluster(cluster)?, service)
    }

    /// Returns the key of the service with a name, or with `CLUSTER/NAME`.
    ///
    /// # Errors
    ///
    /// Returns an error when there is no such service, or when several clusters have one.
    pub fn find_service(&self, given: &str) -> Result<ServiceKey, ApiError> {
        let (cluster, name) = match given.split_once('/') {
            Some((cluster, name)) => (Some(cluster), name),
            None => (None, given),
        };
        let matches = |key: &&ServiceKey| key.name == name && cluster.is_none_or(|cluster| key.cluster == cluster);
        let mut found = self.services.keys().filter(matches);
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key.clone()),
            (Some(_), Some(_)) => {
                Err(invalid(format!("Several clusters have a service {name}; write CLUSTER/{name}.")))
            }
            (None, _) => Err(service_not_found()),
        }
    }

    /// Counts the tasks that a service, or one deployment of it, had at a given time.
    pub fn task_counts(&self, key: &ServiceKey, deployment: Option<&str>, at: Timestamp) -> TaskCounts {
        let mut counts = TaskCounts::default();
        for task in self.tasks.values().filter(|task| task.service.as_ref() == Some(key)) {
            let Some(description) = task.history.at(at) else { continue };
            if deployment.is_some_and(|id| description.started_by.as_deref() != Some(id)) {
                continue;
            }
            match description.last_status.as_str() {
                "RUNNING" => counts.running += 1,
                "PROVISIONING" | "PENDING" | "ACTIVATING" => counts.pending += 1,
                _ => (),
            }
        }
        counts
    }

    /// Returns the description of a service at a given time.
    fn describe_service(&self, key: &ServiceKey, at: Timestamp, settings: &Settings) -> Option<api::Service> {
        let service = self.services.get(key)?;
        let desired = service.desired_state.at(at)?;
        let counts = self.task_counts(key, None, at);
        let primary = desired.deployments.last()?;
        let deployments = desired.deployments.iter().rev().map(|deployment| {
            let own = self.task_counts(key, Some(&deployment.id), at);
            let is_primary = deployment.id == primary.id;
            let desired_count = if is_primary { desired.count } else { 0 };
            api::Deployment {
                id: deployment.id.clone(),
                status: if is_primary { "PRIMARY" } else { "ACTIVE" }.to_owned(),
                task_definition: deployment.definition.clone(),
                desired_count,
                running_count: own.running,
                pending_count: own.pending,
                failed_tasks: deployment.failed_tasks,
                rollout_state: deployment.rollout.as_str().to_owned(),
                rollout_state_reason: deployment.rollout_reason.clone(),
                created_at: Some(deployment.created_at),
                updated_at: Some(deployment.created_at),
            }
        });
        let is_active = |deployment: &api::Deployment| {
            deployment.status == "PRIMARY" || deployment.running_count + deployment.pending_count > 0
        };
        let deployments = deployments.filter(is_active).collect();
        Some(api::Service {
            service_arn: service_arn(key, settings),
            service_name: key.name.clone(),
            cluster_arn: arn(settings, &format!("cluster/{}", key.cluster)),
            status: desired.status.as_str().to_owned(),
            desired_count: desired.count,
            running_count: counts.running,
            pending_count: counts.pending,
            launch_type: service.launch_type.clone(),
            task_definition: primary.definition.clone(),
            network_configuration: service.network.clone(),
            deployment_configuration: service
                .circuit_breaker
                .map(|breaker| api::DeploymentConfiguration { deployment_circuit_breaker: Some(breaker) }),
            events: service.messages.iter().filter(|message| message.created_at <= Some(at)).cloned().collect(),
            deployments: if desired.status == ServiceStatus::Inactive { Vec::new() } else { deployments },
            load_balancers: Vec::new(),
            // The default (CreateService, schedulingStrategy).
            scheduling_strategy: "REPLICA".to_owned(),
            created_at: Some(service.created_at),
            tags: Vec::new(),
        })
    }

    /// Returns the current description of a service, as the operations that change it respond.
    fn output(&self, key: &ServiceKey, context: &Context<'_>) -> Result<api::ServiceOutput, ApiError> {
        let service = self.describe_service(key, context.now, context.settings).ok_or_else(service_not_found)?;
        Ok(api::ServiceOutput { service })
    }

    /// Returns the tasks of a service that haven't stopped.
    pub(super) fn unstopped_tasks<'a>(&'a self, key: &'a ServiceKey) -> impl Iterator<Item = &'a Task> {
        self.tasks.values().filter(move |task| task.service.as_ref() == Some(key) && task.status != Status::Stopped)
    }
}

/// Returns the key of the service that a request names in a cluster.
pub fn key_of(cluster: &str, given: &str) -> Result<ServiceKey, ApiError> {
    Ok(ServiceKey { cluster: cluster.to_owned(), name: in_cluster(given, "service", cluster)?.to_owned() })
}

/// Checks that tasks in the `awsvpc` network mode get a network configuration.
pub fn check_network(
    definition: &api::TaskDefinition,
    network: Option<&api::NetworkConfiguration>,
) -> Result<(), ApiError> {
    let is_awsvpc = definition.network_mode.as_deref() == Some("awsvpc");
    if is_awsvpc && network.is_none_or(|network| network.awsvpc_configuration.subnets.is_empty()) {
        return Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified."));
    }
    Ok(())
}

/// Returns the error for a service that doesn't exist.
pub fn service_not_found() -> ApiError {
    ApiError::new("ServiceNotFoundException", "Service not found.")
}

fn check_count(count: i32) -> Result<(), ApiError> {
    if count >= 0 { Ok(()) } else { Err(invalid("desiredCount cannot be negative.")) }
}

/// Returns a new deployment.
pub(super) fn new_deployment(definition: String, context: &mut Context<'_>) -> Deployment {
    let id = format!("ecs-svc/{}", context.random.decimal(19));
    let rollout_reason = format!("ECS deployment {id} in progress.");
    let created_at = context.now;
    Deployment { id, definition, created_at, rollout: RolloutState::InProgress, rollout_reason, failed_tasks: 0 }
}

/// Returns the ARN of a service.
pub(super) fn service_arn(key: &ServiceKey, settings: &Settings) -> String {
    arn(settings, &format!("service/{}/{}", key.cluster, key.name))
}
