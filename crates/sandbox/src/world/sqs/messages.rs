//! Operations on messages.

use jiff::Timestamp;

use super::{Sqs, SqsContext, limits, queue, queue_not_found};
use crate::api::sqs as api;
use crate::api::{ApiError, Empty};

impl Sqs {
    pub(super) fn send_message(
        &mut self,
        input: api::SendMessageInput,
        context: &mut SqsContext<'_>,
    ) -> Result<api::SendMessageOutput, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        limits::message(&input.message_body, queue.attributes.max_size)?;
        let delay = limits::delay(input.delay_seconds)?;
        let md5_of_message_body = queue::md5_of(&input.message_body);
        let message_id = queue.send(input.message_body, delay, context.now, context.random);
        Ok(api::SendMessageOutput { message_id, md5_of_message_body })
    }

    pub(super) fn send_message_batch(
        &mut self,
        input: api::SendMessageBatchInput,
        context: &mut SqsContext<'_>,
    ) -> Result<api::SendMessageBatchOutput, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        limits::batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let length: usize = input.entries.iter().map(|entry| entry.message_body.len()).sum();
        limits::batch_length(length)?;
        let mut output = api::SendMessageBatchOutput::default();
        for entry in input.entries {
            let checked = limits::message(&entry.message_body, queue.attributes.max_size);
            match checked.and_then(|()| limits::delay(entry.delay_seconds)) {
                Ok(delay) => {
                    let md5_of_message_body = queue::md5_of(&entry.message_body);
                    let message_id = queue.send(entry.message_body, delay, context.now, context.random);
                    let result = api::SendMessageBatchResult { id: entry.id, message_id, md5_of_message_body };
                    output.successful.push(result);
                }
                Err(error) => output.failed.push(batch_error(entry.id, error)),
            }
        }
        Ok(output)
    }

    pub(super) fn receive_message(
        &mut self,
        input: &api::ReceiveMessageInput,
        now: Timestamp,
    ) -> Result<api::ReceiveMessageOutput, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        let limits::Receive { max_messages, visibility } = limits::receive(input)?;
        let attribute_names = limits::system_attributes(input)?;
        let (name, source) = (queue.name.clone(), queue.arn.clone());
        let redrive = queue.attributes.redrive.clone();
        // When the dead-letter queue has been deleted, a message stays in the queue and is received again.
        let dead_letter_queue = redrive.and_then(|redrive| {
            let queue = self.queues.values().find(|queue| queue.arn == redrive.target_arn)?;
            Some((queue.name.clone(), redrive.max_receives))
        });
        let max_receives = dead_letter_queue.as_ref().map(|(_, max)| *max);
        let queue = self.queues.get_mut(&name).ok_or_else(queue_not_found)?;
        let received = queue.receive(max_messages, visibility, max_receives, &attribute_names, now);
        if let Some(queue) = dead_letter_queue.and_then(|(name, _)| self.queues.get_mut(&name)) {
            for message in received.redriven {
                queue.accept_redriven(message, &source);
            }
        }
        let messages = (!received.messages.is_empty()).then_some(received.messages);
        Ok(api::ReceiveMessageOutput { messages })
    }

    pub(super) fn delete_message_batch(
        &mut self,
        input: api::DeleteMessageBatchInput,
    ) -> Result<api::BatchOutput, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        limits::batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let results = input.entries.into_iter().map(|entry| (entry.id, queue.delete(&entry.receipt_handle)));
        Ok(batch_output(results))
    }

    pub(super) fn change_message_visibility(
        &mut self,
        input: &api::ChangeMessageVisibilityInput,
        now: Timestamp,
    ) -> Result<Empty, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        queue.change_visibility(&input.receipt_handle, limits::visibility(input.visibility_timeout)?, now)?;
        Ok(Empty {})
    }

    pub(super) fn change_message_visibility_batch(
        &mut self,
        input: api::ChangeMessageVisibilityBatchInput,
        now: Timestamp,
    ) -> Result<api::BatchOutput, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        limits::batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let results = input.entries.into_iter().map(|entry| {
            let result = limits::visibility(entry.visibility_timeout)
                .and_then(|seconds| queue.change_visibility(&entry.receipt_handle, seconds, now));
            (entry.id, result)
        });
        Ok(batch_output(results))
    }
}

fn batch_output(results: impl Iterator<Item = (String, Result<(), ApiError>)>) -> api::BatchOutput {
    let mut output = api::BatchOutput::default();
    for (id, result) in results {
        match result {
            Ok(()) => output.successful.push(api::BatchSuccess { id }),
            Err(error) => output.failed.push(batch_error(id, error)),
        }
    }
    output
}

fn batch_error(id: String, error: ApiError) -> api::BatchError {
    api::BatchError { id, sender_fault: error.status < 500, code: error.code.to_owned(), message: error.message }
}
