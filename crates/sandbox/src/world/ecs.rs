//! Amazon ECS: clusters, task definitions, services with their scheduler, and tasks.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::settings::Settings;
use super::{Context, Due as WorldDue};
use crate::api::ecs::{self as api, Request, Response};
use crate::api::{ApiError, Empty};

mod addresses;
mod clusters;
mod definitions;
mod scheduler;
mod services;
mod tags;
mod task;
mod tasks;
#[cfg(test)]
mod tests;

pub use addresses::Addresses;
use clusters::Cluster;
pub use services::{Service, ServiceKey};
pub use task::{Status, Task};

/// Clusters and what belongs to them.
#[derive(Debug, Default)]
pub struct Ecs {
    clusters: BTreeMap<String, Cluster>,
    /// The revisions of each family, from 1.
    definitions: BTreeMap<String, Vec<api::TaskDefinition>>,
    services: BTreeMap<ServiceKey, Service>,
    tasks: BTreeMap<String, Task>,
    addresses: Addresses,
    /// Tags by ARN.
    tags: BTreeMap<String, BTreeMap<String, String>>,
    /// How many of the next tasks fail to start.
    failing: u32,
    /// How many tasks were started, which spreads them over the subnets.
    started: usize,
}

/// What happens by itself.
#[derive(Debug)]
pub enum Due {
    /// A task goes on to its next status.
    Task {
        /// Its id.
        id: String,
    },
    /// A stopped task is forgotten.
    TaskForgotten {
        /// Its id.
        id: String,
    },
    /// A service's scheduler looks at it.
    Schedule {
        /// The service.
        service: ServiceKey,
    },
    /// A deleted service is forgotten.
    ServiceForgotten {
        /// The service.
        service: ServiceKey,
        /// When it was created, which tells it from others of its name.
        created_at: Timestamp,
    },
}

impl Ecs {
    /// Every service that hasn't been forgotten.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        self.services.iter()
    }

    /// Every task that hasn't been forgotten.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// Who serves behind which address.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Has that many of the next tasks fail to start.
    pub fn fail_to_start(&mut self, tasks: u32) {
        self.failing = self.failing.saturating_add(tasks);
    }

    /// Does what is due.
    pub fn perform(&mut self, due: Due, context: &mut Context<'_>) {
        match due {
            Due::Task { id } => self.go_on(&id, context),
            Due::TaskForgotten { id } => {
                if let Some(task) = self.tasks.remove(&id) {
                    self.tags.remove(&task.shown().task_arn);
                }
            }
            Due::Schedule { service } => self.schedule(&service, context),
            Due::ServiceForgotten { service, created_at } => {
                // Its name may have been given to another since.
                if self.services.get(&service).is_some_and(|found| found.created_at == created_at) {
                    self.services.remove(&service);
                }
            }
        }
    }

    /// Answers a call.
    ///
    /// # Errors
    ///
    /// What AWS would refuse.
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

    /// Has a service's scheduler look at it soon.
    fn reschedule(&mut self, key: &ServiceKey, context: &mut Context<'_>) {
        let Some(service) = self.services.get_mut(key) else { return };
        if !service.is_inactive() && !service.is_scheduled {
            service.is_scheduled = true;
            let due = Due::Schedule { service: key.clone() };
            context.due_in(context.settings.services.scheduler, WorldDue::Ecs(due));
        }
    }
}

/// The ARN of something of this service.
fn arn(settings: &Settings, resource: &str) -> String {
    format!("arn:aws:ecs:{}:{}:{resource}", settings.region, settings.account)
}

/// The name or id that an ARN ends in, or that stands there by itself.
fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

/// The name or id in what a call names a thing of a cluster by: itself, or an ARN in the long or the short form.
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

fn bad_token() -> ApiError {
    invalid("Invalid token")
}

/// The size of a page of at most a hundred.
fn page_size(given: Option<usize>, otherwise: usize) -> Result<usize, ApiError> {
    let size = given.unwrap_or(otherwise);
    if (1..=100).contains(&size) { Ok(size) } else { Err(invalid("maxResults must be between 1 and 100")) }
}

/// Whether ECS takes it for the name of a cluster, a service or a family.
fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 255 && name.chars().all(is_good) {
        Ok(())
    } else {
        Err(invalid(format!("{what} name '{name}' must be 1 to 255 letters, numbers, hyphens and underscores")))
    }
}
