//! The port of an EventBridge event bus.

use std::future::Future;

use jiff::Timestamp;

use super::AwsError;

/// The source of the watcher's events.
pub const SOURCE: &str = "jvb-watcher";

/// The bytes that PutEvents counts for an entry's time (see "Calculating PutEvents event entry size" in EventBridge's
/// user guide).
const BYTES_OF_TIME: usize = 14;

/// An event bus.
pub trait EventBus: Send + Sync {
    /// Puts events on the bus, as many as one call takes, and returns the entries that the bus rejected.
    fn put(&self, entries: &[Entry]) -> impl Future<Output = Result<Vec<RejectedEntry>, AwsError>> + Send;
}

/// An event, as PutEvents takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The detail type.
    pub detail_type: &'static str,
    /// The event's time.
    pub time: Timestamp,
    /// The detail, a JSON object.
    pub detail: String,
}

impl Entry {
    /// Returns the entry's size as PutEvents counts it.
    pub fn bytes(&self) -> usize {
        BYTES_OF_TIME + SOURCE.len() + self.detail_type.len() + self.detail.len()
    }
}

/// An entry that the bus rejected.
#[derive(Clone, Debug)]
pub struct RejectedEntry {
    /// The entry's index in the call.
    pub index: usize,
    /// The reason.
    pub error: AwsError,
}
