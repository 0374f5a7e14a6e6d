//! `audit`: its exit statuses and its outputs. The log of every process that the tests start is audited too (`watcher.rs`).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// A log of an older version, in which nothing is broken.
fn evening() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs/evening.jsonl")
}

fn audit(arguments: &[&str], input: &str) -> Output {
    let mut running = Command::new(env!("CARGO_BIN_EXE_jvb-watcher"))
        .env_clear()
        .arg("audit")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut stdin = running.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    running.wait_with_output().expect("it ends")
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).expect("text")
}

/// A deletion that rests on one observation, which found a task.
fn breach() -> String {
    let line = json!({
        "timestamp": "2026-11-20T20:33:04.000Z", "level": "INFO", "event": "load_balancer_deleted", "message": "deleted",
        "project": "jitsi", "cluster": "jitsi-cluster", "service": "jitsi-service", "uptime_seconds": 9341,
        "idle_since": "2026-11-20T20:32:01.407Z", "desired": 0, "live_tasks": 1, "healthy_others": 0, "owned": true,
        "held": false, "observation": "2026-11-20T20:33:03.104401562Z",
    });
    format!("some other program\n{line}\n")
}

#[test]
fn an_older_log_breaks_nothing_and_leaves_much_unknown() {
    let log = evening();
    let output = audit(&[log.to_str().expect("UTF-8")], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = text(&output.stdout);
    assert!(page.contains("a version that doesn't log observations") && !page.contains("BROKEN"), "{page}");
}

#[test]
fn what_does_not_hold_is_shown_with_its_line() {
    let output = audit(&[], &breach());
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let page = text(&output.stdout);
    for expected in [
        "BROKEN        0  Every deletion rests on a second observation (guarantee 1)",
        "  jitsi-service: a load balancer was deleted although tasks had not stopped",
        "    standard input:2: 2026-11-20T20:33:04.000Z load_balancer_deleted: deleted",
    ] {
        assert!(page.lines().any(|line| line == expected), "{expected:?} is not in\n{page}");
    }
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn the_verdict_is_json_for_programs() {
    let log = evening();
    let output = audit(&["-o", "json", "-", log.to_str().expect("UTF-8")], &breach());
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = verdict["checks"].as_array().expect("checks");
    let state = |claim: &str| {
        let check = checks.iter().find(|check| check["claim"] == claim).unwrap_or_else(|| panic!("no check {claim}"));
        check["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!(state("idle"), "broken");
    assert_eq!(state("stop"), "no_case");
    assert_eq!(verdict["lines"]["foreign"], 1);
}

#[test]
fn a_log_without_a_line_of_the_watcher_is_an_error() {
    let output = audit(&[], "START RequestId: 1\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no line of the watcher"), "{}", text(&output.stderr));
    let output = audit(&["/no/such.log"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("opening /no/such.log failed"), "{}", text(&output.stderr));
}
