//! `demo`, and the scenarios: what a person without an AWS account sees first.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::wait::PATIENCE;

fn scenario(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let file = directory.path().join("scenario.toml");
    std::fs::write(&file, text).expect("the file can be written");
    (directory, file)
}

/// The program with an empty environment: the demo needs no credentials and no region.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jvb-watcher"));
    command
        .env_clear()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The output and exit status of a program that has ended.
struct Finished {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn finish(arguments: &[&str]) -> Finished {
    let output = tokio::time::timeout(PATIENCE, program(arguments).output()).await;
    let Output { status, stdout, stderr } = output.expect("it ends in time").expect("the program was built");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).expect("text"));
    assert!(!stderr.contains("panicked"), "{stderr}");
    Finished { code: status.code(), stdout, stderr }
}

#[tokio::test]
async fn the_evening_is_verified_and_summed_up() {
    let finished = finish(&["demo", "--json"]).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let summary: Value = serde_json::from_str(&finished.stdout).expect("one JSON object");
    assert_eq!(summary["verified"], true);
    assert_eq!(summary["load_balancer"]["gone"], true);
    assert_eq!(summary["load_balancer"]["created"], 1);
    assert_eq!(summary["left"], serde_json::json!([]));
    assert_eq!(summary["unregistered_tasks"], serde_json::json!([]));
    // One at first, and two that replace it.
    assert_eq!(summary["tasks"], 3);
    let callers = &summary["callers"];
    assert_eq!((&callers["count"], &callers["never_joined"]), (&json!(5), &json!([])), "{callers}");
    assert!(
        callers["dropped"].as_u64() > Some(0) && callers["joined"].as_u64() > Some(5),
        "they join again: {callers}"
    );
    for figure in ["events_in", "events_made", "calls"] {
        assert!(summary[figure].as_u64().is_some_and(|count| count > 20), "{figure} in {summary}");
    }
    let times = &summary["running_to_registered_ms"];
    assert!(times["median"].as_u64() > Some(0) && times["median"].as_u64() <= times["worst"].as_u64(), "{times}");
    let uptime = summary["load_balancer"]["uptime_seconds"].as_f64().expect("a number");
    assert!((10.0..120.0).contains(&uptime), "{uptime} s");
    let stop = &summary["stop_for_disuse"];
    assert!(stop["unused_seconds"].as_u64() >= Some(300), "{stop}");
    assert!(stop["announced_seconds_before"].as_u64() >= Some(120), "{stop}");
    for word in [
        ">>  0.5 s  20:00. A user opens https://meet.jitsi.test.",
        "registered target 10.0.1.10:10000",
        "registered target 10.0.1.10:8000",
        "2 healthy; 3 flows at ",
        " UTC, unused since ",
        "the service will be scaled to zero at ",
        "; stop in 1m ",
        "scaled the service from 1 to 0",
        "marked jitsi-jvb-nlb as idle",
        "deleted load balancer jitsi-jvb-nlb",
    ] {
        assert!(finished.stderr.contains(word), "{word:?} is missing in:\n{}", finished.stderr);
    }
}

/// Replaces each number by a single character: those of two evenings differ.
fn without_numbers(line: &str) -> String {
    let is_number = |character: char| character.is_ascii_digit() || character == '.';
    let mut text = String::new();
    for character in line.chars().map(|character| if is_number(character) { '#' } else { character }) {
        if character != '#' || !text.ends_with('#') {
            text.push(character);
        }
    }
    text
}

#[tokio::test]
async fn the_readme_has_the_lines_of_the_demo() {
    let finished = finish(&["demo"]).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let printed: Vec<_> = finished.stdout.lines().map(without_numbers).collect();
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let mut blocks = readme.split("```text\n").skip(1).map(|rest| rest.split("```").next().expect("a first part"));
    let sample = blocks.find(|block| block.contains("Verified against the sandbox")).expect("the demo's end");
    assert!(sample.lines().count() > 5, "{sample}");
    for line in sample.lines() {
        assert!(printed.contains(&without_numbers(line)), "{line:?} is missing in:\n{}", finished.stdout);
    }
}

#[tokio::test]
async fn without_a_terminal_there_are_plain_lines() {
    let (_directory, file) = scenario(
        "title = \"Nothing much\"\ntime-scale = 100\n[[step]]\nat = \"500ms\"\nsay = \"Nobody comes.\"\nscale = 0\n",
    );
    let finished = finish(&["demo", "--scenario", &file.display().to_string()]).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for word in [">>  0.5 s  Nobody comes.", "Nothing much: figures", "Verified", "calls by the watcher"] {
        assert!(finished.stdout.contains(word), "{word:?} is missing in:\n{}", finished.stdout);
    }
    assert!(!finished.stdout.contains('\x1b'), "no terminal codes");
    assert_eq!(finished.stderr, "");
}

#[tokio::test]
async fn an_evening_that_leaves_something_fails_and_says_what() {
    let (_directory, file) = scenario(
        "title = \"Left on\"\ntime-scale = 100\n\
         watcher = { idle-grace = \"1s\", unused-grace = \"1s\", resync-interval = \"1s\" }\n\
         [[step]]\nat = \"0s\"\ncreate-load-balancer = true\n[[step]]\nat = \"0s\"\nscale = 1\n",
    );
    let finished = finish(&["demo", "--scenario", &file.display().to_string()]).await;
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    for word in ["load balancer jitsi-jvb-nlb is active", "target group jitsi-jvb-udp exists", "1 desired"] {
        assert!(finished.stderr.contains(word), "{word:?} is missing in:\n{}", finished.stderr);
    }
}

#[tokio::test]
async fn a_bad_scenario_is_wrong_use_and_names_the_line() {
    let (_directory, file) = scenario("title = \"Bad\"\n[[step]]\nat = \"0s\"\nscale = \"many\"\n");
    let path = file.display().to_string();
    for command in ["demo", "sandbox"] {
        let finished = finish(&[command, "--scenario", &path]).await;
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.starts_with(&format!("error: --scenario: {path}, line 4: ")), "{}", finished.stderr);
        assert_eq!(finished.stdout, "");
    }
}

#[tokio::test]
async fn a_signal_in_the_middle_ends_it_cleanly() {
    for signal in ["INT", "TERM"] {
        let mut running = program(&["demo"]).spawn().expect("the program was built");
        let mut stdout = BufReader::new(running.stdout.take().expect("it is piped")).lines();
        while let Some(line) = stdout.next_line().await.expect("text") {
            if line.contains("registered") {
                break;
            }
        }
        let id = running.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().await.expect("there is a kill");
        assert!(sent.success());
        let status = tokio::time::timeout(PATIENCE, running.wait()).await;
        let status = status.expect("it ends at once").expect("it can be waited for");
        assert_eq!(status.code(), Some(130), "after SIG{signal}");
    }
}

#[tokio::test]
async fn every_scenario_can_be_read() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("the directory exists") {
        let path = entry.expect("it can be listed").path();
        if let Err(error) = jvb_watcher_sandbox::scenario::Scenario::read(&path) {
            panic!("{error}");
        }
        count += 1;
    }
    assert!(count > 0);
}

#[tokio::test]
async fn ends_when_its_output_is_closed() {
    let (_directory, file) = scenario(
        "title = \"Long\"\n[[step]]\nat = \"0s\"\nsay = \"One.\"\n[[step]]\nat = \"1s\"\nsay = \"Two.\"\n\
         [[step]]\nat = \"2s\"\nsay = \"Three.\"\n[[step]]\nat = \"1h\"\nsay = \"Four.\"\n",
    );
    let mut running = program(&["demo", "--scenario", &file.display().to_string()]).spawn().expect("it was built");
    let mut stdout = BufReader::new(running.stdout.take().expect("it is piped")).lines();
    while stdout.next_line().await.expect("text").is_some_and(|line| !line.contains("One.")) {}
    drop(stdout);
    let status = tokio::time::timeout(PATIENCE, running.wait()).await;
    let status = status.expect("it doesn't wait an hour").expect("it can be waited for");
    assert_eq!(status.code(), Some(130));
}
