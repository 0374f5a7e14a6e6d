//! Amazon SQS: standard queues.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::page::page;
use super::random::Random;
use super::settings::Settings;
use crate::api::sqs::{self as api, Request, Response};
use crate::api::{ApiError, Empty};

mod attributes;
mod limits;
mod queue;
mod queue_policy;
#[cfg(test)]
mod tests;

use attributes::Attributes;
pub use queue::Queue;
pub use queue_policy::Sender;

/// How long after a purge the next one is refused.
const BETWEEN_PURGES: Duration = Duration::from_secs(60);

/// All queues.
#[derive(Debug, Default)]
pub struct Sqs {
    queues: BTreeMap<String, Queue>,
}

/// What a call is answered with.
#[derive(Debug)]
pub struct Tools<'a> {
    /// The time.
    pub now: Timestamp,
    /// Account, region, endpoint.
    pub settings: &'a Settings,
    /// For ids.
    pub random: &'a mut Random,
}

impl Sqs {
    /// Every queue.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    /// Whether a message can be received from the queue of a URL.
    pub fn has_message(&self, queue_url: &str) -> bool {
        self.queue(queue_url).is_ok_and(|queue| queue.visible() > 0)
    }

    /// When a message next appears or expires by itself.
    pub fn next_change_at(&self) -> Option<Timestamp> {
        self.queues.values().filter_map(Queue::next_change_at).min()
    }

    /// Does what is due by now in every queue.
    pub fn step(&mut self, now: Timestamp) {
        for queue in self.queues.values_mut() {
            queue.step(now);
        }
    }

    /// Puts a body into the queue of that name, whoever sends it.
    ///
    /// # Errors
    ///
    /// When there is no such queue.
    pub fn put(&mut self, name: &str, body: String, tools: &mut Tools<'_>) -> Result<(), ApiError> {
        let queue = self.queues.get_mut(name).ok_or_else(missing)?;
        queue.send(body, None, tools.now, tools.random);
        Ok(())
    }

    /// Delivers a service's message to the queue of an ARN, if there is one and its policy allows it.
    pub fn deliver(&mut self, arn: &str, body: &str, sender: Sender<'_>, tools: &mut Tools<'_>) -> bool {
        let Some(queue) = self.queues.values_mut().find(|queue| queue.arn == arn) else { return false };
        let allowed = queue.attributes.policy.as_ref().is_some_and(|policy| policy.allows(sender, arn));
        if allowed {
            queue.send(body.to_owned(), None, tools.now, tools.random);
        }
        allowed
    }

    /// Answers a call.
    ///
    /// # Errors
    ///
    /// What AWS would refuse.
    pub fn call(&mut self, request: Request, tools: &mut Tools<'_>) -> Result<Response, ApiError> {
        Ok(match request {
            Request::CreateQueue(input) => Response::CreateQueue(self.create_queue(input, tools)?),
            Request::GetQueueUrl(input) => {
                let queue = self.queues.get(&input.queue_name).ok_or_else(missing)?;
                Response::GetQueueUrl(url_output(queue, tools.settings))
            }
            Request::ListQueues(input) => Response::ListQueues(self.list_queues(&input, tools.settings)?),
            Request::DeleteQueue(input) => {
                let name = self.queue(&input.queue_url)?.name.clone();
                self.queues.remove(&name);
                Response::DeleteQueue(Empty {})
            }
            Request::PurgeQueue(input) => Response::PurgeQueue(self.purge(&input.queue_url, tools.now)?),
            Request::GetQueueAttributes(input) => Response::GetQueueAttributes(self.attributes(&input)?),
            Request::SetQueueAttributes(input) => {
                let exists = self.existence();
                let queue = self.queue_mut(&input.queue_url)?;
                queue.attributes = queue.attributes.with(&input.attributes, |arn| exists.contains(arn))?;
                queue.modified_at = tools.now;
                Response::SetQueueAttributes(Empty {})
            }
            Request::SendMessage(input) => Response::SendMessage(self.send(input, tools)?),
            Request::SendMessageBatch(input) => Response::SendMessageBatch(self.send_batch(input, tools)?),
            Request::ReceiveMessage(input) => Response::ReceiveMessage(self.receive(&input, tools.now)?),
            Request::DeleteMessage(input) => {
                self.queue_mut(&input.queue_url)?.delete(&input.receipt_handle)?;
                Response::DeleteMessage(Empty {})
            }
            Request::DeleteMessageBatch(input) => {
                let queue = self.queue_mut(&input.queue_url)?;
                limits::batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
                let outcomes = input.entries.into_iter().map(|entry| (entry.id, queue.delete(&entry.receipt_handle)));
                Response::DeleteMessageBatch(batch_output(outcomes))
            }
            Request::ChangeMessageVisibility(input) => {
                let queue = self.queue_mut(&input.queue_url)?;
                queue.change_visibility(
                    &input.receipt_handle,
                    limits::visibility(input.visibility_timeout)?,
                    tools.now,
                )?;
                Response::ChangeMessageVisibility(Empty {})
            }
            Request::ChangeMessageVisibilityBatch(input) => {
                let queue = self.queue_mut(&input.queue_url)?;
                limits::batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
                let outcomes = input.entries.into_iter().map(|entry| {
                    let outcome = limits::visibility(entry.visibility_timeout)
                        .and_then(|seconds| queue.change_visibility(&entry.receipt_handle, seconds, tools.now));
                    (entry.id, outcome)
                });
                Response::ChangeMessageVisibilityBatch(batch_output(outcomes))
            }
            Request::TagQueue(input) => {
                self.queue_mut(&input.queue_url)?.tags.extend(input.tags);
                Response::TagQueue(Empty {})
            }
            Request::UntagQueue(input) => {
                self.queue_mut(&input.queue_url)?.tags.retain(|key, _| !input.tag_keys.contains(key));
                Response::UntagQueue(Empty {})
            }
            Request::ListQueueTags(input) => {
                let tags = self.queue(&input.queue_url)?.tags.clone();
                Response::ListQueueTags(api::ListQueueTagsOutput { tags: (!tags.is_empty()).then_some(tags) })
            }
            Request::ListDeadLetterSourceQueues(input) => {
                Response::ListDeadLetterSourceQueues(self.list_sources(&input, tools.settings)?)
            }
        })
    }

    fn queue(&self, url: &str) -> Result<&Queue, ApiError> {
        self.queues.get(name_in(url)).ok_or_else(missing)
    }

    fn queue_mut(&mut self, url: &str) -> Result<&mut Queue, ApiError> {
        self.queues.get_mut(name_in(url)).ok_or_else(missing)
    }

    /// The ARNs of all queues.
    fn existence(&self) -> BTreeSet<String> {
        self.queues.values().map(|queue| queue.arn.clone()).collect()
    }

    fn create_queue(
        &mut self,
        input: api::CreateQueueInput,
        tools: &mut Tools<'_>,
    ) -> Result<api::QueueUrlOutput, ApiError> {
        let name = input.queue_name;
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 80 || !name.chars().all(is_good) {
            let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let exists = self.existence();
        let attributes = Attributes::default().with(&input.attributes, |arn| exists.contains(arn))?;
        if let Some(queue) = self.queues.get(&name) {
            if let Some(attribute) = queue.attributes.first_difference(&input.attributes) {
                let message = format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                );
                return Err(ApiError::new("QueueNameExists", message));
            }
            return Ok(url_output(queue, tools.settings));
        }
        let arn = format!("arn:aws:sqs:{}:{}:{name}", tools.settings.region, tools.settings.account);
        let mut queue = Queue::new(name.clone(), arn, attributes, tools.now, tools.random);
        queue.tags = input.tags;
        let output = url_output(&queue, tools.settings);
        self.queues.insert(name, queue);
        Ok(output)
    }

    fn list_queues(
        &self,
        input: &api::ListQueuesInput,
        settings: &Settings,
    ) -> Result<api::ListQueuesOutput, ApiError> {
        let prefix = input.queue_name_prefix.as_deref().unwrap_or_default();
        let names = self.queues.keys().map(String::as_str).filter(|name| name.starts_with(prefix));
        let (queue_urls, next_token) = urls(names, input.max_results, input.next_token.as_deref(), settings)?;
        Ok(api::ListQueuesOutput { queue_urls, next_token })
    }

    /// The queues whose dead-letter queue it is.
    fn list_sources(
        &self,
        input: &api::ListDeadLetterSourceQueuesInput,
        settings: &Settings,
    ) -> Result<api::ListDeadLetterSourceQueuesOutput, ApiError> {
        let arn = &self.queue(&input.queue_url)?.arn;
        let leads_here =
            |queue: &&Queue| queue.attributes.redrive.as_ref().is_some_and(|redrive| redrive.target_arn == *arn);
        let names = self.queues.values().filter(leads_here).map(|queue| queue.name.as_str());
        let (queue_urls, next_token) = urls(names, input.max_results, input.next_token.as_deref(), settings)?;
        Ok(api::ListDeadLetterSourceQueuesOutput { queue_urls, next_token })
    }

    fn purge(&mut self, url: &str, now: Timestamp) -> Result<Empty, ApiError> {
        let queue = self.queue_mut(url)?;
        if queue.purged_at.is_some_and(|at| now < super::agenda::after(at, BETWEEN_PURGES)) {
            let message = format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", queue.name);
            return Err(ApiError::new("PurgeQueueInProgress", message).with_status(403));
        }
        queue.purge(now);
        Ok(Empty {})
    }

    fn attributes(&self, input: &api::GetQueueAttributesInput) -> Result<api::GetQueueAttributesOutput, ApiError> {
        let queue = self.queue(&input.queue_url)?;
        if let Some(name) = input.attribute_names.iter().find(|name| !attributes::can_be_asked(name)) {
            return Err(attributes::unknown(name));
        }
        let mut shown = queue.attributes.shown();
        let others = [
            ("ApproximateNumberOfMessages", queue.visible().to_string()),
            ("ApproximateNumberOfMessagesNotVisible", queue.in_flight().to_string()),
            ("ApproximateNumberOfMessagesDelayed", queue.delayed().to_string()),
            ("CreatedTimestamp", queue.created_at.as_second().to_string()),
            ("LastModifiedTimestamp", queue.modified_at.as_second().to_string()),
            ("QueueArn", queue.arn.clone()),
        ];
        shown.extend(others.map(|(name, value)| (name.to_owned(), value)));
        if !input.attribute_names.iter().any(|name| name == "All") {
            shown.retain(|name, _| input.attribute_names.contains(name));
        }
        Ok(api::GetQueueAttributesOutput { attributes: shown })
    }

    fn send(
        &mut self,
        input: api::SendMessageInput,
        tools: &mut Tools<'_>,
    ) -> Result<api::SendMessageOutput, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        limits::message(&input.message_body, queue.attributes.max_size)?;
        let delay = limits::delay(input.delay_seconds)?;
        let md5_of_message_body = queue::md5_of(&input.message_body);
        let message_id = queue.send(input.message_body, delay, tools.now, tools.random);
        Ok(api::SendMessageOutput { message_id, md5_of_message_body })
    }

    fn send_batch(
        &mut self,
        input: api::SendMessageBatchInput,
        tools: &mut Tools<'_>,
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
                    let message_id = queue.send(entry.message_body, delay, tools.now, tools.random);
                    let result = api::SendMessageBatchResult { id: entry.id, message_id, md5_of_message_body };
                    output.successful.push(result);
                }
                Err(error) => output.failed.push(batch_error(entry.id, error)),
            }
        }
        Ok(output)
    }

    fn receive(
        &mut self,
        input: &api::ReceiveMessageInput,
        now: Timestamp,
    ) -> Result<api::ReceiveMessageOutput, ApiError> {
        let queue = self.queue_mut(&input.queue_url)?;
        let (most, hidden) = limits::receive(input)?;
        let wanted = limits::system_attributes(input)?;
        let (name, source) = (queue.name.clone(), queue.arn.clone());
        let redrive = queue.attributes.redrive.clone();
        // Without its dead-letter queue, which may have been deleted since, a message stays and is received again.
        let target = redrive.and_then(|redrive| {
            let target = self.queues.values().find(|queue| queue.arn == redrive.target_arn)?;
            Some((target.name.clone(), redrive.max_receives))
        });
        let max_receives = target.as_ref().map(|(_, max)| *max);
        let queue = self.queues.get_mut(&name).ok_or_else(missing)?;
        let received = queue.receive(most, hidden, max_receives, &wanted, now);
        if let Some(target) = target.and_then(|(target, _)| self.queues.get_mut(&target)) {
            for message in received.moved {
                target.take_over(message, &source);
            }
        }
        let messages = (!received.messages.is_empty()).then_some(received.messages);
        Ok(api::ReceiveMessageOutput { messages })
    }
}

/// The queue's name in its URL: what comes last, whatever host and account stand before it.
fn name_in(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn url_of(name: &str, settings: &Settings) -> String {
    format!("{}/{}/{name}", settings.endpoint.trim_end_matches('/'), settings.account)
}

fn url_output(queue: &Queue, settings: &Settings) -> api::QueueUrlOutput {
    api::QueueUrlOutput { queue_url: url_of(&queue.name, settings) }
}

fn missing() -> ApiError {
    ApiError::new("QueueDoesNotExist", "The specified queue does not exist.")
}

/// A page of queues as their URLs, and the token for the next one.
fn urls<'a>(
    names: impl Iterator<Item = &'a str>,
    max_results: Option<i32>,
    token: Option<&str>,
    settings: &Settings,
) -> Result<(Vec<String>, Option<String>), ApiError> {
    let (size, is_said) = limits::page_size(max_results)?;
    let bad_token = |_| ApiError::new("InvalidParameterValue", "Invalid or expired next token.");
    let (names, next) = page(names, |name| name, size, token).map_err(bad_token)?;
    // Without MaxResults AWS gives no token either.
    Ok((names.into_iter().map(|name| url_of(name, settings)).collect(), next.filter(|_| is_said)))
}

fn batch_output(outcomes: impl Iterator<Item = (String, Result<(), ApiError>)>) -> api::BatchOutput {
    let mut output = api::BatchOutput::default();
    for (id, outcome) in outcomes {
        match outcome {
            Ok(()) => output.successful.push(api::BatchSuccess { id }),
            Err(error) => output.failed.push(batch_error(id, error)),
        }
    }
    output
}

fn batch_error(id: String, error: ApiError) -> api::BatchError {
    api::BatchError { id, sender_fault: error.status < 500, code: error.code.to_owned(), message: error.message }
}
