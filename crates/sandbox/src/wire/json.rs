//! Responses and errors of the JSON protocols.

use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;

use super::{ErrorResponse, HttpResponse, respond};

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// Errors of SQS's model, with their codes in the query protocol (`awsQueryError` in the model).
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

/// Errors of any service: their names in the JSON protocols, and their codes in the query protocol.
const COMMON_ERRORS: [(&str, &str); 3] = [
    ("InvalidParameterValueException", "InvalidParameterValue"),
    ("MissingRequiredParameterException", "MissingParameter"),
    ("AccessDeniedException", "AccessDenied"),
];

/// Errors that AWS's service framework returns, whatever the service.
const FRAMEWORK_ERRORS: [&str; 2] = ["SerializationException", "UnknownOperationException"];

pub(super) fn sqs_success(response: &impl Serialize) -> Result<HttpResponse, serde_json::Error> {
    Ok(respond(200, JSON_1_0, serde_json::to_vec(response)?))
}

pub(super) fn success(response: &impl Serialize) -> Result<HttpResponse, serde_json::Error> {
    Ok(respond(200, JSON_1_1, serde_json::to_vec(response)?))
}

pub(super) fn error(error: &ErrorResponse) -> HttpResponse {
    let code = error.code.as_str();
    let kind = if FRAMEWORK_ERRORS.contains(&code) { framework(code) } else { code.to_owned() };
    respond(error.status, JSON_1_1, json!({ "__type": kind, "message": error.message }).to_string())
}

pub(super) fn sqs_error(error: &ErrorResponse) -> HttpResponse {
    let code = error.code.as_str();
    let (kind, query_code) =
        if let Some((name, old)) = SQS_ERRORS.iter().find(|(name, old)| [*name, *old].contains(&code)) {
            (format!("com.amazonaws.sqs#{name}"), *old)
        } else if let Some((name, old)) = COMMON_ERRORS.iter().find(|(name, old)| [*name, *old].contains(&code)) {
            (framework(name), *old)
        } else {
            (framework(code), code)
        };
    let body = json!({ "__type": kind, "message": error.message });
    let mut response = respond(error.status, JSON_1_0, body.to_string());
    let fault = if error.status < 500 { "Sender" } else { "Receiver" };
    // A code that isn't a valid header value, which only a fault plan can set, gets no header.
    if let Ok(value) = HeaderValue::from_str(&format!("{query_code};{fault}")) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), value);
    }
    response
}

fn framework(code: &str) -> String {
    format!("com.amazon.coral.service#{code}")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn kind(response: HttpResponse) -> String {
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        body["__type"].as_str().expect("a type").to_owned()
    }

    #[tokio::test]
    async fn sqs_errors_have_their_query_code_in_a_header() {
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
            let response = sqs_error(&ErrorResponse::new(code, ""));
            assert_eq!(response.headers()["x-amzn-query-error"], old);
            assert_eq!(response.headers()["content-type"], JSON_1_0);
            assert_eq!(kind(response).await, name);
        }
        let unavailable = ErrorResponse { code: "ServiceUnavailable".into(), status: 503, message: String::new() };
        assert_eq!(sqs_error(&unavailable).headers()["x-amzn-query-error"], "ServiceUnavailable;Receiver");
    }

    #[tokio::test]
    async fn other_errors_have_no_namespace_but_for_the_frameworks() {
        let response = error(&ErrorResponse::new("ClusterNotFoundException", "Cluster not found."));
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (400, &HeaderValue::from_static(JSON_1_1))
        );
        assert_eq!(kind(response).await, "ClusterNotFoundException");
        let response = error(&ErrorResponse::new("SerializationException", ""));
        assert_eq!(kind(response).await, "com.amazon.coral.service#SerializationException");
    }
}
