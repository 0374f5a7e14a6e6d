//! `lambda`: the function that AWS Lambda invokes.
//!
//! - [`payload`]: from an event of Lambda to a request.
//! - [`runtime`]: the environment that Lambda gives a function, and its report of a failed init.

use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::fleet::Watched;
use super::help::{Group, Help, USAGE_ERROR};
use super::options::WatchOptions;
use super::watch::Watch;
use super::{CommandError, connect, export, publisher};
use crate::aws::AwsError;
use crate::aws::client::{AwsPlatform, SqsQueue};
use crate::controller::function::{Function, Request, Response};
use crate::controller::inbox::{LOGGED_BODY, truncate};
use crate::controller::liveness::Liveness;
use crate::telemetry::log::{Event, Form, Log};
use crate::telemetry::otlp::Otlp;
use crate::telemetry::publish::Publisher;

mod payload;
mod runtime;

pub use runtime::init_failed;

/// The help of `lambda`.
pub const HELP: Help = Help {
    group: Group::Run,
    examples: &[
        ("As the handler of a function on provided.al2023, named bootstrap", "jvb-watcher lambda"),
        ("With the platform's name in the function's environment", "JVB_WATCHER_PROJECT=jitsi jvb-watcher lambda"),
    ],
    exit_status: &[(1, "the Runtime API can't be reached"), USAGE_ERROR],
    see_also: &["run", "status", "doctor"],
};

/// The time before the deadline at which a check of the event source ends.
const EVENT_SOURCE_CHECK_MARGIN: Duration = Duration::from_secs(2);

/// The time for discovering services before the first invocation: Lambda gives the init phase ten seconds (see "Init
/// phase" in its developer guide).
const DISCOVERY_AT_INIT: Duration = Duration::from_secs(5);

/// The time that a response waits for events to be published, and for traces and metrics to be exported.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// The time before the deadline at which a response stops waiting for that.
const LAST_EVENTS_MARGIN: Duration = Duration::from_millis(500);

/// An invocation that waits for its response.
struct Invocation {
    request: Request,
    deadline: Instant,
    response: oneshot::Sender<Result<Response, AwsError>>,
}

/// The reason why an invocation fails.
#[derive(Debug, thiserror::Error)]
enum InvocationError {
    #[error("{0}; invoke the function with messages of an SQS queue, a schedule's event, or {{}} for a tick")]
    UnknownEvent(String),
    #[error(transparent)]
    LookFailed(#[from] AwsError),
    #[error("the function has ended")]
    Ended,
}

/// Handles invocations for as long as Lambda sends any.
///
/// # Errors
///
/// Returns an error if the configuration is wrong, or if the Runtime API can't be reached.
pub async fn lambda(watched: &Watched, options: &WatchOptions, log: &Log) -> Result<(), CommandError> {
    runtime::check_environment(|name| std::env::var(name).ok())?;
    let sdk = connect(&watched.connection, log).await?;
    let publisher = publisher(&sdk, options, log);
    let otlp = export(log)?;
    let mut watch = Watch::new(&sdk, watched, options, options.feed_check, log, &otlp);
    // The first invocation discovers what this leaves out.
    let _ =
        tokio::time::timeout(DISCOVERY_AT_INIT, watch.discover(&Liveness::new(options.policy.resync_interval))).await;
    let reconcilers = watch.start(Form::Lambda);
    let context = watch.queue_context(&reconcilers);
    let function = Function::new(SqsQueue::new(&sdk, &watched.queue), reconcilers, context);
    // There is one function with one memory, so invocations are handled one after the other.
    let (sender, invocations) = mpsc::channel::<Invocation>(1);
    let handler = service_fn(|event| hand_over(event, sender.clone(), log.clone()));
    let result = tokio::select! {
        ended = Runtime::new(handler).run() => {
            ended.map_err(|error| CommandError::Failed(format!("Lambda's Runtime API failed: {error}")))
        }
        () = Handler { function, watch, publisher, otlp: otlp.clone() }.handle(invocations) => Ok(()),
    };
    otlp.stop(LAST_EVENTS).await;
    result
}

/// Handles the invocations.
struct Handler {
    function: Function<SqsQueue, AwsPlatform>,
    watch: Watch,
    publisher: Option<Publisher>,
    otlp: Otlp,
}

impl Handler {
    async fn handle(mut self, mut invocations: mpsc::Receiver<Invocation>) {
        while let Some(Invocation { request, deadline, response }) = invocations.recv().await {
            let is_tick = request == Request::Tick;
            let limit = deadline.checked_sub(EVENT_SOURCE_CHECK_MARGIN).unwrap_or(deadline);
            let result = match self.watch.read_if_due(limit).await {
                Ok(changes) => {
                    if !changes.is_empty() {
                        self.function.change(changes);
                    }
                    self.function.invoke(request, deadline).await
                }
                Err(error) => Err(error),
            };
            if is_tick {
                // Before the response, since the process is frozen after it; and the response must be in time.
                self.watch.check_event_sources(limit).await;
            }
            // For the same reason. The next invocation publishes and exports what is left.
            let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(LAST_EVENTS_MARGIN);
            let limit = left.min(LAST_EVENTS);
            let publish = async {
                if let Some(publisher) = &self.publisher {
                    publisher.flush(limit).await;
                }
            };
            tokio::join!(publish, self.otlp.flush(limit));
            // Only a runtime that has ended doesn't wait for the response.
            let _ = response.send(result);
        }
    }
}

/// Passes an event of Lambda to the function, and converts the response.
async fn hand_over(
    event: LambdaEvent<Value>,
    function: mpsc::Sender<Invocation>,
    log: Log,
) -> Result<SqsBatchResponse, InvocationError> {
    let LambdaEvent { payload, context } = event;
    // The deadline is a time of day, and only as good as the clock.
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let deadline = Instant::now() + left;
    let text = payload.to_string();
    let request = payload::request(payload).map_err(|reason| {
        let (body, request_id) = (truncate(&text, LOGGED_BODY).to_owned(), context.request_id);
        log.emit(&Event::InvocationRejected { reason: reason.clone(), body, request_id });
        InvocationError::UnknownEvent(reason)
    })?;
    let (response, responded) = oneshot::channel();
    function.send(Invocation { request, deadline, response }).await.map_err(|_| InvocationError::Ended)?;
    let Response { failed } = responded.await.map_err(|_| InvocationError::Ended)??;
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed);
    Ok(response)
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        let error_type = match error {
            InvocationError::UnknownEvent(_) => "UnknownEvent",
            InvocationError::LookFailed(_) => "LookFailed",
            InvocationError::Ended => "Ended",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
