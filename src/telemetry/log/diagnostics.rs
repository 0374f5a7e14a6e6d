//! What libraries say through `tracing`, as lines of the log.

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::telemetry::log::{Event, Level, Log};

/// Where lambda_runtime says once more what an invocation failed of: it has been logged where it happened.
const SAID_ALREADY: &str = "lambda_runtime::layers::panic";

/// Sends what libraries say to the log, for the rest of the process.
///
/// Only their warnings and errors; at [`Level::Debug`] their information too. Never more: further down the SDK prints
/// requests, and with them credentials.
pub fn install(log: &Log) {
    let most = match log.level() {
        Level::Error => LevelFilter::ERROR,
        Level::Warn | Level::Info => LevelFilter::WARN,
        Level::Debug => LevelFilter::INFO,
    };
    let subscriber = tracing_subscriber::registry().with(Diagnostics { log: log.clone(), most });
    // Only a second call fails, and then the first one's log stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Diagnostics {
    log: Log,
    most: LevelFilter,
}

impl<S: Subscriber> Layer<S> for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.most && metadata.target() != SAID_ALREADY
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let severity = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let target = event.metadata().target().to_owned();
        self.log.emit(&Event::Diagnostic { severity, target, text: message.0 });
    }
}

/// The message alone. The fields beside it hold whole requests and answers at times, and with them credentials.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
