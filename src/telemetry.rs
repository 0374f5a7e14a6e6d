//! What the watcher reports of its work: the log, the metrics in it, and events for others.

pub mod log;
pub mod metrics;
pub mod publish;
