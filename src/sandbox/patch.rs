//! A part of the world's settings, put over the whole: what it doesn't name stays.

use serde_json::{Map, Value};

use super::world::Settings;

/// The settings with a part of them changed.
///
/// # Errors
///
/// When the part names what there is not, or has a value that won't do.
pub fn patched(settings: &Settings, patch: Map<String, Value>) -> Result<Settings, serde_json::Error> {
    let mut whole = serde_json::to_value(settings)?;
    merge(&mut whole, Value::Object(patch));
    serde_json::from_value(whole)
}

/// Puts one object into another, member by member, as a JSON merge patch does (RFC 7396).
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}
