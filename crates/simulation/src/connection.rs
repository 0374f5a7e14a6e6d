//! A process's connection to AWS: the port's calls, over a network that may be slow, lose a call, or lose its answer.
//!
//! A call that was sent takes effect whatever happens to the process that sent it. So each call travels in a task of its
//! own; a process that is killed or suspended never receives the answer, or receives it late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::environment::{Environment, Sender};
use crate::faults::Side;
use jvb_watcher::aws::client::error_kind;
use jvb_watcher::aws::{AwsError, Deadline, ErrorKind};
use jvb_watcher::clock::AwsClock;
use jvb_watcher_sandbox::api::{ApiError, Request, Response, cloudwatch, ecs, elb, sqs};
use jvb_watcher_sandbox::faults::{Moment, Outcome};

mod platform;
mod queue;
mod scaling;
mod usage;

/// The SDK's time-out of an attempt, and the number of its attempts, as the product sets them.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;

/// A process's connection to AWS.
#[derive(Clone)]
pub struct Connection {
    environment: Arc<Environment>,
    sender: Sender,
    clock: Arc<AwsClock>,
    queue_url: String,
    calls: Arc<AtomicU64>,
}

/// The failure of an attempt.
struct Failed {
    code: Option<Box<str>>,
    status: Option<u16>,
    message: String,
}

/// The result of an attempt.
type Answer = Result<Box<Response>, Failed>;

/// The number of attempts that a call may take.
#[derive(Clone, Copy)]
enum Attempts {
    Several,
    One,
}

impl Connection {
    /// The connection of a process. Its answers correct the clock.
    pub fn new(environment: Arc<Environment>, sender: Sender, clock: Arc<AwsClock>, queue_url: String) -> Self {
        Self { environment, sender, clock, queue_url, calls: Arc::default() }
    }

    /// Returns the same process's connection for its calls about a platform; `None` for those to the queue.
    pub fn about(&self, platform: Option<usize>) -> Self {
        Self { sender: Sender { platform, ..self.sender }, ..self.clone() }
    }

    async fn call(&self, resource: &str, request: Request) -> Result<Response, AwsError> {
        self.call_with(resource, request, ATTEMPT_TIMEOUT, Attempts::Several, None).await
    }

    /// Makes a write, unless its deadline has passed.
    async fn write(
        &self,
        resource: &str,
        request: Request,
        attempts: Attempts,
        deadline: &Deadline,
    ) -> Result<(), AwsError> {
        let limit = deadline.left().min(ATTEMPT_TIMEOUT);
        if limit.is_zero() {
            self.note_missed_deadline(request.operation());
            return Err(deadline.missed(request.service().prefix(), request.operation(), resource));
        }
        self.call_with(resource, request, limit, attempts, Some(deadline)).await.map(drop)
    }

    fn note_missed_deadline(&self, operation: &'static str) {
        self.environment.with(|state, _| {
            state.coverage.moment("a write was not sent after its deadline");
            state.checkers.call_failed(self.sender, operation);
        });
    }

    async fn call_with(
        &self,
        resource: &str,
        request: Request,
        limit: Duration,
        attempts: Attempts,
        deadline: Option<&Deadline>,
    ) -> Result<Response, AwsError> {
        let (service, operation) = (request.service().prefix(), request.operation());
        let request = Arc::new(request);
        let mut wait = Duration::from_millis(500);
        let mut attempt = 1;
        loop {
            let attempted = tokio::time::timeout(limit, self.attempt(&request, deadline)).await;
            let failed = match attempted {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(failed)) => failed,
                Err(_) => {
                    self.environment.with(|state, _| {
                        state.coverage.moment("a call timed out");
                        state.checkers.call_failed(self.sender, operation);
                    });
                    Failed { code: None, status: None, message: "timed out".to_owned() }
                }
            };
            let kind = error_kind(failed.code.as_deref(), failed.status);
            let is_transient = matches!(kind, ErrorKind::Throttled | ErrorKind::Unavailable);
            let is_last = matches!(attempts, Attempts::One) || attempt == ATTEMPTS;
            if !is_transient || is_last {
                let Failed { code, message, .. } = failed;
                let resource = resource.to_owned();
                return Err(AwsError { kind, service, operation, resource, code, message, request_id: None });
            }
            tokio::time::sleep(self.environment.between(Duration::ZERO, wait)).await;
            (attempt, wait) = (attempt + 1, wait * 2);
        }
    }

    async fn attempt(&self, request: &Arc<Request>, deadline: Option<&Deadline>) -> Result<Response, Failed> {
        let operation = request.operation();
        self.environment.fail_process_at(self.sender.actor, operation, Side::Before).await;
        if let Some(deadline) = deadline {
            tokio::time::sleep(self.environment.preparation()).await;
            if deadline.left().is_zero() {
                self.note_missed_deadline(operation);
                return Err(Failed { code: None, status: None, message: "not sent after its deadline".to_owned() });
            }
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let sent_at = self.clock.machine_now();
        // Boxed, since tokio moves what it spawns several times.
        let travel = tokio::spawn(Box::pin(travel(self.environment.clone(), self.sender, request.clone())));
        let (answer, answered_at) = travel.await.map_err(|error| no_answer(&error.to_string()))?;
        self.environment.fail_process_at(self.sender.actor, operation, Side::After).await;
        if answer.is_ok() {
            // The Date header has whole seconds.
            let date = Timestamp::from_second(answered_at.as_second()).unwrap_or_default();
            self.clock.adjust(date, sent_at, self.clock.machine_now());
        }
        let code = answer.as_ref().map(drop).map_err(|failed| failed.code.as_deref());
        self.environment.with(|state, _| state.checkers.answered(self.sender, request, code, answered_at));
        answer.map(|response| *response)
    }

    async fn cloudwatch(&self, resource: &str, request: cloudwatch::Request) -> Result<cloudwatch::Response, AwsError> {
        match self.call(resource, Request::CloudWatch(request)).await? {
            Response::CloudWatch(response) => Ok(response),
            other => unreachable!("CloudWatch answered {other:?}"),
        }
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

/// Sends a call, lets it take effect, and returns the answer with the time at which AWS gave it.
async fn travel(environment: Arc<Environment>, sender: Sender, request: Arc<Request>) -> (Answer, Timestamp) {
    let (verdict, there, back) = environment.send(sender, &request);
    // Most of a day's calls are polls that receive nothing; the latency of those makes no difference.
    let is_long_poll = poll_wait(&request).is_some_and(|wait| !wait.is_zero());
    let is_undisturbed = verdict.latency.is_zero() && verdict.outcome == Outcome::Pass;
    if !(is_long_poll && is_undisturbed) {
        tokio::time::sleep(there + verdict.latency).await;
    }
    let effect = async || {
        let answer = take_effect(&environment, sender, &request).await;
        answer.map(Box::new).map_err(|error| Failed {
            code: Some(error.code.into()),
            status: Some(error.status),
            message: error.message,
        })
    };
    let answer = match verdict.outcome {
        Outcome::Pass => effect().await,
        Outcome::Refuse(refusal) => {
            Err(Failed { code: Some(refusal.code.into()), status: Some(refusal.status), message: refusal.message })
        }
        Outcome::Drop(Moment::Before) => Err(no_answer("the connection was lost")),
        Outcome::Drop(Moment::After) => {
            let _ = effect().await;
            Err(no_answer("the connection was lost"))
        }
    };
    let answered_at = environment.now();
    if !(is_long_poll && answer.as_ref().is_ok_and(|answer| !has_messages(answer))) {
        tokio::time::sleep(back).await;
    }
    (answer, answered_at)
}

/// Lets a call take effect. A long poll waits for a message at AWS, even if its process is gone.
async fn take_effect(environment: &Environment, sender: Sender, request: &Request) -> Result<Response, ApiError> {
    let (Some(time), Request::Sqs(sqs::Request::ReceiveMessage(input))) = (poll_wait(request), request) else {
        return environment.perform(sender, request);
    };
    // The wait happens here, and may be longer than SQS accepts.
    let at_once = sqs::ReceiveMessageInput { wait_time_seconds: Some(0), ..input.clone() };
    let at_once = Request::Sqs(sqs::Request::ReceiveMessage(at_once));
    let until = Instant::now() + time;
    loop {
        let mut changed = std::pin::pin!(environment.changed.notified());
        changed.as_mut().enable();
        let (has_message, next_step) = environment.before_receiving(&input.queue_url);
        if has_message {
            let answer = environment.perform(sender, &at_once)?;
            // A message that was received too often moves to the dead-letter queue instead.
            if has_messages(&answer) {
                return Ok(answer);
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Response::Sqs(sqs::Response::ReceiveMessage(sqs::ReceiveMessageOutput { messages: None })));
        }
        // Timers have a resolution of a millisecond.
        let step = next_step.map_or(left, |step| step + Duration::from_millis(1)).min(left);
        tokio::select! {
            biased;
            () = changed => {}
            () = tokio::time::sleep(step) => {}
        }
    }
}

/// Returns how long a receive waits for a first message; `None` for any other call.
fn poll_wait(request: &Request) -> Option<Duration> {
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

fn no_answer(message: &str) -> Failed {
    Failed { code: None, status: None, message: message.to_owned() }
}
