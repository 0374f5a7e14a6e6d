//! Serde adapters for timestamps in the protocols other than the query protocol: seconds since the epoch, with a fraction.

/// Adapter for an optional timestamp.
pub mod optional_seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Serializes the timestamp as a number.
    ///
    /// # Errors
    ///
    /// Returns the serializer's errors.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_f64(at.as_millisecond() as f64 / 1000.0),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes the timestamp from a number.
    ///
    /// # Errors
    ///
    /// Returns the deserializer's errors.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        Ok(seconds.and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()))
    }
}

/// Serializer for a list of timestamps.
pub mod seconds {
    use jiff::Timestamp;
    use serde::Serializer;

    /// Serializes the timestamps as numbers.
    ///
    /// # Errors
    ///
    /// Returns the serializer's errors.
    pub fn serialize<S: Serializer>(times: &[Timestamp], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(times.iter().map(|at| at.as_millisecond() as f64 / 1000.0))
    }
}
