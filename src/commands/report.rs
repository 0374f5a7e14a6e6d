//! `report`: writes a page made of the watcher's log.

use std::io::{self, Write};
use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::help::{Group, Help, USAGE_ERROR};
use super::options::logs::read_each;
use super::options::prices::PriceOptions;
use super::options::values::price;
use jvb_watcher_report::{Logs, Model, render_page};

/// The options of `report`.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Logs of the watcher, as JSON lines, plain or gzip; - or none for standard input
    ///
    /// Lines of other programs are counted and left out.
    #[arg(value_name = "LOGFILE")]
    pub logs: Vec<PathBuf>,
    /// Draw one service of a log of many, by its name or project
    ///
    /// A page of more than five services has a table of them and draws none.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// File to write the page to [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Cost of an hour in which the load balancer exists, in US dollars [default: the sum of its items]
    #[arg(long, env = "JVB_WATCHER_HOURLY_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub hourly_price: Option<f64>,
    /// Cost of a month in which nothing runs, in US dollars [default: the sum of its items]
    #[arg(long, env = "JVB_WATCHER_IDLE_MONTHLY_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub idle_monthly_price: Option<f64>,
    /// Cost of a month of always-on operation [default: 730 hours at the hourly price, plus the idle month]
    #[arg(long, value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub always_on_monthly_price: Option<f64>,
    /// The unit prices.
    #[command(flatten)]
    pub prices: PriceOptions,
}

/// The help of `report`.
pub const HELP: Help = Help {
    group: Group::Inspect,
    examples: &[
        ("From log files", "jvb-watcher report watcher.log older.log.gz --out report.html"),
        ("One service of many", "jvb-watcher report watcher.log --service meet --out report.html"),
        (
            "From CloudWatch Logs",
            "aws logs tail /aws/lambda/jitsi-jvb-watcher --since 7d --format short | jvb-watcher report --out report.html",
        ),
    ],
    exit_status: &[(0, "written"), (1, "no log has a line of the watcher, or a log can't be read"), USAGE_ERROR],
    see_also: &["audit", "status", "run"],
};

/// Reads the logs and writes the page. A compressed log that ends early is a warning on standard error.
///
/// # Errors
///
/// Returns an error if a log can't be read, if none contains a line of the watcher, or if the page can't be written.
pub fn report(options: &ReportOptions) -> Result<(), CommandError> {
    let mut logs = Logs::default();
    if let Some(out) = &options.out
        && options.logs.iter().any(|log| is_same_file(log, out))
    {
        let out = out.display();
        return Err(CommandError::Usage(format!("--out {out} would overwrite one of the logs; choose another file")));
    }
    read_each(&options.logs, |name, log| logs.add(name, log))?;
    if let Some(service) = &options.service {
        logs.keep_service(service).map_err(|error| CommandError::Usage(format!("--service: {error}")))?;
    }
    for truncation in logs.truncations() {
        writeln!(io::stderr(), "warning: {truncation}")?;
    }
    let model = |region: Option<&str>| Model {
        hourly: options.hourly_price,
        idle_monthly: options.idle_monthly_price,
        always_on_monthly: options.always_on_monthly_price,
        ..options.prices.model(region)
    };
    let page = render_page(logs, model).map_err(|error| CommandError::Failed(error.to_string()))?;
    match &options.out {
        Some(out) => std::fs::write(out, page)
            .map_err(|error| CommandError::Failed(format!("writing the page to {} failed: {error}", out.display()))),
        None => Ok(io::stdout().write_all(page.as_bytes())?),
    }
}

/// Returns whether both paths are the same existing file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
