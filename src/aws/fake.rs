//! AWS in memory, for unit tests: answers immediately or with a delay, fails on demand, and records every call.
//!
//! Time is tokio's paused clock, so a test that waits for minutes takes none.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::usage::{FlowQuery, Usage};
use super::{
    AwsError, Calls, Deadline, ErrorKind, FailedEntry, LoadBalancerDescription, Message, Platform, Queue,
    QueueSettings, Receipt, Redrive, ScalableService, Scaling, ServiceDescription, TargetGroupDescription, Urgency,
};
use crate::clock::Clock;
use jvb_watcher_rules::model::{
    LoadBalancer, LoadBalancerAddresses, MinuteFlows, Observation, PinnedAddress, Service, Tags, Target, TargetGroup,
    TargetKey, TargetState, Task, TaskId,
};

/// A wall clock that advances with tokio's.
pub struct FakeClock {
    began: Instant,
    frozen_for: Mutex<Duration>,
}

impl FakeClock {
    /// Starts the clock at [`noon`].
    pub fn noon() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), frozen_for: Mutex::default() })
    }

    /// Advances the wall clock alone, as when the process was frozen.
    pub fn freeze(&self, time: Duration) {
        *self.frozen_for.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        noon() + self.began.elapsed() + *self.frozen_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time at which a [`FakeClock`] starts.
pub fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("an instant")
}

/// The state of AWS, and its faults.
pub struct World {
    /// The service, its tasks, its load balancer and its orphaned target groups.
    pub observed: Observation,
    /// The messages that can be received.
    pub messages: VecDeque<Message>,
    /// Notifies long polls of the messages of [`FakeAws::send`].
    arrival: Arc<tokio::sync::Notify>,
    /// The ids of the messages that were deleted.
    pub deleted: Vec<String>,
    /// The ids of the messages whose visibility timeout was changed, and to what.
    pub changed: Vec<(String, Duration)>,
    /// The operations called so far.
    pub calls: Vec<&'static str>,
    /// How soon each observation was wanted.
    pub urgencies: Vec<Urgency>,
    /// The tasks that ListTasks leaves out.
    pub unlisted: Vec<TaskId>,
    /// The number of throttled calls.
    throttled: u64,
    /// The errors of the next calls of an operation, in order; `None` for a call that succeeds.
    faults: BTreeMap<&'static str, VecDeque<Option<ErrorKind>>>,
    /// The tags of the service.
    pub service_tags: Tags,
    /// The answer to a DNS query for the load balancer.
    pub resolved: Vec<IpAddr>,
    /// The number of calls after which no call is answered, and the notification of the first such call.
    pub silent_after: Option<(usize, Arc<tokio::sync::Notify>)>,
    /// The latency of the calls of an operation.
    latency: BTreeMap<&'static str, Duration>,
    /// Hooks that run before an operation's n-th call from now.
    hooks: Vec<(&'static str, usize, Hook)>,
}

type Hook = Box<dyn FnOnce(&mut World) + Send>;

/// A handle to the world. Clones share it.
#[derive(Clone)]
pub struct FakeAws(Arc<Mutex<World>>);

impl FakeAws {
    /// Creates a world with this state.
    pub fn new(observed: Observation) -> Self {
        Self(Arc::new(Mutex::new(World {
            observed,
            messages: VecDeque::new(),
            arrival: Arc::default(),
            deleted: Vec::new(),
            changed: Vec::new(),
            calls: Vec::new(),
            urgencies: Vec::new(),
            unlisted: Vec::new(),
            throttled: 0,
            faults: BTreeMap::new(),
            service_tags: Tags::new(),
            resolved: Vec::new(),
            silent_after: None,
            latency: BTreeMap::new(),
            hooks: Vec::new(),
        })))
    }

    /// Locks the world, to read or change it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends messages, which end a long poll.
    pub fn send(&self, messages: impl IntoIterator<Item = Message>) {
        let mut world = self.world();
        world.messages.extend(messages);
        world.arrival.notify_one();
    }

    /// Makes the next calls of an operation fail with this error.
    pub fn fail(&self, operation: &'static str, kind: ErrorKind, times: usize) {
        self.world().faults.entry(operation).or_default().extend(std::iter::repeat_n(Some(kind), times));
    }

    /// Delays the calls of an operation.
    pub fn delay(&self, operation: &'static str, latency: Duration) {
        self.world().latency.insert(operation, latency);
    }

    /// Runs a hook before the n-th call, from 1, of an operation.
    pub fn before(&self, operation: &'static str, nth: usize, hook: impl FnOnce(&mut World) + Send + 'static) {
        self.world().hooks.push((operation, nth, Box::new(hook)));
    }

    /// Returns the number of calls of an operation.
    pub fn count(&self, operation: &str) -> usize {
        self.world().calls.iter().filter(|call| **call == operation).count()
    }

    /// Returns the calls of these operations, in order.
    pub fn calls_of(&self, operations: &[&str]) -> Vec<&'static str> {
        self.world().calls.iter().filter(|call| operations.contains(call)).copied().collect()
    }

    async fn write<T>(
        &self,
        operation: &'static str,
        deadline: &Deadline,
        answer: impl FnOnce(&mut World) -> Result<T, ErrorKind>,
    ) -> Result<T, AwsError> {
        if deadline.left().is_zero() {
            return Err(deadline.missed("fake", operation, "resource"));
        }
        self.call(operation, answer).await
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        answer: impl FnOnce(&mut World) -> Result<T, ErrorKind>,
    ) -> Result<T, AwsError> {
        let latency = self.world().latency.get(operation).copied();
        if let Some(latency) = latency {
            tokio::time::sleep(latency).await;
        }
        let silence = self.world().silence();
        if let Some(notification) = silence {
            notification.notify_one();
            std::future::pending::<()>().await;
        }
        let mut world = self.world();
        world.calls.push(operation);
        let mut due = Vec::new();
        world.hooks.retain_mut(|(of, nth, hook)| {
            if *of == operation {
                *nth -= 1;
                if *nth == 0 {
                    due.push(std::mem::replace(hook, Box::new(|_| ())));
                }
            }
            *nth > 0
        });
        due.into_iter().for_each(|hook| hook(&mut world));
        let fault = world.faults.get_mut(operation).and_then(VecDeque::pop_front).flatten();
        world.throttled += u64::from(fault == Some(ErrorKind::Throttled));
        fault.map_or_else(|| answer(&mut world), Err).map_err(|kind| AwsError {
            kind,
            service: "fake",
            operation,
            resource: "resource".into(),
            code: None,
            message: format!("{kind:?}"),
            request_id: None,
        })
    }
}

impl World {
    /// Returns the notification to send once no call is answered.
    fn silence(&self) -> Option<Arc<tokio::sync::Notify>> {
        let (calls, notification) = self.silent_after.as_ref()?;
        (self.calls.len() >= *calls).then(|| notification.clone())
    }

    fn group(&mut self, arn: &str) -> Result<&mut TargetGroup, ErrorKind> {
        let groups = self.observed.load_balancer.iter_mut().flat_map(|load_balancer| &mut load_balancer.target_groups);
        groups
            .chain(&mut self.observed.orphaned_target_groups)
            .find(|group| group.arn == arn)
            .ok_or(ErrorKind::NotFound)
    }

    fn tags(&mut self, arn: &str) -> Result<&mut Tags, ErrorKind> {
        if self.observed.load_balancer.as_ref().is_some_and(|load_balancer| load_balancer.arn == arn) {
            return self
                .observed
                .load_balancer
                .as_mut()
                .map(|load_balancer| &mut load_balancer.tags)
                .ok_or(ErrorKind::NotFound);
        }
        Ok(&mut self.group(arn)?.tags)
    }
}

fn described(group: &TargetGroup, load_balancer: Option<&LoadBalancer>) -> TargetGroupDescription {
    TargetGroupDescription {
        arn: group.arn.clone(),
        name: group.name.clone(),
        protocol: group.protocol,
        target_type: group.target_type.clone(),
        load_balancer_arns: load_balancer.iter().map(|load_balancer| load_balancer.arn.clone()).collect(),
    }
}

impl Platform for FakeAws {
    async fn ready(&self, urgency: Urgency) {
        self.world().urgencies.push(urgency);
    }

    async fn service(&self, _: &str, _: &str, with_tags: bool) -> Result<ServiceDescription, AwsError> {
        self.call("DescribeServices", |world| {
            let startup = &world.observed.startup;
            let (deployment, message) = (startup.deployment.clone(), startup.message.clone());
            let tags = if with_tags { world.service_tags.clone() } else { Tags::new() };
            Ok(ServiceDescription { service: world.observed.service, deployment, message, tags })
        })
        .await
    }

    async fn list_tasks(&self, _: &str, _: &str) -> Result<Vec<TaskId>, AwsError> {
        self.call("ListTasks", |world| {
            let ids = world.observed.tasks.iter().map(|task| task.id.clone());
            Ok(ids.filter(|id| !world.unlisted.contains(id)).collect())
        })
        .await
    }

    async fn describe_tasks(&self, _: &str, tasks: &[TaskId]) -> Result<Vec<Task>, AwsError> {
        let wanted = |task: &&Task| tasks.contains(&task.id);
        self.call("DescribeTasks", |world| Ok(world.observed.tasks.iter().filter(wanted).cloned().collect())).await
    }

    async fn pinned_addresses(&self, arn: &str) -> Result<Vec<PinnedAddress>, AwsError> {
        let is_of = |pinned: &&PinnedAddress| arn.ends_with(&format!("/{}", pinned.task_definition));
        self.call("DescribeTaskDefinition", |world| {
            Ok(world.observed.advertised.pinned.iter().filter(is_of).cloned().collect())
        })
        .await
    }

    async fn resolve(&self, _: &str) -> Vec<IpAddr> {
        self.call("resolve", |world| Ok(world.resolved.clone())).await.unwrap_or_default()
    }

    async fn load_balancer(&self, _: &str) -> Result<Option<LoadBalancerDescription>, AwsError> {
        let describe = |load_balancer: &LoadBalancer, addresses: LoadBalancerAddresses| LoadBalancerDescription {
            arn: load_balancer.arn.clone(),
            name: load_balancer.name.clone(),
            kind: load_balancer.kind.clone(),
            state: load_balancer.state,
            created_at: load_balancer.created_at,
            dns_name: Some(format!("{}.elb.example", load_balancer.name)),
            zones: 1,
            addresses,
        };
        self.call("DescribeLoadBalancers", |world| {
            let addresses = &world.observed.advertised.load_balancer;
            Ok(world.observed.load_balancer.as_ref().map(|found| describe(found, addresses.clone())))
        })
        .await
    }

    async fn target_groups(&self, load_balancer: Option<&str>) -> Result<Vec<TargetGroupDescription>, AwsError> {
        self.call("DescribeTargetGroups", |world| match (load_balancer, &world.observed.load_balancer) {
            (Some(_), None) => Err(ErrorKind::NotFound),
            (_, Some(load_balancer)) => {
                Ok(load_balancer.target_groups.iter().map(|group| described(group, Some(load_balancer))).collect())
            }
            (None, None) => {
                Ok(world.observed.orphaned_target_groups.iter().map(|group| described(group, None)).collect())
            }
        })
        .await
    }

    async fn tags(&self, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let tags = |world: &mut World| arns.iter().map(|arn| Ok((arn.clone(), world.tags(arn)?.clone()))).collect();
        self.call("DescribeTags", tags).await
    }

    async fn target_health(&self, arn: &str) -> Result<Vec<Target>, AwsError> {
        self.call("DescribeTargetHealth", |world| Ok(world.group(arn)?.targets.clone())).await
    }

    async fn healthy_targets(&self, arn: &str) -> Result<usize, AwsError> {
        self.call("DescribeTargetHealth", |world| Ok(world.group(arn)?.healthy_others)).await
    }

    async fn register(&self, arn: &str, targets: &[TargetKey], deadline: Option<&Deadline>) -> Result<(), AwsError> {
        let effect = |world: &mut World| {
            let group = world.group(arn)?;
            let target =
                |key: &TargetKey| Target { ip: key.ip, port: key.port, state: TargetState::Initial, reason: None };
            group.targets.extend(targets.iter().map(target));
            Ok(())
        };
        match deadline {
            Some(deadline) => self.write("RegisterTargets", deadline, effect).await,
            None => self.call("RegisterTargets", effect).await,
        }
    }

    async fn deregister(&self, arn: &str, targets: &[TargetKey], deadline: &Deadline) -> Result<(), AwsError> {
        self.write("DeregisterTargets", deadline, |world| {
            let gone = |target: &Target| targets.iter().any(|key| (key.ip, key.port) == (target.ip, target.port));
            world.group(arn)?.targets.retain(|target| !gone(target));
            Ok(())
        })
        .await
    }

    async fn add_tags(&self, arns: &[String], tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let tag = |world: &mut World, arn: &String| world.tags(arn).map(|of| of.extend(tags.clone()));
        self.write("AddTags", deadline, |world| arns.iter().try_for_each(|arn| tag(world, arn))).await
    }

    async fn remove_tags(&self, arns: &[String], keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let stays = |key: &String| !keys.contains(&key.as_str());
        let untag = |world: &mut World, arn: &String| world.tags(arn).map(|of| of.retain(|key, _| stays(key)));
        self.write("RemoveTags", deadline, |world| arns.iter().try_for_each(|arn| untag(world, arn))).await
    }

    async fn delete_load_balancer(&self, _: &str, deadline: &Deadline) -> Result<(), AwsError> {
        self.write("DeleteLoadBalancer", deadline, |world| {
            let groups = world.observed.load_balancer.take().map(|load_balancer| load_balancer.target_groups);
            world.observed.orphaned_target_groups = groups.unwrap_or_default();
            Ok(())
        })
        .await
    }

    async fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        self.write("DeleteTargetGroup", deadline, |world| {
            world.observed.orphaned_target_groups.retain(|group| group.arn != arn);
            Ok(())
        })
        .await
    }

    fn calls(&self) -> Calls {
        let world = self.world();
        Calls { sent: world.calls.len() as u64, throttled: world.throttled }
    }
}

impl Scaling for FakeAws {
    async fn scalable(&self, _: &str, _: &str) -> Result<Option<ScalableService>, AwsError> {
        self.call("DescribeServices", |world| {
            Ok(match world.observed.service {
                Service::Missing => None,
                Service::Found(counts) => {
                    let arn = "arn:aws:ecs:eu-west-1:111122223333:service/p-cluster/p-service".to_owned();
                    Some(ScalableService { arn, counts, tags: world.service_tags.clone() })
                }
            })
        })
        .await
    }

    async fn scale(&self, _: &str, _: &str, to: i32, deadline: &Deadline) -> Result<(), AwsError> {
        self.write("UpdateService", deadline, |world| match &mut world.observed.service {
            Service::Missing => Err(ErrorKind::NotFound),
            Service::Found(counts) => {
                counts.desired = to;
                Ok(())
            }
        })
        .await
    }

    async fn tag_service(&self, _: &str, tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        self.write("TagResource", deadline, |world| {
            world.service_tags.extend(tags.clone());
            Ok(())
        })
        .await
    }

    async fn untag_service(&self, _: &str, keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        self.write("UntagResource", deadline, |world| {
            world.service_tags.retain(|key, _| !keys.contains(&key.as_str()));
            Ok(())
        })
        .await
    }
}

impl Usage for FakeAws {
    async fn flows(&self, query: &FlowQuery) -> Result<BTreeMap<Timestamp, MinuteFlows>, AwsError> {
        self.call("GetMetricData", |world| {
            let known = world.observed.flows.iter().flat_map(|flows| &flows.minutes);
            Ok(known
                .filter(|(start, _)| (query.from..query.until).contains(start))
                .map(|(at, of)| (*at, *of))
                .collect())
        })
        .await
    }
}

impl Queue for FakeAws {
    async fn settings(&self) -> Result<QueueSettings, AwsError> {
        let settings = QueueSettings { visibility_timeout: Duration::from_secs(30), redrive: Redrive::None };
        self.call("GetQueueAttributes", |_| Ok(settings)).await
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>, AwsError> {
        let receive = |world: &mut World| {
            let count = world.messages.len().min(10);
            world.messages.drain(..count).collect::<Vec<_>>()
        };
        let received = self.call("ReceiveMessage", |world| Ok(receive(world))).await?;
        if !received.is_empty() {
            return Ok(received);
        }
        let arrival = self.world().arrival.clone();
        Ok(match tokio::time::timeout(wait, arrival.notified()).await {
            Ok(()) => receive(&mut self.world()),
            Err(_) => Vec::new(),
        })
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<FailedEntry>, AwsError> {
        self.call("DeleteMessageBatch", |world| {
            world.deleted.extend(receipts.iter().map(|receipt| receipt.message_id.clone()));
            Ok(Vec::new())
        })
        .await
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility_timeout: Duration,
    ) -> Result<Vec<FailedEntry>, AwsError> {
        let operation = if visibility_timeout.is_zero() { "ResetVisibility" } else { "ExtendVisibility" };
        self.call(operation, |world| {
            let ids = receipts.iter().map(|receipt| receipt.message_id.clone());
            world.changed.extend(ids.map(|id| (id, visibility_timeout)));
            Ok(Vec::new())
        })
        .await
    }

    /// Returns zero: the platform's counts include the queue's calls.
    fn calls(&self) -> Calls {
        Calls::default()
    }
}
