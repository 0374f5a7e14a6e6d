//! A call as a line.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::body;
use super::mask::Masks;
use crate::aws::operation::ApiOperation;

/// The headers of an answer whose values are kept. Of the others, only the names are recorded.
const KEPT_HEADERS: [&str; 7] = [
    "content-type",
    "date",
    "retry-after",
    "smithy-protocol",
    "x-amzn-errortype",
    "x-amzn-query-error",
    "x-amzn-requestid",
];

/// A call as it was seen on the wire.
#[derive(Debug)]
pub(super) struct RecordedCall {
    pub(super) operation: ApiOperation,
    /// The content type of the request.
    pub(super) request_type: Option<String>,
    /// The body of the request.
    pub(super) request: Vec<u8>,
    /// When it was sent, by this machine's clock.
    pub(super) sent: Timestamp,
    /// When the answer was complete, or the call failed.
    pub(super) ended: Timestamp,
    /// The status of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// The headers of the answer.
    pub(super) headers: Vec<(String, String)>,
    /// The body of the answer, as far as it was read.
    pub(super) answer: Vec<u8>,
    /// Why the answer isn't complete.
    pub(super) failure: Option<&'static str>,
}

impl RecordedCall {
    /// Returns the line, masked.
    pub(super) fn to_json(&self, masks: &mut Masks) -> Value {
        let mut line = Map::new();
        let mut add = |name: &str, value: Value| line.insert(name.to_owned(), value);
        add("operation", format!("{}:{}", self.operation.service(), self.operation.name()).into());
        add("sent", self.sent.to_string().into());
        add("ended", self.ended.to_string().into());
        add("input", body::masked(self.request_type.as_deref(), &self.request, masks));
        if let Some(status) = self.status {
            add("status", status.into());
            add("headers", Value::Object(self.headers.iter().map(|header| masked_header(header, masks)).collect()));
            let kind = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            add("output", body::masked(kind.map(|(_, kind)| kind.as_str()), &self.answer, masks));
        }
        if let Some(failure) = self.failure {
            add("failure", failure.into());
        }
        Value::Object(line)
    }
}

fn masked_header((name, value): &(String, String), masks: &mut Masks) -> (String, Value) {
    let name = name.to_ascii_lowercase();
    let value = if KEPT_HEADERS.contains(&name.as_str()) { masks.text(value) } else { "masked".to_owned() };
    (name, value.into())
}
