//! The way of one process to AWS: the port's calls, each sent over a network that may be slow, lose it, or lose its answer.
//!
//! A call that was sent takes effect whatever becomes of the process that sent it, as it does in life: so each travels in
//! a task of its own, and a process that is killed or frozen only never learns the answer, or learns it late.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::stage::{Actor, Stage, When};
use jvb_watcher::aws::client::error_kind;
use jvb_watcher::aws::{
    AwsError, Calls, Deadline, ErrorKind, FailedEntry, LoadBalancerDescription, Message, Platform, Queue,
    QueueSettings, Receipt, Redrive, ScalableService, Scaling, TargetGroupDescription,
};
use jvb_watcher::clock::AwsClock;
use jvb_watcher_rules::model::{
    AddressFamily, Counts, DesiredStatus, LastStatus, LoadBalancerKind, LoadBalancerState, Service, Tags, Target,
    TargetKey, TargetState, TargetType, Task, TaskId,
};
use jvb_watcher_sandbox::api::{self, Request, Response, Tag, ecs, elb, sqs};
use jvb_watcher_sandbox::faults::{Moment, Outcome};

/// How long a call travels one way when nothing is wrong.
const WAY: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(60));

/// How long the process itself takes to get a write onto its way: signing it, finding a connection.
const PREPARATION: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));

/// As the SDK is set up: a try, and how often it tries.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;

/// One process's connections.
#[derive(Clone)]
pub struct Cloud {
    stage: Arc<Stage>,
    actor: Actor,
    clock: Arc<AwsClock>,
    queue_url: String,
    calls: Arc<AtomicU64>,
}

/// Why there is no proper answer.
struct Trouble {
    code: Option<Box<str>>,
    status: Option<u16>,
    message: String,
}

/// What comes back.
type Answer = Result<Box<Response>, Trouble>;

/// How often a call may be tried.
#[derive(Clone, Copy)]
enum Tries {
    Several,
    One,
}

impl Cloud {
    /// The connections of a process, which learns AWS's time by them.
    pub fn new(stage: Arc<Stage>, actor: Actor, clock: Arc<AwsClock>, queue_url: String) -> Self {
        Self { stage, actor, clock, queue_url, calls: Arc::default() }
    }

    async fn call(&self, resource: &str, request: Request) -> Result<Response, AwsError> {
        self.call_with(resource, request, ATTEMPT_TIMEOUT, Tries::Several, None).await
    }

    /// A call that must not be sent later.
    async fn write(&self, resource: &str, request: Request, tries: Tries, deadline: &Deadline) -> Result<(), AwsError> {
        let limit = deadline.left().min(ATTEMPT_TIMEOUT);
        if limit.is_zero() {
            self.note_outdated_write(request.operation());
            return Err(deadline.missed(request.service().prefix(), request.operation(), resource));
        }
        self.call_with(resource, request, limit, tries, Some(deadline)).await.map(drop)
    }

    fn note_outdated_write(&self, operation: &'static str) {
        self.stage.with(|inner, _| {
            inner.tally.moment("a write was not sent, the look behind it being too old");
            inner.checker.gave_up(self.actor, operation);
        });
    }

    async fn call_with(
        &self,
        resource: &str,
        request: Request,
        limit: Duration,
        tries: Tries,
        deadline: Option<&Deadline>,
    ) -> Result<Response, AwsError> {
        let (service, operation) = (request.service().prefix(), request.operation());
        let request = Arc::new(request);
        let mut wait = Duration::from_millis(500);
        let mut attempt = 1;
        loop {
            let attempted = tokio::time::timeout(limit, self.attempt(&request, deadline)).await;
            let trouble = match attempted {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(trouble)) => trouble,
                Err(_) => {
                    self.stage.with(|inner, _| {
                        inner.tally.moment("an answer was waited for no longer");
                        inner.checker.gave_up(self.actor, operation);
                    });
                    Trouble { code: None, status: None, message: "timed out".to_owned() }
                }
            };
            let kind = error_kind(trouble.code.as_deref(), trouble.status);
            let passing = matches!(kind, ErrorKind::Throttled | ErrorKind::Unavailable);
            let last = matches!(tries, Tries::One) || attempt == ATTEMPTS;
            if !passing || last {
                let Trouble { code, message, .. } = trouble;
                let resource = resource.to_owned();
                return Err(AwsError { kind, service, operation, resource, code, message, request_id: None });
            }
            tokio::time::sleep(self.stage.between(Duration::ZERO, wait)).await;
            (attempt, wait) = (attempt + 1, wait * 2);
        }
    }

    async fn attempt(&self, request: &Arc<Request>, deadline: Option<&Deadline>) -> Result<Response, Trouble> {
        let operation = request.operation();
        self.stage.trap(self.actor, operation, When::Before).await;
        if let Some(deadline) = deadline {
            tokio::time::sleep(self.stage.between(PREPARATION.0, PREPARATION.1)).await;
            if deadline.left().is_zero() {
                self.note_outdated_write(operation);
                return Err(Trouble { code: None, status: None, message: "not sent: too late".to_owned() });
            }
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let sent_at = self.clock.machine_now();
        // Boxed, since tokio moves what it spawns several times.
        let travel = tokio::spawn(Box::pin(travel(self.stage.clone(), self.actor, request.clone())));
        let (answer, answered_at) = travel.await.map_err(|error| no_answer(&error.to_string()))?;
        self.stage.trap(self.actor, operation, When::After).await;
        if answer.is_ok() {
            // The Date header has whole seconds.
            let date = Timestamp::from_second(answered_at.as_second()).unwrap_or_default();
            self.clock.adjust(date, sent_at, self.clock.machine_now());
        }
        let code = answer.as_ref().map(drop).map_err(|trouble| trouble.code.as_deref());
        self.stage.with(|inner, _| inner.checker.heard(self.actor, request, code, answered_at));
        answer.map(|response| *response)
    }

    async fn ecs(&self, resource: &str, request: ecs::Request) -> Result<ecs::Response, AwsError> {
        match self.call(resource, Request::Ecs(request)).await? {
            Response::Ecs(response) => Ok(response),
            other => unreachable!("ECS answered {other:?}"),
        }
    }

    async fn elb(&self, resource: &str, request: elb::Request) -> Result<elb::Response, AwsError> {
        match self.call(resource, Request::Elb(request)).await? {
            Response::Elb(response) => Ok(response),
            other => unreachable!("ELB answered {other:?}"),
        }
    }

    async fn sqs(&self, request: sqs::Request) -> Result<sqs::Response, AwsError> {
        match self.call(&self.queue_url, Request::Sqs(request)).await? {
            Response::Sqs(response) => Ok(response),
            other => unreachable!("SQS answered {other:?}"),
        }
    }
}

/// There, effect, and back. With the answer comes the time at which AWS gave it.
async fn travel(stage: Arc<Stage>, actor: Actor, request: Arc<Request>) -> (Answer, Timestamp) {
    let (verdict, there, back) = stage.way(actor, &request, WAY);
    // Most of a day's calls are polls that nothing comes of: what milliseconds they travel makes no difference.
    let is_long_poll = poll_time(&request).is_some_and(|time| !time.is_zero());
    let is_undisturbed = verdict.latency.is_zero() && verdict.outcome == Outcome::Pass;
    if !(is_long_poll && is_undisturbed) {
        tokio::time::sleep(there + verdict.latency).await;
    }
    let effect = async || {
        let answer = take_effect(&stage, actor, &request).await;
        answer.map(Box::new).map_err(|error| Trouble {
            code: Some(error.code.into()),
            status: Some(error.status),
            message: error.message,
        })
    };
    let answer = match verdict.outcome {
        Outcome::Pass => effect().await,
        Outcome::Refuse(refusal) => {
            Err(Trouble { code: Some(refusal.code.into()), status: Some(refusal.status), message: refusal.message })
        }
        Outcome::Drop(Moment::Before) => Err(no_answer("the connection was lost")),
        Outcome::Drop(Moment::After) => {
            let _ = effect().await;
            Err(no_answer("the connection was lost"))
        }
    };
    let answered_at = stage.now();
    if !(is_long_poll && answer.as_ref().is_ok_and(|answer| !has_messages(answer))) {
        tokio::time::sleep(back).await;
    }
    (answer, answered_at)
}

/// A receive waits for a message at AWS, whoever is still there to hear of it.
async fn take_effect(stage: &Stage, actor: Actor, request: &Request) -> Result<Response, api::ApiError> {
    let (Some(time), Request::Sqs(sqs::Request::ReceiveMessage(input))) = (poll_time(request), request) else {
        return stage.perform(actor, request);
    };
    // The waiting is done here, and may be longer than SQS takes.
    let at_once = sqs::ReceiveMessageInput { wait_time_seconds: Some(0), ..input.clone() };
    let at_once = Request::Sqs(sqs::Request::ReceiveMessage(at_once));
    let until = tokio::time::Instant::now() + time;
    loop {
        let mut changed = std::pin::pin!(stage.changed.notified());
        changed.as_mut().enable();
        let (has_message, next_step) = stage.before_receiving(&input.queue_url);
        if has_message {
            let answer = stage.perform(actor, &at_once)?;
            // What has come too often moves to the dead-letter queue instead.
            if has_messages(&answer) {
                return Ok(answer);
            }
        }
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return Ok(Response::Sqs(sqs::Response::ReceiveMessage(sqs::ReceiveMessageOutput { messages: None })));
        }
        // Timers are no finer than a millisecond.
        let step = next_step.map_or(left, |step| step + Duration::from_millis(1)).min(left);
        tokio::select! {
            biased;
            () = changed => {}
            () = tokio::time::sleep(step) => {}
        }
    }
}

/// How long a receive waits for a first message; `None` for every other call.
fn poll_time(request: &Request) -> Option<Duration> {
    match request {
        Request::Sqs(sqs::Request::ReceiveMessage(input)) => {
            Some(Duration::from_secs(u64::try_from(input.wait_time_seconds.unwrap_or(0)).unwrap_or(0)))
        }
        _ => None,
    }
}

fn has_messages(answer: &Response) -> bool {
    matches!(answer, Response::Sqs(sqs::Response::ReceiveMessage(output))
        if output.messages.as_ref().is_some_and(|messages| !messages.is_empty()))
}

fn no_answer(message: &str) -> Trouble {
    Trouble { code: None, status: None, message: message.to_owned() }
}

fn task(task: &ecs::Task) -> Option<Task> {
    let address = |name: &str| {
        let details = task.attachments.iter().flat_map(|attachment| &attachment.details);
        details.filter(|detail| detail.name == name).find_map(|detail| detail.value.parse::<IpAddr>().ok())
    };
    Some(Task {
        id: TaskId::from_arn(&task.task_arn)?,
        group: Some(task.group.clone()),
        last_status: LastStatus::parse(&task.last_status),
        desired_status: DesiredStatus::parse(&task.desired_status),
        version: Some(task.version),
        ipv4: match address("privateIPv4Address") {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        },
        ipv6: None,
        // What AWS gives as seconds with milliseconds.
        started_at: task.started_at.and_then(to_millisecond),
        stopping_at: task.stopping_at.and_then(to_millisecond),
        stopped_at: task.stopped_at.and_then(to_millisecond),
        stopped_reason: task.stopped_reason.clone(),
    })
}

fn to_millisecond(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.as_millisecond()).ok()
}

fn target_state(word: &str) -> TargetState {
    match word {
        "initial" => TargetState::Initial,
        "healthy" => TargetState::Healthy,
        "unhealthy" => TargetState::Unhealthy,
        "draining" => TargetState::Draining,
        "unused" => TargetState::Unused,
        _ => TargetState::Unknown,
    }
}

fn targets_input(arn: &str, targets: &[TargetKey]) -> elb::TargetsInput {
    let target = |key: &TargetKey| elb::TargetDescription {
        id: key.ip.to_string(),
        port: Some(key.port.to_string()),
        ..Default::default()
    };
    elb::TargetsInput { target_group_arn: arn.to_owned(), targets: targets.iter().map(target).collect() }
}

impl Platform for Cloud {
    async fn service(&self, cluster: &str, service: &str) -> Result<Service, AwsError> {
        let input =
            ecs::DescribeServicesInput { cluster: Some(cluster.to_owned()), services: vec![service.to_owned()] };
        let ecs::Response::DescribeServices(output) = self.ecs(service, ecs::Request::DescribeServices(input)).await?
        else {
            unreachable!("another answer")
        };
        Ok(match output.services.first() {
            Some(found) if found.status != "INACTIVE" => Service::Found(Counts {
                desired: found.desired_count,
                running: found.running_count,
                pending: found.pending_count,
            }),
            _ => Service::Missing,
        })
    }

    async fn list_tasks(&self, cluster: &str, service: &str) -> Result<Vec<TaskId>, AwsError> {
        let mut ids = BTreeSet::new();
        for status in ["RUNNING", "STOPPED"] {
            let mut next_token = None;
            loop {
                let input = ecs::ListTasksInput {
                    cluster: Some(cluster.to_owned()),
                    service_name: Some(service.to_owned()),
                    desired_status: Some(status.to_owned()),
                    next_token,
                    ..Default::default()
                };
                let ecs::Response::ListTasks(output) = self.ecs(service, ecs::Request::ListTasks(input)).await? else {
                    unreachable!("another answer")
                };
                ids.extend(output.task_arns.iter().filter_map(|arn| TaskId::from_arn(arn)));
                next_token = output.next_token;
                if next_token.is_none() {
                    break;
                }
            }
        }
        Ok(ids.into_iter().collect())
    }

    async fn describe_tasks(&self, cluster: &str, tasks: &[TaskId]) -> Result<Vec<Task>, AwsError> {
        let mut described = Vec::new();
        for batch in tasks.chunks(100) {
            let input = ecs::DescribeTasksInput {
                cluster: Some(cluster.to_owned()),
                tasks: batch.iter().map(ToString::to_string).collect(),
            };
            let ecs::Response::DescribeTasks(output) = self.ecs(cluster, ecs::Request::DescribeTasks(input)).await?
            else {
                unreachable!("another answer")
            };
            described.extend(output.tasks.iter().filter_map(task));
        }
        Ok(described)
    }

    async fn load_balancer(&self, name: &str) -> Result<Option<LoadBalancerDescription>, AwsError> {
        let input =
            elb::DescribeLoadBalancersInput { names: [name.to_owned()].into_iter().collect(), ..Default::default() };
        let output = match self.elb(name, elb::Request::DescribeLoadBalancers(input)).await {
            Ok(elb::Response::DescribeLoadBalancers(output)) => output,
            Ok(_) => unreachable!("another answer"),
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(output.load_balancers.member.into_iter().next().map(|balancer| LoadBalancerDescription {
            arn: balancer.load_balancer_arn,
            name: balancer.load_balancer_name,
            kind: match balancer.r#type.as_str() {
                "network" => LoadBalancerKind::Network,
                other => LoadBalancerKind::Other(other.to_owned()),
            },
            state: match balancer.state.code.as_str() {
                "provisioning" => LoadBalancerState::Provisioning,
                "active" => LoadBalancerState::Active,
                "failed" => LoadBalancerState::Failed,
                _ => LoadBalancerState::Unknown,
            },
            created_at: balancer.created_time.and_then(to_millisecond).unwrap_or_default(),
            dns_name: Some(balancer.dns_name),
        }))
    }

    async fn target_groups(&self, load_balancer_arn: Option<&str>) -> Result<Vec<TargetGroupDescription>, AwsError> {
        let input = elb::DescribeTargetGroupsInput {
            load_balancer_arn: load_balancer_arn.map(str::to_owned),
            ..Default::default()
        };
        let resource = load_balancer_arn.unwrap_or("*");
        let elb::Response::DescribeTargetGroups(output) =
            self.elb(resource, elb::Request::DescribeTargetGroups(input)).await?
        else {
            unreachable!("another answer")
        };
        let group = |group: elb::TargetGroup| TargetGroupDescription {
            arn: group.target_group_arn,
            name: group.target_group_name,
            target_type: TargetType::Ip { family: AddressFamily::Ipv4, port: group.port.unwrap_or_default() },
            load_balancer_arns: group.load_balancer_arns.member,
        };
        Ok(output.target_groups.member.into_iter().map(group).collect())
    }

    async fn tags(&self, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let mut tags = BTreeMap::new();
        for batch in arns.chunks(20) {
            let mut rest: Vec<&[String]> = vec![batch];
            while let Some(part) = rest.pop() {
                let input = elb::DescribeTagsInput { resource_arns: part.iter().cloned().collect() };
                match self.elb(&part[0], elb::Request::DescribeTags(input)).await {
                    Ok(elb::Response::DescribeTags(output)) => {
                        for of in output.tag_descriptions.member {
                            let of_one = of.tags.member.into_iter().map(|tag| (tag.key, tag.value)).collect();
                            tags.insert(of.resource_arn, of_one);
                        }
                    }
                    Ok(_) => unreachable!("another answer"),
                    Err(error) if error.is(ErrorKind::NotFound) && part.len() > 1 => rest.extend(part.chunks(1)),
                    Err(error) if error.is(ErrorKind::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(tags)
    }

    async fn target_health(&self, arn: &str) -> Result<Vec<Target>, AwsError> {
        let input = elb::DescribeTargetHealthInput { target_group_arn: arn.to_owned(), ..Default::default() };
        let elb::Response::DescribeTargetHealth(output) =
            self.elb(arn, elb::Request::DescribeTargetHealth(input)).await?
        else {
            unreachable!("another answer")
        };
        let target = |description: elb::TargetHealthDescription| {
            Some(Target {
                ip: description.target.id.parse().ok()?,
                port: description.target.port?.parse().ok()?,
                state: target_state(&description.target_health.state),
                reason: description.target_health.reason,
            })
        };
        Ok(output.target_health_descriptions.member.into_iter().filter_map(target).collect())
    }

    async fn healthy_targets(&self, arn: &str) -> Result<usize, AwsError> {
        let targets = self.target_health(arn).await?;
        Ok(targets.iter().filter(|target| target.state == TargetState::Healthy).count())
    }

    async fn register(&self, arn: &str, targets: &[TargetKey]) -> Result<(), AwsError> {
        self.elb(arn, elb::Request::RegisterTargets(targets_input(arn, targets))).await.map(drop)
    }

    async fn deregister(&self, arn: &str, targets: &[TargetKey], deadline: &Deadline) -> Result<(), AwsError> {
        let request = Request::Elb(elb::Request::DeregisterTargets(targets_input(arn, targets)));
        self.write(arn, request, Tries::Several, deadline).await
    }

    async fn add_tags(&self, arns: &[String], tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let tag = |(key, value): (&String, &String)| Tag { key: key.clone(), value: value.clone() };
        let input =
            elb::AddTagsInput { resource_arns: arns.iter().cloned().collect(), tags: tags.iter().map(tag).collect() };
        self.write("tags", Request::Elb(elb::Request::AddTags(input)), Tries::Several, deadline).await
    }

    async fn remove_tags(&self, arns: &[String], keys: &[&str], deadline: &Deadline) -> Result<(), AwsError> {
        let input = elb::RemoveTagsInput {
            resource_arns: arns.iter().cloned().collect(),
            tag_keys: keys.iter().map(ToString::to_string).collect(),
        };
        self.write("tags", Request::Elb(elb::Request::RemoveTags(input)), Tries::Several, deadline).await
    }

    async fn delete_load_balancer(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let input = elb::LoadBalancerInput { load_balancer_arn: arn.to_owned() };
        self.write(arn, Request::Elb(elb::Request::DeleteLoadBalancer(input)), Tries::One, deadline).await
    }

    async fn delete_target_group(&self, arn: &str, deadline: &Deadline) -> Result<(), AwsError> {
        let input = elb::TargetGroupInput { target_group_arn: arn.to_owned() };
        self.write(arn, Request::Elb(elb::Request::DeleteTargetGroup(input)), Tries::Several, deadline).await
    }

    fn calls(&self) -> Calls {
        Calls { sent: self.calls.load(Ordering::Relaxed), throttled: 0 }
    }
}

impl Scaling for Cloud {
    async fn scalable(&self, cluster: &str, service: &str) -> Result<Option<ScalableService>, AwsError> {
        let input =
            ecs::DescribeServicesInput { cluster: Some(cluster.to_owned()), services: vec![service.to_owned()] };
        let ecs::Response::DescribeServices(output) = self.ecs(service, ecs::Request::DescribeServices(input)).await?
        else {
            unreachable!("another answer")
        };
        let Some(found) = output.services.into_iter().find(|found| found.status == "ACTIVE") else { return Ok(None) };
        let input = ecs::ResourceInput { resource_arn: found.service_arn.clone() };
        let ecs::Response::ListTagsForResource(tags) =
            self.ecs(service, ecs::Request::ListTagsForResource(input)).await?
        else {
            unreachable!("another answer")
        };
        Ok(Some(ScalableService {
            arn: found.service_arn,
            counts: Counts { desired: found.desired_count, running: found.running_count, pending: found.pending_count },
            tags: tags.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        }))
    }

    async fn scale(&self, cluster: &str, service: &str, desired: i32, deadline: &Deadline) -> Result<(), AwsError> {
        let input = ecs::UpdateServiceInput {
            cluster: Some(cluster.to_owned()),
            service: service.to_owned(),
            desired_count: Some(desired),
            ..Default::default()
        };
        self.write(service, Request::Ecs(ecs::Request::UpdateService(input)), Tries::Several, deadline).await
    }

    async fn tag_service(&self, arn: &str, tags: &Tags, deadline: &Deadline) -> Result<(), AwsError> {
        let tag = |(key, value): (&String, &String)| ecs::Tag { key: key.clone(), value: value.clone() };
        let input = ecs::TagResourceInput { resource_arn: arn.to_owned(), tags: tags.iter().map(tag).collect() };
        self.write(arn, Request::Ecs(ecs::Request::TagResource(input)), Tries::Several, deadline).await
    }

    async fn untag_service(&self, arn: &str, keys: &[&str]) -> Result<(), AwsError> {
        let input = ecs::UntagResourceInput {
            resource_arn: arn.to_owned(),
            tag_keys: keys.iter().map(ToString::to_string).collect(),
        };
        self.ecs(arn, ecs::Request::UntagResource(input)).await.map(drop)
    }
}

impl Queue for Cloud {
    async fn settings(&self) -> Result<QueueSettings, AwsError> {
        let attribute_names = vec!["VisibilityTimeout".to_owned(), "RedrivePolicy".to_owned()];
        let input = sqs::GetQueueAttributesInput { queue_url: self.queue_url.clone(), attribute_names };
        let sqs::Response::GetQueueAttributes(output) = self.sqs(sqs::Request::GetQueueAttributes(input)).await? else {
            unreachable!("another answer")
        };
        let seconds = output.attributes.get("VisibilityTimeout").and_then(|seconds| seconds.parse().ok());
        let redrive = output.attributes.contains_key("RedrivePolicy");
        Ok(QueueSettings {
            visibility_timeout: Duration::from_secs(seconds.unwrap_or(30)),
            redrive: if redrive { Redrive::ToDeadLetterQueue } else { Redrive::None },
        })
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>, AwsError> {
        let input = sqs::ReceiveMessageInput {
            queue_url: self.queue_url.clone(),
            max_number_of_messages: Some(10),
            wait_time_seconds: Some(i32::try_from(wait.as_secs()).unwrap_or(20)),
            message_system_attribute_names: vec!["All".to_owned()],
            ..Default::default()
        };
        let request = Request::Sqs(sqs::Request::ReceiveMessage(input));
        let limit = wait + ATTEMPT_TIMEOUT;
        let answer = self.call_with(&self.queue_url, request, limit, Tries::Several, None).await?;
        let Response::Sqs(sqs::Response::ReceiveMessage(output)) = answer else { unreachable!("another answer") };
        let message = |message: sqs::Message| {
            let attributes = message.attributes.unwrap_or_default();
            let number = |name: &str| attributes.get(name).and_then(|value| value.parse::<i64>().ok());
            Message {
                receipt: Receipt { message_id: message.message_id, handle: message.receipt_handle },
                body: message.body,
                receive_count: number("ApproximateReceiveCount").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
                sent_at: number("SentTimestamp").and_then(|at| Timestamp::from_millisecond(at).ok()),
            }
        };
        Ok(output.messages.unwrap_or_default().into_iter().map(message).collect())
    }

    async fn delete(&self, messages: &[Receipt]) -> Result<Vec<FailedEntry>, AwsError> {
        let entry = |(index, receipt): (usize, &Receipt)| sqs::DeleteMessageBatchEntry {
            id: index.to_string(),
            receipt_handle: receipt.handle.clone(),
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let input = sqs::DeleteMessageBatchInput { queue_url: self.queue_url.clone(), entries };
        let sqs::Response::DeleteMessageBatch(output) = self.sqs(sqs::Request::DeleteMessageBatch(input)).await? else {
            unreachable!("another answer")
        };
        Ok(failed(&output, messages))
    }

    async fn change_visibility(
        &self,
        messages: &[Receipt],
        visibility_timeout: Duration,
    ) -> Result<Vec<FailedEntry>, AwsError> {
        let entry = |(index, receipt): (usize, &Receipt)| sqs::ChangeMessageVisibilityBatchEntry {
            id: index.to_string(),
            receipt_handle: receipt.handle.clone(),
            visibility_timeout: i32::try_from(visibility_timeout.as_secs()).unwrap_or(0),
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let input = sqs::ChangeMessageVisibilityBatchInput { queue_url: self.queue_url.clone(), entries };
        let sqs::Response::ChangeMessageVisibilityBatch(output) =
            self.sqs(sqs::Request::ChangeMessageVisibilityBatch(input)).await?
        else {
            unreachable!("another answer")
        };
        Ok(failed(&output, messages))
    }

    /// The platform's count has them already.
    fn calls(&self) -> Calls {
        Calls::default()
    }
}

fn failed(output: &sqs::BatchOutput, messages: &[Receipt]) -> Vec<FailedEntry> {
    let entry = |error: &sqs::BatchError| {
        let receipt = messages.get(error.id.parse::<usize>().ok()?)?.clone();
        Some(FailedEntry { receipt, code: error.code.clone(), message: error.message.clone() })
    };
    output.failed.iter().filter_map(entry).collect()
}
