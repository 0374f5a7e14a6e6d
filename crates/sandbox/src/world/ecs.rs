//! Amazon ECS: clusters, task definitions, services with their scheduler, and tasks.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Context;
use super::settings::Settings;
use crate::api::ecs::{self as api, Request, Response};
use crate::api::{ApiError, Empty};

mod addresses;
mod clusters;
mod event;
mod rollout;
mod scheduler;
mod services;
mod tags;
mod task;
mod task_definitions;
mod tasks;
#[cfg(test)]
mod tests;

pub use addresses::{Addresses, addresses_of, v4_of};
use clusters::Cluster;
pub use services::{Service, ServiceKey};
pub use task::{Status, Task};

/// State of ECS.
#[derive(Debug, Default)]
pub struct Ecs {
    clusters: BTreeMap<String, Cluster>,
    /// Revisions of each family of task definitions, from 1.
    definitions: BTreeMap<String, Vec<api::TaskDefinition>>,
    services: BTreeMap<ServiceKey, Service>,
    tasks: BTreeMap<String, Task>,
    addresses: Addresses,
    /// Tags by ARN.
    tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Number of next tasks that fail to start.
    start_failures: u32,
    /// Number of next attempts to place a task that fail.
    placement_failures: u32,
    /// Number of tasks launched so far, which spreads them over the subnets.
    launched: usize,
}

/// A timer of ECS.
#[derive(Debug)]
pub enum Timer {
    /// Moves a task to its next status.
    AdvanceTask {
        /// Id of the task.
        id: String,
    },
    /// Removes a stopped task.
    ForgetTask {
        /// Id of the task.
        id: String,
    },
    /// Runs the scheduler of a service.
    RunScheduler {
        /// The service.
        service: ServiceKey,
    },
    /// Removes a deleted service.
    ForgetService {
        /// The service.
        service: ServiceKey,
        /// Time of creation, which distinguishes it from later services of the same name.
        created_at: Timestamp,
    },
}

impl Ecs {
    /// Returns every service that hasn't been forgotten.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        self.services.iter()
    }

    /// Returns every task that hasn't been forgotten.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// Returns the addresses of tasks.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Makes the next tasks fail to start.
    pub fn fail_to_start(&mut self, tasks: u32) {
        self.start_failures = self.start_failures.saturating_add(tasks);
    }

    /// Makes the schedulers' next attempts to place a task fail.
    pub fn fail_to_place(&mut self, attempts: u32) {
        self.placement_failures = self.placement_failures.saturating_add(attempts);
    }

    /// Handles a timer.
    pub fn fire(&mut self, timer: Timer, context: &mut Context<'_>) {
        match timer {
            Timer::AdvanceTask { id } => self.advance_task(&id, context),
            Timer::ForgetTask { id } => {
                if let Some(task) = self.tasks.remove(&id) {
                    self.tags.remove(&task.description().task_arn);
                }
            }
            Timer::RunScheduler { service } => self.run_scheduler(&service, context),
            Timer::ForgetService { service, created_at } => {
                // A new service can have taken its name.
                if self.services.get(&service).is_some_and(|found| found.created_at == created_at) {
                    self.services.remove(&service);
                }
            }
        }
    }

    /// Handles a request.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for a request that it would refuse.
    pub fn call(&mut self, request: Request, context: &mut Context<'_>) -> Result<Response, ApiError> {
        Ok(match request {
            Request::CreateCluster(input) => Response::CreateCluster(self.create_cluster(input, context.settings)?),
            Request::DescribeClusters(input) => Response::DescribeClusters(self.describe_clusters(&input, context)),
            Request::ListClusters(input) => Response::ListClusters(self.list_clusters(&input, context.settings)?),
            Request::DeleteCluster(input) => Response::DeleteCluster(self.delete_cluster(&input, context)?),
            Request::RegisterTaskDefinition(input) => {
                Response::RegisterTaskDefinition(self.register_definition(input, context.settings)?)
            }
            Request::DescribeTaskDefinition(input) => {
                Response::DescribeTaskDefinition(self.describe_definition(&input)?)
            }
            Request::ListTaskDefinitions(input) => {
                Response::ListTaskDefinitions(self.list_definitions(&input, context.settings)?)
            }
            Request::CreateService(input) => Response::CreateService(self.create_service(input, context)?),
            Request::UpdateService(input) => Response::UpdateService(self.update_service(&input, context)?),
            Request::DescribeServices(input) => Response::DescribeServices(self.describe_services(&input, context)?),
            Request::ListServices(input) => Response::ListServices(self.list_services(&input, context.settings)?),
            Request::DeleteService(input) => Response::DeleteService(self.delete_service(&input, context)?),
            Request::RunTask(input) => Response::RunTask(self.run_task(input, context)?),
            Request::StopTask(input) => Response::StopTask(self.stop_task(&input, context)?),
            Request::ListTasks(input) => Response::ListTasks(self.list_tasks(&input, context)?),
            Request::DescribeTasks(input) => Response::DescribeTasks(self.describe_tasks(&input, context)?),
            Request::TagResource(input) => {
                self.tag(input)?;
                Response::TagResource(Empty {})
            }
            Request::UntagResource(input) => {
                self.untag(&input)?;
                Response::UntagResource(Empty {})
            }
            Request::ListTagsForResource(input) => Response::ListTagsForResource(self.list_tags(&input)?),
        })
    }
}

/// Returns the ARN of a resource.
fn arn(settings: &Settings, resource: &str) -> String {
    format!("arn:aws:ecs:{}:{}:{resource}", settings.region, settings.account)
}

/// Returns the name or id in an ARN, or the argument when it isn't an ARN.
fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

/// Returns the name or id of a resource of a cluster, given by itself or by an ARN in the long or the short form.
fn in_cluster<'a>(given: &'a str, kind: &str, cluster: &str) -> Result<&'a str, ApiError> {
    let resource = given.split_once(&format!(":{kind}/")).map_or(given, |(_, resource)| resource);
    match resource.rsplit_once('/') {
        Some((other, _)) if other != cluster => {
            Err(invalid(format!("Invalid identifier: Identifier is for {other}. Your cluster is {cluster}")))
        }
        Some((_, name)) => Ok(name),
        None => Ok(resource),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn invalid_token() -> ApiError {
    invalid("Invalid token")
}

/// Returns the requested page size, or the default one.
fn page_size(given: Option<usize>, default: usize) -> Result<usize, ApiError> {
    let size = given.unwrap_or(default);
    if (1..=100).contains(&size) { Ok(size) } else { Err(invalid("maxResults must be between 1 and 100")) }
}

/// Checks the name of a cluster, a service or a family.
fn check_name(kind: &str, name: &str) -> Result<(), ApiError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 255 && name.chars().all(is_allowed) {
        Ok(())
    } else {
        Err(invalid(format!("{kind} name '{name}' must be 1 to 255 letters, numbers, hyphens and underscores")))
    }
}
