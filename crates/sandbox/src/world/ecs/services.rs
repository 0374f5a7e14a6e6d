//! Services: what is wanted of them, and what is said of them.

use jiff::Timestamp;

use super::{Ecs, Status, Task, arn, bad_token, check_name, in_cluster, invalid, page_size};
use crate::api::ApiError;
use crate::api::ecs as api;
use crate::world::Context;
use crate::world::agenda::before;
use crate::world::history::History;
use crate::world::page::page;
use crate::world::settings::Settings;

/// How many services DescribeServices takes.
const DESCRIBED: usize = 10;

/// What tells a service from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Its cluster's name.
    pub cluster: String,
    /// Its name.
    pub name: String,
}

/// A service's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceStatus {
    /// In service.
    Active,
    /// Being deleted, with tasks left.
    Draining,
    /// Deleted.
    Inactive,
}

impl ServiceStatus {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// One deployment of a service.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// `ecs-svc/…`, which the tasks name as who started them.
    pub id: String,
    /// The ARN of the task definition.
    pub definition: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// What is wanted of a service.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its status.
    pub status: ServiceStatus,
    /// How many tasks.
    pub desired: i32,
    /// Its deployments, the newest last; there is always one.
    pub deployments: Vec<Deployment>,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// What is wanted of it, now and at earlier instants.
    pub wanted: History<Wanted>,
    /// When it was created.
    pub created_at: Timestamp,
    pub(super) network: Option<api::NetworkConfiguration>,
    /// Whether its scheduler is about to look at it.
    pub(super) is_scheduled: bool,
    launch_type: Option<String>,
}

/// How many tasks a service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// lastStatus is RUNNING.
    pub running: i32,
    /// lastStatus comes before RUNNING.
    pub pending: i32,
}

impl Service {
    /// Whether it has been deleted, and its tasks are gone.
    pub fn is_inactive(&self) -> bool {
        self.wanted.newest().status == ServiceStatus::Inactive
    }

    /// Notes another state of what is wanted. Readers with a lag can look back ten minutes, and as far as the lag goes.
    pub(super) fn want(&mut self, change: impl FnOnce(&mut Wanted), context: &Context<'_>) {
        let mut wanted = self.wanted.newest().clone();
        change(&mut wanted);
        self.wanted.record(context.now, wanted);
        let lag = context.settings.ecs_lag.max(std::time::Duration::from_secs(600));
        self.wanted.forget_before(before(context.now, lag));
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
        match self.services.get(&key).map(|service| service.wanted.newest().status) {
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
        let wanted =
            Wanted { status: ServiceStatus::Active, desired: input.desired_count, deployments: vec![deployment] };
        let service = Service {
            wanted: History::new(context.now, wanted),
            created_at: context.now,
            network: input.network_configuration,
            is_scheduled: false,
            launch_type: input.launch_type,
        };
        self.services.insert(key.clone(), service);
        self.set_tags(&service_arn(&key, context.settings), &input.tags);
        self.reschedule(&key, context);
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
        let service = self.services.get_mut(&key).ok_or_else(service_missing)?;
        if service.wanted.newest().status != ServiceStatus::Active {
            return Err(ApiError::new("ServiceNotActiveException", "Service was not ACTIVE."));
        }
        if let Some(count) = input.desired_count {
            check_count(count)?;
        }
        let current = service.wanted.newest().deployments.last().map(|deployment| deployment.definition.clone());
        let definition = definition
            .or_else(|| current.clone())
            .filter(|new| input.force_new_deployment || current.as_ref() != Some(new));
        let deployment = definition.map(|definition| new_deployment(definition, context));
        let change = |wanted: &mut Wanted| {
            wanted.desired = input.desired_count.unwrap_or(wanted.desired);
            wanted.deployments.extend(deployment);
        };
        service.want(change, context);
        self.reschedule(&key, context);
        self.output(&key, context)
    }

    pub(super) fn delete_service(
        &mut self,
        input: &api::DeleteServiceInput,
        context: &mut Context<'_>,
    ) -> Result<api::ServiceOutput, ApiError> {
        let key = self.service_key(input.cluster.as_deref(), &input.service)?;
        let service =
            self.services.get_mut(&key).filter(|service| !service.is_inactive()).ok_or_else(service_missing)?;
        if service.wanted.newest().desired > 0 && !input.force {
            return Err(invalid("The service cannot be stopped while it is scaled above 0."));
        }
        let change = |wanted: &mut Wanted| {
            wanted.status = ServiceStatus::Draining;
            wanted.desired = 0;
        };
        service.want(change, context);
        self.reschedule(&key, context);
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
        if input.services.len() > DESCRIBED {
            return Err(invalid(format!("Services list cannot have more than {DESCRIBED} entries.")));
        }
        let at = before(context.now, context.settings.ecs_lag);
        let mut output = api::DescribeServicesOutput::default();
        for given in &input.services {
            let key = key_of(&cluster, given)?;
            // AWS names what is missing by the ARN that was given, and by one of the old form where a name was.
            let missing = if given.starts_with("arn:") {
                given.clone()
            } else {
                arn(context.settings, &format!("service/{given}"))
            };
            match self.shown_service(&key, at, context.settings) {
                Some(service) => output.services.push(service),
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
            page(keys, |key| &key.name, size, input.next_token.as_deref()).map_err(|_| bad_token())?;
        Ok(api::ListServicesOutput {
            service_arns: page.into_iter().map(|key| service_arn(key, settings)).collect(),
            next_token,
        })
    }

    /// The key of a service in an active cluster, whether there is such a service or not.
    pub(super) fn service_key(&self, cluster: Option<&str>, service: &str) -> Result<ServiceKey, ApiError> {
        key_of(&self.cluster(cluster)?, service)
    }

    /// How many tasks a service had at an instant; those of one deployment where one is named.
    pub fn counts(&self, key: &ServiceKey, deployment: Option<&str>, at: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for task in self.tasks.values().filter(|task| task.service.as_ref() == Some(key)) {
            let Some(shown) = task.history.at(at) else { continue };
            if deployment.is_some_and(|id| shown.started_by.as_deref() != Some(id)) {
                continue;
            }
            match shown.last_status.as_str() {
                "RUNNING" => counts.running += 1,
                "PROVISIONING" | "PENDING" | "ACTIVATING" => counts.pending += 1,
                _ => (),
            }
        }
        counts
    }

    /// A service as it was at an instant.
    fn shown_service(&self, key: &ServiceKey, at: Timestamp, settings: &Settings) -> Option<api::Service> {
        let service = self.services.get(key)?;
        let wanted = service.wanted.at(at)?;
        let counts = self.counts(key, None, at);
        let newest = wanted.deployments.last()?;
        let deployments = wanted.deployments.iter().rev().map(|deployment| {
            let of_it = self.counts(key, Some(&deployment.id), at);
            let is_primary = deployment.id == newest.id;
            let desired_count = if is_primary { wanted.desired } else { 0 };
            let is_done = is_primary && of_it.running == desired_count && counts == of_it && of_it.pending == 0;
            api::Deployment {
                id: deployment.id.clone(),
                status: if is_primary { "PRIMARY" } else { "ACTIVE" }.to_owned(),
                task_definition: deployment.definition.clone(),
                desired_count,
                running_count: of_it.running,
                pending_count: of_it.pending,
                rollout_state: if is_done { "COMPLETED" } else { "IN_PROGRESS" }.to_owned(),
                created_at: Some(deployment.created_at),
                updated_at: Some(deployment.created_at),
            }
        });
        let is_there = |deployment: &api::Deployment| {
            deployment.status == "PRIMARY" || deployment.running_count + deployment.pending_count > 0
        };
        let deployments = deployments.filter(is_there).collect();
        Some(api::Service {
            service_arn: service_arn(key, settings),
            service_name: key.name.clone(),
            cluster_arn: arn(settings, &format!("cluster/{}", key.cluster)),
            status: wanted.status.as_str().to_owned(),
            desired_count: wanted.desired,
            running_count: counts.running,
            pending_count: counts.pending,
            launch_type: service.launch_type.clone(),
            task_definition: newest.definition.clone(),
            network_configuration: service.network.clone(),
            deployments: if wanted.status == ServiceStatus::Inactive { Vec::new() } else { deployments },
            created_at: Some(service.created_at),
        })
    }

    /// A service as it is now, which is what the calls that change it answer with.
    fn output(&self, key: &ServiceKey, context: &Context<'_>) -> Result<api::ServiceOutput, ApiError> {
        let service = self.shown_service(key, context.now, context.settings).ok_or_else(service_missing)?;
        Ok(api::ServiceOutput { service })
    }

    /// The tasks of a service that have not stopped.
    pub(super) fn living_tasks<'a>(&'a self, key: &'a ServiceKey) -> impl Iterator<Item = &'a Task> {
        self.tasks.values().filter(move |task| task.service.as_ref() == Some(key) && task.status != Status::Stopped)
    }
}

/// The key of the service that a call names in that cluster.
pub fn key_of(cluster: &str, given: &str) -> Result<ServiceKey, ApiError> {
    Ok(ServiceKey { cluster: cluster.to_owned(), name: in_cluster(given, "service", cluster)?.to_owned() })
}

/// Whether tasks of the definition get what network interfaces they need.
pub fn check_network(
    definition: &api::TaskDefinition,
    network: Option<&api::NetworkConfiguration>,
) -> Result<(), ApiError> {
    let needs = definition.network_mode.as_deref() == Some("awsvpc");
    if needs && network.is_none_or(|network| network.awsvpc_configuration.subnets.is_empty()) {
        return Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified."));
    }
    Ok(())
}

pub fn service_missing() -> ApiError {
    ApiError::new("ServiceNotFoundException", "Service not found.")
}

fn check_count(count: i32) -> Result<(), ApiError> {
    if count >= 0 { Ok(()) } else { Err(invalid("desiredCount cannot be negative.")) }
}

fn new_deployment(definition: String, context: &mut Context<'_>) -> Deployment {
    let id = format!("ecs-svc/{}", context.random.decimal(19));
    Deployment { id, definition, created_at: context.now }
}

fn service_arn(key: &ServiceKey, settings: &Settings) -> String {
    arn(settings, &format!("service/{}/{}", key.cluster, key.name))
}
