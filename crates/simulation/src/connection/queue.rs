//! The calls to the queue.

use std::time::Duration;

use jiff::Timestamp;

use super::{ATTEMPT_TIMEOUT, Attempts, Connection};
use jvb_watcher::aws::{AwsError, Calls, FailedEntry, Message, Queue, QueueSettings, Receipt, Redrive};
use jvb_watcher_sandbox::api::{Request, Response, sqs};

impl Queue for Connection {
    async fn settings(&self) -> Result<QueueSettings, AwsError> {
        let attribute_names = vec!["VisibilityTimeout".to_owned(), "RedrivePolicy".to_owned()];
        let input = sqs::GetQueueAttributesInput { queue_url: self.queue_url.clone(), attribute_names };
        let sqs::Response::GetQueueAttributes(output) = self.sqs(sqs::Request::GetQueueAttributes(input)).await? else {
            unreachable!("another answer")
        };
        let seconds = output.attributes.get("VisibilityTimeout").and_then(|seconds| seconds.parse().ok());
        let redrive = output.attributes.contains_key("RedrivePolicy");
        Ok(QueueSettings {
            visibility_timeout: Duration::from_secs(seconds.unwrap_or(30)),
            redrive: if redrive { Redrive::ToDeadLetterQueue } else { Redrive::None },
        })
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>, AwsError> {
        let input = sqs::ReceiveMessageInput {
            queue_url: self.queue_url.clone(),
            max_number_of_messages: Some(10),
            wait_time_seconds: Some(i32::try_from(wait.as_secs()).unwrap_or(20)),
            message_system_attribute_names: vec!["All".to_owned()],
            ..Default::default()
        };
        let request = Request::Sqs(sqs::Request::ReceiveMessage(input));
        let limit = wait + ATTEMPT_TIMEOUT;
        let answer = self.call_with(&self.queue_url, request, limit, Attempts::Several, None).await?;
        let Response::Sqs(sqs::Response::ReceiveMessage(output)) = answer else { unreachable!("another answer") };
        let message = |message: sqs::Message| {
            let attributes = message.attributes.unwrap_or_default();
            let number = |name: &str| attributes.get(name).and_then(|value| value.parse::<i64>().ok());
            Message {
                receipt: Receipt { message_id: message.message_id, handle: message.receipt_handle },
                body: message.body,
                receive_count: number("ApproximateReceiveCount").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
                sent_at: number("SentTimestamp").and_then(|at| Timestamp::from_millisecond(at).ok()),
            }
        };
        Ok(output.messages.unwrap_or_default().into_iter().map(message).collect())
    }

    async fn delete(&self, messages: &[Receipt]) -> Result<Vec<FailedEntry>, AwsError> {
        let entry = |(index, receipt): (usize, &Receipt)| sqs::DeleteMessageBatchEntry {
            id: index.to_string(),
            receipt_handle: receipt.handle.clone(),
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let input = sqs::DeleteMessageBatchInput { queue_url: self.queue_url.clone(), entries };
        let sqs::Response::DeleteMessageBatch(output) = self.sqs(sqs::Request::DeleteMessageBatch(input)).await? else {
            unreachable!("another answer")
        };
        Ok(failed(&output, messages))
    }

    async fn change_visibility(
        &self,
        messages: &[Receipt],
        visibility_timeout: Duration,
    ) -> Result<Vec<FailedEntry>, AwsError> {
        let entry = |(index, receipt): (usize, &Receipt)| sqs::ChangeMessageVisibilityBatchEntry {
            id: index.to_string(),
            receipt_handle: receipt.handle.clone(),
            visibility_timeout: i32::try_from(visibility_timeout.as_secs()).unwrap_or(0),
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let input = sqs::ChangeMessageVisibilityBatchInput { queue_url: self.queue_url.clone(), entries };
        let sqs::Response::ChangeMessageVisibilityBatch(output) =
            self.sqs(sqs::Request::ChangeMessageVisibilityBatch(input)).await?
        else {
            unreachable!("another answer")
        };
        Ok(failed(&output, messages))
    }

    /// The platform counts them already.
    fn calls(&self) -> Calls {
        Calls::default()
    }
}

fn failed(output: &sqs::BatchOutput, messages: &[Receipt]) -> Vec<FailedEntry> {
    let entry = |error: &sqs::BatchError| {
        let receipt = messages.get(error.id.parse::<usize>().ok()?)?.clone();
        Some(FailedEntry { receipt, code: error.code.clone(), message: error.message.clone() })
    };
    output.failed.iter().filter_map(entry).collect()
}
