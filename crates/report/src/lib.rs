//! A page made of the watcher's log: what the load balancer did, and what on-demand operation saved.
//!
//! The way from lines to a page:
//!
//! 1. [`Logs`] reads files (`read`, `logs`), parses each line (`line`), and counts a line once that several files have.
//! 2. `history` follows the load balancer, the tasks, the findings and the failures of one service through its lines,
//!    after `acts` has dropped the reports of an act that another worker had already reported.
//! 3. `figures` sums the history up, by the [`Model`] of costs given; `replay` replays the rule of `--stop-when-unused`.
//! 4. `days` cuts the history into days, `axis` is the time axis that all days share, and `chart` draws a day on it.
//! 5. `page` writes all of it as text (`format`) into the template `page.html`: see [`render_page`]. Several services have a
//!    table, and a section each if they are few.
//!
//! [`read_lines`] and [`RawLine`] are the reader by itself, for other programs that judge a log.
//!
//! The crate depends on the log's documented schema (`docs/logs.schema.json`) and on nothing else of the product.

#![warn(missing_docs)]

mod acts;
mod axis;
mod chart;
mod days;
mod figures;
mod format;
mod history;
mod line;
mod logs;
mod page;
mod period;
mod read;
mod replay;
#[cfg(test)]
mod samples;

pub use jvb_watcher_cost::Model;
pub use line::{ParseError, RawLine, ServiceName};
pub use logs::{Logs, Truncation, UnknownService};
pub use page::{RenderError, render_page};
pub use read::{LogLine, TruncationCause, read_lines};
