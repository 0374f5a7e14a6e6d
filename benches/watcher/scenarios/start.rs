//! The time from the start of the process to the first byte that AWS receives, and the function's memory at a tick.
//!
//! Over http the time ends with the first byte of a request; over https, as on AWS, with the first byte of the TLS
//! handshake, by which the program has read the system's root certificates.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use jvb_watcher_benchmarks::journal::percentile;
use jvb_watcher_benchmarks::process::Process;
use jvb_watcher_benchmarks::stage::Stage;
use serde_json::{Value, json};

use super::Bench;
use crate::report::{Bar, Section};
use crate::runtime_api::RuntimeApi;
use crate::wait;

const RUNS: usize = 40;

/// Runs that aren't measured, because the page cache doesn't hold the program yet.
const WARM_UP: usize = 3;

/// Time for one tick.
const TICK_TIMEOUT: Duration = Duration::from_secs(60);

/// A fake AWS that denies every call, and reports when the first byte arrived.
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

/// Returns the program with the environment of a function, or of a worker.
fn command(program: &Path, endpoint: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_SESSION_TOKEN", "token")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("JVB_WATCHER_PROJECT", "jitsi");
    command
}

/// Makes a command that of a function.
fn as_function<'a>(command: &'a mut Command, api: &RuntimeApi) -> &'a mut Command {
    command
        .env("AWS_LAMBDA_RUNTIME_API", api.address())
        .env("AWS_LAMBDA_FUNCTION_NAME", "jvb-watcher")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
}

fn tick() -> Value {
    json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} })
}

/// The time limit of a start, after which something is wrong.
const START_TIMEOUT: Duration = wait::PATIENCE;

/// Measures one start of the worker.
fn worker(program: &Path, scheme: &str) -> Duration {
    let aws = Aws::start();
    let mut command = command(program, &format!("{scheme}://127.0.0.1:{}", aws.port));
    let began = Instant::now();
    let child = command.arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program can be started");
    let called = aws.called.recv_timeout(START_TIMEOUT).expect("the worker calls AWS");
    child.kill().expect("the program runs");
    child.wait().expect("the program ends");
    called - began
}

/// Measures one start of the function. The invocation waits for the process, as the first one does on AWS.
async fn function(program: &Path, scheme: &str) -> Duration {
    let (aws, api) = (Aws::start(), RuntimeApi::start().await);
    let mut command = command(program, &format!("{scheme}://127.0.0.1:{}", aws.port));
    let began = Instant::now();
    let child = as_function(&mut command, &api).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program can be started");
    let called = tokio::task::spawn_blocking(move || aws.called.recv_timeout(START_TIMEOUT));
    let called = tokio::select! {
        called = called => called.expect("no panic").expect("the function calls AWS"),
        _ = async { api.invoke(&tick(), TICK_TIMEOUT).await; std::future::pending::<()>().await } => unreachable!(),
    };
    child.kill().expect("the program runs");
    child.wait().expect("the program ends");
    called - began
}

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (form, limit) in [("run", 12.0), ("lambda", 50.0)] {
        for scheme in ["http", "https"] {
            let start = || match form {
                "run" => worker(&bench.program, scheme),
                _ => runtime.block_on(function(&bench.program, scheme)),
            };
            let times: Vec<f64> = (0..WARM_UP + RUNS).map(|_| start().as_secs_f64() * 1_000.0).skip(WARM_UP).collect();
            let at = |share| percentile(&times, share).unwrap_or_default();
            section
                .row(format!("start of the process to the first request, {form}, {scheme}"), at(0.5), "ms")
                .bar(Bar::AtMost(limit))
                .note(format!("median of {RUNS}"))
                .detail("minimum", at(0.0))
                .detail("90th percentile", at(0.9));
        }
    }
    let stage = Stage::new();
    let usage = runtime.block_on(async {
        let api = RuntimeApi::start().await;
        let mut command = stage.command(&bench.program);
        as_function(&mut command, &api).env("JVB_WATCHER_PROJECT", "jitsi");
        let process = Process::start(&mut command);
        api.invoke(&tick(), TICK_TIMEOUT).await;
        process.usage()
    });
    section
        .row("most memory of the function at a tick", usage.peak as f64 / 1024.0, "MiB")
        .bar(Bar::AtMost(40.0))
        .note("the process's; Lambda's own figure includes its runtime interface")
        .detail("of it its own at the end, MiB", usage.anonymous as f64 / 1024.0);
}
