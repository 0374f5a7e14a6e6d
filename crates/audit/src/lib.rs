//! Checks the guarantees (docs/guarantees.md) by the watchers' log: what holds, what doesn't, and what the log can't tell.
//!
//! 1. [`Logs`] reads any number of logs (`logs`) into [entries](entry), each with the `fields` that the checks read and the place where it was read. `duplicates`
//!    recognizes a line that two logs contain.
//! 2. `service` orders the entries of one service, and knows the settings in force and the times without a watcher.
//! 3. Each file of `checks` judges one claim. It shares no code with the product: a rule that is wrong there isn't wrong here.
//! 4. `verdict` collects the results, and `text` writes them for people.
//!
//! A check that lacks a line or a field says so ([`Check::unknown`]); only what the log proves is a breach. docs/audit.md
//! describes each check.

#![warn(missing_docs)]

mod checks;
mod duplicates;
mod entry;
mod fields;
mod logs;
#[cfg(test)]
mod samples;
mod service;
mod text;
mod verdict;

pub use logs::{LineCounts, Logs};
pub use text::text;
pub use verdict::{Breach, Check, Citation, Claim, CurrentFinding, Gap, State, Unknown, Verdict};
