//! Spans: a reconciliation is a trace, and its phases and its calls to AWS are spans in it.
//!
//! OpenTelemetry's context carries the current span. It is attached whenever a future of the reconciliation is polled, so
//! the SDK's interceptors find it. A call outside a reconciliation finds none, and has no span.
//!
//! Without the feature `otlp`, `trace/off.rs` takes this module's place.

use std::fmt;
use std::sync::Arc;

use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

/// The name of the attribute for an error in a span (see "Recording errors" in OpenTelemetry's semantic conventions).
pub const ERROR_TYPE: &str = "error.type";

/// The value of [`ERROR_TYPE`] for an error without a code (see its entry in the registry of attributes).
pub const OTHER_ERROR: &str = "_OTHER";

/// Starts the traces of one service's reconciliations.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Source>);

#[derive(Clone, Debug)]
struct Source {
    tracer: SdkTracer,
    /// The attributes that name the service.
    subject: Arc<[KeyValue]>,
}

/// The tracer of the current trace, as a value of OpenTelemetry's context.
struct CurrentTracer(SdkTracer);

/// The reason for a reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Messages about the service.
    Messages,
    /// The time that the last plan set, the resync interval, or the retry of one of them.
    Timer,
}

impl Traces {
    /// Creates a source of no traces.
    pub fn off() -> Self {
        Self::default()
    }

    /// Creates the source of a service's traces.
    pub fn new(tracer: SdkTracer, project: &str, cluster: &str, service: &str) -> Self {
        let attribute = |name, value: &str| KeyValue::new(name, value.to_owned());
        let subject = Arc::new([
            attribute("jvb_watcher.project", project),
            attribute("jvb_watcher.cluster", cluster),
            attribute("jvb_watcher.service", service),
        ]);
        Self(Some(Source { tracer, subject }))
    }

    /// Starts the trace of a reconciliation.
    pub fn reconciliation(&self, trigger: Trigger) -> Reconciliation {
        let Some(Source { tracer, subject }) = &self.0 else { return Reconciliation(None) };
        let trigger = match trigger {
            Trigger::Messages => "messages",
            Trigger::Timer => "timer",
        };
        let attributes = subject.iter().cloned().chain([KeyValue::new("jvb_watcher.trigger", trigger)]);
        let root = Context::new();
        let span = tracer.span_builder("reconcile").with_attributes(attributes).start_with_context(tracer, &root);
        Reconciliation(Some(root.with_value(CurrentTracer(tracer.clone())).with_span(span)))
    }
}

/// The trace of a reconciliation in progress. One that is dropped was cancelled.
#[must_use]
pub struct Reconciliation(Option<Context>);

impl Reconciliation {
    /// Runs a future in the trace.
    pub async fn within<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            Some(context) => future.with_context(context.clone()).await,
            None => future.await,
        }
    }

    /// Ends the trace of a reconciliation that succeeded.
    pub fn succeeded(mut self, findings: usize) {
        if let Some(context) = self.0.take() {
            let findings = i64::try_from(findings).unwrap_or(i64::MAX);
            context.span().set_attribute(KeyValue::new("jvb_watcher.findings", findings));
            end(&context, "succeeded");
        }
    }

    /// Ends the trace of a reconciliation that failed with this error, and AWS's error code if it has one.
    pub fn failed(mut self, error: &dyn fmt::Display, code: Option<&str>) {
        if let Some(context) = self.0.take() {
            context.span().set_status(Status::error(error.to_string()));
            context.span().set_attribute(KeyValue::new(ERROR_TYPE, code.unwrap_or(OTHER_ERROR).to_owned()));
            end(&context, "failed");
        }
    }
}

impl Drop for Reconciliation {
    fn drop(&mut self) {
        if let Some(context) = self.0.take() {
            context.span().set_status(Status::error("cancelled"));
            context.span().set_attribute(KeyValue::new(ERROR_TYPE, "cancelled"));
            end(&context, "cancelled");
        }
    }
}

fn end(context: &Context, result: &'static str) {
    context.span().set_attribute(KeyValue::new("jvb_watcher.result", result));
    context.span().end();
}

/// Runs a future in a span of its own in the current trace, if there is one.
pub async fn phase<F: Future>(name: &'static str, future: F) -> F::Output {
    match start(name, SpanKind::Internal, Vec::new()) {
        Some(context) => {
            let output = future.with_context(context.clone()).await;
            context.span().end();
            output
        }
        None => future.await,
    }
}

/// Lets a future that another task polls belong to the current trace.
pub fn in_current_trace<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_current_context()
}

/// Starts a span in the current trace, if there is one, and returns the context that it is current in.
pub fn start(name: impl Into<String>, kind: SpanKind, attributes: Vec<KeyValue>) -> Option<Context> {
    let current = Context::current();
    let CurrentTracer(tracer) = current.get::<CurrentTracer>()?;
    let name: String = name.into();
    let span = tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
    Some(current.with_span(span.start_with_context(tracer, &current)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::trace::{SpanId, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

    use super::*;

    /// Keeps the spans that have ended.
    #[derive(Clone, Debug, Default)]
    struct Ended(Arc<Mutex<Vec<SpanData>>>);

    impl Ended {
        fn spans(&self) -> Vec<SpanData> {
            self.0.lock().expect("not poisoned").clone()
        }
    }

    impl SpanExporter for Ended {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().expect("not poisoned").extend(batch);
            Ok(())
        }
    }

    fn recorded() -> (SdkTracerProvider, Ended, Traces) {
        let ended = Ended::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(ended.clone()).build();
        let traces = Traces::new(provider.tracer("test"), "p", "c", "s");
        (provider, ended, traces)
    }

    fn attribute(span: &SpanData, name: &str) -> String {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
        found.unwrap_or_else(|| panic!("{name} is not in {span:?}")).value.to_string()
    }

    #[tokio::test]
    async fn a_phase_is_a_child_of_its_reconciliation_also_when_another_task_polls_it() {
        let (_provider, ended, traces) = recorded();
        let trace = traces.reconciliation(Trigger::Messages);
        let two = async {
            phase("observe", async {
                let elsewhere = tokio::spawn(in_current_trace(phase("call", async {})));
                elsewhere.await.expect("the task ends");
            })
            .await;
            7
        };
        assert_eq!(trace.within(two).await, 7);
        trace.succeeded(2);
        phase("outside", async {}).await;

        let spans = ended.spans();
        let [call, observe, root] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!([&call.name, &observe.name, &root.name], ["call", "observe", "reconcile"]);
        assert_eq!(call.parent_span_id, observe.span_context.span_id());
        assert_eq!(observe.parent_span_id, root.span_context.span_id());
        assert_eq!(root.parent_span_id, SpanId::INVALID);
        assert_eq!(attribute(root, "jvb_watcher.service"), "s");
        assert_eq!(attribute(root, "jvb_watcher.trigger"), "messages");
        assert_eq!(attribute(root, "jvb_watcher.result"), "succeeded");
        assert_eq!(attribute(root, "jvb_watcher.findings"), "2");
        assert_eq!(root.status, Status::Unset);
    }

    #[tokio::test]
    async fn a_reconciliation_that_fails_or_is_cancelled_is_an_error() {
        let (_provider, ended, traces) = recorded();
        traces.reconciliation(Trigger::Timer).failed(&"no", Some("Throttling"));
        traces.reconciliation(Trigger::Timer).failed(&"no connection", None);
        drop(traces.reconciliation(Trigger::Timer));
        let spans = ended.spans();
        let results: Vec<_> = spans
            .iter()
            .map(|span| (attribute(span, "jvb_watcher.result"), attribute(span, ERROR_TYPE), span.status.clone()))
            .collect();
        let expected = [("failed", "Throttling", "no"), ("failed", OTHER_ERROR, "no connection")];
        let expected = expected.into_iter().chain([("cancelled", "cancelled", "cancelled")]);
        let expected: Vec<_> =
            expected.map(|(result, error, why)| (result.to_owned(), error.to_owned(), Status::error(why))).collect();
        assert_eq!(results, expected);
    }

    #[tokio::test]
    async fn without_a_tracer_there_are_no_spans() {
        let trace = Traces::off().reconciliation(Trigger::Timer);
        let is_traced = trace.within(async { start("call", SpanKind::Client, Vec::new()).is_some() }).await;
        assert!(!is_traced);
    }
}
