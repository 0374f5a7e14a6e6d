//! An AWS in memory for the unit tests: it answers at once or late, fails when told to, and notes every call.
//!
//! Time is tokio's, paused; so the tests that wait for minutes take none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    AwsError, Calls, Deadline, ErrorKind, FailedEntry, LoadBalancerDescription, Message, Platform, Queue,
    QueueSettings, Receipt, Redrive, ScalableService, Scaling, TargetGroupDescription,
};
use crate::clock::Clock;
use crate::telemetry::log::{Format, Identity, Level, Log, LogConfig, Output};
use jvb_watcher_rules::model::{
    LoadBalancer, Observation, Service, Tags, Target, TargetGroup, TargetKey, TargetState, Task, TaskId,
};

/// A clock that runs with tokio's.
pub struct FakeClock {
    began: Instant,
    frozen_for: Mutex<Duration>,
}

impl FakeClock {
    /// It is noon of some day.
    pub fn noon() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), frozen_for: Mutex::default() })
    }

    /// The time of day has gone on for so long while the monotonic clock, and with it the process, stood still.
    pub fn freeze(&self, time: Duration) {
        *self.frozen_for.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        noon() + self.began.elapsed() + *self.frozen_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a [`FakeClock`] begins.
pub fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("an instant")
}

/// What a log has written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// A log that writes here.
    pub fn log(&self, clock: Arc<dyn Clock>) -> Log {
        let identity = Identity { project: "p".into(), cluster: "p-cluster".into(), service: "p-service".into() };
        let output = Output::direct(Box::new(self.clone()));
        Log::new(LogConfig { identity, format: Format::Json, level: Level::Debug, clock, output })
    }

    /// The lines of an event.
    pub fn of(&self, event: &str) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).expect("JSON"));
        lines.filter(|line| line["event"] == event).collect()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What AWS holds, and how it misbehaves.
pub struct World {
    /// The service, its tasks, its balancer, its orphans.
    pub seen: Observation,
    /// The messages that can be received.
    pub messages: VecDeque<Message>,
    /// Every call so far, by its operation.
    pub calls: Vec<&'static str>,
    /// How many of them were throttled.
    throttled: u64,
    /// The errors that the next calls of an operation meet, in turn; `None` lets one through.
    faults: BTreeMap<&'static str, VecDeque<Option<ErrorKind>>>,
    /// The tags of the service.
    pub service_tags: Tags,
    /// After how many calls in all none is answered any more, and who is told.
    pub silent_after: Option<(usize, Arc<tokio::sync::Notify>)>,
    /// How long the calls of an operation take.
    latency: BTreeMap<&'static str, Duration>,
    /// What happens just before an operation's n-th call from now.
    hooks: Vec<(&'static str, usize, Hook)>,
}

type Hook = Box<dyn FnOnce(&mut World) + Send>;

/// A handle on the world; clones share it.
#[derive(Clone)]
pub struct FakeAws(Arc<Mutex<World>>);

impl FakeAws {
    /// A world in which this can be observed.
    pub fn new(seen: Observation) -> Self {
        Self(Arc::new(Mutex::new(World {
            seen,
            messages: VecDeque::new(),
            calls: Vec::new(),
            throttled: 0,
            faults: BTreeMap::new(),
            service_tags: Tags::new(),
            silent_after: None,
            latency: BTreeMap::new(),
            hooks: Vec::new(),
        })))
    }

    /// The world, to look at or to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next calls of an operation fail.
    pub fn fail(&self, operation: &'static str, kind: ErrorKind, times: usize) {
        self.world().faults.entry(operation).or_default().extend(std::iter::repeat_n(Some(kind), times));
    }

    /// Makes the calls of an operation take so long.
    pub fn delay(&self, operation: &'static str, latency: Duration) {
        self.world().latency.insert(operation, latency);
    }

    /// Lets something happen just before the n-th call, from 1, of an operation.
    pub fn before(&self, operation: &'static str, nth: usize, hook: impl FnOnce(&mut World) + Send + 'static) {
        self.world().hooks.push((operation, nth, Box::new(hook)));
    }

    /// How often an operation was called.
    pub fn count(&self, operation: &str) -> usize {
        self.world().calls.iter().filter(|call| **call == operation).count()
    }

    /// The calls of these operations, in their order.
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
        if let Some(told) = silence {
            told.notify_one();
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
    /// Who is told that nothing is answered any more, once that is so.
    fn silence(&self) -> Option<Arc<tokio::sync::Notify>> {
        let (calls, told) = self.silent_after.as_ref()?;
        (self.calls.len() >= *calls).then(|| told.clone())
    }

    fn group(&mut self, arn: &str) -> Result<&mut TargetGroup, ErrorKind> {
        let groups = self.seen.load_balancer.iter_mut().flat_map(|balancer| &mut balancer.target_groups);
        groups.chain(&mut self.seen.orphaned_target_groups).find(|group| group.arn == arn).ok_or(ErrorKind::NotFound)
    }

    fn tags(&mut self, arn: &str) -> Result<&mut Tags, ErrorKind> {
        if self.seen.load_balancer.as_ref().is_some_and(|balancer| balancer.arn == arn) {
            return self.seen.load_balancer.as_mut().map(|balancer| &mut balancer.tags).ok_or(ErrorKind::NotFound);
        }
        Ok(&mut self.group(arn)?.tags)
    }
}

fn described(group: &TargetGroup, balancer: Option<&LoadBalancer>) -> TargetGroupDescription {
    TargetGroupDescription {
        arn: group.arn.clone(),
        name: group.name.clone(),
        target_type: group.target_type.clone(),
        load_balancer_arns: balancer.iter().map(|balancer| balancer.arn.clone()).collect(),
    }
}

impl Platform for FakeAws {
    async fn service(&self, _: &str, _: &str) -> Result<Service, AwsError> {
        self.call("DescribeServices", |world| Ok(world.seen.service)).await
    }

    async fn list_tasks(&self, _: &str, _: &str) -> Result<Vec<TaskId>, AwsError> {
        self.call("ListTasks", |world| Ok(world.seen.tasks.iter().map(|task| task.id.clone()).collect())).await
    }

    async fn describe_tasks(&self, _: &str, tasks: &[TaskId]) -> Result<Vec<Task>, AwsError> {
        let wanted = |task: &&Task| tasks.contains(&task.id);
        self.call("DescribeTasks", |world| Ok(world.seen.tasks.iter().filter(wanted).cloned().collect())).await
    }

    async fn load_balancer(&self, _: &str) -> Result<Option<LoadBalancerDescription>, AwsError> {
        let describe = |balancer: &LoadBalancer| LoadBalancerDescription {
            arn: balancer.arn.clone(),
            name: balancer.name.clone(),
            kind: balancer.kind.clone(),
            state: balancer.state,
            created_at: balancer.created_at,
            dns_name: Some(format!("{}.elb.example", balancer.name)),
        };
        self.call("DescribeLoadBalancers", |world| Ok(world.seen.load_balancer.as_ref().map(describe))).await
    }

    async fn target_groups(&self, balancer: Option<&str>) -> Result<Vec<TargetGroupDescription>, AwsError> {
        self.call("DescribeTargetGroups", |world| match (balancer, &world.seen.load_balancer) {
            (Some(_), None) => Err(ErrorKind::NotFound),
            (_, Some(balancer)) => {
                Ok(balancer.target_groups.iter().map(|group| described(group, Some(balancer))).collect())
            }
            (None, None) => Ok(world.seen.orphaned_target_groups.iter().map(|group| described(group, None)).collect()),
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

    async fn register(&self, arn: &str, targets: &[TargetKey]) -> Result<(), AwsError> {
        self.call("RegisterTargets", |world| {
            let group = world.group(arn)?;
            let target =
                |key: &TargetKey| Target { ip: key.ip, port: key.port, state: TargetState::Initial, reason: None };
            group.targets.extend(targets.iter().map(target));
            Ok(())
        })
        .await
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
            let groups = world.seen.load_balancer.take().map(|balancer| balancer.target_groups);
            world.seen.orphaned_target_groups = groups.unwrap_or_default();
            Ok(())
        })
        .await
    }

    async fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        self.write("DeleteTargetGroup", deadline, |world| {
            world.seen.orphaned_target_groups.retain(|group| group.arn != arn);
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
            Ok(match world.seen.service {
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
        self.write("UpdateService", deadline, |world| match &mut world.seen.service {
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

    async fn untag_service(&self, _: &str, keys: &[&str]) -> Result<(), AwsError> {
        self.call("UntagResource", |world| {
            world.service_tags.retain(|key, _| !keys.contains(&key.as_str()));
            Ok(())
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
        let received = self.call("ReceiveMessage", |world| {
            let count = world.messages.len().min(10);
            Ok(world.messages.drain(..count).collect::<Vec<_>>())
        });
        let received = received.await?;
        if received.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(received)
    }

    async fn delete(&self, _: &[Receipt]) -> Result<Vec<FailedEntry>, AwsError> {
        self.call("DeleteMessageBatch", |_| Ok(Vec::new())).await
    }

    async fn change_visibility(
        &self,
        _: &[Receipt],
        visibility_timeout: Duration,
    ) -> Result<Vec<FailedEntry>, AwsError> {
        let operation = if visibility_timeout.is_zero() { "Show" } else { "Hide" };
        self.call(operation, |_| Ok(Vec::new())).await
    }

    /// The platform's count has them already.
    fn calls(&self) -> Calls {
        Calls::default()
    }
}
