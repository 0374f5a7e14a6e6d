//! Handler of one HTTP request.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request as HttpRequest;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{DATE, HeaderValue};
use hyper::http::request::Parts;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::recording::RecordedCall;
use super::request::{self, RawRequest};
use super::server_state::ServerState;
use super::{ErrorResponse, HttpResponse, MAX_BODY, Protocol, REQUEST_ID, cbor, control, json, long_poll, query};
use crate::api::{Request, Response, sqs};
use crate::faults::{Moment, Outcome};

/// Time within which the body of a request must arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Error that makes hyper close the connection without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionDropped;

impl fmt::Display for ConnectionDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection closes without a response")
    }
}

impl std::error::Error for ConnectionDropped {}

/// Handles a request. hyper drops the future when the client disconnects.
pub(super) async fn handle(
    state: &ServerState,
    request: HttpRequest<Incoming>,
) -> Result<HttpResponse, ConnectionDropped> {
    let (head, body) = request.into_parts();
    // Refuses a body that announces its length without waiting for it.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Ok(body_too_large(state, &head));
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Ok(body_too_large(state, &head)),
        Ok(Err(_)) => return Err(ConnectionDropped),
        Err(_) => return Ok(body_timed_out(state, &head)),
    };
    // A bug in the sandbox fails this request only.
    let response = AssertUnwindSafe(handle_whole(state, &head, &body)).catch_unwind().await;
    response.unwrap_or_else(|_| Ok(panicked(state, &head)))
}

/// Handles a request whose body has arrived.
pub(super) async fn handle_whole(
    state: &ServerState,
    head: &Parts,
    body: &Bytes,
) -> Result<HttpResponse, ConnectionDropped> {
    if let Some(path) = head.uri.path().strip_prefix(control::PREFIX) {
        return Ok(control::handle(state, &head.method, path, body));
    }
    let request_id = state.request_id();
    let mut response = handle_aws_request(state, head, body, &request_id).await?;
    if let Some(date) = http_date(state.now()) {
        response.headers_mut().insert(DATE, date);
    }
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// Returns the value of a Date header.
fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::from_str(&date).ok()
}

async fn handle_aws_request(
    state: &ServerState,
    head: &Parts,
    body: &Bytes,
    request_id: &str,
) -> Result<HttpResponse, ConnectionDropped> {
    let request = match RawRequest::read(head, body) {
        Ok(request) => request,
        Err(error) => return Ok(request::protocol(&head.headers).error(&error, request_id)),
    };
    let (protocol, service, operation) = (request.protocol(), request.service, request.operation.clone());
    let began = Instant::now();
    state.count_request(service, &operation);
    let record = |response: HttpResponse| {
        state.record_call(|| RecordedCall {
            operation: format!("{}:{operation}", service.prefix()),
            began,
            ended: Instant::now(),
            request: body.clone(),
            response_bytes: usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX),
        });
        response
    };
    let verdict = state.decide(service, &operation);
    if !verdict.latency.is_zero() {
        tokio::time::sleep(verdict.latency).await;
    }
    match verdict.outcome {
        Outcome::Refuse(refusal) => return Ok(record(protocol.error(&refusal.into(), request_id))),
        Outcome::Drop(Moment::Before) => return Err(ConnectionDropped),
        Outcome::Pass | Outcome::Drop(Moment::After) => {}
    }
    let response = perform(state, request, request_id).await;
    if verdict.outcome == Outcome::Drop(Moment::After) {
        return Err(ConnectionDropped);
    }
    Ok(record(response.unwrap_or_else(|error| protocol.error(&error, request_id))))
}

async fn perform(state: &ServerState, request: RawRequest, request_id: &str) -> Result<HttpResponse, ErrorResponse> {
    let operation = request.operation.clone();
    let namespace = query::namespace(request.service);
    let is_cbor = matches!(request.protocol(), Protocol::Cbor(_));
    let response = match request.parse()? {
        Request::Sqs(sqs::Request::ReceiveMessage(input)) => long_poll::receive(state, input).await?,
        request => state.call(request)?,
    };
    let serialized = match &response {
        Response::CloudWatch(response) if is_cbor => cbor::success(response).map_err(|error| error.to_string()),
        Response::CloudWatch(response) => json::compatible_success(response).map_err(|error| error.to_string()),
        Response::Sqs(response) => json::compatible_success(response).map_err(|error| error.to_string()),
        Response::Ecs(response) => json::success(response).map_err(|error| error.to_string()),
        Response::EventBridge(response) => json::success(response).map_err(|error| error.to_string()),
        Response::Elb(response) => {
            query::success(namespace, &operation, response, request_id).map_err(|error| error.to_string())
        }
        Response::Sts(response) => {
            query::success(namespace, &operation, response, request_id).map_err(|error| error.to_string())
        }
    };
    // No response is known to fail here; if one does, the message names its operation.
    let failed = |error| internal_failure(format!("The sandbox cannot serialize its response to {operation}: {error}"));
    serialized.map_err(failed)
}

fn internal_failure(message: String) -> ErrorResponse {
    ErrorResponse { code: "InternalFailure".to_owned(), status: 500, message }
}

fn body_too_large(state: &ServerState, head: &Parts) -> HttpResponse {
    let message = format!("The request's body is larger than {MAX_BODY} bytes.");
    error_for_head(state, head, ErrorResponse { code: "RequestEntityTooLarge".to_owned(), status: 413, message })
}

fn body_timed_out(state: &ServerState, head: &Parts) -> HttpResponse {
    let message = format!("The request's body took longer than {} s.", BODY_TIMEOUT.as_secs());
    error_for_head(state, head, ErrorResponse { code: "RequestTimeout".to_owned(), status: 408, message })
}

fn panicked(state: &ServerState, head: &Parts) -> HttpResponse {
    let message = "The sandbox has a bug: this request panicked, with the message on standard error.";
    error_for_head(state, head, internal_failure(message.to_owned()))
}

/// Returns the error response to a request of which only the head is known.
fn error_for_head(state: &ServerState, head: &Parts, error: ErrorResponse) -> HttpResponse {
    request::protocol(&head.headers).error(&error, &state.request_id())
}
