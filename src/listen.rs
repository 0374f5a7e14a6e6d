//! The server of `--listen`: what a container's runtime, a load balancer and a scraper of metrics ask, over HTTP/1.1.
//!
//! It lives beside the worker in one thread, so it takes on little: few connections at a time, one request each, whose
//! head must come soon and whose body isn't read.

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

/// Whether the worker's loop turns: 200, or 503 and why it doesn't.
pub const LIVE_PATH: &str = "/healthz";

/// Whether the worker keeps the service true: 200, or 503 and why it doesn't.
pub const READY_PATH: &str = "/readyz";

/// The figures, in OpenMetrics' text form.
pub const METRICS_PATH: &str = "/metrics";

/// So many connections are served at a time; others wait in the kernel's queue.
const CONNECTIONS: usize = 16;

/// A request's head must have come by then.
const HEAD_TIME: Duration = Duration::from_secs(2);

/// A connection, answer and all, ends by then.
const CONNECTION_TIME: Duration = Duration::from_secs(5);

/// The smallest that hyper takes; a probe's request has some hundred bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// How long to wait when no connection can be taken: for want of file handles, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is shown of the worker. Clones show the same.
#[derive(Clone)]
pub struct Shown {
    liveness: Liveness,
    /// Once there are any: the server is there before the way to AWS is.
    metrics: Arc<OnceLock<Metrics>>,
}

impl Shown {
    /// Whether it lives, and no figures yet.
    pub fn new(liveness: Liveness) -> Self {
        Self { liveness, metrics: Arc::default() }
    }

    /// Shows these figures from now on, if there are none yet; and gives the liveness, for the worker to keep.
    pub fn with_metrics(&self, metrics: Metrics) -> Liveness {
        self.metrics.get_or_init(|| metrics);
        self.liveness.clone()
    }
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Begins to listen. Port 0 stands for any free one.
    ///
    /// # Errors
    ///
    /// When the address is in use, isn't one of this machine's, or isn't allowed.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that it came to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for as long as it is polled.
    pub async fn serve(self, shown: Shown) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // Never closed, so there is a place in the end.
            let place = places.clone().acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let shown = shown.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        let _ = tokio::time::timeout(CONNECTION_TIME, converse(stream, &shown)).await;
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Answers one request. How the connection ends is the client's business.
async fn converse(stream: TcpStream, shown: &Shown) {
    let service = service_fn(async |request: Request<_>| Ok::<_, Infallible>(answer(&request, shown)));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer<B>(request: &Request<B>, shown: &Shown) -> Response<Full<Bytes>> {
    let response = match request.uri().path() {
        LIVE_PATH => state(shown.liveness.live()),
        READY_PATH => state(shown.liveness.ready()),
        METRICS_PATH => {
            let metrics = shown.metrics.get().cloned().unwrap_or_else(Metrics::off);
            body(StatusCode::OK, metrics::CONTENT_TYPE, metrics.exposition())
        }
        _ => return text(StatusCode::NOT_FOUND, &format!("there are {LIVE_PATH}, {READY_PATH} and {METRICS_PATH}")),
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    response
}

fn state(state: Result<(), Unhealthy>) -> Response<Full<Bytes>> {
    match state {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(Unhealthy(why)) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// One line of text.
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
        let (parts, body) = answer(&request, &Shown::new(liveness.clone())).into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("text");
        (parts.status, text, Response::from_parts(parts, ()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_stuck_is_not_healthy_and_one_line_says_why() {
        let liveness = liveness();
        liveness.begin(Activity::Deleting(Duration::from_secs(20)));
        assert_eq!(ask(Method::GET, LIVE_PATH, &liveness).await.0, StatusCode::OK);
        tokio::time::sleep(Duration::from_secs(51)).await;
        let (status, text, _) = ask(Method::GET, LIVE_PATH, &liveness).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "the worker has been deleting messages for 51 s; the limit is 50 s\n");
    }

    #[tokio::test]
    async fn a_worker_is_ready_after_its_first_look() {
        let liveness = liveness();
        assert_eq!(ask(Method::GET, READY_PATH, &liveness).await.0, StatusCode::SERVICE_UNAVAILABLE);
        liveness.succeeded();
        assert_eq!(ask(Method::GET, READY_PATH, &liveness).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found_and_what_cannot_be_done_is_not_allowed() {
        let liveness = liveness();
        for path in ["/", "/healthz/", "/health"] {
            assert_eq!(ask(Method::GET, path, &liveness).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        let (status, _, response) = ask(Method::POST, LIVE_PATH, &liveness).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
