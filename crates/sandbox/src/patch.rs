//! A part of the world's settings, put over the whole: what it doesn't name stays.

use serde::de::Error as _;
use serde_json::{Error, Value};

use super::world::Settings;

/// The settings with a part of them changed.
///
/// # Errors
///
/// When the part names what there is not, or has a value that won't do.
pub fn patched(settings: &Settings, patch: Value) -> Result<Settings, Error> {
    let mut whole = serde_json::to_value(settings)?;
    merge(&mut whole, patch)?;
    serde_json::from_value(whole)
}

/// Puts one object into another, member by member, as a JSON merge patch does (RFC 7396); but an object stays one, since
/// serde takes a list for an object too, with every member that it doesn't reach at its default.
fn merge(into: &mut Value, patch: Value) -> Result<(), Error> {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            patch.into_iter().try_for_each(|(name, value)| merge(into.entry(name).or_insert(Value::Null), value))
        }
        (Value::Object(_), patch) => Err(Error::custom(format!("{patch} is no JSON object, and settings are."))),
        (into, patch) => {
            *into = patch;
            Ok(())
        }
    }
}
