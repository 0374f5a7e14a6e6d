//! The HTTP server of `--listen`: health for container runtimes and load balancers, metrics for scrapers.
//!
//! It shares a thread with the worker, so its load is bounded: a few connections at a time with one request each, a time
//! limit for the request's head, and no request body.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::controller::liveness::{Liveness, Unhealthy};
use crate::telemetry::metrics::{self, Metrics};

/// The path of liveness: 200, or 503 and the reason why the worker is stuck.
pub const LIVE_PATH: &str = "/healthz";

/// The path of readiness: 200, or 503 and the reason why the worker can't reconcile.
pub const READY_PATH: &str = "/readyz";

/// The path of the metrics, as OpenMetrics text.
pub const METRICS_PATH: &str = "/metrics";

/// The number of concurrent connections. Others wait in the kernel's queue.
const CONNECTIONS: usize = 16;

/// The time limit for a request's head.
const HEAD_TIME: Duration = Duration::from_secs(2);

/// The time limit for a connection, including the response.
const CONNECTION_TIME: Duration = Duration::from_secs(5);

/// The maximum size of a request's head. It is hyper's minimum; the request of a probe has some hundred bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// The pause after a connection could not be accepted, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The worker's state, as the server shows it. Clones share it.
#[derive(Clone)]
pub struct ServerState {
    liveness: Liveness,
    /// Set when the worker connects to AWS; the server starts earlier.
    metrics: Arc<OnceLock<Metrics>>,
}

impl ServerState {
    /// Creates a state without metrics.
    pub fn new(liveness: Liveness) -> Self {
        Self { liveness, metrics: Arc::default() }
    }

    /// Returns the liveness.
    pub fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// Adds metrics, if there are none yet, and returns the liveness for the worker to update.
    pub fn with_metrics(&self, metrics: Metrics) -> Liveness {
        self.metrics.get_or_init(|| metrics);
        self.liveness.clone()
    }
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds an address. Port 0 means any free port.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is in use, isn't local, or isn't permitted.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Returns the bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves requests until the future is dropped.
    pub async fn serve(self, state: ServerState) -> Infallible {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // Fails only if the semaphore is closed, which it never is.
            let permit = permits.clone().acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let state = state.clone();
                    tokio::spawn(async move {
                        let _permit = permit;
                        let _ = tokio::time::timeout(CONNECTION_TIME, serve_connection(stream, &state)).await;
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Serves one request. Errors of the connection concern only the client.
async fn serve_connection(stream: TcpStream, state: &ServerState) {
    let service = service_fn(async |request: Request<_>| Ok::<_, Infallible>(respond(&request, state)));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn respond<B>(request: &Request<B>, state: &ServerState) -> Response<Full<Bytes>> {
    let response = match request.uri().path() {
        LIVE_PATH => answer(state.liveness.live()),
        READY_PATH => answer(state.liveness.ready()),
        METRICS_PATH => {
            let metrics = state.metrics.get().cloned().unwrap_or_else(Metrics::off);
            body(StatusCode::OK, metrics::CONTENT_TYPE, metrics.exposition())
        }
        _ => {
            return text(
                StatusCode::NOT_FOUND,
                &format!("not found; the paths are {LIVE_PATH}, {READY_PATH} and {METRICS_PATH}"),
            );
        }
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed; use GET or HEAD");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    response
}

fn answer(state: Result<(), Unhealthy>) -> Response<Full<Bytes>> {
    match state {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(Unhealthy(why)) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// Returns a response with one line of text.
fn text(status: StatusCode, line: &str) -> Response<Full<Bytes>> {
    body(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

fn body(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::controller::liveness::Activity;

    fn liveness() -> Liveness {
        Liveness::new(Duration::from_secs(60))
    }

    async fn ask(method: Method, path: &str, liveness: &Liveness) -> (StatusCode, String, Response<()>) {
        let request = Request::builder().method(method).uri(path).body(()).expect("a request");
        let (parts, body) = respond(&request, &ServerState::new(liveness.clone())).into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("text");
        (parts.status, text, Response::from_parts(parts, ()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_worker_is_not_live() {
        let liveness = liveness();
        liveness.begin(Activity::Deleting(Duration::from_secs(20)));
        assert_eq!(ask(Method::GET, LIVE_PATH, &liveness).await.0, StatusCode::OK);
        tokio::time::sleep(Duration::from_secs(51)).await;
        let (status, text, _) = ask(Method::GET, LIVE_PATH, &liveness).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "the worker has been deleting messages for 51 s; the limit is 50 s\n");
    }

    #[tokio::test]
    async fn a_worker_is_ready_after_its_first_reconciliation() {
        let liveness = liveness();
        assert_eq!(ask(Method::GET, READY_PATH, &liveness).await.0, StatusCode::SERVICE_UNAVAILABLE);
        liveness.succeeded();
        assert_eq!(ask(Method::GET, READY_PATH, &liveness).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn rejects_other_paths_and_methods() {
        let liveness = liveness();
        for path in ["/", "/healthz/", "/health"] {
            assert_eq!(ask(Method::GET, path, &liveness).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        let (status, _, response) = ask(Method::POST, LIVE_PATH, &liveness).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
