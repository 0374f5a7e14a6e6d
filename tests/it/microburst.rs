//! Evenings behind microburst, a proxy that others maintain, which makes the faults of AWS and of the way to it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use hyper::Method;
use serde_json::{Value, json};

use crate::failures::live_through_an_evening;
use crate::listen::request;
use crate::moto;
use crate::platform::{Platform, Queue};
use crate::stage::Aws;
use crate::watcher::{Launch, Watcher};

const PROGRAM: &str = include_str!("microburst.py");

/// microburst between a watcher and the proxy of its platform. It ends with its standard input.
struct Microburst {
    address: SocketAddr,
    _process: Child,
}

impl Microburst {
    fn start(platform: &Platform, rules: &Value) -> Self {
        let mut process = Command::new(moto::installed_python())
            .args(["-c", PROGRAM, &platform.proxy.endpoint(), &rules.to_string()])
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("the output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the address is text");
        let address = line.trim().parse().unwrap_or_else(|_| panic!("microburst did not start: {line:?}"));
        Self { address, _process: process }
    }

    /// Starts a worker behind microburst, with a grace period that is long enough for a scale-up within it.
    fn watcher(&self, platform: &Platform) -> Watcher {
        let endpoint = format!("http://{}", self.address);
        Launch::quick(platform).env("AWS_ENDPOINT_URL", &endpoint).args(["--idle-grace", "6s"]).start()
    }

    /// Returns how often each rule made its fault, in the order of the rules.
    async fn faults(&self) -> Vec<u64> {
        let rules = request(&self.address.to_string(), Method::GET, "/_microburst/rules").await.into_body();
        let rules: Vec<Value> = serde_json::from_str(&rules).unwrap_or_else(|error| panic!("{error}: {rules}"));
        rules.iter().map(|rule| rule["fired_count"].as_u64().expect("a count")).collect()
    }
}

/// Returns a platform on moto. A message that is lost with an answer is received again after the visibility timeout.
async fn platform() -> Platform {
    Platform::with_queue(Aws::Moto, Queue { visibility_seconds: 5, ..Queue::default() }).await
}

#[tokio::test]
async fn an_evening_ends_despite_every_kind_of_fault() {
    let platform = platform().await;
    let load_balancer = platform.create_load_balancer().await;
    // The services have botocore's names. Python's draws are seeded, so a run differs from another only in the order of the
    // calls that are made at once, and in the bytes that are corrupted.
    let rules = json!([
        { "service": "ecs", "probability": 0.03, "error": { "code": "ThrottlingException", "status": 400 } },
        { "service": "elbv2", "probability": 0.03, "error": { "code": "Throttling", "status": 400 } },
        { "service": "sqs", "probability": 0.03, "error": { "code": "RequestThrottled", "status": 403 } },
        { "service": "*", "probability": 0.03, "error": { "code": "ServiceUnavailable", "status": 503 } },
        { "service": "*", "probability": 0.03, "reset": true },
        { "service": "*", "probability": 0.03, "response": { "abort_frac": 0.5 } },
        { "service": "*", "probability": 0.03, "response": { "truncate_frac": 0.5 } },
        { "service": "*", "probability": 0.03, "response": { "truncate_frac": 0.9 } },
        { "service": "*", "probability": 0.03, "response": { "corrupt_bytes": 9 } },
        { "service": "*", "probability": 0.2, "response": { "strip_headers": ["Date"] } },
        // Held for longer than an attempt may take; once, since each costs its ten seconds.
        { "service": "ecs", "times": 1, "probability": 0.2, "timeout_ms": 60_000 },
    ]);
    let microburst = Microburst::start(&platform, &rules);
    let watcher = microburst.watcher(&platform);
    live_through_an_evening(&platform, &load_balancer).await;
    let faults = microburst.faults().await;
    assert_eq!(watcher.stop().await, Some(0));
    let [errors, cut, torn, without_date, held] = [0..4, 4..6, 6..9, 9..10, 10..11];
    for kind in [errors, cut, torn, without_date, held] {
        assert!(faults[kind.clone()].iter().sum::<u64>() > 0, "the rules {kind:?} made no fault: {faults:?}");
    }
}

#[tokio::test]
async fn a_torn_answer_costs_one_call_and_no_reconciliation() {
    let platform = platform().await;
    let load_balancer = platform.create_load_balancer().await;
    let microburst = Microburst::start(
        &platform,
        &json!([{ "service": "*", "probability": 0.2, "response": { "truncate_frac": 0.5 } }]),
    );
    let watcher = microburst.watcher(&platform);
    live_through_an_evening(&platform, &load_balancer).await;
    let torn = microburst.faults().await[0];
    let failed = watcher.events("reconcile_failed").len() + watcher.events("poll_failed").len();
    assert_eq!(watcher.stop().await, Some(0));
    // A fifth of the answers is torn, so one call in 125 has three of them in a row. Without a repetition of the call, each
    // torn answer would fail an observation.
    assert!(torn >= 30 && failed as u64 * 5 <= torn, "{failed} failures by {torn} torn answers");
}
