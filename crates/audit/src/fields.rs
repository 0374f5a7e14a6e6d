//! The fields of a line that the checks read, in few bytes: a week of many services has millions of lines, and all are kept.
//!
//! Each field is the number of its name, a byte for the type of its value, and the value.

use serde_json::{Map, Value};

macro_rules! names {
    ($($name:literal)*) => {
        /// The names of the fields that are kept, sorted.
        const NAMES: &[&str] = &[$($name,)*];
    };
}

names! {
    "aws_calls" "changes" "desired" "duration_ms" "finding" "first_observation" "flows" "flows_minute" "foreign" "healthy"
    "healthy_others" "held" "hold_until" "idle_grace_seconds" "idle_grace_until_paid_hour" "idle_since" "ip" "latency_ms"
    "lines" "live_tasks" "load_balancer_age_seconds" "load_balancer_state" "message" "messages" "operation" "owned" "pending"
    "phase" "reason" "registered" "resync_interval_seconds" "running" "serving" "since_start_ms" "state" "stop_at"
    "stop_notice_seconds" "stop_when_unused_seconds" "subject" "target_group" "task_id" "teardown" "unmatched_since"
    "unused_grace_seconds" "unused_since" "uptime_seconds" "use_threshold"
}

/// The most characters of a message, which is only cited.
pub const MESSAGE_CHARACTERS: usize = 160;

const FALSE: u8 = 0;
const TRUE: u8 = 1;
/// A whole number below 65,536, as most are.
const SHORT: u8 = 2;
const INTEGER: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;

/// The fields of a line.
#[derive(Clone, Debug, Default)]
pub struct Fields(Box<[u8]>);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
}

impl Fields {
    /// Takes the known fields of a line. A list, an object and null are no value of any of them.
    pub fn of(line: &Map<String, Value>) -> Self {
        let mut bytes = Vec::new();
        for (index, name) in (0_u8..).zip(NAMES) {
            match line.get(*name) {
                Some(Value::Bool(flag)) => bytes.extend([index, if *flag { TRUE } else { FALSE }]),
                Some(Value::Number(number)) => {
                    let integer = number.as_i64();
                    if let Some(short) = integer.and_then(|integer| u16::try_from(integer).ok()) {
                        bytes.extend([index, SHORT]);
                        bytes.extend(short.to_le_bytes());
                    } else if let Some(integer) = integer {
                        bytes.extend([index, INTEGER]);
                        bytes.extend(integer.to_le_bytes());
                    } else if let Some(float) = number.as_f64() {
                        bytes.extend([index, FLOAT]);
                        bytes.extend(float.to_le_bytes());
                    }
                }
                Some(Value::String(text)) => {
                    let most = if *name == "message" { MESSAGE_CHARACTERS } else { usize::MAX };
                    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
                    let Ok(length) = u32::try_from(end) else { continue };
                    bytes.extend([index, TEXT]);
                    bytes.extend(length.to_le_bytes());
                    bytes.extend(&text.as_bytes()[..end]);
                }
                _ => {}
            }
        }
        Self(bytes.into())
    }

    /// Returns the value of a field that is among the kept ones.
    pub fn get(&self, name: &str) -> Option<Scalar<'_>> {
        let wanted = NAMES.binary_search(&name);
        #[cfg(test)]
        assert!(wanted.is_ok(), "{name} is not kept");
        let wanted = wanted.ok()?;
        let mut rest = &*self.0;
        while let [index, kind, value @ ..] = rest {
            let (scalar, after) = decode(*kind, value)?;
            if usize::from(*index) == wanted {
                return Some(scalar);
            }
            rest = after;
        }
        None
    }
}

/// Returns the value at the beginning of the bytes, and the rest of them.
fn decode(kind: u8, bytes: &[u8]) -> Option<(Scalar<'_>, &[u8])> {
    Some(match kind {
        FALSE | TRUE => (Scalar::Flag(kind == TRUE), bytes),
        SHORT => {
            let (value, rest) = bytes.split_first_chunk()?;
            (Scalar::Integer(u16::from_le_bytes(*value).into()), rest)
        }
        INTEGER => {
            let (value, rest) = bytes.split_first_chunk()?;
            (Scalar::Integer(i64::from_le_bytes(*value)), rest)
        }
        FLOAT => {
            let (value, rest) = bytes.split_first_chunk()?;
            (Scalar::Float(f64::from_le_bytes(*value)), rest)
        }
        _ => {
            let (length, rest) = bytes.split_first_chunk()?;
            let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            (Scalar::Text(str::from_utf8(text).ok()?), rest)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(line: &Value) -> Fields {
        Fields::of(line.as_object().expect("an object"))
    }

    #[test]
    fn keeps_the_values_of_known_fields() {
        let line = json!({
            "desired": 1, "flows": 70_000, "running": -1, "idle_grace_seconds": 0.5, "held": true, "owned": false,
            "state": "ä", "reason": null, "ip": ["a"], "lines": u64::MAX, "other": 1, "message": "ä".repeat(200),
        });
        let fields = of(&line);
        let message = "ä".repeat(160);
        for (name, value) in [
            ("desired", Some(Scalar::Integer(1))),
            ("flows", Some(Scalar::Integer(70_000))),
            ("running", Some(Scalar::Integer(-1))),
            ("idle_grace_seconds", Some(Scalar::Float(0.5))),
            ("held", Some(Scalar::Flag(true))),
            ("owned", Some(Scalar::Flag(false))),
            ("state", Some(Scalar::Text("ä"))),
            ("reason", None),
            ("ip", None),
            ("lines", Some(Scalar::Float(u64::MAX as f64))),
            ("message", Some(Scalar::Text(&message))),
            ("task_id", None),
        ] {
            assert_eq!(fields.get(name), value, "{name}");
        }
    }

    #[test]
    fn the_names_are_sorted() {
        assert!(NAMES.is_sorted());
    }

    /// Of a line of 25 fields, as `reconciled` has them, with a value tree of 4 kB.
    #[test]
    fn a_line_takes_few_bytes() {
        let line = json!({
            "timestamp": "2026-11-21T00:00:00.200Z", "level": "INFO", "event": "reconciled", "message": "m".repeat(160),
            "project": "p", "cluster": "c", "service": "s", "observation": "2026-11-21T00:00:00.000401562Z", "desired": 1,
            "running": 1, "pending": 0, "serving": 1, "registered": 2, "healthy": 2, "load_balancer_state": "active",
            "load_balancer_age_seconds": 90_000, "flows": 0, "flows_minute": "2026-11-20T23:57:00Z",
            "unused_since": "2026-11-20T23:40:00Z", "changes": 0, "findings": 0, "messages": 0, "foreign": 0,
            "aws_calls": 9, "duration_ms": 212,
        });
        assert!(of(&line).0.len() <= 320, "{}", of(&line).0.len());
    }
}
