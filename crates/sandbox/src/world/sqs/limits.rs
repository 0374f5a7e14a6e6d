//! Limits of requests, and AWS's errors for requests beyond them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::{attributes, queue};
use crate::api::ApiError;
use crate::api::sqs as api;

/// Maximum number of entries in a batch.
const MAX_ENTRIES: usize = 10;

/// Maximum number of messages that ReceiveMessage returns.
const MAX_MESSAGES: u32 = 10;

/// Maximum wait time of ReceiveMessage, in seconds.
const MAX_WAIT: u32 = 20;

/// Maximum delay of a message, in seconds.
const MAX_DELAY: u32 = 900;

/// Maximum size of a page.
const MAX_PAGE: u32 = 1000;

/// System attributes of messages.
const MESSAGE_ATTRIBUTES: [&str; 10] = [
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// Maximum size of all messages of a batch, in bytes.
const MAX_BATCH_LENGTH: usize = 1_048_576;

/// Checks a number against its limits.
fn parameter(name: &str, given: Option<i32>, range: RangeInclusive<u32>) -> Result<Option<u32>, ApiError> {
    let out_of_range = |given: i32| {
        let (min, max) = (range.start(), range.end());
        let message = format!(
            "Value {given} for parameter {name} is invalid. Reason: Must be between {min} and {max}, if provided."
        );
        ApiError::new("InvalidParameterValue", message)
    };
    let in_range = |given: i32| u32::try_from(given).ok().filter(|number| range.contains(number));
    given.map(|given| in_range(given).ok_or_else(|| out_of_range(given))).transpose()
}

/// Checks the delay of a message.
pub fn delay(given: Option<i32>) -> Result<Option<u32>, ApiError> {
    parameter("DelaySeconds", given, 0..=MAX_DELAY)
}

/// Checks a visibility timeout.
pub fn visibility(given: i32) -> Result<u32, ApiError> {
    Ok(parameter("VisibilityTimeout", Some(given), 0..=queue::MAX_VISIBILITY)?.unwrap_or(0))
}

/// The checked numbers of a ReceiveMessage request.
#[derive(Clone, Copy, Debug)]
pub struct Receive {
    /// Maximum number of messages.
    pub max_messages: usize,
    /// Visibility timeout in seconds, when it differs from the queue's.
    pub visibility: Option<u32>,
}

/// Checks the numbers of a ReceiveMessage request.
pub fn receive(input: &api::ReceiveMessageInput) -> Result<Receive, ApiError> {
    let max_messages = parameter("MaxNumberOfMessages", input.max_number_of_messages, 1..=MAX_MESSAGES)?.unwrap_or(1);
    parameter("WaitTimeSeconds", input.wait_time_seconds, 0..=MAX_WAIT)?;
    let visibility = parameter("VisibilityTimeout", input.visibility_timeout, 0..=queue::MAX_VISIBILITY)?;
    Ok(Receive { max_messages: max_messages as usize, visibility })
}

/// Checks the system attributes that a ReceiveMessage request names.
pub fn system_attributes(input: &api::ReceiveMessageInput) -> Result<Vec<String>, ApiError> {
    let names = input.attribute_names.iter().chain(&input.message_system_attribute_names);
    let names: Vec<String> = names.cloned().collect();
    match names.iter().find(|name| !MESSAGE_ATTRIBUTES.contains(&name.as_str())) {
        Some(name) => Err(attributes::unknown(name)),
        None => Ok(names),
    }
}

/// Checks the size of a page.
pub fn page_size(max_results: Option<i32>) -> Result<usize, ApiError> {
    Ok(parameter("MaxResults", max_results, 1..=MAX_PAGE)?.unwrap_or(MAX_PAGE) as usize)
}

/// Checks the body of a message.
pub fn message(body: &str, max_size: u32) -> Result<(), ApiError> {
    if body.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter MessageBody."));
    }
    if body.len() > max_size as usize {
        let message =
            format!("One or more parameters are invalid. Reason: Message must be shorter than {max_size} bytes.");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let is_allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r') || c >= '\u{7f}';
    if !body.chars().all(|c| is_allowed(c) && !matches!(c, '\u{fffe}' | '\u{ffff}')) {
        let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";
        return Err(ApiError::new("InvalidMessageContents", message));
    }
    Ok(())
}

/// Checks the number and the ids of a batch's entries.
pub fn batch<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        return Err(ApiError::new("EmptyBatchRequest", "There should be at least one entry in the request."));
    }
    if ids.len() > MAX_ENTRIES {
        let message = format!("Maximum number of entries per request are {MAX_ENTRIES}. You have sent {}.", ids.len());
        return Err(ApiError::new("TooManyEntriesInBatchRequest", message));
    }
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if ids.iter().any(|id| id.is_empty() || id.len() > 80 || !id.chars().all(is_valid)) {
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
        return Err(ApiError::new("InvalidBatchEntryId", message));
    }
    let mut seen = BTreeSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(ApiError::new("BatchEntryIdsNotDistinct", format!("Id {id} repeated."))),
        None => Ok(()),
    }
}

/// Checks the size of all messages of a batch.
pub fn batch_length(length: usize) -> Result<(), ApiError> {
    if length <= MAX_BATCH_LENGTH {
        return Ok(());
    }
    let message =
        format!("Batch requests cannot be longer than {MAX_BATCH_LENGTH} bytes. You have sent {length} bytes.");
    Err(ApiError::new("BatchRequestTooLong", message))
}
