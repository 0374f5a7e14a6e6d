//! The balancer command: terraform, or whatever an operator makes the load balancer with.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::oneshot;

/// How much of what a failed command wrote is told again.
const LAST_LINES: usize = 20;

/// A command that is told to stop has this long for it; terraform takes some seconds to save its state.
const STOPS_WITHIN: Duration = Duration::from_secs(60);

/// What makes the balancer, or destroys it.
pub trait BalancerCommand: Send + Sync {
    /// As a person would type it.
    fn text(&self) -> String;

    /// Runs it to its end, each line of what it writes told. Once interrupted it stops as soon as it decently can.
    ///
    /// The error says how it failed.
    fn run<'a>(
        &'a self,
        tell: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// A process.
#[derive(Debug)]
pub struct Process {
    program: OsString,
    arguments: Vec<OsString>,
    text: String,
}

impl Process {
    /// A line for the shell.
    pub fn shell(line: &str) -> Self {
        Self { program: "sh".into(), arguments: vec!["-c".into(), line.into()], text: line.to_owned() }
    }

    /// What the platform's own script runs, in a terraform configuration with a `module "jvb_nlb"`.
    pub fn terraform_apply(directory: &Path) -> Self {
        let mut chdir = OsString::from("-chdir=");
        chdir.push(PathBuf::from(directory));
        let text = format!("terraform -chdir={} apply -target=module.jvb_nlb -auto-approve", directory.display());
        let rest = ["apply", "-target=module.jvb_nlb", "-auto-approve"];
        let arguments = std::iter::once(chdir).chain(rest.map(OsString::from)).collect();
        Self { program: "terraform".into(), arguments, text }
    }
}

impl BalancerCommand for Process {
    fn text(&self) -> String {
        self.text.clone()
    }

    fn run<'a>(
        &'a self,
        tell: &'a (dyn Fn(&str) + Sync),
        interrupted: oneshot::Receiver<()>,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let mut command = Command::new(&self.program);
            command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            // Nobody is there to answer terraform's questions.
            command.env("TF_INPUT", "0").env("TF_IN_AUTOMATION", "1");
            // A Ctrl-C at the terminal goes to this program alone, which hands on a single one: at a second, terraform
            // drops everything and may lose its state.
            command.process_group(0).kill_on_drop(true);
            let text = &self.text;
            let mut child = command.spawn().map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => format!("`{text}` can't be run: there is no such program on the PATH"),
                _ => format!("`{text}` can't be run: {error}"),
            })?;
            let process = child.id();
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let (mut output, mut errors) = (VecDeque::new(), VecDeque::new());
            let read = async {
                tokio::join!(read_lines(stdout, tell, &mut output), read_lines(stderr, tell, &mut errors));
            };
            let status = {
                let wait = child.wait();
                tokio::pin!(wait, read);
                let mut interrupted = Some(interrupted);
                let mut reads = true;
                let mut kill_at = None;
                loop {
                    tokio::select! {
                        status = &mut wait => {
                            // What it has written last is there by now; what it has started may keep its output open.
                            if reads {
                                let _ = tokio::time::timeout(Duration::from_secs(1), &mut read).await;
                            }
                            break status;
                        }
                        () = &mut read, if reads => reads = false,
                        () = asked(&mut interrupted), if interrupted.is_some() => {
                            signal(process, rustix::process::Signal::INT);
                            kill_at = Some(tokio::time::Instant::now() + STOPS_WITHIN);
                        }
                        () = tokio::time::sleep_until(kill_at.unwrap_or_else(tokio::time::Instant::now)), if kill_at.is_some() => {
                            signal(process, rustix::process::Signal::KILL);
                            kill_at = None;
                        }
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

/// Waits until somebody asks; for ever once nobody can any more.
async fn asked(interrupted: &mut Option<oneshot::Receiver<()>>) {
    if let Some(receiver) = interrupted {
        let heard = receiver.await;
        *interrupted = None;
        if heard.is_ok() {
            return;
        }
    }
    std::future::pending().await
}

/// Tells the command and all that it has started.
fn signal(process: Option<u32>, signal: rustix::process::Signal) {
    let group = process.and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // Gone already is as good.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Tells each line, and keeps the last ones.
async fn read_lines(output: Option<impl AsyncRead + Unpin>, tell: &(dyn Fn(&str) + Sync), last: &mut VecDeque<String>) {
    let Some(output) = output else { return };
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text: String = text.trim_end().chars().filter(|c| !c.is_control() || *c == '\t').collect();
        tell(&text);
        last.push_back(text);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    async fn run(line: &str) -> (Result<(), String>, Vec<String>) {
        let said = Mutex::new(Vec::new());
        let tell = |line: &str| said.lock().expect("not poisoned").push(line.to_owned());
        let (_keep, interrupted) = oneshot::channel();
        let result = Process::shell(line).run(&tell, interrupted).await;
        (result, said.into_inner().expect("not poisoned"))
    }

    #[tokio::test]
    async fn what_it_writes_is_told_line_by_line() {
        let (result, mut said) = run("echo one; echo two >&2; printf three").await;
        said.sort();
        assert_eq!((result, said), (Ok(()), vec!["one".to_owned(), "three".to_owned(), "two".to_owned()]));
    }

    #[tokio::test]
    async fn a_failure_says_how_and_with_which_last_words() {
        let (result, _) = run("for i in $(seq 30); do echo line $i; done; echo lock held >&2; exit 3").await;
        let why = result.expect_err("it failed");
        assert!(why.contains("exit status: 3") && why.contains("| lock held") && !why.contains("| line 1\n"), "{why}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let process = Process { program: "no-such-terraform".into(), arguments: Vec::new(), text: "no-such".into() };
        let (_keep, interrupted) = oneshot::channel();
        let why = process.run(&|_| (), interrupted).await.expect_err("it can't run");
        assert!(why.contains("PATH"), "{why}");
    }

    #[tokio::test]
    async fn an_interrupt_lets_it_stop_by_itself() {
        let said = Mutex::new(Vec::new());
        let (interrupt, interrupted) = oneshot::channel();
        let interrupt = Mutex::new(Some(interrupt));
        let tell = |line: &str| {
            said.lock().expect("not poisoned").push(line.to_owned());
            if line == "ready" {
                interrupt.lock().expect("not poisoned").take().expect("ready once").send(()).expect("it listens");
            }
        };
        let line = "trap 'echo stopping; exit 4' INT; echo ready; while :; do sleep 0.05; done";
        let why = Process::shell(line).run(&tell, interrupted).await.expect_err("it was stopped");
        let said = said.lock().expect("not poisoned").clone();
        assert!(why.contains("exit status: 4") && said.contains(&"stopping".to_owned()), "{why}, {said:?}");
    }

    #[test]
    fn terraform_is_run_as_the_platforms_script_runs_it() {
        let process = Process::terraform_apply(Path::new("infra"));
        assert_eq!(process.text(), "terraform -chdir=infra apply -target=module.jvb_nlb -auto-approve");
        assert_eq!(process.arguments[0], "-chdir=infra");
    }
}
