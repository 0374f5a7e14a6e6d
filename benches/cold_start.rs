//! Measures the time from the start of the Lambda function's process to its first call to AWS, which a cold start adds
//! to an invocation. Fails if the median exceeds the limit.
//!
//!     cargo bench --no-default-features --features lambda --bench cold_start
//!
//! Over http the time ends with the first byte of a request; over https, as on AWS, with the first byte of the TLS
//! handshake, by which the function has read the system's root certificates.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::json;

use runtime_api::RuntimeApi;

#[path = "../tests/it/runtime_api.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod runtime_api;
#[path = "../tests/it/wait.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod wait;

/// The limit for the median cold start.
const LIMIT: Duration = Duration::from_millis(50);

const RUNS: usize = 40;

/// Runs that aren't measured, because the page cache doesn't hold the program yet.
const WARM_UP: usize = 3;

/// A fake AWS that denies every call, so that an invocation ends at once, and reports when the first byte arrived.
struct Aws {
    port: u16,
    called: Receiver<Instant>,
}

impl Aws {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, called) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let mut request = [0; 16 * 1024];
                    if stream.read(&mut request).is_ok_and(|length| length > 0) {
                        let _ = sender.send(Instant::now());
                        let body = r#"{"__type":"AccessDeniedException","message":"no"}"#;
                        let _ = write!(
                            stream,
                            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.1\r\n\
                             content-length: {}\r\nconnection: close\r\n\r\n{body}",
                            body.len()
                        );
                    }
                });
            }
        });
        Self { port, called }
    }
}

fn spawn(api: &RuntimeApi, endpoint: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_jvb-watcher"))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", api.address())
        .env("AWS_LAMBDA_FUNCTION_NAME", "jvb-watcher")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_SESSION_TOKEN", "token")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("JVB_WATCHER_PROJECT", "jitsi")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built")
}

/// Measures one cold start, up to the first call.
async fn cold_start(scheme: &str) -> Duration {
    let (aws, api) = (Aws::start(), RuntimeApi::start().await);
    let endpoint = format!("{scheme}://127.0.0.1:{}", aws.port);
    let tick = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    let began = Instant::now();
    let mut child = spawn(&api, &endpoint);
    // The invocation waits for the process, as the first one does on AWS.
    let invocation = async {
        api.invoke(&tick, Duration::from_secs(60)).await;
        std::future::pending::<Infallible>().await
    };
    let called = tokio::task::spawn_blocking(move || aws.called.recv_timeout(wait::PATIENCE));
    let called = tokio::select! {
        called = called => called.expect("no panic").expect("the function calls AWS"),
        never = invocation => match never {},
    };
    child.kill().expect("the program runs");
    child.wait().expect("the program ends");
    called - began
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut good = true;
    for scheme in ["http", "https"] {
        for _ in 0..WARM_UP {
            cold_start(scheme).await;
        }
        let mut times = Vec::new();
        for _ in 0..RUNS {
            times.push(cold_start(scheme).await);
        }
        times.sort();
        let at = |share: usize| times[(RUNS - 1) * share / 100].as_secs_f64() * 1000.0;
        println!("{scheme:5}: median {:5.1} ms, minimum {:.1} ms, 90th percentile {:.1} ms", at(50), at(0), at(90));
        good &= times[RUNS / 2] <= LIMIT;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
