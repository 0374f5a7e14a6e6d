//! Lambda's side of the Runtime API, as AWS documents it ("Using the Lambda runtime API for custom runtimes"): hands out
//! invocations one by one and receives the function's responses.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::wait::eventually;

const ARN: &str = "arn:aws:lambda:eu-central-1:111122223333:function:jvb-watcher";

/// The outcome of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The function's response.
    Response(Value),
    /// The function's error.
    Error(Value),
}

impl Outcome {
    /// Returns the IDs of the messages that the queue is to deliver again.
    pub fn failures(&self) -> Vec<&str> {
        let Self::Response(response) = self else { panic!("the function failed: {self:?}") };
        let failures = response["batchItemFailures"].as_array().expect("a list");
        failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("an id")).collect()
    }
}

struct Invocation {
    id: String,
    payload: String,
    timeout: Duration,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Invocation>,
    outcomes: BTreeMap<String, Outcome>,
    init_errors: Vec<Value>,
    invocations: u64,
    /// The number of requests for an invocation. Only the latest one gets an invocation, since earlier ones can belong to
    /// killed processes.
    requests: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Signals a new invocation.
    added: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the state is locked")
    }
}

/// The Runtime API of one execution environment. Dropping it stops it.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl RuntimeApi {
    /// Starts the API on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::<Shared>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    /// Returns the value of AWS_LAMBDA_RUNTIME_API.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Invokes the function and waits for the outcome. The timeout starts when the function receives the invocation.
    pub async fn invoke(&self, payload: &Value, timeout: Duration) -> Outcome {
        let id = {
            let mut state = self.shared.state();
            state.invocations += 1;
            let id = format!("8476a536-e9f4-11e8-9739-{:012x}", state.invocations);
            state.waiting.push_back(Invocation { id: id.clone(), payload: payload.to_string(), timeout });
            id
        };
        self.shared.added.notify_waiters();
        eventually("the function has responded", async || self.shared.state().outcomes.remove(&id)).await
    }

    /// Returns the errors that the function reported of its initialization.
    pub fn init_errors(&self) -> Vec<Value> {
        self.shared.state().init_errors.clone()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the listener accepts connections");
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default().to_owned();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = || serde_json::from_slice::<Value>(&body).expect("the body is JSON");
    let segments: Vec<&str> = path.split('/').collect();
    Ok(match (parts.method, segments.as_slice()) {
        (Method::GET, ["invocation", "next"]) => next(shared).await,
        (Method::POST, ["invocation", id, "response"]) => {
            shared.state().outcomes.insert((*id).to_owned(), Outcome::Response(body()));
            accepted()
        }
        (Method::POST, ["invocation", id, "error"]) => {
            shared.state().outcomes.insert((*id).to_owned(), Outcome::Error(body()));
            accepted()
        }
        (Method::POST, ["init", "error"]) => {
            let mut error = body();
            error["header"] = json!(parts.headers["lambda-runtime-function-error-type"].to_str().expect("text"));
            shared.state().init_errors.push(error);
            accepted()
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

/// Waits for an invocation, and returns it with its headers.
async fn next(shared: &Shared) -> Response<Full<Bytes>> {
    let request = {
        let mut state = shared.state();
        state.requests += 1;
        state.requests
    };
    let invocation = loop {
        let added = shared.added.notified();
        tokio::pin!(added);
        // Registers before the check, so that no signal is lost.
        added.as_mut().enable();
        {
            let mut state = shared.state();
            if state.requests == request
                && let Some(invocation) = state.waiting.pop_front()
            {
                break invocation;
            }
        }
        added.await;
    };
    let deadline = SystemTime::now() + invocation.timeout;
    let deadline = deadline.duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_millis();
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", invocation.id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", ARN)
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1")
        .body(Full::new(Bytes::from(invocation.payload)))
        .expect("the parts are valid")
}

fn accepted() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}\n")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
