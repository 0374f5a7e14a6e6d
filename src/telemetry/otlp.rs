//! Exports traces and metrics by OTLP, OpenTelemetry's protocol, as OpenTelemetry's environment variables configure it.
//!
//! - [`settings`]: what the variables ask for.
//! - [`exporter`]: reports in the log when exports fail, and when they succeed again.
//! - [`client`]: sends the requests.
//!
//! OpenTelemetry's SDK exports on threads of its own, from a bounded queue that drops spans when it is full. So a collector
//! that is slow or down delays no reconciliation.
//!
//! Without the feature `otlp`, `otlp/off.rs` takes this module's place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider};
use tokio::sync::oneshot;

use crate::telemetry::log::{Identity, Log, Signal};
use crate::telemetry::metrics::Metrics;
use crate::trace::Traces;

mod client;
mod exporter;
mod settings;

use client::{Client, NoAnswer};
use exporter::{Reported, Reporter};
use settings::Settings;

/// The name of the instrumentation scope, and the service's name by default.
const NAME: &str = env!("CARGO_PKG_NAME");

/// The export of a process. Clones share it.
#[derive(Clone)]
pub struct Otlp(Option<Arc<Exports>>);

struct Exports {
    traces: Option<(SdkTracerProvider, SdkTracer)>,
    metrics: Option<(SdkMeterProvider, Meter)>,
    /// Whether a flush is in progress.
    is_flushing: AtomicBool,
}

impl Otlp {
    /// Exports nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts the export that OpenTelemetry's environment variables configure: none, unless one names an endpoint.
    ///
    /// # Errors
    ///
    /// Returns the reason why the configuration is wrong.
    pub fn start(log: &Log, environment: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let Some(settings) = Settings::read(&environment)? else { return Ok(Self::off()) };
        let invalid = |error: ExporterBuildError| format!("OTEL_EXPORTER_OTLP_*: {error}");
        let client = |timeout, no_answer: &NoAnswer| {
            let client = Client::new(timeout, settings.uses_tls, no_answer.clone());
            client
                .map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: cannot load the system's certificates: {error}"))
        };
        let resource = resource();
        let traces = match settings.traces {
            Some(timeout) => {
                let no_answer = NoAnswer::default();
                let exporter = SpanExporter::builder().with_http().with_http_client(client(timeout, &no_answer)?);
                let exporter = exporter.build().map_err(invalid)?;
                let exporter = Reported { exporter, reporter: Reporter::new(log, Signal::Traces, no_answer) };
                let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
                let provider = provider.with_resource(resource.clone()).build();
                let tracer = provider.tracer(NAME);
                Some((provider, tracer))
            }
            None => None,
        };
        let metrics = match settings.metrics {
            Some(timeout) => {
                let no_answer = NoAnswer::default();
                let exporter = MetricExporter::builder().with_http().with_http_client(client(timeout, &no_answer)?);
                let exporter = exporter.build().map_err(invalid)?;
                let exporter = Reported { exporter, reporter: Reporter::new(log, Signal::Metrics, no_answer) };
                let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter);
                let provider = provider.with_resource(resource).build();
                let meter = provider.meter(NAME);
                Some((provider, meter))
            }
            None => None,
        };
        Ok(Self(Some(Arc::new(Exports { traces, metrics, is_flushing: AtomicBool::new(false) }))))
    }

    /// Returns the source of a service's traces.
    pub fn traces(&self, Identity { project, cluster, service }: &Identity) -> Traces {
        match self.0.as_deref() {
            Some(Exports { traces: Some((_, tracer)), .. }) => Traces::new(tracer.clone(), project, cluster, service),
            _ => Traces::off(),
        }
    }

    /// Exports metrics.
    pub fn export(&self, metrics: &Metrics) {
        if let Some(Exports { metrics: Some((_, meter)), .. }) = self.0.as_deref() {
            metrics.export(meter);
        }
    }

    /// Exports what waits, for `limit` at most. The export goes on after that, and until it ends a further one doesn't start.
    pub async fn flush(&self, limit: Duration) {
        let Some(exports) = &self.0 else { return };
        if exports.is_flushing.swap(true, Ordering::AcqRel) {
            return;
        }
        let flush = Flush(exports.clone());
        on_a_thread(limit, move || {
            let Flush(exports) = &flush;
            // The exporters report failures.
            let _ = exports.traces.as_ref().map(|(provider, _)| provider.force_flush());
            let _ = exports.metrics.as_ref().map(|(provider, _)| provider.force_flush());
        })
        .await;
    }

    /// Exports what waits, for `limit` at most, and ends the export. Call it before the last clone is dropped: that would wait
    /// for exports too, and block the runtime, which sends them.
    pub async fn stop(&self, limit: Duration) {
        let Some(exports) = &self.0 else { return };
        let (traces, metrics) = (exports.clone(), exports.clone());
        tokio::join!(
            on_a_thread(limit, move || {
                let _ = traces.traces.as_ref().map(|(provider, _)| provider.shutdown_with_timeout(limit));
            }),
            on_a_thread(limit, move || {
                let _ = metrics.metrics.as_ref().map(|(provider, _)| provider.shutdown_with_timeout(limit));
            }),
        );
    }
}

/// A flush in progress, until it is dropped.
struct Flush(Arc<Exports>);

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.is_flushing.store(false, Ordering::Release);
    }
}

/// Runs what blocks, and waits for its end, for `limit` at most. The runtime goes on meanwhile, which sends the requests; and it
/// doesn't wait for the thread when it ends, as it would for a blocking task.
async fn on_a_thread(limit: Duration, act: impl FnOnce() + Send + 'static) {
    let (ended, has_ended) = oneshot::channel();
    let thread = thread::Builder::new().name("otlp".to_owned()).spawn(move || {
        act();
        let _ = ended.send(());
    });
    if thread.is_ok() {
        let _ = tokio::time::timeout(limit, has_ended).await;
    }
}

/// Returns the attributes of the process, by which a backend distinguishes it from others. The variables take precedence.
fn resource() -> Resource {
    let from_environment = Resource::builder().build();
    let get = |name: &'static str| from_environment.get(&Key::from_static_str(name));
    let has_no_name = get("service.name").is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let id = RandomIdGenerator::default().new_trace_id().to_string();
    let defaults = [
        has_no_name.then(|| KeyValue::new("service.name", NAME)),
        get("service.version").is_none().then(|| KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))),
        get("service.instance.id").is_none().then(|| KeyValue::new("service.instance.id", id)),
    ];
    Resource::builder().with_attributes(defaults.into_iter().flatten()).build()
}
