//! How calls travel: the real protocols over HTTP/1.1 on one port, told apart as AWS does it.
//!
//! - `call`: from an HTTP request to a call of the world's.
//! - `json` and `query`: the protocols' answers and errors; `query` has its forms too.
//! - `shared`: the world, the faults and the counts, for all connections.
//! - `server`: [`Sandbox`]: the listener, the connections, the task that steps the world.
//! - `service`: what becomes of one HTTP request; `poll`: of one that waits for messages.
//! - `control`: the plain JSON endpoint under `/_sandbox/`; `state`: the world as it shows there.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};

mod call;
#[cfg(any(test, fuzzing))]
pub mod check;
mod control;
#[cfg(test)]
mod fuzz;
mod json;
mod poll;
mod query;
mod server;
mod service;
mod shared;
mod state;

pub use server::Sandbox;

/// No HTTP body is larger: the MiB that SQS takes at most, and what escaping makes of that in JSON.
const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// An answer on its way back.
type Answer = Response<Full<Bytes>>;

/// The header that carries AWS's id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Puts an answer together.
fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    // Only a number that is no status at all leaves the 200; faults are checked for that when they are set.
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *answer.status_mut() = status;
    }
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// How an error looks to the caller, whatever the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    code: String,
    status: u16,
    message: String,
}

impl Problem {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), status: 400, message: message.into() }
    }
}

impl From<super::api::ApiError> for Problem {
    fn from(error: super::api::ApiError) -> Self {
        Self { code: error.code.to_owned(), status: error.status, message: error.message }
    }
}

impl From<super::faults::Refusal> for Problem {
    fn from(refusal: super::faults::Refusal) -> Self {
        Self { code: refusal.code, status: refusal.status, message: refusal.message }
    }
}

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// JSON 1.0, with the errors of the query protocol that it had before in a header beside its own.
    Sqs,
    /// JSON 1.1.
    Json,
    /// Form fields, and XML of this namespace.
    Query(&'static str),
}

impl Dialect {
    fn of(service: super::api::Service) -> Self {
        use super::api::Service;
        match service {
            Service::Sqs => Self::Sqs,
            Service::Ecs | Service::EventBridge => Self::Json,
            Service::Elb | Service::Sts => Self::Query(query::namespace(service)),
        }
    }

    fn error(self, problem: &Problem, request_id: &str) -> Answer {
        match self {
            Self::Sqs => json::sqs_error(problem),
            Self::Json => json::error(problem),
            Self::Query(namespace) => query::error(namespace, problem, request_id),
        }
    }
}
