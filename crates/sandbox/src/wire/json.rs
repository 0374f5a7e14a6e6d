//! The answers and errors of the JSON protocols.

use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;

use super::{Answer, Problem, answer};

const SQS: &str = "application/x-amz-json-1.0";
const OTHERS: &str = "application/x-amz-json-1.1";

/// The errors that SQS's model has, with the codes that they have in the query protocol (its model's `awsQueryError`).
const SQS_ERRORS: [(&str, &str); 20] = [
    ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
    ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
    ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
    ("InvalidAddress", "InvalidAddress"),
    ("InvalidAttributeName", "InvalidAttributeName"),
    ("InvalidAttributeValue", "InvalidAttributeValue"),
    ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
    ("InvalidIdFormat", "InvalidIdFormat"),
    ("InvalidMessageContents", "InvalidMessageContents"),
    ("InvalidSecurity", "InvalidSecurity"),
    ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    ("OverLimit", "OverLimit"),
    ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"),
    ("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"),
    ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    ("QueueNameExists", "QueueAlreadyExists"),
    ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
    ("RequestThrottled", "RequestThrottled"),
    ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
    ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
];

/// Errors that any service may have: their names in the JSON protocols and in the query protocol.
const COMMON_ERRORS: [(&str, &str); 3] = [
    ("InvalidParameterValueException", "InvalidParameterValue"),
    ("MissingRequiredParameterException", "MissingParameter"),
    ("AccessDeniedException", "AccessDenied"),
];

/// What the framework under AWS's services says by itself, whatever the service.
const FRAMEWORK_ERRORS: [&str; 2] = ["SerializationException", "UnknownOperationException"];

pub(super) fn sqs_success(response: &impl Serialize) -> Result<Answer, serde_json::Error> {
    Ok(answer(200, SQS, serde_json::to_vec(response)?))
}

pub(super) fn success(response: &impl Serialize) -> Result<Answer, serde_json::Error> {
    Ok(answer(200, OTHERS, serde_json::to_vec(response)?))
}

pub(super) fn error(problem: &Problem) -> Answer {
    let code = problem.code.as_str();
    let kind = if FRAMEWORK_ERRORS.contains(&code) { framework(code) } else { code.to_owned() };
    answer(problem.status, OTHERS, json!({ "__type": kind, "message": problem.message }).to_string())
}

pub(super) fn sqs_error(problem: &Problem) -> Answer {
    let code = problem.code.as_str();
    let (kind, query_code) =
        if let Some((name, old)) = SQS_ERRORS.iter().find(|(name, old)| [*name, *old].contains(&code)) {
            (format!("com.amazonaws.sqs#{name}"), *old)
        } else if let Some((name, old)) = COMMON_ERRORS.iter().find(|(name, old)| [*name, *old].contains(&code)) {
            (framework(name), *old)
        } else {
            (framework(code), code)
        };
    let body = json!({ "__type": kind, "message": problem.message });
    let mut answer = answer(problem.status, SQS, body.to_string());
    let fault = if problem.status < 500 { "Sender" } else { "Receiver" };
    // A code that can't stand in a header has no place in the query protocol either.
    if let Ok(value) = HeaderValue::from_str(&format!("{query_code};{fault}")) {
        answer.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), value);
    }
    answer
}

fn framework(code: &str) -> String {
    format!("com.amazon.coral.service#{code}")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn kind(answer: Answer) -> String {
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        body["__type"].as_str().expect("a type").to_owned()
    }

    #[tokio::test]
    async fn sqs_names_its_errors_twice() {
        for (code, name, old) in [
            (
                "QueueDoesNotExist",
                "com.amazonaws.sqs#QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue;Sender",
            ),
            ("ReceiptHandleIsInvalid", "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid;Sender"),
            (
                "InvalidParameterValue",
                "com.amazon.coral.service#InvalidParameterValueException",
                "InvalidParameterValue;Sender",
            ),
        ] {
            let answer = sqs_error(&Problem::new(code, ""));
            assert_eq!(answer.headers()["x-amzn-query-error"], old);
            assert_eq!(answer.headers()["content-type"], SQS);
            assert_eq!(kind(answer).await, name);
        }
        let unavailable = Problem { code: "ServiceUnavailable".into(), status: 503, message: String::new() };
        assert_eq!(sqs_error(&unavailable).headers()["x-amzn-query-error"], "ServiceUnavailable;Receiver");
    }

    #[tokio::test]
    async fn the_others_name_theirs_plainly() {
        let answer = error(&Problem::new("ClusterNotFoundException", "Cluster not found."));
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (400, &HeaderValue::from_static(OTHERS))
        );
        assert_eq!(kind(answer).await, "ClusterNotFoundException");
        let answer = error(&Problem::new("SerializationException", ""));
        assert_eq!(kind(answer).await, "com.amazon.coral.service#SerializationException");
    }
}
