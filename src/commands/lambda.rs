//! `lambda`: the function that AWS Lambda calls, over its Runtime API.

use super::help::{Group, Help, USAGE_ERROR};
use super::options::{FeedCheck, WatchOptions};
use super::settings::Settings;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use http::{Method, StatusCode, Uri};
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{BoxError, PooledClient, build_request};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{CommandError, connect, metrics, monitor_config, policy, publisher, started};
use crate::aws::client::{AwsEventSource, AwsPlatform, SqsQueue};
use crate::aws::{AwsError, Message, Receipt};
use crate::controller::function::{Answer, Function, Work};
use crate::controller::reconcile::Reconciler;
use crate::controller::worker::{Inbox, LOGGED_BODY, cut};
use crate::event_source::monitor::EventSourceMonitor;
use crate::telemetry::log::{Event, Form, Log};
use jvb_watcher_rules::finding::StandingFindings;

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

/// Where the Runtime API is.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// What `lambda_runtime` panics without.
const RUNTIME_VARIABLES: [&str; 2] = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"];

/// The same, as a whole number.
const MEMORY_SIZE: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// The Runtime API is on this machine, so it takes word of a failed init at once or not at all.
const REPORT_TIME: Duration = Duration::from_secs(2);

/// A check of the feed ends so long before the deadline.
const FEED_CHECK_MARGIN: Duration = Duration::from_secs(2);

/// Events for others are waited for no longer than this before an answer,
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// nor until nearer to the deadline than this.
const EVENTS_MARGIN: Duration = Duration::from_millis(500);

/// The detail type of a schedule's events.
const SCHEDULED: &str = "Scheduled Event";

/// Who sends them: a rule of EventBridge, and EventBridge Scheduler where its target has no input of its own.
const SCHEDULES: [&str; 2] = ["aws.events", "aws.scheduler"];

/// An invocation on its way to the function.
struct Invocation {
    work: Work,
    deadline: Instant,
    answer: oneshot::Sender<Result<Answer, AwsError>>,
}

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
enum InvocationError {
    #[error("{0}; give the function messages of an SQS queue, a schedule's event, or {{}} for a tick")]
    UnknownEvent(String),
    #[error(transparent)]
    LookFailed(#[from] AwsError),
    #[error("the function has ended")]
    Ended,
}

/// Takes invocations for as long as Lambda gives any.
///
/// # Errors
///
/// When the configuration is wrong, or when the Runtime API can't be reached.
pub async fn lambda(settings: &Settings, options: &WatchOptions, log: &Log) -> Result<(), CommandError> {
    check_environment(|name| std::env::var(name).ok())?;
    let sdk = connect(settings, log).await?;
    log.emit(&started(Form::Lambda, settings, options, &sdk));
    let publisher = publisher(&sdk, options, log);
    let (platform, policy) = (AwsPlatform::new(&sdk), policy(settings, &options.policy));
    let clock = platform.clock();
    let metrics = metrics(settings, &options.metrics, log, clock.clone());
    let mut reconciler = Reconciler::new(platform, settings.scope.clone(), policy, log.clone(), clock.clone())
        .with_metrics(metrics.clone());
    let mut feed = None;
    if options.feed_check == FeedCheck::Hourly {
        let standing = StandingFindings::default();
        reconciler = reconciler.with_feed(standing.clone());
        let config = monitor_config(settings, standing, log, clock.clone());
        feed = Some(EventSourceMonitor::new(AwsEventSource::new(&sdk), config));
    }
    let inbox = Inbox::new(settings.scope.clone(), log.clone()).with_metrics(metrics);
    let queue = SqsQueue::new(&sdk, &settings.queue);
    let mut function = Function::new(queue, reconciler, inbox, log.clone(), clock);
    // The function is one, and what it remembers with it; so invocations come to it, one after the other.
    let (sender, mut invocations) = mpsc::channel::<Invocation>(1);
    let handler = service_fn(|event| hand_over(event, sender.clone(), log.clone()));
    let working = async {
        while let Some(Invocation { work, deadline, answer }) = invocations.recv().await {
            let is_tick = work == Work::Tick;
            let result = function.invoke(work, deadline).await;
            if let Some(feed) = feed.as_mut().filter(|_| is_tick) {
                // Before the answer, since the process is frozen after it; and the answer must be in time.
                let limit = deadline.checked_sub(FEED_CHECK_MARGIN).unwrap_or(deadline);
                let _ = tokio::time::timeout_at(limit, feed.check_if_due()).await;
            }
            if let Some(publisher) = &publisher {
                // Likewise; what the time isn't enough for goes with the next invocation.
                let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(EVENTS_MARGIN);
                publisher.flush(left.min(LAST_EVENTS)).await;
            }
            // Only a runtime that has ended doesn't wait for it.
            let _ = answer.send(result);
        }
    };
    tokio::select! {
        ended = Runtime::new(handler).run() => {
            ended.map_err(|error| CommandError::Failed(format!("Lambda's Runtime API failed: {error}")))
        }
        () = working => Ok(()),
    }
}

/// Has the function do what an event asks for, and says how it went in Lambda's terms.
async fn hand_over(
    event: LambdaEvent<Value>,
    function: mpsc::Sender<Invocation>,
    log: Log,
) -> Result<SqsBatchResponse, InvocationError> {
    let LambdaEvent { payload, context } = event;
    // The deadline is in the time of day, and only as good as its clock.
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let deadline = Instant::now() + left;
    let text = payload.to_string();
    let work = work(payload).map_err(|reason| {
        let (body, request_id) = (cut(&text, LOGGED_BODY).to_owned(), context.request_id);
        log.emit(&Event::InvocationRejected { reason: reason.clone(), body, request_id });
        InvocationError::UnknownEvent(reason)
    })?;
    let (answer, answered) = oneshot::channel();
    function.send(Invocation { work, deadline, answer }).await.map_err(|_| InvocationError::Ended)?;
    let Answer { failed } = answered.await.map_err(|_| InvocationError::Ended)??;
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed);
    Ok(response)
}

/// What an event asks for.
fn work(payload: Value) -> Result<Work, String> {
    if payload.get("Records").is_some() {
        let batch: SqsEvent =
            serde_json::from_value(payload).map_err(|error| format!("its Records are not those of SQS: {error}"))?;
        return batch.records.into_iter().map(message).collect::<Result<_, _>>().map(Work::Messages);
    }
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    let scheduled =
        text("detail-type") == Some(SCHEDULED) && text("source").is_some_and(|source| SCHEDULES.contains(&source));
    if scheduled || payload == json!({}) {
        return Ok(Work::Tick);
    }
    Err("it has neither Records nor the source of a schedule".to_owned())
}

fn message(record: SqsMessage) -> Result<Message, String> {
    let source = record.event_source.unwrap_or_default();
    if source != "aws:sqs" {
        return Err(format!("a record comes from {source:?} and not from SQS"));
    }
    // Without it a message can't be named in the answer.
    let message_id = record.message_id.filter(|id| !id.is_empty()).ok_or("a record has no messageId")?;
    let receive_count = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    // Milliseconds since the epoch.
    let sent_at = record.attributes.get("SentTimestamp").and_then(|at| at.parse().ok());
    Ok(Message {
        receipt: Receipt { message_id, handle: record.receipt_handle.unwrap_or_default() },
        body: record.body.unwrap_or_default(),
        receive_count: receive_count.unwrap_or(1),
        sent_at: sent_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
    })
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

/// Whether Lambda has started the program, with all that it gives a function.
fn check_environment(environment: impl Fn(&str) -> Option<String>) -> Result<(), CommandError> {
    let wrong = |name: &str, what: &str| {
        let meant = "`lambda` is what AWS Lambda runs; elsewhere use `run`";
        Err(CommandError::Usage(format!("{name} {what}: {meant}")))
    };
    if runtime_api(&environment).is_none() {
        return wrong(RUNTIME_API, "is not set to an address");
    }
    if let Some(name) = RUNTIME_VARIABLES.into_iter().find(|name| environment(name).is_none()) {
        return wrong(name, "is not set");
    }
    match environment(MEMORY_SIZE).map(|size| size.parse::<i32>()) {
        Some(Ok(_)) => Ok(()),
        _ => wrong(MEMORY_SIZE, "is not set to a number"),
    }
}

fn runtime_api(environment: impl Fn(&str) -> Option<String>) -> Option<Uri> {
    environment(RUNTIME_API)?.parse::<Uri>().ok().filter(|uri| uri.authority().is_some())
}

/// Tells Lambda, if it has started the program, that the init has failed and why; else each invocation would show
/// nothing but an exit status.
pub async fn init_failed(message: &str, environment: impl Fn(&str) -> Option<String>) {
    let Some(address) = runtime_api(environment) else { return };
    // With nobody to tell it to, standard error and the exit status still tell.
    let _ = tokio::time::timeout(REPORT_TIME, report(address, message)).await;
}

async fn report(address: Uri, message: &str) -> Result<StatusCode, BoxError> {
    const ERROR_TYPE: &str = "Runtime.ConfigInvalid";
    let body = json!({ "errorType": ERROR_TYPE, "errorMessage": message.trim(), "stackTrace": [] });
    let request = build_request()
        .method(Method::POST)
        .uri("/2018-06-01/runtime/init/error")
        .header("Lambda-Runtime-Function-Error-Type", ERROR_TYPE)
        .body(Body::from(body.to_string()))?;
    Ok(PooledClient::builder().with_endpoint(address).build().call(request).await?.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queues_records_are_messages() {
        let payload = json!({ "Records": [{
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": "hello",
            "attributes": { "ApproximateReceiveCount": "3", "SentTimestamp": "1545082649183" },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
            "awsRegion": "us-east-2",
        }]});
        let Ok(Work::Messages(messages)) = work(payload) else { panic!("not messages") };
        assert_eq!(messages[0].receipt.message_id, "059f36b4-87a3-44ab-83d2-661975830a7d");
        assert_eq!((messages[0].body.as_str(), messages[0].receive_count), ("hello", 3));
    }

    #[test]
    fn a_schedules_event_and_an_empty_object_are_ticks() {
        for source in SCHEDULES {
            let payload = json!({ "version": "0", "source": source, "detail-type": "Scheduled Event", "detail": {} });
            assert_eq!(work(payload), Ok(Work::Tick));
        }
        assert_eq!(work(json!({})), Ok(Work::Tick));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong_with_it() {
        let record = |source: &str| json!({ "Records": [{ "messageId": "id", "eventSource": source, "body": "" }] });
        for (payload, says) in [
            (json!(null), "neither Records nor"),
            (json!("tick"), "neither Records nor"),
            (json!({ "source": "aws.ecs", "detail-type": "ECS Task State Change" }), "neither Records nor"),
            (json!({ "source": "aws.events", "detail-type": "something else" }), "neither Records nor"),
            (json!({ "Records": "none" }), "not those of SQS"),
            (record("aws:kinesis"), "not from SQS"),
            (json!({ "Records": [{ "eventSource": "aws:sqs", "body": "" }] }), "no messageId"),
        ] {
            let reason = work(payload.clone()).expect_err("refused");
            assert!(reason.contains(says), "{payload} gives {reason}");
        }
    }

    #[test]
    fn without_what_lambda_gives_a_function_it_is_no_function() {
        let good = [
            (RUNTIME_API, "127.0.0.1:9001"),
            (RUNTIME_VARIABLES[0], "watcher"),
            (RUNTIME_VARIABLES[1], "$LATEST"),
            (MEMORY_SIZE, "128"),
        ];
        let check = |variables: &[(&str, &str)]| {
            check_environment(|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(check(&good).is_ok());
        for (index, (name, _)) in good.iter().enumerate() {
            let mut variables = good.to_vec();
            variables.remove(index);
            let CommandError::Usage(message) = check(&variables).expect_err(name) else { panic!("another error") };
            assert!(message.contains(name), "{message}");
        }
        let mut wrong = good;
        wrong[0].1 = "/no-address";
        assert!(check(&wrong).is_err());
    }
}
