//! Writes the page of the logs given to standard output, without the rest of the product:
//!
//! ```sh
//! cargo run -p jvb-watcher-report --example page -- fixtures/logs/evening.jsonl > report.html
//! ```

use std::error::Error;
use std::fs::File;

use jvb_watcher_cost::{FALLBACK_REGION, Model, Platform};
use jvb_watcher_report::{Logs, render_page};

fn main() -> Result<(), Box<dyn Error>> {
    let mut logs = Logs::default();
    for log in std::env::args().skip(1) {
        logs.add(&log, File::open(&log)?)?;
    }
    let model = |region: Option<&str>| Model::new(region.unwrap_or(FALLBACK_REGION), Platform::EXAMPLE);
    print!("{}", render_page(logs, model)?);
    Ok(())
}
