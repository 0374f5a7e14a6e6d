//! The report: a page made of the watcher's own log, for whoever wants to see what it did and what it saved.
//!
//! [`read`] takes the lines in, whoever wrote the others between them; [`history`] follows the balancer, the tasks and
//! the findings through them; [`figures`] sums up; [`days`] cuts the history by the day, [`chart`] draws one, and [`page`]
//! puts all of it on a page.

pub mod chart;
pub mod days;
pub mod figures;
pub mod history;
pub mod line;
pub mod page;
pub mod period;
pub mod read;
mod words;
