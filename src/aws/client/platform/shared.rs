//! The reads of a process that watches several services: coalesced, and within a budget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::operation::describe_load_balancers::builders::DescribeLoadBalancersFluentBuilder;
use futures_util::future::join_all;

use super::{
    RESOURCES_PER_TAG_CALL, SERVICES_PER_DESCRIBE, TASKS_PER_DESCRIBE, convert, tags_of_batch, tasks_of_batch,
};
use crate::aws::client::budget::Budget;
use crate::aws::client::call::{Call, none_if_not_found};
use crate::aws::client::coalesce::{Answers, Coalescer};
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, ErrorKind, LoadBalancerDescription, ServiceDescription};
use jvb_watcher_rules::model::{Tags, Task, TaskId};

/// The time for which a read waits for others: less than a tenth of what a call takes.
const WINDOW: Duration = Duration::from_millis(3);

/// The most load balancers on a page of the list of all.
const LOAD_BALANCERS_PER_PAGE: i32 = 400;

/// The most names in one call of DescribeLoadBalancers (see the Elastic Load Balancing API reference).
const NAMES_PER_CALL: usize = 20;

/// The reads that services share.
pub(super) struct Shared {
    pub(super) budget: Budget,
    /// By cluster, and whether with tags.
    pub(super) services: Coalescer<(String, bool), String, ServiceDescription>,
    /// By cluster.
    pub(super) tasks: Coalescer<String, TaskId, Task>,
    pub(super) load_balancers: Coalescer<(), String, LoadBalancerDescription>,
    pub(super) tags: Coalescer<(), String, Tags>,
}

impl Shared {
    /// Creates the coalescers of these clients.
    pub(super) fn new(ecs: &aws_sdk_ecs::Client, elb: &aws_sdk_elasticloadbalancingv2::Client, budget: Budget) -> Self {
        let (of_services, of_tasks) = (ecs.clone(), ecs.clone());
        let (of_load_balancers, of_tags) = (LoadBalancers::new(elb.clone()), elb.clone());
        Self {
            budget,
            services: Coalescer::new(
                ApiOperation::DescribeServices,
                WINDOW,
                SERVICES_PER_DESCRIBE,
                move |(cluster, with_tags), names| services(of_services.clone(), cluster, with_tags, names),
            ),
            tasks: Coalescer::new(
                ApiOperation::DescribeTasks,
                WINDOW,
                TASKS_PER_DESCRIBE,
                move |cluster: String, ids: Vec<TaskId>| {
                    let ecs = of_tasks.clone();
                    async move {
                        let tasks = tasks_of_batch(&ecs, &cluster, &ids).await?;
                        Ok(tasks.into_iter().map(|task| (task.id.clone(), Ok(task))).collect())
                    }
                },
            ),
            load_balancers: Coalescer::new(
                ApiOperation::DescribeLoadBalancers,
                WINDOW,
                usize::MAX,
                move |(), names| of_load_balancers.clone().read(names),
            ),
            tags: Coalescer::new(
                ApiOperation::DescribeTags,
                WINDOW,
                RESOURCES_PER_TAG_CALL,
                move |(), arns: Vec<String>| {
                    let elb = of_tags.clone();
                    async move {
                        let tags = tags_of_batch(&elb, &arns, subject(&arns)).await?;
                        Ok(tags.into_iter().map(|(arn, tags)| (arn, Ok(tags))).collect())
                    }
                },
            ),
        }
    }
}

impl Shared {
    /// Reads the tags of resources that exist.
    pub(super) async fn tags(&self, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let answers = join_all(arns.iter().map(|arn| self.tags.get((), arn.clone()))).await;
        let mut tags = BTreeMap::new();
        for (arn, answer) in arns.iter().zip(answers) {
            let found = answer.or_else(|error| none_if_not_found(error).map(Option::flatten))?;
            tags.extend(found.map(|found| (arn.clone(), found)));
        }
        Ok(tags)
    }
}

async fn services(
    ecs: aws_sdk_ecs::Client,
    cluster: String,
    with_tags: bool,
    names: Vec<String>,
) -> Result<Answers<String, ServiceDescription>, AwsError> {
    let call = Call::new(ApiOperation::DescribeServices, &cluster);
    let include = with_tags.then(|| vec![ecs::ServiceField::Tags]);
    let request = ecs.describe_services().cluster(&cluster).set_services(Some(names.clone())).set_include(include);
    let output = request.send().await.map_err(|error| call.failed(error))?;
    let answer = |name: &String| {
        let is_it = |found: &&ecs::Service| {
            found.service_name() == Some(name.as_str()) || found.service_arn() == Some(name.as_str())
        };
        match output.services().iter().find(is_it) {
            Some(found) if convert::is_deleted(found) => None,
            Some(found) => Some(Ok(convert::service(found))),
            None => {
                // A failure names the service by an ARN that ends with its name.
                let name = name.rsplit('/').next().unwrap_or(name);
                let is_it = |arn: &str| arn.rsplit('/').next() == Some(name);
                let failure = output.failures().iter().find(|failure| failure.arn().is_some_and(is_it));
                match failure.map(|failure| failure.reason().unwrap_or("unknown")) {
                    Some("MISSING") => None,
                    Some(reason) => Some(Err(call.incomplete(&format!("service {name}, for reason {reason}")))),
                    None => Some(Err(call.incomplete(&format!("service {name}")))),
                }
            }
        }
    };
    Ok(names.iter().filter_map(|name| Some((name.clone(), answer(name)?))).collect())
}

/// Returns what a call for several resources is about: the one, or `*`, since an error would name one that it isn't about.
fn subject(resources: &[String]) -> &str {
    match resources {
        [resource] => resource,
        _ => "*",
    }
}

/// The reads of load balancers.
#[derive(Clone)]
struct LoadBalancers {
    elb: aws_sdk_elasticloadbalancingv2::Client,
    /// The names that had a load balancer when they were last read.
    existing: Arc<Mutex<BTreeSet<String>>>,
}

impl LoadBalancers {
    fn new(elb: aws_sdk_elasticloadbalancingv2::Client) -> Self {
        Self { elb, existing: Arc::default() }
    }

    /// Reads the load balancers of some names. A name that has none fails a call by names, so only names that had one are
    /// asked for together; others are looked up in the list of all.
    async fn read(self, names: Vec<String>) -> Result<Answers<String, LoadBalancerDescription>, AwsError> {
        let by_names = self.elb.describe_load_balancers().set_names(Some(names.clone()));
        let all = || self.elb.describe_load_balancers().page_size(LOAD_BALANCERS_PER_PAGE);
        let found = if names.len() == 1 {
            find(by_names, &names).await
        } else if names.len() <= NAMES_PER_CALL && self.exist(&names) {
            match find(by_names, &names).await {
                Err(error) if error.is(ErrorKind::NotFound) => find(all(), &names).await,
                found => found,
            }
        } else {
            find(all(), &names).await
        };
        if let Ok(found) = &found {
            let mut existing = self.existing.lock().unwrap_or_else(PoisonError::into_inner);
            existing.retain(|name| !names.contains(name));
            existing.extend(found.keys().cloned());
        }
        found
    }

    fn exist(&self, names: &[String]) -> bool {
        let existing = self.existing.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().all(|name| existing.contains(name))
    }
}

/// Makes a request, page by page, and returns the load balancers of some names.
async fn find(
    request: DescribeLoadBalancersFluentBuilder,
    names: &[String],
) -> Result<Answers<String, LoadBalancerDescription>, AwsError> {
    let call = Call::new(ApiOperation::DescribeLoadBalancers, subject(names));
    let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut found = Answers::new();
    let mut pages = request.into_paginator().items().send();
    while let Some(load_balancer) = pages.next().await {
        let load_balancer = load_balancer.map_err(|error| call.failed(error))?;
        if let Some(&name) = load_balancer.load_balancer_name().and_then(|name| wanted.get(name)) {
            found.insert(name.to_owned(), convert::load_balancer(&load_balancer, name, call));
        }
    }
    Ok(found)
}
