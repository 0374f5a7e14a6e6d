//! The program under test: started as a person or a container would start it, read by its log.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jvb_watcher_audit::Logs;
use serde_json::Value;
use tempfile::TempDir;

use crate::log_schema::violations;
use crate::platform::{Platform, REGION};
use crate::proxy::Proxy;
use crate::wait::PATIENCE;

/// The program, about to be started: with nothing in its environment but what a test gives it.
pub struct Launch {
    command: Command,
    home: TempDir,
    before: Vec<String>,
    subcommand: String,
    after: Vec<String>,
}

impl Launch {
    /// The program with no environment but credentials and a home of its own, and no way to AWS.
    pub fn bare(subcommand: &str) -> Self {
        let home = tempfile::tempdir().expect("the directory for temporary files is writable");
        let mut command = Command::new("env");
        command
            // A test run in the background of a shell without job control ignores these signals, and so would the program.
            .args(["--default-signal=INT,QUIT", env!("CARGO_BIN_EXE_jvb-watcher")])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            // Else a machine without credentials of its own would ask a metadata service that isn't there.
            .env("AWS_EC2_METADATA_DISABLED", "true");
        Self { command, home, before: Vec::new(), subcommand: subcommand.to_owned(), after: Vec::new() }
    }

    /// The program beside a platform, with no more settings than it needs.
    pub fn new(platform: &Platform, subcommand: &str) -> Self {
        Self::bare(subcommand)
            .env("JITSI_PROJECT", &platform.project)
            .env("JITSI_AWS_REGION", REGION)
            .endpoint(&platform.proxy)
            // Most tests have no rule, and send the events themselves.
            .env("JVB_WATCHER_FEED_CHECK", "off")
    }

    pub fn run(platform: &Platform) -> Self {
        Self::new(platform, "run")
    }

    /// The worker with graces short enough to wait for; a test's own arguments go before these variables.
    pub fn quick(platform: &Platform) -> Self {
        Self::run(platform)
            .env("JVB_WATCHER_RESYNC_INTERVAL", "1s")
            .env("JVB_WATCHER_IDLE_GRACE", "2s")
            .env("JVB_WATCHER_UNUSED_GRACE", "3s")
    }

    pub fn endpoint(self, proxy: &Proxy) -> Self {
        let endpoint = proxy.endpoint();
        self.env("AWS_ENDPOINT_URL", &endpoint)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Options behind the command's name.
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.after.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// Options before the command's name.
    pub fn global<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.before.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// The directory that the program takes for its user's.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The same at a terminal, which takes both outputs for one.
    #[cfg(feature = "sandbox")]
    pub fn at_a_terminal(mut self) -> Self {
        let program = ["env", "--default-signal=INT,QUIT", env!("CARGO_BIN_EXE_jvb-watcher"), &self.subcommand];
        let words = program.into_iter().map(str::to_owned);
        let words = words.chain(std::mem::take(&mut self.after)).map(|word| format!("'{word}'"));
        let line = words.collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command.env_clear();
        for (name, value) in self.command.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("TERM", "xterm").args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        (self.command, self.subcommand) = (command, String::new());
        self
    }

    /// The same with SIGINT ignored, as in the background of a script.
    #[cfg(feature = "sandbox")]
    pub fn ignoring_sigint(mut self) -> Self {
        let mut command = Command::new("sh");
        command.env_clear();
        for (name, value) in self.command.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.args(["-c", "trap '' INT; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_jvb-watcher")]);
        self.command = command;
        self
    }

    /// The same with a limit on the length of the files that it writes, as on a disk that is nearly full.
    #[cfg(feature = "sandbox")]
    pub fn with_files_up_to_kib(mut self, kib: u32) -> Self {
        let mut command = Command::new("sh");
        command.env_clear();
        for (name, value) in self.command.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        // In blocks of 512 bytes (POSIX, ulimit). With the signal ignored, a write beyond the limit fails.
        let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
        command.args(["-c", &limit, env!("CARGO_BIN_EXE_jvb-watcher")]);
        self.command = command;
        self
    }

    pub fn start(mut self) -> Watcher {
        self.command.args(&self.before);
        if !self.subcommand.is_empty() {
            self.command.arg(&self.subcommand);
        }
        self.command.args(&self.after);
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let is_log = !ANSWERING.contains(&self.subcommand.as_str());
        let output = Arc::new(Mutex::new(Output { is_log, ..Output::default() }));
        let stdout = child.stdout.take().expect("the output is piped");
        let stderr = child.stderr.take().expect("the output is piped");
        let readers = vec![
            std::thread::spawn({
                let output = Arc::clone(&output);
                move || {
                    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                        output.lock().expect("not poisoned").push(line);
                    }
                }
            }),
            std::thread::spawn({
                let output = Arc::clone(&output);
                move || {
                    let mut stderr = stderr;
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                        output.lock().expect("not poisoned").stderr.push_str(&text);
                    }
                }
            }),
        ];
        Watcher { child, output, readers, _home: self.home }
    }

    /// Runs the program to its end.
    pub async fn finish(self) -> Finished {
        let mut watcher = self.start();
        let status = watcher.wait_exit().await;
        let output = watcher.output.lock().expect("not poisoned");
        Finished {
            code: status.code(),
            stdout: output.stdout.clone(),
            stderr: output.stderr.clone(),
            lines: output.lines.clone(),
        }
    }
}

/// The commands whose standard output is an answer, and no log.
const ANSWERING: [&str; 5] = ["status", "doctor", "up", "down", "hold"];

/// The secret key that the program is given; it must never show anywhere.
pub const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";

/// The output and exit status of a program that has ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The lines on standard output that are log events.
    pub lines: Vec<Line>,
}

impl Finished {
    pub fn events(&self, event: &str) -> Vec<&Line> {
        self.lines.iter().filter(|line| line.event() == event).collect()
    }
}

#[derive(Default)]
struct Output {
    /// True if standard output is the log.
    is_log: bool,
    stdout: String,
    stderr: String,
    lines: Vec<Line>,
    /// The errors in the log itself.
    complaints: Vec<String>,
}

impl Output {
    fn push(&mut self, text: String) {
        self.stdout.push_str(&text);
        self.stdout.push('\n');
        match serde_json::from_str::<Value>(&text) {
            _ if !self.is_log => {}
            Ok(value) if value.is_object() => {
                self.complaints.extend(violations(&value).into_iter().map(|violation| format!("{violation}: {text}")));
                self.lines.push(Line(value));
            }
            _ => self.complaints.push(format!("not a JSON object: {text}")),
        }
        if text.contains(SECRET) {
            self.complaints.push(format!("the secret key is in the log: {text}"));
        }
    }
}

impl Output {
    /// A command that answers on standard output logs on standard error, among what it says to people.
    fn read_standard_error(&mut self) {
        if self.is_log {
            return;
        }
        let lines = self.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for line in lines.filter(|line| line["event"].is_string()) {
            self.complaints.extend(violations(&line).into_iter().map(|violation| format!("{violation}: {line}")));
        }
    }
}

/// One line of the log; indexed by the names of its fields.
#[derive(Clone, Debug)]
pub struct Line(pub Value);

impl Line {
    pub fn event(&self) -> &str {
        self.0["event"].as_str().unwrap_or_default()
    }

    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    pub fn number(&self, field: &str) -> i64 {
        self.0[field].as_i64().unwrap_or_else(|| panic!("{field} is no number in {}", self.0))
    }
}

impl Deref for Line {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

/// The program at work. Killed when this is dropped; its log is printed if the test failed.
pub struct Watcher {
    child: Child,
    output: Arc<Mutex<Output>>,
    readers: Vec<JoinHandle<()>>,
    _home: TempDir,
}

impl Watcher {
    /// All log lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.output.lock().expect("not poisoned").lines.clone()
    }

    /// All of standard output so far, log lines or not.
    #[cfg(feature = "sandbox")]
    pub fn stdout(&self) -> String {
        self.output.lock().expect("not poisoned").stdout.clone()
    }

    /// All of standard error so far.
    pub fn stderr(&self) -> String {
        self.output.lock().expect("not poisoned").stderr.clone()
    }

    pub fn events(&self, event: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.event() == event).collect()
    }

    /// The names of these events, in the order in which they were logged.
    pub fn order_of(&self, events: &[&str]) -> Vec<String> {
        let lines = self.lines();
        lines.iter().map(|line| line.event().to_owned()).filter(|event| events.contains(&event.as_str())).collect()
    }

    /// Returns the current end of the log, for `wait_for_after`.
    pub fn position(&self) -> usize {
        self.output.lock().expect("not poisoned").lines.len()
    }

    /// The first line of an event, logged already or still to come.
    pub async fn wait_for(&self, event: &str) -> Line {
        self.wait_for_that(event, |_| true).await
    }

    /// The first line of an event that is as wanted, logged already or still to come.
    pub async fn wait_for_that(&self, event: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        self.wait_for_after(0, event, wanted).await
    }

    pub async fn wait_for_after(&self, position: usize, event: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        let start = Instant::now();
        loop {
            let found = {
                let output = self.output.lock().expect("not poisoned");
                output.lines[position..].iter().find(|line| line.event() == event && wanted(line)).cloned()
            };
            if let Some(line) = found {
                return line;
            }
            assert!(start.elapsed() < PATIENCE, "timed out after {PATIENCE:?} waiting for {event}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for a finding of this name in this state.
    pub async fn wait_for_finding(&self, name: &str, state: &str) -> Line {
        self.wait_for_that("finding", |line| line.text("finding") == name && line.text("state") == state).await
    }

    /// Waits for the end of so many further reconciliations, counted by their calls.
    pub async fn wait_for_reconciliations(&self, proxy: &Proxy, count: usize) {
        // Each reads it, also while the service is at rest.
        let sofar = proxy.count("elasticloadbalancing:DescribeLoadBalancers");
        // One more than asked for: by then the last of them is surely over.
        proxy.wait_for_calls("elasticloadbalancing:DescribeLoadBalancers", sofar + count + 1).await;
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", self.child.id())])
            .status()
            .expect("there is a shell");
        assert!(status.success(), "the program was gone before {signal}");
    }

    /// SIGKILL: the program gets no chance to tidy up.
    pub async fn kill(mut self) {
        self.child.kill().expect("the program can be killed");
        self.wait_exit().await;
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait_exit().await.code()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the program is a child").is_none()
    }

    /// Waits for the program's end, and for all of its output.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        self.wait_exit_within(PATIENCE).await
    }

    pub async fn wait_exit_within(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the program is a child") {
                for reader in self.readers.drain(..) {
                    reader.join().expect("reading does not panic");
                }
                return status;
            }
            assert!(start.elapsed() < limit, "the program has not ended within {limit:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Events that a run without any trouble does not have.
    pub fn assert_no_trouble(&self) {
        for event in ["poll_failed", "reconcile_failed", "feed_check_failed", "publish_failed", "message_rejected"] {
            let lines = self.events(event);
            assert!(lines.is_empty(), "unexpected {event}: {lines:?}");
        }
        let errors: Vec<Line> = self.lines().into_iter().filter(|line| line.text("level") == "ERROR").collect();
        assert!(errors.is_empty(), "unexpected errors: {errors:?}");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let mut output = self.output.lock().expect("not poisoned");
        if std::thread::panicking() {
            eprintln!("--- log ---\n{}--- standard error ---\n{}---", output.stdout, output.stderr);
            return;
        }
        output.read_standard_error();
        let json = !output.lines.is_empty() || !output.is_log;
        assert!(!json || output.complaints.is_empty(), "the log is not as it should be: {:#?}", output.complaints);
        assert!(!output.stderr.contains("panicked"), "the program panicked: {}", output.stderr);
        // A command that answers on standard output logs on standard error.
        audit(if output.is_log { &output.stdout } else { &output.stderr });
    }
}

/// Judges the log by the guarantees, as `jvb-watcher audit` does.
fn audit(log: &str) {
    let mut logs = Logs::default();
    logs.add("the log", log.as_bytes()).expect("memory can be read");
    let verdict = logs.audit();
    assert!(verdict.holds(), "the audit of the log:\n{}\n{log}", jvb_watcher_audit::text(&verdict));
}

/// The names of the metrics that docs/metrics.md lists.
pub fn documented_metrics() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let name = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    page.lines().filter_map(name).collect()
}

/// The lines of a log as text, for the message of a failed assertion.
pub fn listing(lines: &[Line]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.0);
        text
    })
}
