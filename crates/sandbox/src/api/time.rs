//! Instants as the JSON 1.1 protocol writes them: seconds since the epoch, with a fraction.

/// For a member that may be absent.
pub mod optional_seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it as a number.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_f64(at.as_millisecond() as f64 / 1000.0),
            None => serializer.serialize_none(),
        }
    }

    /// Reads it from a number.
    ///
    /// # Errors
    ///
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        Ok(seconds.and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()))
    }
}
