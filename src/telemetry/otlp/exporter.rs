//! Reports in the log when exports fail, and when they succeed again.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::client::NoAnswer;
use crate::telemetry::log::{Event, Log, Signal, millis};

/// The shortest time between two reports of a failure: a collector that fails now and then doesn't fill the log.
const BETWEEN_REPORTS: Duration = Duration::from_secs(60 * 60);

/// An exporter whose failures are reported.
#[derive(Debug)]
pub(super) struct Reported<E> {
    pub(super) exporter: E,
    pub(super) reporter: Reporter,
}

impl<E: SpanExporter> SpanExporter for Reported<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.reporter.report(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reported<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.reporter.report(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// Reports the first failure of a series, at most one series an hour, and its end.
pub(super) struct Reporter {
    log: Log,
    signal: Signal,
    no_answer: NoAnswer,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last report of a failure.
    reported_at: Option<Instant>,
    /// Whether the end of that series is still to be reported.
    is_failing: bool,
}

impl Reporter {
    pub(super) fn new(log: &Log, signal: Signal, no_answer: NoAnswer) -> Self {
        Self { log: log.clone(), signal, no_answer, state: Mutex::default() }
    }

    fn report(&self, result: &OTelSdkResult) {
        self.report_at(result, Instant::now());
    }

    fn report_at(&self, result: &OTelSdkResult, now: Instant) {
        let signal = self.signal;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match (result, state.reported_at) {
            (Ok(()), Some(since)) if state.is_failing => {
                state.is_failing = false;
                self.log.emit(&Event::ExportRecovered { signal, duration_ms: millis(now.duration_since(since)) });
            }
            (Ok(()) | Err(OTelSdkError::AlreadyShutdown), _) => {}
            (Err(_), Some(at)) if state.is_failing || now.duration_since(at) < BETWEEN_REPORTS => {}
            (Err(error), _) => {
                *state = State { reported_at: Some(now), is_failing: true };
                let error = self.no_answer.take().unwrap_or_else(|| match error {
                    OTelSdkError::InternalFailure(why) => why.clone(),
                    other => other.to_string(),
                });
                self.log.emit(&Event::ExportFailed { signal, error });
            }
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("signal", &self.signal).field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fake::FakeClock;
    use crate::telemetry::log::fake::LogLines;

    #[test]
    fn reports_a_series_of_failures_once_and_its_end() {
        let lines = LogLines::default();
        let reporter = Reporter::new(&lines.log(FakeClock::noon()), Signal::Traces, NoAnswer::default());
        let start = Instant::now();
        let report = |minute: u64, result: OTelSdkResult| {
            reporter.report_at(&result, start + Duration::from_secs(60 * minute));
        };
        let failure = || Err(OTelSdkError::InternalFailure("no connection".to_owned()));
        report(0, Ok(()));
        report(1, failure());
        report(2, failure());
        report(90, failure());
        report(91, Ok(()));
        report(92, Ok(()));
        // Another series is worth a line again.
        report(93, failure());
        // Too soon after the last report.
        report(94, Ok(()));
        report(95, failure());
        report(96, Ok(()));
        report(160, failure());
        report(161, Err(OTelSdkError::AlreadyShutdown));

        let failed = lines.of("export_failed");
        assert_eq!(failed.len(), 3, "{failed:?}");
        assert_eq!(
            (failed[0]["signal"].as_str(), failed[0]["error"].as_str()),
            (Some("traces"), Some("no connection"))
        );
        let recovered = lines.of("export_recovered");
        let durations: Vec<_> = recovered.iter().map(|line| line["duration_ms"].as_u64()).collect();
        assert_eq!(durations, [Some(90 * 60_000), Some(60_000)]);
    }
}
