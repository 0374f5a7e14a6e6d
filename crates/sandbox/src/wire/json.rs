//! Responses and errors of the JSON protocols.

use serde::Serialize;
use serde_json::json;

use super::query_codes::Names;
use super::{ErrorResponse, HttpResponse, respond};
use crate::api::Service;

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// Errors that AWS's service framework returns, whatever the service.
const FRAMEWORK_ERRORS: [&str; 2] = ["SerializationException", "UnknownOperationException"];

/// Returns a response of a service that formerly had the query protocol.
pub(super) fn compatible_success(response: &impl Serialize) -> Result<HttpResponse, serde_json::Error> {
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

/// Returns an error response of a service that formerly had the query protocol.
pub(super) fn compatible_error(service: Service, error: &ErrorResponse) -> HttpResponse {
    let names = Names::of(service, &error.code);
    let body = json!({ "__type": names.kind, "message": error.message });
    let mut response = respond(error.status, JSON_1_0, body.to_string());
    names.add_header(error, &mut response);
    response
}

fn framework(code: &str) -> String {
    format!("com.amazon.coral.service#{code}")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::header::HeaderValue;

    use super::*;

    async fn kind(response: HttpResponse) -> String {
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        body["__type"].as_str().expect("a type").to_owned()
    }

    #[tokio::test]
    async fn errors_of_former_query_services_have_their_query_code_in_a_header() {
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
            let response = compatible_error(Service::Sqs, &ErrorResponse::new(code, ""));
            assert_eq!(response.headers()["x-amzn-query-error"], old);
            assert_eq!(response.headers()["content-type"], JSON_1_0);
            assert_eq!(kind(response).await, name);
        }
        let unavailable = ErrorResponse { code: "ServiceUnavailable".into(), status: 503, message: String::new() };
        assert_eq!(
            compatible_error(Service::Sqs, &unavailable).headers()["x-amzn-query-error"],
            "ServiceUnavailable;Receiver"
        );
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
