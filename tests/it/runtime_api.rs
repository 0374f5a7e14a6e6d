//! Lambda's side of the Runtime API, as AWS documents it ("Using the Lambda runtime API for custom runtimes"): gives a
//! function its invocations one by one, and takes its answers.

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

/// What a function made of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its response.
    Response(Value),
    /// Its error.
    Error(Value),
}

impl Outcome {
    /// The messages that are to come again, by their ids.
    pub fn failures(&self) -> Vec<&str> {
        let Self::Response(response) = self else { panic!("no response but {self:?}") };
        let failures = response["batchItemFailures"].as_array().expect("a list");
        failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("an id")).collect()
    }
}

struct Invocation {
    id: String,
    payload: String,
    deadline: SystemTime,
}

#[derive(Default)]
struct Book {
    waiting: VecDeque<Invocation>,
    outcomes: BTreeMap<String, Outcome>,
    init_errors: Vec<Value>,
    invocations: u64,
    /// Only the newest request for an invocation gets one: those of a process that was killed get none.
    asked: u64,
}

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    news: Notify,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no test panics with the book in hand")
    }
}

/// The Runtime API of one execution environment. Ends when it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl RuntimeApi {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::<Shared>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    /// The value of AWS_LAMBDA_RUNTIME_API.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Invokes the function, which has so long, and waits for what it makes of it.
    pub async fn invoke(&self, payload: &Value, timeout: Duration) -> Outcome {
        let id = {
            let mut book = self.shared.book();
            book.invocations += 1;
            let id = format!("8476a536-e9f4-11e8-9739-{:012x}", book.invocations);
            let deadline = SystemTime::now() + timeout;
            book.waiting.push_back(Invocation { id: id.clone(), payload: payload.to_string(), deadline });
            id
        };
        self.shared.news.notify_waiters();
        eventually("the function answers", async || self.shared.book().outcomes.remove(&id)).await
    }

    /// What a function said of its failed init.
    pub fn init_errors(&self) -> Vec<Value> {
        self.shared.book().init_errors.clone()
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
        let (stream, _) = listener.accept().await.expect("connections come in");
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
    let body = || serde_json::from_slice::<Value>(&body).expect("a body of JSON");
    let segments: Vec<&str> = path.split('/').collect();
    Ok(match (parts.method, segments.as_slice()) {
        (Method::GET, ["invocation", "next"]) => next(shared).await,
        (Method::POST, ["invocation", id, "response"]) => {
            shared.book().outcomes.insert((*id).to_owned(), Outcome::Response(body()));
            accepted()
        }
        (Method::POST, ["invocation", id, "error"]) => {
            shared.book().outcomes.insert((*id).to_owned(), Outcome::Error(body()));
            accepted()
        }
        (Method::POST, ["init", "error"]) => {
            let mut error = body();
            error["header"] = json!(parts.headers["lambda-runtime-function-error-type"].to_str().expect("text"));
            shared.book().init_errors.push(error);
            accepted()
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

/// Waits for an invocation, and hands it over with its headers.
async fn next(shared: &Shared) -> Response<Full<Bytes>> {
    let turn = {
        let mut book = shared.book();
        book.asked += 1;
        book.asked
    };
    let invocation = loop {
        let news = shared.news.notified();
        tokio::pin!(news);
        // From here on no news is missed.
        news.as_mut().enable();
        {
            let mut book = shared.book();
            if book.asked == turn
                && let Some(invocation) = book.waiting.pop_front()
            {
                break invocation;
            }
        }
        news.await;
    };
    let deadline = invocation.deadline.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", invocation.id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", ARN)
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1")
        .body(Full::new(Bytes::from(invocation.payload)))
        .expect("a response")
}

fn accepted() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}\n")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
