//! A running program, and what the kernel counts of it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use crate::wait;

/// What the kernel counts of a process (proc_pid_status(5) and proc_pid_schedstat(5)). Memory is in KiB.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    /// Resident memory: VmRSS.
    pub resident: u64,
    /// Of it, memory that is no file's: RssAnon.
    pub anonymous: u64,
    /// Most resident memory so far: VmHWM.
    pub peak: u64,
    /// Time on a processor, of all threads that still run.
    pub cpu: Duration,
}

/// A child process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a program with no environment but what the command sets.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
        let (lines, stderr) = (Arc::default(), Arc::default());
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let lines: Arc<Mutex<Vec<String>>> = Arc::clone(&lines);
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    lock(&lines).push(line);
                }
            }));
        }
        if let Some(mut output) = child.stderr.take() {
            let stderr: Arc<Mutex<String>> = Arc::clone(&stderr);
            readers.push(std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = output.read(&mut buffer) {
                    lock(&stderr).push_str(&String::from_utf8_lossy(&buffer[..length]));
                }
            }));
        }
        let stdin = child.stdin.take();
        Self { child, stdin, lines, stderr, readers }
    }

    /// Returns the lines on standard output so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// Returns standard error so far.
    pub fn stderr(&self) -> String {
        lock(&self.stderr).clone()
    }

    /// Waits for a line on standard output that contains a text.
    ///
    /// # Panics
    ///
    /// If the program ends before, or doesn't print it in time.
    pub fn wait_for_line(&mut self, text: &str) {
        wait::until(&format!("the program prints {text:?}"), || {
            if lock(&self.lines).iter().any(|line| line.contains(text)) {
                return Some(());
            }
            self.assert_running();
            None
        });
    }

    /// Returns whether the program has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns the most resident memory of the process, and of each process that it has started, in KiB: the largest of
    /// them.
    pub fn peak_of_family(&self) -> u64 {
        fn peak(process: &str) -> u64 {
            let read = |file: String| fs::read_to_string(file).unwrap_or_default();
            let status = read(format!("/proc/{process}/status"));
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let own = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default();
            let children = read(format!("/proc/{process}/task/{process}/children"));
            children.split_whitespace().map(peak).chain([own]).max().unwrap_or_default()
        }
        peak(&self.child.id().to_string())
    }

    /// Fails if the program has ended.
    ///
    /// # Panics
    ///
    /// If it has, with its standard error.
    pub fn assert_running(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            let last = self.lines().pop().unwrap_or_default();
            panic!("the program ended with {status}: {}{last}", self.stderr());
        }
    }

    /// Returns the exit status once the program has ended by itself.
    pub fn wait_exit(&mut self) -> Option<i32> {
        self.stdin = None;
        let status = wait::until("the program ends", || self.child.try_wait().ok().flatten());
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        status.code()
    }

    /// Returns what the kernel counts of the process now.
    ///
    /// # Panics
    ///
    /// If the process has ended, or this isn't Linux.
    pub fn usage(&self) -> Usage {
        let directory = format!("/proc/{}", self.child.id());
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let status = read(&Path::new(&directory).join("status"));
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or_else(|| panic!("{directory}/status has no {name}"))
        };
        let threads = fs::read_dir(format!("{directory}/task")).expect("the process runs on Linux");
        let nanoseconds = |thread: &Path| -> u64 {
            read(&thread.join("schedstat")).split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
        };
        let cpu = threads.flatten().map(|thread| nanoseconds(&thread.path())).sum();
        Usage {
            resident: kibibytes("VmRSS"),
            anonymous: kibibytes("RssAnon"),
            peak: kibibytes("VmHWM"),
            cpu: Duration::from_nanos(cpu),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
