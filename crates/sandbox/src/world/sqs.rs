//! Amazon SQS: standard queues.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::random::Random;
use super::settings::Settings;
use crate::api::sqs::{Request, Response};
use crate::api::{ApiError, Empty};

mod attributes;
mod limits;
mod messages;
mod queue;
mod queue_policy;
mod queues;
#[cfg(test)]
mod tests;

pub use queue::Queue;
pub use queue_policy::Sender;

/// State of SQS.
#[derive(Debug, Default)]
pub struct Sqs {
    /// Queues by name.
    queues: BTreeMap<String, Queue>,
}

/// Context in which SQS handles a request. Unlike the other services it starts no timers and has no effects on others.
#[derive(Debug)]
pub struct SqsContext<'a> {
    /// Current time.
    pub now: Timestamp,
    /// Settings of the world.
    pub settings: &'a Settings,
    /// Source of identifiers.
    pub random: &'a mut Random,
}

impl Sqs {
    /// Returns every queue.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    /// Returns whether a message can be received from a queue.
    pub fn has_message(&self, queue_url: &str) -> bool {
        self.queue(queue_url).is_ok_and(|queue| queue.visible() > 0)
    }

    /// Returns when a message next becomes visible or expires.
    pub fn next_change_at(&self) -> Option<Timestamp> {
        self.queues.values().filter_map(Queue::next_change_at).min()
    }

    /// Advances every queue to the given time.
    pub fn step(&mut self, now: Timestamp) {
        for queue in self.queues.values_mut() {
            queue.step(now);
        }
    }

    /// Puts a message into a queue, regardless of its policy.
    ///
    /// # Errors
    ///
    /// Returns an error when there is no queue of that name.
    pub fn put(&mut self, name: &str, body: String, context: &mut SqsContext<'_>) -> Result<(), ApiError> {
        let queue = self.queues.get_mut(name).ok_or_else(queue_not_found)?;
        queue.send(body, None, context.now, context.random);
        Ok(())
    }

    /// Delivers a service's message to the queue with an ARN. Returns whether the queue exists and its policy allows it.
    pub fn deliver(&mut self, arn: &str, body: &str, sender: Sender<'_>, context: &mut SqsContext<'_>) -> bool {
        let Some(queue) = self.queues.values_mut().find(|queue| queue.arn == arn) else { return false };
        let is_allowed = queue.attributes.policy.as_ref().is_some_and(|policy| policy.allows(sender, arn));
        if is_allowed {
            queue.send(body.to_owned(), None, context.now, context.random);
        }
        is_allowed
    }

    /// Handles a request.
    ///
    /// # Errors
    ///
    /// Returns AWS's error for a request that it would refuse.
    pub fn call(&mut self, request: Request, context: &mut SqsContext<'_>) -> Result<Response, ApiError> {
        Ok(match request {
            Request::CreateQueue(input) => Response::CreateQueue(self.create_queue(input, context)?),
            Request::GetQueueUrl(input) => Response::GetQueueUrl(self.get_queue_url(&input, context.settings)?),
            Request::ListQueues(input) => Response::ListQueues(self.list_queues(&input, context.settings)?),
            Request::DeleteQueue(input) => Response::DeleteQueue(self.delete_queue(&input.queue_url)?),
            Request::PurgeQueue(input) => Response::PurgeQueue(self.purge_queue(&input.queue_url, context.now)?),
            Request::GetQueueAttributes(input) => Response::GetQueueAttributes(self.get_queue_attributes(&input)?),
            Request::SetQueueAttributes(input) => {
                Response::SetQueueAttributes(self.set_queue_attributes(&input, context.now)?)
            }
            Request::SendMessage(input) => Response::SendMessage(self.send_message(input, context)?),
            Request::SendMessageBatch(input) => Response::SendMessageBatch(self.send_message_batch(input, context)?),
            Request::ReceiveMessage(input) => Response::ReceiveMessage(self.receive_message(&input, context.now)?),
            Request::DeleteMessage(input) => {
                self.queue_mut(&input.queue_url)?.delete(&input.receipt_handle)?;
                Response::DeleteMessage(Empty {})
            }
            Request::DeleteMessageBatch(input) => Response::DeleteMessageBatch(self.delete_message_batch(input)?),
            Request::ChangeMessageVisibility(input) => {
                Response::ChangeMessageVisibility(self.change_message_visibility(&input, context.now)?)
            }
            Request::ChangeMessageVisibilityBatch(input) => {
                Response::ChangeMessageVisibilityBatch(self.change_message_visibility_batch(input, context.now)?)
            }
            Request::TagQueue(input) => {
                self.queue_mut(&input.queue_url)?.tags.extend(input.tags);
                Response::TagQueue(Empty {})
            }
            Request::UntagQueue(input) => {
                self.queue_mut(&input.queue_url)?.tags.retain(|key, _| !input.tag_keys.contains(key));
                Response::UntagQueue(Empty {})
            }
            Request::ListQueueTags(input) => Response::ListQueueTags(self.list_queue_tags(&input)?),
            Request::ListDeadLetterSourceQueues(input) => {
                Response::ListDeadLetterSourceQueues(self.list_dead_letter_sources(&input, context.settings)?)
            }
        })
    }

    fn queue(&self, url: &str) -> Result<&Queue, ApiError> {
        self.queues.get(name_in(url)).ok_or_else(queue_not_found)
    }

    fn queue_mut(&mut self, url: &str) -> Result<&mut Queue, ApiError> {
        self.queues.get_mut(name_in(url)).ok_or_else(queue_not_found)
    }

    fn arns(&self) -> BTreeSet<String> {
        self.queues.values().map(|queue| queue.arn.clone()).collect()
    }
}

/// Returns the queue's name in a URL. Host and account don't matter, so that URLs work through proxies.
fn name_in(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn queue_not_found() -> ApiError {
    ApiError::new("QueueDoesNotExist", "The specified queue does not exist.")
}
