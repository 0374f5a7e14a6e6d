//! The HTTP server: AWS's wire protocols on one port, and the control API under `/_sandbox/`.
//!
//! - `server`: [`Sandbox`], with the listener, the connections and the task that advances the world.
//! - `handler`: the way of one HTTP request to its response; `long_poll`: ReceiveMessage requests that wait.
//! - `request`: from an HTTP request to a service, an operation and its members.
//! - `cbor`: requests, responses and errors of Smithy RPC v2 CBOR.
//! - `query_codes`: the error codes that two of the protocols share with the query protocol.
//! - `json`, `query`: responses and errors of the JSON protocols and of the query protocol, with the latter's forms.
//! - `direct`: a client in the same process, without a socket.
//! - `clock`: the sandbox's clock, which can be set ahead.
//! - `control`: the control API; `world_json`: the world as it returns it.
//! - `recording`: the answered calls with their times and sizes, for benchmarks.
//! - `server_state`: the world, the faults and the counts that all connections share.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use crate::api::{ApiError, Service};
use crate::faults::Refusal;

mod cbor;
#[cfg(any(test, fuzzing))]
pub mod check;
mod clock;
mod control;
pub(crate) mod direct;
#[cfg(test)]
mod fuzz;
mod handler;
mod json;
mod long_poll;
mod query;
mod query_codes;
mod recording;
mod request;
mod server;
mod server_state;
mod world_json;

pub use clock::Clock;
pub use recording::RecordedCall;
pub use server::Sandbox;

/// Maximum length of a request's body: the MiB of the largest SQS message, escaped in JSON.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// An HTTP response.
type HttpResponse = hyper::Response<Full<Bytes>>;

/// Header with AWS's request id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Returns an HTTP response.
fn respond(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = HttpResponse::new(Full::new(body.into()));
    // Never fails: statuses come from this crate, or from fault plans, which check theirs.
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error response, before its protocol is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ErrorResponse {
    code: String,
    status: u16,
    message: String,
}

impl ErrorResponse {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), status: 400, message: message.into() }
    }
}

impl From<ApiError> for ErrorResponse {
    fn from(error: ApiError) -> Self {
        Self { code: error.code.to_owned(), status: error.status, message: error.message }
    }
}

impl From<Refusal> for ErrorResponse {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code, status: refusal.status, message: refusal.message }
    }
}

/// Wire protocol of a request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// Smithy RPC v2 CBOR, with error codes of the service's former query protocol in an extra header.
    Cbor(Service),
    /// JSON 1.0, with such codes as well.
    CompatibleJson(Service),
    /// JSON 1.1.
    Json,
    /// Query protocol: form fields, and XML with this namespace.
    Query(&'static str),
}

impl Protocol {
    fn of(service: Service) -> Self {
        match service {
            // CloudWatch also speaks CBOR, to requests in CBOR.
            Service::CloudWatch | Service::Sqs => Self::CompatibleJson(service),
            Service::Ecs | Service::EventBridge => Self::Json,
            Service::Elb | Service::Sts => Self::Query(query::namespace(service)),
        }
    }

    fn error(self, error: &ErrorResponse, request_id: &str) -> HttpResponse {
        match self {
            Self::Cbor(service) => cbor::error(service, error),
            Self::CompatibleJson(service) => json::compatible_error(service, error),
            Self::Json => json::error(error),
            Self::Query(namespace) => query::error(namespace, error, request_id),
        }
    }
}
