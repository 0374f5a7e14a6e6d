//! `report`: compares the page, opened in a browser, with the log that it was made of.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::browser::{Browser, Scheme};

/// The log of a worker on the sandbox, which played `fixtures/scenarios/evening.toml`.
fn evening() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs/evening.jsonl")
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jvb-watcher"));
    command.env_clear().arg("report").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().await.expect("the program was built")
}

async fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut running = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut stdin = running.stdin.take().expect("it is piped");
    stdin.write_all(input).await.expect("it reads");
    drop(stdin);
    running.wait_with_output().await.expect("it ends")
}

fn page(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn error(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    let is_error = text.lines().any(|line| line.starts_with("error: "));
    assert!(output.stdout.is_empty() && is_error && !text.contains("panicked"), "{text}");
    text
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("the directory for temporary files is writable")
}

/// Writes the page of the evening to a file.
async fn evening_page(directory: &TempDir) -> PathBuf {
    let file = directory.path().join("report.html");
    page(&run(&["--out", &file.display().to_string(), &evening().display().to_string()]).await);
    file
}

/// The value and the text of a figure on the page.
fn figure(elements: &str, name: &str) -> (String, String) {
    let rest = elements.split(&format!("data-figure=\"{name}\" value=\"")).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{name} is not on the page"));
    let (value, rest) = rest.split_once("\">").expect("a value");
    (value.to_owned(), rest.split('<').next().expect("a text").to_owned())
}

fn number(elements: &str, name: &str) -> f64 {
    let (value, _) = figure(elements, name);
    value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}"))
}

/// The figures of a log, computed independently of the program.
struct Expected {
    lines: Vec<Value>,
}

impl Expected {
    fn of(log: &str) -> Self {
        Self { lines: log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect() }
    }

    fn events(&self, event: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["event"] == event).collect()
    }

    /// The values of a field, sorted.
    fn values(&self, event: &str, field: &str) -> Vec<u64> {
        let mut values: Vec<u64> = self.events(event).iter().filter_map(|line| line[field].as_u64()).collect();
        values.sort_unstable();
        values
    }

    /// The hours from the first line to the last one.
    fn hours(&self) -> f64 {
        let at = |line: &Value| -> jiff::Timestamp {
            line["timestamp"].as_str().expect("a time").parse().expect("an instant")
        };
        at(self.lines.last().expect("a log")).duration_since(at(&self.lines[0])).as_secs_f64() / 3600.0
    }

    fn check(&self, elements: &str) {
        // The log contains the load balancer's whole lifetime.
        let hours_up = self.values("load_balancer_deleted", "uptime_seconds").iter().sum::<u64>() as f64 / 3600.0;
        assert_close(number(elements, "hours-up"), hours_up);
        // In eu-west-1: the load balancer, whose hours count in full, two addresses, and two vCPUs and 4 GB on ARM.
        let (load_balancer, rest) = (0.0252, 2.0 * 0.005 + 2.0 * 0.03238 + 4.0 * 0.00356);
        let idle = self.hours() / 730.0 * 0.50;
        let always_on = self.hours() * (load_balancer + rest) + idle;
        let cost = hours_up.ceil() * load_balancer + hours_up * rest + idle;
        assert_close(number(elements, "always-on-cost"), always_on);
        assert_close(number(elements, "cost"), cost);
        assert_close(number(elements, "cost-avoided"), always_on - cost);
        assert_eq!(number(elements, "aws-calls"), self.values("reconciled", "aws_calls").iter().sum::<u64>() as f64);

        let tasks: std::collections::BTreeSet<&str> =
            self.events("target_registered").iter().filter_map(|line| line["task_id"].as_str()).collect();
        assert_eq!(number(elements, "tasks"), tasks.len() as f64);
        assert_eq!(number(elements, "teardowns"), self.events("teardown_completed").len() as f64);
        assert_eq!(number(elements, "failures"), self.events("reconcile_failed").len() as f64);

        let registered = self.values("target_registered", "latency_ms");
        self.check_spread(elements, "time-to-registered", &registered);
        let mut healthy: Vec<u64> = self
            .events("target_health_changed")
            .iter()
            .filter(|line| line["to"] == "healthy" && line["from"] == "initial")
            .filter_map(|line| line["since_start_ms"].as_u64())
            .collect();
        healthy.sort_unstable();
        self.check_spread(elements, "time-to-healthy", &healthy);
    }

    /// Checks that at most half of the times exceed the median, and at most one in twenty the 95th percentile.
    fn check_spread(&self, elements: &str, name: &str, times: &[u64]) {
        let [median, p95] = ["median", "p95"].map(|rank| number(elements, &format!("{name}-{rank}")) as u64);
        assert!(times.contains(&median) && times.contains(&p95), "{median}, {p95} of {times:?}");
        assert_eq!(times[(times.len() - 1) / 2], median, "{name} of {times:?}");
        let longer = times.iter().filter(|time| **time > p95).count();
        let as_long = times.iter().filter(|time| **time >= p95).count();
        assert!(20 * longer <= times.len() && 20 * as_long >= times.len(), "{name}: {p95} of {times:?}");
    }
}

fn assert_close(one: f64, other: f64) {
    assert!((one - other).abs() < 2e-6, "{one} is not {other}");
}

#[tokio::test]
async fn a_browser_shows_the_figures_of_the_log() {
    let directory = directory();
    let file = evening_page(&directory).await;
    let browser = Browser::new();
    let elements = browser.elements(&file).await;
    let log = std::fs::read_to_string(evening()).expect("the log is there");
    let expected = Expected::of(&log);
    expected.check(&elements);
    assert_eq!(number(&elements, "tasks"), 4.0, "as in the scenario");
    assert_eq!(number(&elements, "lines"), expected.lines.len() as f64);

    let [up, avoided, always_on] = ["hours-up", "cost-avoided", "always-on-cost"].map(|name| figure(&elements, name).1);
    let headline = elements.split("<h1>").nth(1).expect("a headline").split('<').next().expect("its end");
    assert!(headline.starts_with(&format!("The load balancer was up for {up} of ")), "{headline}");
    // The hour that is billed in full is longer than the log.
    let savings = match avoided.strip_prefix('\u{2212}') {
        Some(more) => format!("with 4 tasks; running it on demand cost {more} more than always-on operation."),
        None => format!("with 4 tasks; running it on demand avoided {avoided} of {always_on}."),
    };
    assert!(headline.ends_with(&savings), "{headline}");

    // The chart has a lane for each task, and its bars and marks.
    let chart = elements.split("<svg class=\"chart\"").nth(1).expect("a day").split("</svg>").next().expect("its end");
    assert_eq!(chart.matches("<tspan>Task ").count(), 4);
    assert_eq!(chart.matches("class=\"bar up\"").count(), 1);
    assert_eq!(chart.matches("class=\"bar idle\"").count(), expected.events("idle_marked").len());
    assert_eq!(chart.matches("class=\"bar healthy\"").count(), 4);
    assert_eq!(chart.matches("class=\"mark failure\"").count(), 1);
    // A text version exists for readers who don't see the chart.
    let day = &expected.lines[0]["timestamp"].as_str().expect("a time")[..10];
    assert!(chart.contains("role=\"img\"") && chart.contains(&format!("Timeline of {day}")), "{chart}");
    for line in expected.events("target_deregistered") {
        assert!(elements.contains(line["message"].as_str().expect("a message")));
    }
    assert_eq!(browser.requests(), Vec::<String>::new(), "the page opens without a network");
    for attribute in ["href=\"", "src=\"", "url("] {
        for reference in elements.split(attribute).skip(1) {
            assert!(reference.starts_with('#') || reference.starts_with("data:"), "{attribute}{:.80}", reference);
        }
    }
}

#[tokio::test]
async fn the_browser_records_the_requests_of_a_page() {
    let directory = directory();
    let file = directory.path().join("page.html");
    std::fs::write(&file, "<img src=\"http://192.0.2.1/picture.png\">").expect("the file can be written");
    let browser = Browser::new();
    browser.elements(&file).await;
    assert_eq!(browser.requests(), ["GET http://192.0.2.1/picture.png HTTP/1.1"]);
}

#[tokio::test]
async fn a_browser_draws_the_page_in_light_and_in_dark() {
    let directory = directory();
    let file = evening_page(&directory).await;
    let browser = Browser::new();
    let colours = [
        (Scheme::Light, [0xf4, 0xf6, 0xf9], [0x0b, 0x7a, 0x6f], [0x3f, 0x5f, 0xc4]),
        (Scheme::Dark, [0x10, 0x14, 0x1b], [0x35, 0xc2, 0xae], [0x7f, 0x9c, 0xf5]),
    ];
    for (scheme, paper, healthy, up) in colours {
        let screenshot = browser.screenshot(&file, scheme, 1280, 1100).await;
        assert_eq!(screenshot.at(2, 2), paper);
        // The load balancer was up for more than half of a chart that is a thousand pixels wide.
        assert!(screenshot.count(up) > 500 * 8, "{} pixels of the load balancer", screenshot.count(up));
        assert!(screenshot.count(healthy) > 500, "{} pixels of healthy tasks", screenshot.count(healthy));
        let others = screenshot.pixels.iter().filter(|pixel| **pixel != paper).count();
        assert!(others * 2 > screenshot.pixels.len(), "content fills the page");
    }
}

#[tokio::test]
async fn the_page_fits_the_width_of_a_phone() {
    let directory = directory();
    let file = evening_page(&directory).await;
    let widths = [320, 360, 768, 1280];
    let measured = Browser::new().widths(&file, &widths).await;
    assert_eq!(measured.len(), widths.len(), "{measured:?}");
    for ((content, frame), width) in measured.into_iter().zip(widths) {
        assert_eq!(frame, width);
        assert!(content <= frame, "the content is {content} pixels wide, the frame {frame}");
    }
}

#[tokio::test]
async fn printing_opens_the_event_lists() {
    let directory = directory();
    let file = evening_page(&directory).await;
    let printed = Browser::new().print(&file).await;
    assert!(printed.starts_with(b"%PDF-"));
    let text = String::from_utf8_lossy(&printed);
    let pages = text.matches("/Type /Page\n").count();
    assert!(pages >= 4, "{pages} page(s)");
}

#[tokio::test]
async fn several_logs_make_one_page() {
    let directory = directory();
    let log = std::fs::read_to_string(evening()).expect("the log is there");
    let lines: Vec<&str> = log.lines().collect();
    let (early, late) = lines.split_at(lines.len() / 2);
    let early_file = directory.path().join("early.jsonl.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(early.join("\n").as_bytes()).expect("memory can be written");
    std::fs::write(&early_file, gzip.finish().expect("memory can be written")).expect("the file can be written");
    let foreign = format!("START RequestId: 1\n{}\n{}", late.join("\n"), &lines[0][..60]);
    let whole = page(&run_with_input(&[], log.as_bytes()).await);
    let early_file = early_file.display().to_string();
    let parts = page(&run_with_input(&["-", &early_file], foreign.as_bytes()).await);
    let without_method = |page: &str| page.split("<section class=\"method\"").next().expect("a part").to_owned();
    assert_eq!(without_method(&parts), without_method(&whole));
    assert!(parts.contains("1 line: of other programs") && parts.contains("1 line: truncated"));
}

#[tokio::test]
async fn the_same_line_from_a_file_and_from_cloudwatch_counts_once() {
    let log = std::fs::read_to_string(evening()).expect("the log is there");
    // As `aws logs tail --format short` prints it.
    let tail: String = log.lines().map(|line| format!("2026-11-24T03:11:00 {line}\n")).collect();
    let both = page(&run_with_input(&["-", &evening().display().to_string()], tail.as_bytes()).await);
    let one = page(&run(&[&evening().display().to_string()]).await);
    for name in ["tasks", "failures", "aws-calls", "hours-up", "cost", "lines"] {
        assert_eq!(figure(&both, name), figure(&one, name), "{name}");
    }
    assert!(both.contains(&format!("{} lines: duplicate", log.lines().count())));
}

#[tokio::test]
async fn a_truncated_gzip_file_is_read_up_to_its_end_and_reported() {
    let directory = directory();
    let log = std::fs::read(evening()).expect("the log is there");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&log).expect("memory can be written");
    let gzip = gzip.finish().expect("memory can be written");
    let file = directory.path().join("evening.jsonl.gz");
    std::fs::write(&file, &gzip[..gzip.len() * 2 / 3]).expect("the file can be written");
    let output = run(&[&file.display().to_string()]).await;
    let page = page(&output);
    let stderr = String::from_utf8(output.stderr).expect("text");
    let warning = format!("warning: {} ends before its compressed data is complete", file.display());
    assert!(stderr.starts_with(&warning) && stderr.lines().count() == 1, "{stderr}");
    assert!(page.contains("Incomplete: ") && page.contains(&file.display().to_string()));
    let lines = number(&page, "lines");
    assert!(lines > 30.0 && lines < log.split(|byte| *byte == b'\n').count() as f64, "{lines} line(s)");
}

#[tokio::test]
async fn prices_can_be_set() {
    let evening = evening().display().to_string();
    let page_at = async |arguments: &[&str]| page(&run(&[arguments, &[evening.as_str()]].concat()).await);
    let derived = page_at(&["--hourly-price", "2", "--idle-monthly-price", "0"]).await;
    assert_close(number(&derived, "cost"), number(&derived, "hours-up") * 2.0);
    let hours = Expected::of(&std::fs::read_to_string(&evening).expect("the log is there")).hours();
    assert_close(number(&derived, "always-on-cost"), hours * 2.0);
    let given = page_at(&["--hourly-price", "2", "--always-on-monthly-price", "0"]).await;
    assert!(figure(&given, "cost-avoided").1.starts_with('\u{2212}'), "it cost more than always-on operation");
    assert!(given.contains("more than always-on operation."), "the headline says so");
}

#[tokio::test]
async fn a_failure_names_the_file_and_overwrites_nothing() {
    let directory = directory();
    let file = |name: &str, content: &[u8]| {
        let file = directory.path().join(name);
        std::fs::write(&file, content).expect("the file can be written");
        file.display().to_string()
    };
    let missing = directory.path().join("missing").display().to_string();
    assert!(error(&run(&[&missing]).await, 1).contains(&missing));
    let noise = file("noise", b"2026-11-20 of another program\n");
    assert!(error(&run(&[&noise]).await, 1).contains("--log-format json"));
    let empty = file("empty.gz", &[0x1f, 0x8b, 8, 0]);
    let text = error(&run(&[&empty]).await, 1);
    assert!(text.starts_with("warning: ") && text.contains(&empty) && text.contains("0 line(s)"), "{text}");
    let log = std::fs::read(evening()).expect("the log is there");
    let own = file("own", &log);
    assert!(error(&run(&["--out", &own, &own]).await, 2).contains("would overwrite"));
    assert_eq!(std::fs::read(&own).expect("it is there"), log);
    let nowhere = format!("{missing}/report.html");
    assert!(error(&run(&["--out", &nowhere, &own]).await, 1).contains(&nowhere));
    assert!(String::from_utf8_lossy(&run(&["--hourly-price=-1", &own]).await.stderr).contains("from 0"));
}

#[tokio::test]
async fn the_page_of_an_evening_that_ended_unused_shows_the_use_and_the_stop() {
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs/unused.jsonl");
    let page = page(&run(&[&log.display().to_string()]).await);
    let expected = Expected::of(&std::fs::read_to_string(&log).expect("the log is there"));
    let most = expected.values("reconciled", "flows").last().copied().expect("flows");
    assert!(
        page.contains(&format!("<tspan>Use</tspan> <tspan class=\"detail\" dx=\"6\">up to {most} flows<")),
        "{page}"
    );
    assert_eq!(page.matches("class=\"mark stopped\"").count(), 1 + expected.events("service_stopped").len());
    for event in ["stop_announced", "service_stopped"] {
        assert_eq!(expected.events(event).len(), 1);
        assert!(page.contains(expected.events(event)[0]["message"].as_str().expect("a message")), "{event}");
    }
    let [known, unused] = ["hours-known", "hours-unused"].map(|name| number(&page, name));
    assert!(0.0 < unused && unused < known && known < number(&page, "hours-up"), "{unused} of {known}");
    // It was stopped after five minutes without use, so ten would have saved nothing.
    assert_eq!((number(&page, "stops-10"), number(&page, "saved-10")), (0.0, 0.0));
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn the_page_of_a_worker_on_the_sandbox_has_its_figures() {
    use crate::platform::Platform;
    use crate::stage::Aws;
    use crate::watcher::Launch;

    let platform = Platform::on(Aws::Sandbox).await;
    platform.route_events().await;
    let watcher = Launch::quick(&platform).start();
    watcher.wait_for("reconciled").await;
    let load_balancer = platform.create_load_balancer().await;
    platform.set_desired(1).await;
    let task = platform.run_task().await;
    platform.wait_for_targets(&load_balancer, &[&task.ip]).await;
    platform.set_desired(0).await;
    watcher.wait_for("teardown_completed").await;
    let log = watcher.stdout();
    let log = &log[..=log.rfind('\n').expect("whole lines")];
    let page = page(&run_with_input(&[], log.as_bytes()).await);
    assert!(page.contains(&platform.project), "the service has a section");
    assert_eq!((number(&page, "tasks"), number(&page, "teardowns")), (1.0, 1.0));
    let calls: u64 = Expected::of(log).values("reconciled", "aws_calls").iter().sum();
    assert_eq!(number(&page, "aws-calls"), calls as f64);
}
