//! The text form of instants in tags and in the log.

use jiff::Timestamp;

/// Formats an instant as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339_millis(at: Timestamp) -> String {
    format!("{at:.3}")
}
