//! Partial updates of the settings.

use serde::de::Error as _;
use serde_json::{Error, Value};

use super::Settings;

impl Settings {
    /// Returns the settings with some members replaced. Members that the patch doesn't name keep their values.
    ///
    /// # Errors
    ///
    /// Returns an error when the patch names an unknown member or has an invalid value.
    pub fn patched(&self, patch: Value) -> Result<Self, Error> {
        let mut settings = serde_json::to_value(self)?;
        merge(&mut settings, patch)?;
        serde_json::from_value(settings)
    }
}

/// Merges a patch as a JSON merge patch does (RFC 7396), except that an object can only be replaced by an object: serde
/// would accept an array for a struct, with every missing member at its default.
fn merge(into: &mut Value, patch: Value) -> Result<(), Error> {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            patch.into_iter().try_for_each(|(name, value)| merge(into.entry(name).or_insert(Value::Null), value))
        }
        (Value::Object(_), patch) => Err(Error::custom(format!("expected a JSON object of settings, got {patch}"))),
        (into, patch) => {
            *into = patch;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let settings = Settings { region: "eu-north-1".to_owned(), ..Settings::default() };
        let patched = settings.patched(json!({ "tasks": { "pending": "1s" } })).unwrap();
        assert_eq!(patched.region, "eu-north-1");
        assert_eq!(patched.tasks.pending, std::time::Duration::from_secs(1));
        assert_eq!(patched.tasks.activating, settings.tasks.activating);
    }

    #[test]
    fn unknown_members_and_wrong_types_are_refused() {
        let refused = |patch: Value| Settings::default().patched(patch).unwrap_err().to_string();
        assert!(refused(json!({ "nonsense": 1 })).contains("nonsense"));
        assert_eq!(refused(json!([])), "expected a JSON object of settings, got []");
        assert_eq!(refused(json!({ "tasks": [] })), "expected a JSON object of settings, got []");
    }
}
