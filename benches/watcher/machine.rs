//! The machine and the state of the source that the figures belong to.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// What the figures depend on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The model of the processor.
    pub processor: String,
    /// The number of processors.
    pub processors: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The load averages over 1, 5 and 15 minutes when the run began.
    pub load: String,
    /// The kernel.
    pub kernel: String,
    /// The commit of the source, with `+` if files were changed.
    pub commit: String,
    /// The time at which the run began.
    pub began: String,
}

/// Describes this machine.
pub fn describe(root: &Path) -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(root).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed = if git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() { "" } else { "+" };
    Machine {
        processor: value(&read("/proc/cpuinfo"), "model name"),
        processors: std::thread::available_parallelism().map_or(0, Into::into),
        memory_mib: memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024,
        load: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        commit: git(&["rev-parse", "--short", "HEAD"]) + changed,
        began: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
    }
}
