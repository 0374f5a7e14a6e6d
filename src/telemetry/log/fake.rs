//! A log in memory, for unit tests.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Format, Identity, Level, Log, LogConfig, Output};
use crate::clock::Clock;

/// The lines that a log has written.
#[derive(Clone, Default)]
pub struct LogLines(Arc<Mutex<Vec<u8>>>);

impl LogLines {
    /// Creates a log that writes here.
    pub fn log(&self, clock: Arc<dyn Clock>) -> Log {
        let identity = Identity { project: "p".into(), cluster: "p-cluster".into(), service: "p-service".into() };
        let output = Output::direct(Box::new(self.clone()));
        Log::new(LogConfig { identity, format: Format::Json, level: Level::Debug, clock, output })
    }

    /// Returns the lines of an event.
    pub fn of(&self, event: &str) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).expect("JSON"));
        lines.filter(|line| line["event"] == event).collect()
    }
}

impl std::io::Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
