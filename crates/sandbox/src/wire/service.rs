//! What becomes of one HTTP request.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request as HttpRequest;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;

use super::call::{self, Call};
use super::shared::Shared;
use super::{Answer, Dialect, LARGEST_BODY, Problem, REQUEST_ID, control, json, poll, query};
use crate::api::{Request, Response, sqs};
use crate::faults::{Moment, Outcome};

/// How long a body may take to arrive: enough for any client that means it.
const SLOWEST_BODY: Duration = Duration::from_secs(30);

/// The connection is to end without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends without an answer")
    }
}

impl std::error::Error for Dropped {}

/// Answers a request, or ends its connection. hyper drops this when the client goes away.
pub(super) async fn handle(shared: &Shared, request: HttpRequest<Incoming>) -> Result<Answer, Dropped> {
    let (head, body) = request.into_parts();
    // One that says so itself is not waited for.
    if body.size_hint().lower() > LARGEST_BODY as u64 {
        return Ok(too_large(shared, &head));
    }
    let body = match tokio::time::timeout(SLOWEST_BODY, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Ok(too_large(shared, &head)),
        Ok(Err(_)) => return Err(Dropped),
        Err(_) => return Ok(too_slow(shared, &head)),
    };
    // A bug of the sandbox's is an error to this caller, and the others go on.
    let answered = AssertUnwindSafe(answer(shared, &head, &body)).catch_unwind().await;
    answered.unwrap_or_else(|_| Ok(broken(shared, &head)))
}

/// Answers a request that is there whole.
pub(super) async fn answer(shared: &Shared, head: &Parts, body: &Bytes) -> Result<Answer, Dropped> {
    if let Some(path) = head.uri.path().strip_prefix(control::PREFIX) {
        return Ok(control::handle(shared, &head.method, path, body));
    }
    let request_id = shared.request_id();
    let mut answer = answer_call(shared, head, body, &request_id).await?;
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(answer)
}

async fn answer_call(shared: &Shared, head: &Parts, body: &Bytes, request_id: &str) -> Result<Answer, Dropped> {
    let call = match Call::read(head, body) {
        Ok(call) => call,
        Err(problem) => return Ok(call::dialect(&head.headers).error(&problem, request_id)),
    };
    let dialect = Dialect::of(call.service);
    shared.count(call.service, &call.operation);
    let verdict = shared.decide(call.service, &call.operation);
    if !verdict.latency.is_zero() {
        tokio::time::sleep(verdict.latency).await;
    }
    match verdict.outcome {
        Outcome::Refuse(refusal) => return Ok(dialect.error(&refusal.into(), request_id)),
        Outcome::Drop(Moment::Before) => return Err(Dropped),
        Outcome::Pass | Outcome::Drop(Moment::After) => {}
    }
    let answered = perform(shared, call, request_id).await;
    if verdict.outcome == Outcome::Drop(Moment::After) {
        return Err(Dropped);
    }
    Ok(answered.unwrap_or_else(|problem| dialect.error(&problem, request_id)))
}

async fn perform(shared: &Shared, call: Call, request_id: &str) -> Result<Answer, Problem> {
    let operation = call.operation.clone();
    let namespace = query::namespace(call.service);
    let response = match call.request()? {
        Request::Sqs(sqs::Request::ReceiveMessage(input)) => poll::receive(shared, input).await?,
        request => shared.call(request)?,
    };
    let written = match &response {
        Response::Sqs(response) => json::sqs_success(response).map_err(|error| error.to_string()),
        Response::Ecs(response) => json::success(response).map_err(|error| error.to_string()),
        Response::EventBridge(response) => json::success(response).map_err(|error| error.to_string()),
        Response::Elb(response) => {
            query::success(namespace, &operation, response, request_id).map_err(|error| error.to_string())
        }
        Response::Sts(response) => {
            query::success(namespace, &operation, response, request_id).map_err(|error| error.to_string())
        }
    };
    // Of these shapes none is known that can't be written; if there is one, its name must not be lost.
    written.map_err(|error| failure(format!("The sandbox cannot write its answer to {operation}: {error}")))
}

fn failure(message: String) -> Problem {
    Problem { code: "InternalFailure".to_owned(), status: 500, message }
}

fn too_large(shared: &Shared, head: &Parts) -> Answer {
    let message = format!("The request's body is larger than {LARGEST_BODY} bytes.");
    unread(shared, head, Problem { code: "RequestEntityTooLarge".to_owned(), status: 413, message })
}

fn too_slow(shared: &Shared, head: &Parts) -> Answer {
    let message = format!("The request's body took longer than {} s.", SLOWEST_BODY.as_secs());
    unread(shared, head, Problem { code: "RequestTimeout".to_owned(), status: 408, message })
}

fn broken(shared: &Shared, head: &Parts) -> Answer {
    let message = "The sandbox has a bug: what happened is on its standard error. It goes on.";
    unread(shared, head, failure(message.to_owned()))
}

/// The answer to a request of which no more than its head is known.
fn unread(shared: &Shared, head: &Parts, problem: Problem) -> Answer {
    call::dialect(&head.headers).error(&problem, &shared.request_id())
}
