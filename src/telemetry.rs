//! The watcher's reports: the log, the metrics in it, and the events that it publishes.

pub mod emf;
pub mod log;
pub mod metrics;
pub mod publish;

#[cfg(test)]
mod tests;
