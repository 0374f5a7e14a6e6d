//! What SQS takes of a call, and how it refuses the rest.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::{attributes, queue};
use crate::api::ApiError;
use crate::api::sqs as api;

/// How many entries a batch may have.
const BATCH: usize = 10;

/// How many messages a receive may give.
const RECEIVE: u32 = 10;

/// How long a receive may wait, in seconds.
const LONGEST_WAIT: u32 = 20;

/// How long a message may be delayed, in seconds.
const LONGEST_DELAY: u32 = 900;

/// How many queues a page has at most.
const PAGE: u32 = 1000;

/// The system attributes of messages.
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

/// How large the messages of a batch may be together, in bytes.
const LARGEST_BATCH: usize = 1_048_576;

/// A number that a call gives, held to AWS's limits.
fn parameter(name: &str, given: Option<i32>, range: RangeInclusive<u32>) -> Result<Option<u32>, ApiError> {
    let refused = |given: i32| {
        let (least, most) = (range.start(), range.end());
        let message = format!(
            "Value {given} for parameter {name} is invalid. Reason: Must be between {least} and {most}, if provided."
        );
        ApiError::new("InvalidParameterValue", message)
    };
    let fitting = |given: i32| u32::try_from(given).ok().filter(|number| range.contains(number));
    given.map(|given| fitting(given).ok_or_else(|| refused(given))).transpose()
}

/// How long a message is to be delayed.
pub fn delay(given: Option<i32>) -> Result<Option<u32>, ApiError> {
    parameter("DelaySeconds", given, 0..=LONGEST_DELAY)
}

/// How long a message is to be hidden.
pub fn visibility(given: i32) -> Result<u32, ApiError> {
    Ok(parameter("VisibilityTimeout", Some(given), 0..=queue::LONGEST_VISIBILITY)?.unwrap_or(0))
}

/// How many messages a receive gives at most, and for how long it hides them.
pub fn receive(input: &api::ReceiveMessageInput) -> Result<(usize, Option<u32>), ApiError> {
    let most = parameter("MaxNumberOfMessages", input.max_number_of_messages, 1..=RECEIVE)?.unwrap_or(1);
    parameter("WaitTimeSeconds", input.wait_time_seconds, 0..=LONGEST_WAIT)?;
    let hidden = parameter("VisibilityTimeout", input.visibility_timeout, 0..=queue::LONGEST_VISIBILITY)?;
    Ok((most as usize, hidden))
}

/// The system attributes that a receive asks for.
pub fn system_attributes(input: &api::ReceiveMessageInput) -> Result<Vec<String>, ApiError> {
    let wanted = input.attribute_names.iter().chain(&input.message_system_attribute_names);
    let wanted: Vec<String> = wanted.cloned().collect();
    match wanted.iter().find(|name| !MESSAGE_ATTRIBUTES.contains(&name.as_str())) {
        Some(name) => Err(attributes::unknown(name)),
        None => Ok(wanted),
    }
}

/// How many queues a page has, and whether the call said so.
pub fn page_size(max_results: Option<i32>) -> Result<(usize, bool), ApiError> {
    let size = parameter("MaxResults", max_results, 1..=PAGE)?;
    Ok((size.unwrap_or(PAGE) as usize, size.is_some()))
}

/// Whether SQS takes the message.
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

/// Whether a batch has a right number of entries with ids of their own.
pub fn batch<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        return Err(ApiError::new("EmptyBatchRequest", "There should be at least one entry in the request."));
    }
    if ids.len() > BATCH {
        let message = format!("Maximum number of entries per request are {BATCH}. You have sent {}.", ids.len());
        return Err(ApiError::new("TooManyEntriesInBatchRequest", message));
    }
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if ids.iter().any(|id| id.is_empty() || id.len() > 80 || !id.chars().all(is_good)) {
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
        return Err(ApiError::new("InvalidBatchEntryId", message));
    }
    let mut seen = BTreeSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(ApiError::new("BatchEntryIdsNotDistinct", format!("Id {id} repeated."))),
        None => Ok(()),
    }
}

/// Whether the messages of a batch are not too large together.
pub fn batch_length(length: usize) -> Result<(), ApiError> {
    if length <= LARGEST_BATCH {
        return Ok(());
    }
    let message = format!("Batch requests cannot be longer than {LARGEST_BATCH} bytes. You have sent {length} bytes.");
    Err(ApiError::new("BatchRequestTooLong", message))
}
