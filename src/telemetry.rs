//! The watcher's reports: the log, the metrics in it, the events that it publishes, and what it exports to OpenTelemetry.

pub mod emf;
pub mod log;
pub mod metrics;
#[cfg_attr(not(feature = "otlp"), path = "telemetry/otlp/off.rs")]
pub mod otlp;
pub mod publish;

#[cfg(test)]
mod tests;
