//! The load balancer command: terraform, or any other command that creates or destroys the load balancer.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The number of output lines that the error of a failed command repeats.
const LAST_LINES: usize = 20;

/// The longest line that is passed on; a longer one is cut into several.
const LONGEST_LINE: u64 = 4096;

/// The time for which the output of a command that has ended is still read: a process that it started may keep it open.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// A command that creates or destroys the load balancer.
pub trait LoadBalancerCommand: Send + Sync {
    /// Returns the command as it would be typed.
    fn text(&self) -> String;

    /// Runs the command to its end, and passes on each line of its output. Once interrupted, it saves its state and ends.
    ///
    /// The error says how it failed.
    fn run<'a>(
        &'a self,
        on_line: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// A command that runs as a process.
#[derive(Debug)]
pub struct Process {
    program: OsString,
    arguments: Vec<OsString>,
    text: String,
    stop_limits: StopLimits,
}

/// The time limits of an interrupted process, after each signal.
#[derive(Clone, Copy, Debug)]
struct StopLimits {
    /// After SIGINT. Terraform waits for the calls that are in progress, and saves its state.
    interrupt: Duration,
    /// After SIGTERM. A second signal makes terraform end at once, but it still unlocks its state; SIGKILL leaves that
    /// locked.
    terminate: Duration,
}

impl Default for StopLimits {
    fn default() -> Self {
        Self { interrupt: Duration::from_secs(60), terminate: Duration::from_secs(15) }
    }
}

impl Process {
    /// Returns the process of a shell command.
    pub fn shell(line: &str) -> Self {
        Self::new("sh", ["-c".into(), line.into()], line.to_owned())
    }

    /// Returns the `terraform apply` of a configuration that creates the load balancer, with further arguments.
    pub fn terraform_apply(directory: &Path, further: &[String]) -> Self {
        let mut chdir = OsString::from("-chdir=");
        chdir.push(directory);
        let arguments = [chdir, "apply".into(), "-auto-approve".into()];
        let arguments: Vec<OsString> = arguments.into_iter().chain(further.iter().map(OsString::from)).collect();
        let words = arguments.iter().map(|argument| format!(" {}", quoted(&argument.to_string_lossy())));
        let text = format!("terraform{}", words.collect::<String>());
        Self::new("terraform", arguments, text)
    }

    fn new(program: &str, arguments: impl IntoIterator<Item = OsString>, text: String) -> Self {
        let arguments = arguments.into_iter().collect();
        Self { program: program.into(), arguments, text, stop_limits: StopLimits::default() }
    }

    fn spawn(&self) -> Result<Child, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // No terminal is attached to answer questions of terraform.
        command.env("TF_INPUT", "0").env("TF_IN_AUTOMATION", "1");
        // Keeps a Ctrl-C at the terminal from the command, which gets exactly one SIGINT from here: at a second one,
        // terraform drops everything and may lose its state.
        command.process_group(0).kill_on_drop(true);
        let text = &self.text;
        reset_stop_signals().map_err(|error| format!("`{text}` can't be run: {error}"))?;
        command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                let program = self.program.display();
                format!("`{text}` can't be run: {program} is not on the PATH; install it, or correct the PATH")
            }
            _ => format!("`{text}` can't be run: {error}"),
        })
    }
}

impl LoadBalancerCommand for Process {
    fn text(&self) -> String {
        self.text.clone()
    }

    fn run<'a>(
        &'a self,
        on_line: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let text = &self.text;
            let mut child = self.spawn()?;
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let (mut output, mut errors) = (VecDeque::new(), VecDeque::new());
            let read = async {
                tokio::join!(read_lines(stdout, on_line, &mut output), read_lines(stderr, on_line, &mut errors));
            };
            let status = {
                tokio::pin!(read);
                let mut reads = true;
                let ended = wait_or_stop(&mut child, interrupted, self.stop_limits, on_line);
                tokio::pin!(ended);
                loop {
                    tokio::select! {
                        status = &mut ended => {
                            if reads {
                                let _ = tokio::time::timeout(OUTPUT_LIMIT, &mut read).await;
                            }
                            break status;
                        }
                        () = &mut read, if reads => reads = false,
                    }
                }
            };
            let status = status.map_err(|error| format!("`{text}` can't be waited for: {error}"))?;
            if status.success() {
                return Ok(());
            }
            let last = if errors.is_empty() { output } else { errors };
            let last = last.iter().map(|line| format!("\n  | {line}")).collect::<String>();
            let colon = if last.is_empty() { "" } else { ":" };
            Err(format!("`{text}` failed ({status}){colon}{last}"))
        })
    }
}

/// Returns a word as it would be typed in a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Makes the next process start with SIGINT and SIGTERM at their defaults.
///
/// A process passes on to its children the signals that it ignores, but not those that it handles. Started by cron, by
/// nohup, or in the background of a shell without job control, this program ignores SIGINT; and so would the command,
/// which then could only be killed. Tokio's handlers, once in place, stay.
fn reset_stop_signals() -> std::io::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let _handler_stays = signal(kind)?;
    }
    Ok(())
}

/// Waits until the process ends. Once interrupted, stops it by SIGINT, then SIGTERM, then SIGKILL.
async fn wait_or_stop(
    child: &mut Child,
    interrupted: oneshot::Receiver<()>,
    limits: StopLimits,
    on_line: &(dyn Fn(&str) + Sync),
) -> std::io::Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => return status,
        () = interruption(interrupted) => {}
    }
    for (signal, limit, next) in
        [(Signal::INT, limits.interrupt, "SIGTERM"), (Signal::TERM, limits.terminate, "SIGKILL")]
    {
        send(child, signal);
        let deadline = Instant::now() + limit;
        if let Ok(status) = tokio::time::timeout_at(deadline, child.wait()).await {
            return status;
        }
        let limit = humantime::format_duration(limit);
        on_line(&format!("jvb-watcher: the command has not stopped within {limit}; sending {next}"));
    }
    send(child, Signal::KILL);
    child.wait().await
}

/// Waits for the interruption; forever if the sender is gone.
async fn interruption(interrupted: oneshot::Receiver<()>) {
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Sends a signal to the process and to all that it has started.
fn send(child: &Child, signal: Signal) {
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // An error says that the process has ended.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Passes on each line that isn't empty, without ANSI escapes and control characters, and keeps the last ones.
async fn read_lines(
    output: Option<impl AsyncRead + Unpin>,
    on_line: &(dyn Fn(&str) + Sync),
    last: &mut VecDeque<String>,
) {
    let Some(output) = output else { return };
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
        // Output that is always ready would use up the task's budget for cooperation, without which no timer fires: neither
        // the time limit nor a signal would end the command.
        tokio::task::yield_now().await;
        let text = plain(&line);
        line.clear();
        if text.is_empty() {
            continue;
        }
        on_line(&text);
        last.push_back(text);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
}

/// Terraform colours its output even where that is not a terminal.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = anstream::adapter::strip_str(&text).to_string();
    text.trim_end().chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The outcome of a process, and the lines that it wrote.
    type Outcome = (Result<(), String>, Vec<String>);

    async fn run(line: &str) -> Outcome {
        let lines = Mutex::new(Vec::new());
        let on_line = |line: &str| lines.lock().expect("not poisoned").push(line.to_owned());
        let (_keep, interrupted) = oneshot::channel();
        let result = Process::shell(line).run(&on_line, interrupted).await;
        (result, lines.into_inner().expect("not poisoned"))
    }

    /// Runs a process, and interrupts it when it has written "ready".
    async fn interrupt(process: &Process) -> Outcome {
        let lines = Mutex::new(Vec::new());
        let (interrupt, interrupted) = oneshot::channel();
        let interrupt = Mutex::new(Some(interrupt));
        let on_line = |line: &str| {
            lines.lock().expect("not poisoned").push(line.to_owned());
            if line == "ready" {
                interrupt.lock().expect("not poisoned").take().expect("ready once").send(()).expect("a receiver");
            }
        };
        let result = process.run(&on_line, interrupted).await;
        (result, lines.lock().expect("not poisoned").clone())
    }

    #[tokio::test]
    async fn output_is_passed_on_line_by_line() {
        let (result, mut lines) = run("echo one; echo two >&2; printf three").await;
        lines.sort();
        assert_eq!((result, lines), (Ok(()), vec!["one".to_owned(), "three".to_owned(), "two".to_owned()]));
    }

    #[tokio::test]
    async fn ansi_escapes_and_empty_lines_are_stripped_from_output_and_error() {
        let (result, lines) =
            run(r"printf '\033[0m\n\033[31m\033[1mError:\033[0m no \033]8;;x\007subnets\r\n' >&2; exit 1").await;
        assert_eq!(lines, ["Error: no subnets"]);
        let reason = result.expect_err("it failed");
        assert!(reason.ends_with("\n  | Error: no subnets"), "{reason:?}");
    }

    #[tokio::test]
    async fn an_error_has_the_exit_status_and_the_last_lines() {
        let (result, _) = run("for i in $(seq 30); do echo line $i; done; echo lock held >&2; exit 3").await;
        let reason = result.expect_err("it failed");
        assert!(
            reason.contains("exit status: 3") && reason.contains("| lock held") && !reason.contains("| line 1\n"),
            "{reason}"
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_passed_on_in_parts() {
        let (result, lines) = run("head -c 10000 /dev/zero | tr '\\0' x; exit 3").await;
        let lengths: Vec<_> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [4096, 4096, 1808]);
        assert!(result.is_err_and(|reason| reason.contains("exit status: 3")));
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let process = Process::new("no-such-terraform", [], "no-such-terraform apply".into());
        let (_keep, interrupted) = oneshot::channel();
        let reason = process.run(&|_| (), interrupted).await.expect_err("it can't run");
        assert!(reason.contains("no-such-terraform is not on the PATH"), "{reason}");
    }

    const STOPS_AT_SIGINT: &str = "trap 'echo stopping; exit 4' INT; echo ready; while :; do sleep 0.05; done";

    #[tokio::test]
    async fn an_interrupted_process_stops_by_itself() {
        let (result, lines) = interrupt(&Process::shell(STOPS_AT_SIGINT)).await;
        let reason = result.expect_err("it was stopped");
        assert!(reason.contains("exit status: 4") && lines.contains(&"stopping".to_owned()), "{reason}, {lines:?}");
    }

    /// Runs the test above once more, in a process that ignores SIGINT as one in the background of a script does.
    #[test]
    fn an_ignored_sigint_is_not_inherited() {
        let test = "operations::command::tests::an_interrupted_process_stops_by_itself";
        let this = std::env::current_exe().expect("the test has a program");
        let output = std::process::Command::new("sh")
            .args(["-c", "trap '' INT; exec \"$0\" --exact \"$1\""])
            .arg(this)
            .arg(test)
            .output()
            .expect("there is a shell");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigint_is_terminated_before_it_is_killed() {
        let line = "trap '' INT; trap 'echo terminating; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        let stop_limits = StopLimits { interrupt: Duration::from_millis(200), ..StopLimits::default() };
        let (result, lines) = interrupt(&Process { stop_limits, ..Process::shell(line) }).await;
        let reason = result.expect_err("it was stopped");
        assert!(reason.contains("exit status: 5") && lines.contains(&"terminating".to_owned()), "{reason}, {lines:?}");
        assert!(lines.iter().any(|line| line.contains("within 200ms; sending SIGTERM")), "{lines:?}");
    }

    #[tokio::test]
    async fn a_process_that_ignores_both_is_killed() {
        let line = "trap '' INT TERM; echo ready; while :; do sleep 0.05; done";
        let limit = Duration::from_millis(200);
        let stop_limits = StopLimits { interrupt: limit, terminate: limit };
        let (result, lines) = interrupt(&Process { stop_limits, ..Process::shell(line) }).await;
        let reason = result.expect_err("it was stopped");
        assert!(reason.contains("signal: 9"), "{reason}");
        assert!(lines.iter().any(|line| line.contains("sending SIGKILL")), "{lines:?}");
    }

    #[test]
    fn terraform_applies_the_whole_configuration_unless_told_otherwise() {
        let process = Process::terraform_apply(Path::new("calls"), &[]);
        assert_eq!(process.text(), "terraform -chdir=calls apply -auto-approve");
        assert_eq!(process.arguments, ["-chdir=calls", "apply", "-auto-approve"]);
    }

    #[test]
    fn further_arguments_reach_terraform_unchanged_and_are_shown_as_typed() {
        let further = ["-target=module.jvb_nlb", "-var=tags={ Team = \"media\" }"].map(str::to_owned);
        let process = Process::terraform_apply(Path::new("infra"), &further);
        assert_eq!(process.arguments[3..], further.each_ref().map(OsString::from));
        let expected = "terraform -chdir=infra apply -auto-approve -target=module.jvb_nlb \
                        '-var=tags={ Team = \"media\" }'";
        assert_eq!(process.text(), expected);
    }
}
