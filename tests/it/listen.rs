//! `--listen` and `health`: liveness and readiness.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::platform::Platform;
use crate::proxy::{listener, reserve};
use crate::wait::eventually;
use crate::watcher::{Launch, Watcher};

/// Sends a request, and returns the response and its text; `None` if there is none.
async fn try_request(address: &str, method: Method, path: &str) -> Option<Response<String>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", address);
    let response = sender.send_request(request.body(Empty::<Bytes>::new()).expect("a request")).await.ok()?;
    let (parts, body) = response.into_parts();
    let text = body.collect().await.ok()?.to_bytes();
    connection.abort();
    Some(Response::from_parts(parts, String::from_utf8(text.to_vec()).expect("text")))
}

pub async fn request(address: &str, method: Method, path: &str) -> Response<String> {
    try_request(address, method, path).await.expect("a response")
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let response = request(address, Method::GET, path).await;
    (response.status().as_u16(), response.into_body())
}

/// Starts the worker, and returns its address.
async fn start(platform: &Platform, listen: &str) -> (Watcher, String) {
    let watcher = Launch::quick(platform).args(["--listen", listen]).start();
    let address = watcher.wait_for("listening").await.text("address").to_owned();
    (watcher, address)
}

async fn wait_until_ready(address: &str) {
    eventually("the worker is ready", async || (get(address, "/readyz").await.0 == 200).then_some(())).await;
}

/// Runs `health` for an address, and returns its exit status and standard error.
async fn health(listen: &str) -> (Option<i32>, String) {
    let finished = Launch::bare("health").env("JVB_WATCHER_LISTEN", listen).finish().await;
    assert_eq!(finished.stdout, "");
    (finished.code, finished.stderr)
}

#[tokio::test]
async fn a_working_worker_is_live_and_ready() {
    let platform = Platform::new().await;
    let (watcher, address) = start(&platform, "127.0.0.1:0").await;
    wait_until_ready(&address).await;
    assert_eq!(get(&address, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/health").await.0, 404);
    let head = request(&address, Method::HEAD, "/healthz").await;
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].as_bytes()), (200, &b"3"[..]));
    assert_eq!(head.body(), "");
    let post = request(&address, Method::POST, "/healthz").await;
    assert_eq!((post.status().as_u16(), post.headers()["allow"].as_bytes()), (405, &b"GET, HEAD"[..]));
    assert_eq!(health(&address).await, (Some(0), String::new()));
    assert_eq!(watcher.stop().await, Some(0));
}

#[tokio::test]
async fn health_asks_an_unspecified_address_on_loopback() {
    let platform = Platform::new().await;
    let (_watcher, address) = start(&platform, "0.0.0.0:0").await;
    assert!(address.starts_with("0.0.0.0:"), "{address}");
    assert_eq!(health(&address).await, (Some(0), String::new()));
}

#[tokio::test]
async fn without_aws_the_worker_is_live_but_not_ready() {
    let platform = Platform::new().await;
    platform.proxy.go_down().await;
    let (watcher, address) = start(&platform, "127.0.0.1:0").await;
    watcher.wait_for("reconcile_failed").await;
    let (status, text) = get(&address, "/readyz").await;
    assert_eq!(status, 503);
    assert!(text.starts_with("no reconciliation has succeeded yet; the last one failed: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(get(&address, "/healthz").await.0, 200, "a restart would change nothing");
    assert_eq!(health(&address).await.0, Some(0));
    platform.proxy.come_back().await;
    wait_until_ready(&address).await;
}

#[tokio::test]
async fn without_a_permission_the_worker_is_not_ready_and_names_the_call() {
    let platform = Platform::new().await;
    let (watcher, address) = start(&platform, "127.0.0.1:0").await;
    wait_until_ready(&address).await;
    platform.proxy.on("ecs:DescribeServices").error(400, "AccessDeniedException", "not authorized");
    watcher.wait_for("reconcile_failed").await;
    let (status, text) = get(&address, "/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("ecs:DescribeServices"), "{text}");
    assert_eq!(get(&address, "/healthz").await.0, 200);
}

#[tokio::test]
async fn slow_clients_block_neither_the_worker_nor_other_clients() {
    let platform = Platform::new().await;
    let (watcher, address) = start(&platform, "127.0.0.1:0").await;
    let mut silent = Vec::new();
    for _ in 0..24 {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await.expect("the client can send");
        silent.push(stream);
    }
    watcher.wait_for_reconciliations(&platform.proxy, 2).await;
    let response =
        eventually("another client gets a response", async || try_request(&address, Method::GET, "/healthz").await)
            .await;
    assert_eq!(response.status().as_u16(), 200);
    drop(silent);
    watcher.assert_no_trouble();
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let platform = Platform::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let finished = Launch::run(&platform).args(["--listen", &address]).finish().await;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains(&format!("--listen: {address} is in use")), "{}", finished.stderr);
}

#[tokio::test]
async fn an_invalid_address_is_a_usage_error() {
    let platform = Platform::new().await;
    for wrong in ["8081", "localhost:8081", "127.0.0.1"] {
        let finished = Launch::run(&platform).env("JVB_WATCHER_LISTEN", wrong).finish().await;
        assert_eq!(finished.code, Some(2), "{wrong}");
        assert!(finished.stderr.contains("like 127.0.0.1:8081"), "{}", finished.stderr);
        assert_eq!(health(wrong).await.0, Some(2));
    }
    let (code, stderr) = health("").await;
    assert_eq!(code, Some(2), "without an address");
    assert!(stderr.contains("--listen"), "{stderr}");
}

#[tokio::test]
async fn health_reports_why_a_worker_is_not_live() {
    let reservation = reserve(([127, 0, 0, 1], 0).into());
    let address = reservation.local_addr().expect("an address");
    let (listener, address) = (listener(address), address.to_string());
    let stuck = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        // A small request arrives in one read.
        let length = stream.read(&mut [0; 1024]).await.expect("a request");
        assert!(length > 0, "a request");
        let response = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 6\r\nconnection: close\r\n\r\nstuck\n";
        stream.write_all(response.as_bytes()).await.expect("the client can send");
        listener
    });
    assert_eq!(health(&address).await, (Some(1), format!("error: {address} answers 503: stuck\n")));

    // The socket is open, and nothing accepts.
    let listener = stuck.await.expect("no panic");
    let began = std::time::Instant::now();
    let (code, stderr) = health(&address).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("within 2 s"), "{stderr}");
    assert!(began.elapsed() >= Duration::from_secs(2));

    drop(listener);
    let (code, stderr) = health(&address).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("refused"), "{stderr}");
}
