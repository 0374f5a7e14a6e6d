//! The HTTP server of `--listen`: health for container runtimes and load balancers, metrics for scrapers, a status page for
//! operators.
//!
//! It shares a thread with the worker, so its load is bounded: a few connections at a time with one request each, a time
//! limit for the request's head, and no request body. The page, which can have a thousand rows, is rendered on a thread of
//! its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, REFRESH,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};

use crate::controller::liveness::{Liveness, Unhealthy};
use crate::status::{REFRESH_SECONDS, SERVICES_PATH, STYLE, StatusPage};
use crate::telemetry::metrics::{self, Metrics};

/// The path of liveness: 200, or 503 and the reason why the worker is stuck.
pub const LIVE_PATH: &str = "/healthz";

/// The path of readiness: 200, or 503 and the reason why the worker can't reconcile.
pub const READY_PATH: &str = "/readyz";

/// The path of the metrics, as OpenMetrics text.
pub const METRICS_PATH: &str = "/metrics";

/// The path of the status page. Those of a fleet's services are below [`SERVICES_PATH`].
pub const PAGE_PATH: &str = "/";

/// The path of the page's style sheet. It is a file of its own so that [`PAGE_POLICY`] need not allow styles in the page.
const STYLE_PATH: &str = "/status.css";

/// What a browser may do for the page: load its style sheet, and nothing else. It has no script and no form.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";

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
    /// The same.
    page: Arc<OnceLock<StatusPage>>,
    /// Held while a page is rendered: that of a large fleet takes megabytes.
    rendering: Arc<Mutex<()>>,
}

impl ServerState {
    /// Creates a state without metrics and without a page.
    pub fn new(liveness: Liveness) -> Self {
        Self { liveness, metrics: Arc::default(), page: Arc::default(), rendering: Arc::default() }
    }

    /// Adds the status page, if there is none yet.
    pub fn show(&self, page: StatusPage) {
        self.page.get_or_init(|| page);
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
    let service = service_fn(async |request: Request<_>| Ok::<_, Infallible>(respond(&request, state).await));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond<B>(request: &Request<B>, state: &ServerState) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let is_page = path == PAGE_PATH || path.starts_with(SERVICES_PATH);
    if ![LIVE_PATH, READY_PATH, METRICS_PATH, STYLE_PATH].contains(&path) && !is_page {
        return not_found();
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed; use GET or HEAD");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        LIVE_PATH => answer(state.liveness.live()),
        READY_PATH => answer(state.liveness.ready()),
        METRICS_PATH => {
            let metrics = state.metrics.get().cloned().unwrap_or_else(Metrics::off);
            body(StatusCode::OK, metrics::CONTENT_TYPE, metrics.exposition())
        }
        STYLE_PATH => body(StatusCode::OK, "text/css; charset=utf-8", STYLE.to_owned()),
        _ => page(path, state).await,
    }
}

/// Renders the status page, on another thread than the worker's.
async fn page(path: &str, state: &ServerState) -> Response<Full<Bytes>> {
    let Some(page) = state.page.get().cloned() else {
        return refreshed(text(StatusCode::SERVICE_UNAVAILABLE, "the worker has not connected to AWS yet"));
    };
    let path = path.to_owned();
    let _turn = state.rendering.lock().await;
    match tokio::task::spawn_blocking(move || page.render(&path)).await {
        Ok(Ok(Some(page))) => {
            let mut response = refreshed(body(StatusCode::OK, "text/html; charset=utf-8", page));
            let headers = response.headers_mut();
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            response
        }
        Ok(Ok(None)) => not_found(),
        Ok(Err(_)) | Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered"),
    }
}

fn not_found() -> Response<Full<Bytes>> {
    let paths =
        format!("{PAGE_PATH}, {SERVICES_PATH}CLUSTER/SERVICE of a fleet, {LIVE_PATH}, {READY_PATH} and {METRICS_PATH}");
    text(StatusCode::NOT_FOUND, &format!("not found; the paths are {paths}"))
}

/// Has the browser load the page again and again, without a script.
fn refreshed(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(REFRESH, HeaderValue::from(REFRESH_SECONDS));
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
    use std::sync::{Mutex, mpsc};

    use http_body_util::BodyExt;
    use jiff::Timestamp;

    use super::*;
    use crate::clock::Clock;
    use crate::controller::latest::LatestReconciliations;
    use crate::controller::liveness::Activity;

    fn liveness() -> Liveness {
        Liveness::new(Duration::from_secs(60))
    }

    async fn ask(method: Method, path: &str, liveness: &Liveness) -> (StatusCode, String, Response<()>) {
        let request = Request::builder().method(method).uri(path).body(()).expect("a request");
        let (parts, body) = respond(&request, &ServerState::new(liveness.clone())).await.into_parts();
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
        for path in ["/healthz/", "/health", "/services"] {
            assert_eq!(ask(Method::GET, path, &liveness).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        let (status, text, response) = ask(Method::GET, PAGE_PATH, &liveness).await;
        assert_eq!(
            (status, text.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "the worker has not connected to AWS yet\n")
        );
        assert_eq!(response.headers()[REFRESH], "10", "the browser asks again");
        let (status, _, response) = ask(Method::POST, LIVE_PATH, &liveness).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }

    /// A clock that shows no time until a message arrives.
    struct StoppedClock(Mutex<mpsc::Receiver<()>>);

    impl Clock for StoppedClock {
        fn now(&self) -> Timestamp {
            let stopped = self.0.lock().expect("not poisoned");
            stopped.recv_timeout(Duration::from_secs(60)).expect("the worker's thread goes on meanwhile");
            Timestamp::UNIX_EPOCH
        }
    }

    #[tokio::test]
    async fn a_page_that_takes_long_does_not_delay_the_worker() {
        let (start, stopped) = mpsc::channel();
        let state = ServerState::new(liveness());
        state.show(StatusPage {
            latest: LatestReconciliations::default(),
            liveness: liveness(),
            is_fleet: true,
            queue: "p-jvb-watcher".to_owned(),
            region: "eu-west-1".to_owned(),
            costs: jvb_watcher_cost::Model::default(),
            clock: Arc::new(StoppedClock(Mutex::new(stopped))),
        });
        let request = Request::get(PAGE_PATH).body(()).expect("a request");
        // Both run on this thread, as the worker and the server do.
        let (page, ()) = tokio::join!(respond(&request, &state), async {
            start.send(()).expect("the page waits for its clock");
        });
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[REFRESH], "10");
        assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
    }
}
