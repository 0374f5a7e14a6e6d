//! Requests and responses of Amazon SQS, API version 2012-11-05 (JSON 1.0).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Empty, operations};

operations! {
    CreateQueue(CreateQueueInput) -> QueueUrlOutput, requires "QueueName";
    GetQueueUrl(GetQueueUrlInput) -> QueueUrlOutput, requires "QueueName";
    ListQueues(ListQueuesInput) -> ListQueuesOutput;
    DeleteQueue(QueueInput) -> Empty, requires "QueueUrl";
    PurgeQueue(QueueInput) -> Empty, requires "QueueUrl";
    GetQueueAttributes(GetQueueAttributesInput) -> GetQueueAttributesOutput, requires "QueueUrl";
    SetQueueAttributes(SetQueueAttributesInput) -> Empty, requires "QueueUrl" "Attributes";
    SendMessage(SendMessageInput) -> SendMessageOutput, requires "QueueUrl" "MessageBody";
    SendMessageBatch(SendMessageBatchInput) -> SendMessageBatchOutput, requires "QueueUrl" "Entries";
    ReceiveMessage(ReceiveMessageInput) -> ReceiveMessageOutput, requires "QueueUrl";
    DeleteMessage(DeleteMessageInput) -> Empty, requires "QueueUrl" "ReceiptHandle";
    DeleteMessageBatch(DeleteMessageBatchInput) -> BatchOutput, requires "QueueUrl" "Entries";
    ChangeMessageVisibility(ChangeMessageVisibilityInput) -> Empty, requires "QueueUrl" "ReceiptHandle" "VisibilityTimeout";
    ChangeMessageVisibilityBatch(ChangeMessageVisibilityBatchInput) -> BatchOutput, requires "QueueUrl" "Entries";
    TagQueue(TagQueueInput) -> Empty, requires "QueueUrl" "Tags";
    UntagQueue(UntagQueueInput) -> Empty, requires "QueueUrl" "TagKeys";
    ListQueueTags(QueueInput) -> ListQueueTagsOutput, requires "QueueUrl";
    ListDeadLetterSourceQueues(ListDeadLetterSourceQueuesInput) -> ListDeadLetterSourceQueuesOutput, requires "QueueUrl";
}

/// Request of `CreateQueue`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct CreateQueueInput {
    pub queue_name: String,
    pub attributes: BTreeMap<String, String>,
    #[serde(rename = "tags")]
    pub tags: BTreeMap<String, String>,
}

/// Response with the URL of a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct QueueUrlOutput {
    pub queue_url: String,
}

/// Request of `GetQueueUrl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct GetQueueUrlInput {
    pub queue_name: String,
}

/// Request of `ListQueues`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListQueuesInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_name_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListQueues`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListQueuesOutput {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Request that names a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct QueueInput {
    pub queue_url: String,
}

/// Request of `GetQueueAttributes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct GetQueueAttributesInput {
    pub queue_url: String,
    pub attribute_names: Vec<String>,
}

/// Response of `GetQueueAttributes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct GetQueueAttributesOutput {
    pub attributes: BTreeMap<String, String>,
}

/// Request of `SetQueueAttributes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SetQueueAttributesInput {
    pub queue_url: String,
    pub attributes: BTreeMap<String, String>,
}

/// Request of `SendMessage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SendMessageInput {
    pub queue_url: String,
    pub message_body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<i32>,
}

/// Response of `SendMessage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SendMessageOutput {
    pub message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    pub md5_of_message_body: String,
}

/// Request of `SendMessageBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SendMessageBatchInput {
    pub queue_url: String,
    pub entries: Vec<SendMessageBatchEntry>,
}

/// Entry of `SendMessageBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SendMessageBatchEntry {
    pub id: String,
    pub message_body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<i32>,
}

/// Response of `SendMessageBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SendMessageBatchOutput {
    pub successful: Vec<SendMessageBatchResult>,
    pub failed: Vec<BatchError>,
}

/// Result of one entry of `SendMessageBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct SendMessageBatchResult {
    pub id: String,
    pub message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    pub md5_of_message_body: String,
}

/// Request of `ReceiveMessage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ReceiveMessageInput {
    pub queue_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_number_of_messages: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility_timeout: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_time_seconds: Option<i32>,
    pub attribute_names: Vec<String>,
    pub message_system_attribute_names: Vec<String>,
}

/// Response of `ReceiveMessage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ReceiveMessageOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
}

/// A received message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Message {
    pub message_id: String,
    pub receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    pub md5_of_body: String,
    pub body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
}

/// Request of `DeleteMessage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DeleteMessageInput {
    pub queue_url: String,
    pub receipt_handle: String,
}

/// Request of `DeleteMessageBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DeleteMessageBatchInput {
    pub queue_url: String,
    pub entries: Vec<DeleteMessageBatchEntry>,
}

/// Entry of `DeleteMessageBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DeleteMessageBatchEntry {
    pub id: String,
    pub receipt_handle: String,
}

/// Request of `ChangeMessageVisibility`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ChangeMessageVisibilityInput {
    pub queue_url: String,
    pub receipt_handle: String,
    pub visibility_timeout: i32,
}

/// Request of `ChangeMessageVisibilityBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ChangeMessageVisibilityBatchInput {
    pub queue_url: String,
    pub entries: Vec<ChangeMessageVisibilityBatchEntry>,
}

/// Entry of `ChangeMessageVisibilityBatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ChangeMessageVisibilityBatchEntry {
    pub id: String,
    pub receipt_handle: String,
    pub visibility_timeout: i32,
}

/// Response of a batch, entry by entry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct BatchOutput {
    pub successful: Vec<BatchSuccess>,
    pub failed: Vec<BatchError>,
}

/// A batch entry that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct BatchSuccess {
    pub id: String,
}

/// A batch entry that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct BatchError {
    pub id: String,
    pub sender_fault: bool,
    pub code: String,
    pub message: String,
}

/// Request of `TagQueue`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TagQueueInput {
    pub queue_url: String,
    pub tags: BTreeMap<String, String>,
}

/// Request of `UntagQueue`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct UntagQueueInput {
    pub queue_url: String,
    pub tag_keys: Vec<String>,
}

/// Response of `ListQueueTags`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListQueueTagsOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

/// Request of `ListDeadLetterSourceQueues`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListDeadLetterSourceQueuesInput {
    pub queue_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListDeadLetterSourceQueues`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListDeadLetterSourceQueuesOutput {
    // AWS's model begins this member, unlike the others, with a lower-case letter.
    #[serde(rename = "queueUrls")]
    pub queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}
