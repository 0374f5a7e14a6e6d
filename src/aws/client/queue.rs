//! The adapter of [`Queue`]: SQS.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName, QueueAttributeName,
};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::ATTEMPT_TIMEOUT;
use super::call::Call;
use super::interceptors::{CallCounter, WholeAnswer};
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, Calls, FailedEntry, LONGEST_CALL, Message, Queue, QueueSettings, Receipt, Redrive};

/// The most messages in one call of ReceiveMessage (MaxNumberOfMessages in the SQS API reference).
const MESSAGES_PER_RECEIVE: i32 = 10;

/// An SQS queue.
pub struct SqsQueue {
    client: Client,
    name_or_url: String,
    url: OnceCell<String>,
    counter: CallCounter,
}

impl SqsQueue {
    /// Creates a client for the queue of that name or at that URL. A name is resolved when the URL is first needed.
    pub fn new(config: &SdkConfig, name_or_url: &str) -> Self {
        let counter = CallCounter::default();
        let sqs_config = aws_sdk_sqs::config::Builder::from(config)
            .interceptor(counter.clone())
            .interceptor(WholeAnswer)
            .retry_classifier(WholeAnswer);
        let client = Client::from_conf(sqs_config.build());
        Self { client, name_or_url: name_or_url.to_owned(), url: OnceCell::new(), counter }
    }

    async fn url(&self) -> Result<&str, AwsError> {
        let resolve = async || {
            let name = &self.name_or_url;
            if name.contains("://") {
                return Ok(name.clone());
            }
            let call = self.call(ApiOperation::GetQueueUrl);
            let output = self.client.get_queue_url().queue_name(name).send().await;
            output.map_err(|error| call.failed(error))?.queue_url.ok_or_else(|| call.incomplete("QueueUrl"))
        };
        Ok(self.url.get_or_try_init(resolve).await?.as_str())
    }

    fn call(&self, operation: ApiOperation) -> Call<'_> {
        Call::new(operation, self.url.get().unwrap_or(&self.name_or_url))
    }
}

impl Queue for SqsQueue {
    async fn settings(&self) -> Result<QueueSettings, AwsError> {
        let request = self
            .client
            .get_queue_attributes()
            .queue_url(self.url().await?)
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .attribute_names(QueueAttributeName::RedrivePolicy);
        let call = self.call(ApiOperation::GetQueueAttributes);
        let output = request.send().await.map_err(|error| call.failed(error))?;
        let attribute = |name| output.attributes().and_then(|attributes| attributes.get(&name));
        let seconds = attribute(QueueAttributeName::VisibilityTimeout).and_then(|seconds| seconds.parse().ok());
        Ok(QueueSettings {
            visibility_timeout: Duration::from_secs(seconds.ok_or_else(|| call.incomplete("VisibilityTimeout"))?),
            redrive: match attribute(QueueAttributeName::RedrivePolicy) {
                Some(policy) if !policy.is_empty() => Redrive::ToDeadLetterQueue,
                _ => Redrive::None,
            },
        })
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>, AwsError> {
        // A long poll takes its wait time in addition.
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(wait + ATTEMPT_TIMEOUT)
            .operation_timeout(wait + LONGEST_CALL)
            .build();
        let request = self
            .client
            .receive_message()
            .queue_url(self.url().await?)
            .max_number_of_messages(MESSAGES_PER_RECEIVE)
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .customize()
            .config_override(aws_sdk_sqs::config::Config::builder().timeout_config(timeouts));
        let output = request.send().await.map_err(|error| self.call(ApiOperation::ReceiveMessage).failed(error))?;
        let message = |message: aws_sdk_sqs::types::Message| {
            let attributes = message.attributes.unwrap_or_default();
            let receive_count = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
            // Milliseconds since the epoch.
            let sent_at = attributes.get(&MessageSystemAttributeName::SentTimestamp).and_then(|at| at.parse().ok());
            Message {
                receipt: Receipt {
                    message_id: message.message_id.unwrap_or_default(),
                    handle: message.receipt_handle.unwrap_or_default(),
                },
                body: message.body.unwrap_or_default(),
                receive_count: receive_count.and_then(|count| count.parse().ok()).unwrap_or(1),
                sent_at: sent_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            }
        };
        Ok(output.messages.unwrap_or_default().into_iter().map(message).collect())
    }

    async fn delete(&self, messages: &[Receipt]) -> Result<Vec<FailedEntry>, AwsError> {
        let call = self.call(ApiOperation::DeleteMessageBatch);
        let mut entries = Vec::with_capacity(messages.len());
        for (index, receipt) in messages.iter().enumerate() {
            let entry =
                DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(&receipt.handle).build();
            entries.push(entry.map_err(|error| call.incomplete(&error.to_string()))?);
        }
        let request = self.client.delete_message_batch().queue_url(self.url().await?).set_entries(Some(entries));
        let output = request.send().await.map_err(|error| call.failed(error))?;
        Ok(failed_entries(&output.failed, messages))
    }

    async fn change_visibility(
        &self,
        messages: &[Receipt],
        visibility_timeout: Duration,
    ) -> Result<Vec<FailedEntry>, AwsError> {
        let call = self.call(ApiOperation::ChangeMessageVisibilityBatch);
        let seconds = i32::try_from(visibility_timeout.as_secs()).unwrap_or(i32::MAX);
        let mut entries = Vec::with_capacity(messages.len());
        for (index, receipt) in messages.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&receipt.handle)
                .visibility_timeout(seconds)
                .build();
            entries.push(entry.map_err(|error| call.incomplete(&error.to_string()))?);
        }
        let request =
            self.client.change_message_visibility_batch().queue_url(self.url().await?).set_entries(Some(entries));
        let output = request.send().await.map_err(|error| call.failed(error))?;
        Ok(failed_entries(&output.failed, messages))
    }

    fn calls(&self) -> Calls {
        self.counter.calls()
    }
}

/// Returns the messages for which a batch call failed. The entries' ids are the messages' indices.
fn failed_entries(failed: &[BatchResultErrorEntry], messages: &[Receipt]) -> Vec<FailedEntry> {
    let entry = |entry: &BatchResultErrorEntry| {
        let receipt = messages.get(entry.id.parse::<usize>().ok()?)?.clone();
        let message = entry.message.clone().unwrap_or_default();
        Some(FailedEntry { receipt, code: entry.code.clone(), message })
    };
    failed.iter().filter_map(entry).collect()
}
