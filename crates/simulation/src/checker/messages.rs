//! The fourth guarantee: a message is deleted only after a reconciliation that began after its arrival has succeeded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::environment::Actor;
use jvb_watcher_sandbox::api::{Request, Service, ecs, elb, sqs};

/// The codes of errors after which a call must be repeated before the messages behind it are deleted.
const TRANSIENT: [&str; 5] =
    ["AccessDenied", "InternalFailure", "ServiceUnavailable", "Throttling", "ThrottlingException"];

/// The reads that concern a load balancer which DescribeLoadBalancers has returned.
const OF_THE_LOAD_BALANCER: [&str; 3] = ["DescribeTags", "DescribeTargetGroups", "DescribeTargetHealth"];

/// The read that begins an observation of the tasks. Others are sent with it, and may be answered first.
const FIRST_OF_AN_OBSERVATION: &str = "ListTasks";

/// The reads without which a reconciliation succeeds: those that only a finding needs, and those of usage.
const DISPENSABLE: [&str; 2] = ["DescribeTaskDefinition", "GetMetricData"];

/// The longest time from the arrival of a message to its deletion while nothing fails that concerns its service.
pub(crate) const DELETED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// The messages that each process has received, its reads, and its failures.
pub(super) struct Messages {
    /// The `group` of the service's tasks.
    group: String,
    /// The received messages by receipt handle.
    received: BTreeMap<String, Received>,
    /// The operations that failed since each process began to observe.
    failed: BTreeMap<Actor, BTreeSet<&'static str>>,
    /// The time of the latest answer that each process received, by its subject.
    reads: BTreeMap<(Actor, &'static str), Timestamp>,
    /// The messages about the service that were received and are not deleted, by their ids, with the times at which they were
    /// sent.
    waiting: BTreeMap<String, Timestamp>,
    /// The time since which a message must be deleted soon after it was sent, if there is one.
    prompt_since: Option<Timestamp>,
    /// The time up to which the last reconciliation of each process that ended without a failure covers messages: a process
    /// may begin the next one, which may fail, before it deletes them.
    covered: BTreeMap<Actor, Timestamp>,
}

struct Received {
    id: String,
    sent_at: Timestamp,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Relevant,
    Foreign,
    Malformed,
}

/// The part of an event that shows its service.
#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(default)]
    detail: Detail,
}

#[derive(Default, Deserialize)]
struct Detail {
    group: Option<String>,
}

impl Messages {
    pub fn new(group: String) -> Self {
        let (received, failed, reads, waiting, prompt_since, covered) = Default::default();
        Self { group, received, failed, reads, waiting, prompt_since, covered }
    }

    /// Returns whether a message is about the service.
    pub fn is_about_service(&self, body: &str) -> bool {
        self.kind(body) == Kind::Relevant
    }

    /// Returns whether a message was received with this receipt handle.
    pub fn has_received(&self, handle: &str) -> bool {
        self.received.contains_key(handle)
    }

    pub fn received(&mut self, messages: &[&sqs::Message]) {
        for message in messages {
            let attributes = message.attributes.clone().unwrap_or_default();
            let sent_at = attributes.get("SentTimestamp").and_then(|at| at.parse().ok());
            let sent_at = sent_at.and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default();
            let received = Received { id: message.message_id.clone(), sent_at, kind: self.kind(&message.body) };
            if received.kind == Kind::Relevant {
                self.waiting.insert(received.id.clone(), sent_at);
            }
            self.received.insert(message.receipt_handle.clone(), received);
        }
    }

    fn kind(&self, body: &str) -> Kind {
        let Ok(event) = serde_json::from_str::<Envelope>(body) else { return Kind::Malformed };
        let is_ours = event.source == "aws.ecs" && event.detail.group.is_some_and(|group| group == self.group);
        if is_ours { Kind::Relevant } else { Kind::Foreign }
    }

    pub fn call_failed(&mut self, actor: Actor, operation: &'static str) {
        let is_of_the_queue = Service::Sqs.operations().iter().any(|(of_the_queue, _)| *of_the_queue == operation);
        if !is_of_the_queue && !DISPENSABLE.contains(&operation) {
            self.failed.entry(actor).or_default().insert(operation);
        }
    }

    pub fn answered(
        &mut self,
        actor: Actor,
        request: &Request,
        code: Result<(), Option<&str>>,
        answered_at: Timestamp,
    ) {
        let operation = request.operation();
        if code.is_err_and(|code| code.is_none_or(|code| TRANSIENT.contains(&code))) {
            self.call_failed(actor, operation);
            return;
        }
        if let Some(failed) = self.failed.get_mut(&actor) {
            failed.remove(operation);
            match operation {
                // An observation begins with it, and repeats all that is needed.
                "ListTasks" => failed.clear(),
                // The load balancer's reads are repeated after it. If the load balancer is gone, nothing was missed by the
                // reads that failed.
                "DescribeLoadBalancers" => failed.retain(|operation| !OF_THE_LOAD_BALANCER.contains(operation)),
                _ => {}
            }
        }
        // That a resource doesn't exist is an answer too.
        if code.is_err_and(|code| code.is_none_or(|code| !code.contains("NotFound"))) {
            return;
        }
        let subject = match request {
            Request::Ecs(ecs::Request::ListTasks(_)) => "tasks",
            Request::Ecs(ecs::Request::DescribeServices(_)) => "service",
            Request::Elb(elb::Request::DescribeLoadBalancers(_)) => "load balancer",
            _ => return,
        };
        let read_at = self.reads.entry((actor, subject)).or_insert(answered_at);
        *read_at = answered_at.max(*read_at);
    }

    /// Notes what the last observation covers, when a process sends the call that begins the next one. An observation reads
    /// the tasks, in several calls, and then the service.
    pub fn sent(&mut self, actor: Actor, operation: &str) {
        if operation != FIRST_OF_AN_OBSERVATION {
            return;
        }
        let read = |subject| self.reads.get(&(actor, subject)).copied();
        let (Some(tasks), Some(service), Some(load_balancer)) = (read("tasks"), read("service"), read("load balancer"))
        else {
            return;
        };
        if service > tasks && self.failed.get(&actor).is_none_or(BTreeSet::is_empty) {
            self.covered.insert(actor, tasks.min(load_balancer));
        }
    }

    /// Checks the deletion of a message; `Err` says what is wrong with it.
    pub fn check_deletion(&self, actor: Actor, handle: &str) -> Result<(), String> {
        let Some(Received { sent_at, kind, .. }) = self.received.get(handle) else {
            return Err("deletes a message that was not received".to_owned());
        };
        match kind {
            Kind::Foreign => return Ok(()),
            Kind::Malformed => return Err("deletes a malformed message".to_owned()),
            Kind::Relevant => {}
        }
        if self.covered.get(&actor).is_some_and(|covered| covered >= sent_at) {
            return Ok(());
        }
        if let Some(failed) = self.failed.get(&actor).filter(|failed| !failed.is_empty()) {
            return Err(format!("deletes a message of {sent_at} although {failed:?} failed"));
        }
        let is_unread = |subject: &'static str| self.reads.get(&(actor, subject)).is_none_or(|at| at < sent_at);
        if ["tasks", "service", "load balancer"].into_iter().any(is_unread) {
            return Err(format!("deletes a message of {sent_at} without an observation after it"));
        }
        Ok(())
    }

    /// Records that a message was deleted; `Err` says that it was deleted too late.
    pub fn deleted(&mut self, handle: &str, now: Timestamp) -> Result<(), String> {
        let Some(Received { id, sent_at, .. }) = self.received.get(handle) else { return Ok(()) };
        match self.waiting.remove(id) {
            Some(_) if self.is_late(*sent_at, now) => Err(format!("a message of {sent_at} was deleted only now")),
            _ => Ok(()),
        }
    }

    /// Notes that from now on each message about the service must be deleted soon after it was sent.
    pub fn expect_promptness(&mut self, now: Timestamp) {
        self.prompt_since = Some(now);
    }

    /// Returns the times at which the messages were sent that should have been deleted by now.
    pub fn late(&self, now: Timestamp) -> Vec<Timestamp> {
        self.waiting.values().copied().filter(|sent_at| self.is_late(*sent_at, now)).collect()
    }

    /// Returns the number of messages that were sent so long ago and are not deleted.
    pub fn waiting_for(&self, time: Duration, now: Timestamp) -> usize {
        self.waiting.values().filter(|sent_at| **sent_at + time <= now).count()
    }

    fn is_late(&self, sent_at: Timestamp, now: Timestamp) -> bool {
        self.prompt_since.is_some_and(|since| sent_at >= since) && now > sent_at + DELETED_WITHIN
    }
}
