//! Records the log of a process.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::environment::{Actor, Environment};
use jvb_watcher::telemetry::log::{Event, Format, Level, Subscriber};

/// Counts a process's log lines, and adds them to the history and the recorded log.
pub struct LogRecorder {
    /// The counts.
    pub environment: Arc<Environment>,
    /// The process.
    pub actor: Actor,
}

impl Subscriber for LogRecorder {
    fn receive(&self, event: &Event, _: Timestamp, fields: &dyn Fn() -> Map<String, Value>) {
        if !event.is_enabled(&Format::Json, Level::Info) {
            return;
        }
        self.environment.with(|state, now| {
            state.coverage.event(&name(event));
            if let Some(log) = &mut state.log {
                log.push_str(&Value::Object(fields()).to_string());
                log.push('\n');
            }
            if !matches!(event, Event::Reconciled { .. }) {
                let is_fleet = state.checkers.is_fleet();
                state.note(now, || match is_fleet {
                    true => {
                        format!("{:?} logs about {}: {}", self.actor, text(fields().get("service")), event.message())
                    }
                    false => format!("{:?} logs: {}", self.actor, event.message()),
                });
            }
        });
    }
}

/// Returns an event's name, with the field that distinguishes its kinds.
fn name(event: &Event) -> Cow<'static, str> {
    match event {
        // The most frequent one, without serialization.
        Event::Reconciled { .. } => "reconciled".into(),
        Event::TargetRegistered { reason, .. } => format!("target_registered {}", word(reason)).into(),
        Event::TargetDeregistered { reason, .. } => format!("target_deregistered {}", word(reason)).into(),
        Event::IdleMarked { reason, .. } => format!("idle_marked {}", word(reason)).into(),
        Event::IdleUnmarked { reason, .. } => format!("idle_unmarked {}", word(reason)).into(),
        Event::Finding { finding, .. } => format!("finding {}", word(finding)).into(),
        Event::StopWithdrawn { reason, .. } => format!("stop_withdrawn {}", word(reason)).into(),
        Event::TeardownStarted { resumed: true, .. } => "teardown_started resumed".into(),
        other => serde_json::to_value(other)
            .ok()
            .and_then(|fields| fields.get("event")?.as_str().map(str::to_owned))
            .unwrap_or_default()
            .into(),
    }
}

/// Returns the text of a field.
fn text(field: Option<&Value>) -> String {
    field.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Returns a field's value as the log writes it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
