//! From an event of Lambda to a request: messages of an SQS queue, or a schedule's tick.

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::aws::{Message, Receipt};
use crate::controller::function::Request;

/// The detail type of a schedule's events.
const SCHEDULED: &str = "Scheduled Event";

/// The sources of a schedule's events: a rule of EventBridge, and EventBridge Scheduler where its target has no input of
/// its own.
const SCHEDULES: [&str; 2] = ["aws.events", "aws.scheduler"];

/// Parses an event.
///
/// # Errors
///
/// The reason why the function can't handle it.
pub(super) fn request(payload: Value) -> Result<Request, String> {
    if payload.get("Records").is_some() {
        let batch: SqsEvent =
            serde_json::from_value(payload).map_err(|error| format!("its Records are not those of SQS: {error}"))?;
        return batch.records.into_iter().map(message).collect::<Result<_, _>>().map(Request::Messages);
    }
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    let is_scheduled =
        text("detail-type") == Some(SCHEDULED) && text("source").is_some_and(|source| SCHEDULES.contains(&source));
    if is_scheduled || payload == json!({}) {
        return Ok(Request::Tick);
    }
    Err("it has neither Records nor the source of a schedule".to_owned())
}

fn message(record: SqsMessage) -> Result<Message, String> {
    let source = record.event_source.unwrap_or_default();
    if source != "aws:sqs" {
        return Err(format!("a record comes from {source:?} and not from SQS"));
    }
    // The response names messages by their ids.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_records_of_a_queue() {
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
        let Ok(Request::Messages(messages)) = request(payload) else { panic!("not messages") };
        assert_eq!(messages[0].receipt.message_id, "059f36b4-87a3-44ab-83d2-661975830a7d");
        assert_eq!((messages[0].body.as_str(), messages[0].receive_count), ("hello", 3));
    }

    #[test]
    fn parses_a_schedules_event_and_an_empty_object_as_ticks() {
        for source in SCHEDULES {
            let payload = json!({ "version": "0", "source": source, "detail-type": "Scheduled Event", "detail": {} });
            assert_eq!(request(payload), Ok(Request::Tick));
        }
        assert_eq!(request(json!({})), Ok(Request::Tick));
    }

    #[test]
    fn rejects_other_events_with_the_reason() {
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
            let reason = request(payload.clone()).expect_err("rejected");
            assert!(reason.contains(says), "{payload} gives {reason}");
        }
    }
}
