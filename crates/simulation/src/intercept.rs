//! A wrapper around a platform and a queue that can change what passes through it. It injects deliberate bugs, and the
//! events of examples, without a line in the product.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jvb_watcher::aws::usage::{FlowQuery, Usage};
use jvb_watcher::aws::{
    AwsError, Calls, Deadline, FailedEntry, LoadBalancerDescription, Message, Platform, Queue, QueueSettings, Receipt,
    ScalableService, Scaling, ServiceDescription, TargetGroupDescription,
};
use jvb_watcher_rules::model::{MinuteFlows, OPERATION_TAG, PinnedAddress, Tags, Target, TargetKey, Task, TaskId};

/// The messages that a call of DeleteMessageBatch accepts.
const ENTRIES_PER_CALL: usize = 10;

/// A platform and a queue with an interceptor.
pub struct Intercepted<C, I> {
    inner: C,
    interceptor: Arc<I>,
}

impl<C: Clone, I> Clone for Intercepted<C, I> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), interceptor: self.interceptor.clone() }
    }
}

/// The changes that an [`Intercepted`] platform and queue make; by default none.
pub trait Interceptor: Send + Sync {
    /// Runs before each call of the platform.
    fn before(&self, operation: Operation) -> impl Future<Output = ()> + Send {
        let _ = operation;
        std::future::ready(())
    }

    /// Observes the error of a platform call.
    fn failed(&self, error: &AwsError) {
        let _ = error;
    }

    /// Returns whether a write that failed is reported as a success.
    fn hides_failed_writes(&self) -> bool {
        false
    }

    /// Returns whether the leases of `up` and `down` are hidden.
    fn hides_leases(&self) -> bool {
        false
    }

    /// Returns the deadline that a write obeys.
    fn deadline(&self, deadline: &Deadline) -> Deadline {
        deadline.clone()
    }

    /// Returns the messages to delete at once among received ones.
    fn delete_at_once(&self, messages: &[Message]) -> Vec<Receipt> {
        let _ = messages;
        Vec::new()
    }

    /// Returns the messages that are deleted when the worker deletes these.
    fn deleted_with(&self, receipts: &[Receipt]) -> Vec<Receipt> {
        receipts.to_vec()
    }

    /// Returns the target groups of the region without a call, instead of reading them.
    fn listed_groups(&self) -> Option<Vec<TargetGroupDescription>> {
        None
    }

    /// Observes the target groups of the region that were read.
    fn read_groups(&self, groups: &[TargetGroupDescription]) {
        let _ = groups;
    }
}

/// An operation of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A read of the service.
    DescribeService,
    /// The list of the tasks, with which an observation begins.
    ListTasks,
    /// Any other read.
    Read,
    /// A write.
    Write,
}

impl<C, I: Interceptor> Intercepted<C, I> {
    /// Wraps a platform and queue.
    pub fn new(inner: C, interceptor: I) -> Self {
        Self { inner, interceptor: Arc::new(interceptor) }
    }

    async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        self.interceptor.before(operation).await;
        call.await.inspect_err(|error| self.interceptor.failed(error))
    }

    fn hide_lease(&self, tags: &mut Tags) {
        if self.interceptor.hides_leases() {
            tags.retain(|key, value| key != OPERATION_TAG || value.starts_with("stop "));
        }
    }

    async fn write(&self, call: impl Future<Output = Result<(), AwsError>>) -> Result<(), AwsError> {
        match self.call(Operation::Write, call).await {
            Err(_) if self.interceptor.hides_failed_writes() => Ok(()),
            result => result,
        }
    }
}

impl<C: Platform, I: Interceptor> Platform for Intercepted<C, I> {
    async fn service(&self, cluster: &str, service: &str, with_tags: bool) -> Result<ServiceDescription, AwsError> {
        let described = self.inner.service(cluster, service, with_tags);
        let mut found = self.call(Operation::DescribeService, described).await?;
        self.hide_lease(&mut found.tags);
        Ok(found)
    }

    async fn pinned_addresses(&self, task_definition_arn: &str) -> Result<Vec<PinnedAddress>, AwsError> {
        self.call(Operation::Read, self.inner.pinned_addresses(task_definition_arn)).await
    }

    async fn resolve(&self, dns_name: &str) -> Vec<IpAddr> {
        self.inner.resolve(dns_name).await
    }

    async fn list_tasks(&self, cluster: &str, service: &str) -> Result<Vec<TaskId>, AwsError> {
        self.call(Operation::ListTasks, self.inner.list_tasks(cluster, service)).await
    }

    async fn describe_tasks(&self, cluster: &str, tasks: &[TaskId]) -> Result<Vec<Task>, AwsError> {
        self.call(Operation::Read, self.inner.describe_tasks(cluster, tasks)).await
    }

    async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancerDescription>, AwsError> {
        self.call(Operation::Read, self.inner.load_balancer(name)).await
    }

    async fn target_groups(&self, load_balancer_arn: Option<&str>) -> Result<Vec<TargetGroupDescription>, AwsError> {
        if load_balancer_arn.is_some() {
            return self.call(Operation::Read, self.inner.target_groups(load_balancer_arn)).await;
        }
        if let Some(groups) = self.interceptor.listed_groups() {
            return Ok(groups);
        }
        let groups = self.call(Operation::Read, self.inner.target_groups(None)).await?;
        self.interceptor.read_groups(&groups);
        Ok(groups)
    }

    async fn tags(&self, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        self.call(Operation::Read, self.inner.tags(arns)).await
    }

    async fn target_health(&self, target_group_arn: &str) -> Result<Vec<Target>, AwsError> {
        self.call(Operation::Read, self.inner.target_health(target_group_arn)).await
    }

    async fn healthy_targets(&self, target_group_arn: &str) -> Result<usize, AwsError> {
        self.call(Operation::Read, self.inner.healthy_targets(target_group_arn)).await
    }

    async fn register(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: Option<&Deadline>,
    ) -> Result<(), AwsError> {
        let deadline = deadline.map(|deadline| self.interceptor.deadline(deadline));
        self.write(self.inner.register(target_group_arn, targets, deadline.as_ref())).await
    }

    async fn deregister(
        &self,
        target_group_arn: &str,
        targets: &[TargetKey],
        deadline: &Deadline,
    ) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.deregister(target_group_arn, targets, &deadline)).await
    }

    async fn add_tags(&self, arns: &[String], tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.add_tags(arns, tags, &deadline)).await
    }

    async fn remove_tags(&self, arns: &[String], keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.remove_tags(arns, keys, &deadline)).await
    }

    async fn delete_load_balancer(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.delete_load_balancer(arn, &deadline)).await
    }

    async fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.delete_target_group(arn, &deadline)).await
    }

    fn calls(&self) -> Calls {
        Platform::calls(&self.inner)
    }
}

impl<C: Scaling, I: Interceptor> Scaling for Intercepted<C, I> {
    async fn scalable(&self, cluster: &str, service: &str) -> Result<Option<ScalableService>, AwsError> {
        let mut found = self.call(Operation::Read, self.inner.scalable(cluster, service)).await?;
        if let Some(found) = &mut found {
            self.hide_lease(&mut found.tags);
        }
        Ok(found)
    }

    async fn scale(&self, cluster: &str, service: &str, desired: i32, deadline: &Deadline) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.scale(cluster, service, desired, &deadline)).await
    }

    async fn tag_service(&self, arn: &str, tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.tag_service(arn, tags, &deadline)).await
    }

    async fn untag_service(&self, arn: &str, keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let deadline = self.interceptor.deadline(deadline);
        self.write(self.inner.untag_service(arn, keys, &deadline)).await
    }
}

impl<C: Usage, I: Interceptor> Usage for Intercepted<C, I> {
    async fn flows(&self, query: &FlowQuery) -> Result<BTreeMap<Timestamp, MinuteFlows>, AwsError> {
        self.call(Operation::Read, self.inner.flows(query)).await
    }
}

impl<C: Queue, I: Interceptor> Queue for Intercepted<C, I> {
    async fn settings(&self) -> Result<QueueSettings, AwsError> {
        self.inner.settings().await
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>, AwsError> {
        let messages = self.inner.receive(wait).await?;
        let at_once = self.interceptor.delete_at_once(&messages);
        if !at_once.is_empty() {
            self.inner.delete(&at_once).await?;
        }
        Ok(messages)
    }

    async fn delete(&self, messages: &[Receipt]) -> Result<Vec<FailedEntry>, AwsError> {
        let mut failed = Vec::new();
        for batch in self.interceptor.deleted_with(messages).chunks(ENTRIES_PER_CALL) {
            failed.extend(self.inner.delete(batch).await?);
        }
        Ok(failed)
    }

    async fn change_visibility(
        &self,
        messages: &[Receipt],
        visibility_timeout: Duration,
    ) -> Result<Vec<FailedEntry>, AwsError> {
        self.inner.change_visibility(messages, visibility_timeout).await
    }

    fn calls(&self) -> Calls {
        Queue::calls(&self.inner)
    }
}
