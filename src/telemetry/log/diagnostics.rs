//! Messages of libraries, which they emit through `tracing`, as events of the log.

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::telemetry::log::{Event, Level, Log};

/// The target under which lambda_runtime reports a failed invocation again. The handler has logged it already.
const REPEATED_FAILURE: &str = "lambda_runtime::layers::panic";

/// Sends messages of libraries to the log, until the process ends.
///
/// Only warnings and errors; at [`Level::Debug`] also information. Below that level the SDK logs requests, and with them
/// credentials.
pub fn install(log: &Log) {
    let max_level = match log.level() {
        Level::Error => LevelFilter::ERROR,
        Level::Warn | Level::Info => LevelFilter::WARN,
        Level::Debug => LevelFilter::INFO,
    };
    let subscriber = tracing_subscriber::registry().with(Diagnostics { log: log.clone(), max_level });
    // Fails only if a log is installed already, which then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Diagnostics {
    log: Log,
    max_level: LevelFilter,
}

impl<S: Subscriber> Layer<S> for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.max_level && metadata.target() != REPEATED_FAILURE
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level)
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let target = event.metadata().target().to_owned();
        self.log.emit(&Event::Diagnostic { level, target, text: message.0 });
    }
}

/// The message of an event, without its fields: they may hold whole requests and responses, and with them credentials.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
