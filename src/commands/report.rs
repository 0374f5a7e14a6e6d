//! `report`: a page made of the watcher's log.

use std::path::PathBuf;

use clap::Args;

use super::help::{Group, Help, USAGE_ERROR};
use super::options::values::price;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::CommandError;
use jvb_watcher_report::figures::Prices;
use jvb_watcher_report::page::page;
use jvb_watcher_report::read::Logs;

/// The options of `report`.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Logs of the watcher, as JSON lines, plain or gzip; - or none for standard input
    ///
    /// Lines of other programs are counted and left out.
    #[arg(value_name = "LOGFILE")]
    pub logs: Vec<PathBuf>,
    /// File to write the page to [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Cost of an hour in which a load balancer exists, in US dollars
    #[arg(long, value_name = "DOLLARS", default_value = "0.19", value_parser = price)]
    pub hourly_price: f64,
    /// Cost of a month in which nothing runs, in US dollars
    #[arg(long, value_name = "DOLLARS", default_value = "0.73", value_parser = price)]
    pub idle_monthly_price: f64,
    /// Cost of a month in which everything always runs, in US dollars
    #[arg(long, value_name = "DOLLARS", default_value = "150", value_parser = price)]
    pub always_on_monthly_price: f64,
}

/// The help of `report`.
pub const HELP: Help = Help {
    group: Group::Inspect,
    examples: &[
        ("From log files", "jvb-watcher report watcher.log older.log.gz --out report.html"),
        (
            "From CloudWatch Logs",
            "aws logs tail /aws/lambda/jitsi-jvb-watcher --since 7d --format short | jvb-watcher report --out report.html",
        ),
    ],
    exit_status: &[(0, "written"), (1, "no log has a line of the watcher, or a log can't be read"), USAGE_ERROR],
    see_also: &["status", "run"],
};

/// The name of standard input among the files.
const STANDARD_INPUT: &str = "-";

/// Reads the logs and writes the page.
///
/// # Errors
///
/// When a log can't be read, when none has a line of the watcher's, or when the page can't be written.
pub fn report(options: &ReportOptions) -> Result<(), CommandError> {
    let mut logs = Logs::default();
    if options.logs.is_empty() {
        if io::stdin().is_terminal() {
            return Err(CommandError::Usage("give the watcher's log: files, or standard input".to_owned()));
        }
        add(&mut logs, Path::new(STANDARD_INPUT))?;
    }
    for log in &options.logs {
        if let Some(out) = &options.out
            && is_same(log, out)
        {
            let out = out.display();
            return Err(CommandError::Usage(format!("--out: {out} is one of the logs; it would be overwritten")));
        }
        add(&mut logs, log)?;
    }
    let prices = Prices {
        hour: options.hourly_price,
        idle_month: options.idle_monthly_price,
        always_on_month: options.always_on_monthly_price,
    };
    let page = page(logs, &prices).map_err(|error| CommandError::Failed(error.to_string()))?;
    match &options.out {
        Some(out) => std::fs::write(out, page)
            .map_err(|error| CommandError::Failed(format!("--out: {} can't be written: {error}", out.display()))),
        None => Ok(io::stdout().write_all(page.as_bytes())?),
    }
}

fn add(logs: &mut Logs, log: &Path) -> Result<(), CommandError> {
    let unreadable = |error: io::Error| format!("{} can't be read: {error}", log.display());
    if log == Path::new(STANDARD_INPUT) {
        return logs.add(io::stdin().lock()).map_err(|error| CommandError::Failed(unreadable(error)));
    }
    let file = File::open(log).map_err(|error| CommandError::Usage(unreadable(error)))?;
    logs.add(file).map_err(|error| CommandError::Failed(unreadable(error)))
}

/// Whether the two are one file that exists.
fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
