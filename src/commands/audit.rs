//! `audit`: checks the guarantees by the watchers' logs.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::help::{Group, Help, USAGE_ERROR};
use super::options::logs::read_each;
use super::options::{OutputFormat, OutputOptions};
use jvb_watcher_audit::{Logs, text};

/// The options of `audit`.
#[derive(Debug, Args)]
pub struct AuditOptions {
    /// Logs of the watchers and of up, down and hold, as JSON lines, plain or gzip; - or none for standard input
    ///
    /// Lines of other programs are counted and left out.
    #[arg(value_name = "LOGFILE")]
    pub logs: Vec<PathBuf>,
    /// The result.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// The help of `audit`.
pub const HELP: Help = Help {
    group: Group::Inspect,
    examples: &[
        ("From log files", "jvb-watcher audit worker-1.log worker-2.log.gz"),
        (
            "A week from CloudWatch Logs",
            "aws logs tail /ecs/jitsi-jvb-watcher --since 7d --format short | jvb-watcher audit",
        ),
        (
            "List what doesn't hold",
            "jvb-watcher audit watcher.log -o json | jq '.checks[] | select(.state == \"broken\")'",
        ),
    ],
    exit_status: &[
        (0, "nothing that the logs tell breaks a guarantee"),
        (1, "no log has a line of the watcher, or a log can't be read"),
        USAGE_ERROR,
        (3, "something doesn't hold"),
    ],
    see_also: &["report", "status", "doctor"],
};

/// Reads the logs, judges them, and prints what holds, what doesn't, and what they can't tell.
///
/// # Errors
///
/// Returns an error if a log can't be read or none has a line of the watcher, and [`CommandError::NotWell`] if something
/// doesn't hold.
pub fn audit(options: &AuditOptions) -> Result<(), CommandError> {
    let mut logs = Logs::default();
    read_each(&options.logs, |name, log| logs.add(name, log))?;
    if logs.is_empty() {
        return Err(CommandError::Failed(
            "no line of the watcher: give its log as it writes it with --log-format json, one JSON object on each line. Where \
             another program wraps the lines in JSON of its own, have it print them alone, e.g. aws logs tail --format short \
             or docker logs"
                .to_owned(),
        ));
    }
    let verdict = logs.audit();
    let mut stdout = io::stdout().lock();
    match options.output.output {
        OutputFormat::Text => stdout.write_all(text(&verdict).as_bytes())?,
        OutputFormat::Json => {
            serde_json::to_writer(&mut stdout, &verdict).map_err(io::Error::from)?;
            writeln!(stdout)?;
        }
    }
    stdout.flush()?;
    if verdict.holds() { Ok(()) } else { Err(CommandError::NotWell) }
}
