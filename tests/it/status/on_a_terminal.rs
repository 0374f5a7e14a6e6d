//! `status --watch` on a terminal of 80x24, which util-linux's `script` provides.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::platform::{Platform, REGION};
use crate::wait::eventually;

/// The program on a terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    output: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    fn start(platform: &Platform) -> Self {
        Self::start_with(platform, "")
    }

    fn start_with(platform: &Platform, arguments: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_jvb-watcher");
        let line = format!("stty rows 24 cols 80; exec '{program}' status --watch {arguments}");
        let mut child = Command::new("script")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_ENDPOINT_URL", platform.proxy.endpoint())
            .env("JITSI_PROJECT", &platform.project)
            .env("JITSI_AWS_REGION", REGION)
            // Several tasks fill the screen.
            .env("JVB_WATCHER_ALLOW_SEVERAL_BRIDGES", "true")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is installed");
        let keys = child.stdin.take().expect("the input is piped");
        let mut stdout = child.stdout.take().expect("the output is piped");
        let output = Arc::new(Mutex::new(Vec::new()));
        let reader = std::thread::spawn({
            let output = Arc::clone(&output);
            move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                    output.lock().expect("not poisoned").extend_from_slice(&bytes[..count]);
                }
            }
        });
        Self { child, keys, output, reader: Some(reader) }
    }

    fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().expect("not poisoned")).into_owned()
    }

    /// Waits until the status is on the screen, and returns the output until then.
    async fn wait_for_status(&self) -> String {
        eventually("the status is shown", async || {
            let output = self.output();
            // The end of a drawing: erase to the end of the screen.
            (output.contains("ell: ") && output.ends_with("\x1b[J")).then_some(output)
        })
        .await
    }

    fn press(&mut self, key: &[u8]) {
        self.keys.write_all(key).expect("the terminal takes keys");
        self.keys.flush().expect("the terminal takes keys");
    }

    /// Waits until the program ends, and returns its exit status and its whole output.
    async fn finish(&mut self) -> (Option<i32>, String) {
        let child = &mut self.child;
        let status = eventually("the program ends", async || child.try_wait().expect("a child")).await;
        self.reader.take().expect("not joined before").join().expect("no panic");
        (status.code(), self.output())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Returns the rows of the last drawing on the screen.
fn rows(output: &str) -> Vec<&str> {
    let drawing = output.rsplit("\x1b[H").next().expect("a drawing");
    drawing.split("\x1b[J").next().expect("its end").lines().collect()
}

/// Asserts that the terminal is left as it was found.
fn assert_restored(output: &str) {
    for (set, reset) in [("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h")] {
        assert!(output.contains(set) && output.rfind(reset) > output.rfind(set), "{output:?}");
    }
    assert!(!output.contains("error:"), "{output}");
}

#[tokio::test]
async fn watching_keeps_the_first_lines_and_ends_with_q() {
    let platform = Platform::new().await;
    platform.route_events().await;
    platform.create_load_balancer().await;
    // Three tasks and their six registrations take more than 24 rows.
    platform.set_desired(3).await;
    for _ in 0..3 {
        platform.run_task().await;
    }
    let mut terminal = Terminal::start(&platform);
    let output = terminal.wait_for_status().await;
    let rows = rows(&output);
    assert_eq!(rows.len(), 24, "{rows:#?}");
    assert!(rows[0].contains("refreshes every 5 s, q quits"), "{rows:#?}");
    assert_eq!(rows[0].find('Z'), Some("2026-11-20T12:00:00".len()), "whole seconds: {rows:#?}");
    assert!(rows[2].contains("Well: no findings"), "the verdict comes first: {rows:#?}");
    assert!(rows[23].contains("more lines"), "{rows:#?}");
    terminal.press(b"q");
    let (code, output) = terminal.finish().await;
    assert_eq!(code, Some(0), "{output}");
    assert_restored(&output);
}

#[tokio::test]
async fn watching_ends_with_ctrl_c_and_without_an_error() {
    let platform = Platform::new().await;
    platform.route_events().await;
    let mut terminal = Terminal::start(&platform);
    terminal.wait_for_status().await;
    terminal.press(b"\x03");
    let (code, output) = terminal.finish().await;
    assert_eq!(code, Some(130), "{output}");
    assert_restored(&output);
}

#[tokio::test]
async fn watching_many_services_keeps_the_verdict_on_the_screen() {
    let platform = Platform::new().await;
    platform.route_events().await;
    // None of the others exists, which is a finding of each; they take more than 24 rows.
    let others = (0..30).map(|number| format!("[[service]]\nproject = \"absent-{number}\"\n"));
    let defaults = format!("[defaults]\ncluster = \"{}\"\n", platform.cluster());
    let own = format!("[[service]]\nproject = \"{}\"\n", platform.project);
    let list = format!("{defaults}{own}{}", others.collect::<String>());
    let file = tempfile::NamedTempFile::new().expect("the directory for temporary files is writable");
    std::fs::write(file.path(), list).expect("the file can be written");
    let mut terminal = Terminal::start_with(&platform, &format!("--config '{}'", file.path().display()));
    let output = eventually("the status is shown", async || {
        let output = terminal.output();
        // On an overloaded machine some services can be observed only at the next refresh.
        (output.contains("30 of 31 services are not well") && output.ends_with("\x1b[J")).then_some(output)
    })
    .await;
    let rows = rows(&output);
    assert_eq!(rows.len(), 24, "{rows:#?}");
    assert!(rows[0].contains("refreshes every 30 s, q quits"), "{rows:#?}");
    assert!(rows[2].contains("30 of 31 services are not well"), "the verdict comes first: {rows:#?}");
    assert!(rows[5].contains("absent-0-service") && rows[6].contains("service_missing"), "{rows:#?}");
    assert!(rows[23].contains("more lines"), "{rows:#?}");
    terminal.press(b"q");
    let (code, output) = terminal.finish().await;
    assert_eq!(code, Some(3), "{output}");
    assert_restored(&output);
}
