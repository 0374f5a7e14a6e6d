//! The shape of answers: which members they have, of which types, and the values of those that AWS enumerates.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The type of a value, as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Null, or an empty element of XML.
    Nothing,
    /// True or false.
    Boolean,
    /// A number.
    Number,
    /// A text that is a number, as all numbers of XML are.
    NumberInText,
    /// A text that is a time.
    TimeInText,
    /// Any other text.
    Text,
    /// A list.
    List,
    /// An object.
    Object,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(text) if text.parse::<f64>().is_ok() => Self::NumberInText,
            Value::String(text) if text.parse::<Timestamp>().is_ok() => Self::TimeInText,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::NumberInText => "number in text",
            Self::TimeInText => "time in text",
            Self::Text => "text",
            Self::List => "list",
            Self::Object => "object",
        }
    }

    /// Returns whether a client that reads values of these kinds also reads this one.
    pub(super) fn is_among(self, kinds: &BTreeSet<Self>) -> bool {
        let is_text = matches!(self, Self::NumberInText | Self::TimeInText) && kinds.contains(&Self::Text);
        // An empty list of XML looks like nothing.
        self == Self::Nothing || is_text || kinds.contains(&self) || kinds.iter().all(|kind| *kind == Self::Nothing)
    }
}

/// A member that answers have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// How often it was there.
    pub(super) seen: usize,
    /// How often it was an object.
    pub(super) objects: usize,
    pub(super) kinds: BTreeSet<Kind>,
    /// The values, if AWS enumerates them.
    pub(super) values: BTreeSet<String>,
}

/// The members of answers by their paths: `tasks[].containers[].name`. The path of the whole is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape(pub(super) BTreeMap<String, Member>);

/// The members whose values AWS enumerates, and clients compare. Those of the other enumerations are the client's own choice.
const ENUMERATED: &[&str] = &[
    "Code",
    "IpAddressType",
    "Protocol",
    "Reason",
    "Scheme",
    "State",
    "StatusCode",
    "TargetType",
    "Type",
    "connectivity",
    "desiredStatus",
    "detail-type",
    "eventName",
    "eventType",
    "healthStatus",
    "lastStatus",
    "launchType",
    "reason",
    "rolloutState",
    "status",
    "stopCode",
];

/// The members whose text is JSON that AWS writes. That of the others, such as patterns and policies, is the operator's.
const JSON: &[&str] = &["Body"];

/// The members that hold the operator's own names and values.
const OPERATORS_OWN: &[&str] = &["dockerLabels", "options", "overrides"];

/// The word with which a recording replaces text.
const MASKED: &str = "masked";

/// The deepest nesting that is compared.
const MAX_DEPTH: usize = 32;

impl Shape {
    /// Adds an answer.
    pub(super) fn add(&mut self, answer: &Value) {
        self.add_member("", "", answer, 0);
    }

    fn add_member(&mut self, path: &str, name: &str, value: &Value, depth: usize) {
        let kind = Kind::of(value);
        let member = self.0.entry(path.to_owned()).or_default();
        member.seen += 1;
        member.objects += usize::from(kind == Kind::Object);
        member.kinds.insert(kind);
        if depth > MAX_DEPTH || OPERATORS_OWN.contains(&name) {
            return;
        }
        match value {
            Value::String(text) if ENUMERATED.contains(&name) && kind == Kind::Text && !text.contains(MASKED) => {
                member.values.insert(text.clone());
            }
            Value::String(text) if JSON.contains(&name) => {
                if let Ok(value @ Value::Object(_)) = serde_json::from_str(text) {
                    self.add_member(&format!("{path}(json)"), "", &value, depth + 1);
                }
            }
            Value::Array(items) => {
                let path = format!("{path}[]");
                items.iter().for_each(|item| self.add_member(&path, name, item, depth + 1));
            }
            Value::Object(members) => {
                for (name, value) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.add_member(&path, name, value, depth + 1);
                }
            }
            _ => {}
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Member> {
        self.0.get(path)
    }
}

/// Returns the path of what encloses a member: an object, a list, or a text that is JSON.
pub(super) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    if let Some(list) = path.strip_suffix("[]").or_else(|| path.strip_suffix("(json)")) {
        return Some(list);
    }
    Some(path.rfind('.').map_or("", |at| &path[..at]))
}
