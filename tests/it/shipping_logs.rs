//! docs/shipping-logs.md: the program for Vector, run by Vector's own implementation of its language.

use std::path::Path;
use std::process::Stdio;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::moto::environment;

const SCRIPT: &str = include_str!("vector.py");
const REQUIREMENTS: &str = include_str!("../requirements-vrl.txt");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the file is there")
}

/// The program in the page's configuration of Vector.
fn program() -> String {
    let page = read("docs/shipping-logs.md");
    let (_, rest) = page.split_once("    source: |\n").expect("the transform has a program");
    let lines = rest.lines().take_while(|line| line.starts_with("      ")).map(|line| &line[6..]);
    lines.fold(String::new(), |program, line| program + line + "\n")
}

/// Runs the program on lines, and returns the events, `null` for a line that it drops.
async fn run(lines: &[String]) -> Vec<Value> {
    let python = tokio::task::spawn_blocking(|| environment("vrl", REQUIREMENTS)).await.expect("it is installed");
    let mut script = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python runs");
    let mut stdin = script.stdin.take().expect("the input is piped");
    let input = json!({ "program": program(), "lines": lines }).to_string();
    stdin.write_all(input.as_bytes()).await.expect("the script reads its input");
    drop(stdin);
    let output = script.wait_with_output().await.expect("Python ends");
    assert!(output.status.success(), "the program is wrong: see above");
    let text = String::from_utf8(output.stdout).expect("text");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.len(), lines.len());
    events
}

#[tokio::test]
async fn vector_keeps_every_field_of_every_event() {
    // Of a multi-line page, the examples are the lines that are objects.
    let page = read("docs/logs.md");
    let examples = page.lines().filter(|line| line.starts_with('{'));
    let evening = read("fixtures/logs/evening.jsonl");
    let lines: Vec<String> = evening.lines().chain(examples).map(str::to_owned).collect();
    assert!(lines.len() > 100, "{}", lines.len());
    let mut kept = 0;
    for (line, event) in lines.iter().zip(run(&lines).await) {
        let mut expected: Value = serde_json::from_str(line).expect("JSON");
        if expected["event"] == "metrics" {
            assert_eq!(event, Value::Null);
            continue;
        }
        kept += 1;
        let mut event = event;
        let at = event["timestamp"].take();
        let at: Timestamp = at.as_str().expect("a time").replace(" UTC", "Z").parse().expect("an instant");
        let written: Timestamp = expected["timestamp"].take().as_str().expect("a time").parse().expect("an instant");
        assert_eq!(at, written);
        expected["host"] = json!("a-host");
        assert_eq!(event, expected);
    }
    assert!(kept > 80, "{kept}");
}

#[tokio::test]
async fn vector_drops_the_lines_of_other_programs() {
    let lines = ["Started jvb-watcher.service - Controller.", "\"text\"", "{\"a\":1}", "[1]", ""].map(str::to_owned);
    assert_eq!(run(&lines).await, vec![Value::Null; lines.len()]);
}
