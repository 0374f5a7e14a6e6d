//! The queries of docs/logs.md, run on a recorded evening and on the page's own examples.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Returns the queries of the page in a language.
pub fn ready_queries(language: &str) -> Vec<String> {
    let page = read("docs/logs.md");
    let (_, section) = page.split_once("## Ready queries\n").expect("the page has queries");
    let (section, _) = section.split_once("\n## ").expect("the events come after them");
    let blocks = section.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(language)).map(|query| query.trim().to_owned()).collect()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the log that is queried.
fn log() -> String {
    let page = read("docs/logs.md");
    let examples = page.lines().filter(|line| line.starts_with('{'));
    let evening = read("fixtures/logs/evening.jsonl");
    evening.lines().chain(examples).fold(String::new(), |log, line| log + line + "\n")
}

fn lines_of(log: &str, events: &[&str]) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines.filter(|line| events.contains(&line["event"].as_str().expect("a line has an event"))).collect()
}

/// Runs a query, and returns its rows of cells.
fn run(query: &str, log: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(folder.path().join("watcher.log"), log).expect("the directory is writable");
    let output = Command::new("sh").args(["-c", query]).current_dir(folder.path()).output().expect("there is a shell");
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|row| row.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn the_queries_return_what_the_log_has() {
    let log = log();
    let queries = ready_queries("sh");
    let [actions, failures, findings, latency, uptime] = queries.as_slice() else { panic!("{queries:#?}") };

    let actions_logged = [
        "target_registered",
        "target_deregistered",
        "idle_marked",
        "idle_unmarked",
        "teardown_started",
        "load_balancer_deleted",
        "target_group_deleted",
        "teardown_completed",
        "stop_announced",
        "stop_withdrawn",
        "service_stopped",
    ];
    let lines = lines_of(&log, &actions_logged);
    assert!(lines.len() > 30);
    let rows: Vec<_> = run(actions, &log).into_iter().map(|row| row.join("\t")).collect();
    let expected = lines.iter().map(|line| format!("{} {}", text(line, "timestamp"), text(line, "message")));
    assert_eq!(rows, expected.collect::<Vec<_>>());

    let failed = [
        "reconcile_failed",
        "poll_failed",
        "feed_check_failed",
        "publish_failed",
        "message_rejected",
        "invocation_rejected",
    ];
    let rows = run(failures, &log);
    let of_rows: BTreeSet<_> = rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(of_rows, BTreeSet::from(failed));
    let throttled = rows.iter().find(|row| row[4] == "ThrottlingException").expect("the evening had a throttled call");
    assert_eq!(throttled[1..4], ["reconcile_failed", "ListTasks", "jitsi-service"]);

    let active = run(findings, &log);
    assert_eq!(active.len(), 1);
    assert!(active[0][0].contains("no load balancer of this name exists"), "{active:?}");
    let finding = &lines_of(&log, &["finding"])[0];
    let cleared = finding.to_string().replace("\"raised\"", "\"cleared\"");
    assert_ne!(cleared, finding.to_string());
    assert_eq!(
        run(findings, &format!("{log}{cleared}\n")),
        Vec::<Vec<String>>::new(),
        "a cleared finding isn't active"
    );

    let started = lines_of(&read("fixtures/logs/evening.jsonl"), &["watcher_started"]);
    let evening = &text(&started[0], "timestamp")[..10];
    let mut latencies: Vec<_> = lines_of(&log, &["target_registered"])
        .iter()
        .filter(|line| text(line, "timestamp").starts_with(evening))
        .filter_map(|line| line["latency_ms"].as_u64())
        .collect();
    latencies.sort_unstable();
    let count = latencies.len();
    let figures = [count as u64, latencies[count / 2], latencies[count * 95 / 100], latencies[count - 1]];
    let row = [evening.to_owned()].into_iter().chain(figures.map(|figure| figure.to_string()));
    assert_eq!(run(latency, &log)[1], row.collect::<Vec<_>>());

    // A second one that evening, which existed for 70 minutes.
    let deleted = &lines_of(&log, &["load_balancer_deleted"])[0];
    let seconds = deleted["uptime_seconds"].as_u64().expect("a number");
    assert!(seconds < 3600);
    let mut longer = deleted.clone();
    longer["uptime_seconds"] = 4200.into();
    let row = &run(uptime, &format!("{log}{longer}\n"))[1];
    assert_eq!([&row[..2], &row[3..4]].concat(), [evening, "2", "3"]);
    let (up, cost): (f64, f64) = (row[2].parse().expect("hours"), row[4].parse().expect("dollars"));
    assert!((up - (seconds + 4200) as f64 / 3600.0).abs() < 1e-9 && (cost - 3.0 * 0.0225).abs() < 1e-9, "{row:?}");
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().expect("a text")
}
