//! Operations on queues and their attributes.

use std::time::Duration;

use jiff::Timestamp;

use super::attributes::{self, Attributes};
use super::queue::Queue;
use super::{Sqs, SqsContext, limits, queue_not_found};
use crate::api::sqs as api;
use crate::api::{ApiError, Empty};
use crate::world::page::page;
use crate::world::settings::Settings;
use crate::world::timers::after;

/// Time after a purge during which AWS refuses another one.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

impl Sqs {
    pub(super) fn create_queue(
        &mut self,
        input: api::CreateQueueInput,
        context: &mut SqsContext<'_>,
    ) -> Result<api::QueueUrlOutput, ApiError> {
        let name = input.queue_name;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 80 || !name.chars().all(is_allowed) {
            let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        let arns = self.arns();
        let attributes = Attributes::default().with(&input.attributes, |arn| arns.contains(arn))?;
        if let Some(queue) = self.queues.get(&name) {
            if let Some(attribute) = queue.attributes.first_difference(&input.attributes) {
                let message = format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                );
                return Err(ApiError::new("QueueNameExists", message));
            }
            return Ok(url_output(queue, context.settings));
        }
        let arn = format!("arn:aws:sqs:{}:{}:{name}", context.settings.region, context.settings.account);
        let mut queue = Queue::new(name.clone(), arn, attributes, context.now, context.random);
        queue.tags = input.tags;
        let output = url_output(&queue, context.settings);
        self.queues.insert(name, queue);
        Ok(output)
    }

    pub(super) fn get_queue_url(
        &self,
        input: &api::GetQueueUrlInput,
        settings: &Settings,
    ) -> Result<api::QueueUrlOutput, ApiError> {
        let queue = self.queues.get(&input.queue_name).ok_or_else(queue_not_found)?;
        Ok(url_output(queue, settings))
    }

    pub(super) fn list_queues(
        &self,
        input: &api::ListQueuesInput,
        settings: &Settings,
    ) -> Result<api::ListQueuesOutput, ApiError> {
        let prefix = input.queue_name_prefix.as_deref().unwrap_or_default();
        let names = self.queues.keys().map(String::as_str).filter(|name| name.starts_with(prefix));
        let (queue_urls, next_token) = url_page(names, input.max_results, input.next_token.as_deref(), settings)?;
        Ok(api::ListQueuesOutput { queue_urls, next_token })
    }

    /// Lists the queues whose dead-letter queue is the given one.
    pub(super) fn list_dead_letter_sources(
        &self,
        input: &api::ListDeadLetterSourceQueuesInput,
        settings: &Settings,
    ) -> Result<api::ListDeadLetterSourceQueuesOutput, ApiError> {
        let arn = &self.queue(&input.queue_url)?.arn;
        let is_source =
            |queue: &&Queue| queue.attributes.redrive.as_ref().is_some_and(|redrive| redrive.target_arn == *arn);
        let names = self.queues.values().filter(is_source).map(|queue| queue.name.as_str());
        let (queue_urls, next_token) = url_page(names, input.max_results, input.next_token.as_deref(), settings)?;
        Ok(api::ListDeadLetterSourceQueuesOutput { queue_urls, next_token })
    }

    pub(super) fn delete_queue(&mut self, url: &str) -> Result<Empty, ApiError> {
        let name = self.queue(url)?.name.clone();
        self.queues.remove(&name);
        Ok(Empty {})
    }

    pub(super) fn purge_queue(&mut self, url: &str, now: Timestamp) -> Result<Empty, ApiError> {
        let queue = self.queue_mut(url)?;
        if queue.purged_at.is_some_and(|at| now < after(at, PURGE_INTERVAL)) {
            let message = format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", queue.name);
            return Err(ApiError::new("PurgeQueueInProgress", message).with_status(403));
        }
        queue.purge(now);
        Ok(Empty {})
    }

    pub(super) fn get_queue_attributes(
        &self,
        input: &api::GetQueueAttributesInput,
    ) -> Result<api::GetQueueAttributesOutput, ApiError> {
        let queue = self.queue(&input.queue_url)?;
        if let Some(name) = input.attribute_names.iter().find(|name| !attributes::is_known(name)) {
            return Err(attributes::unknown(name));
        }
        let mut values = queue.attributes.to_api();
        let read_only = [
            ("ApproximateNumberOfMessages", queue.visible().to_string()),
            ("ApproximateNumberOfMessagesNotVisible", queue.in_flight().to_string()),
            ("ApproximateNumberOfMessagesDelayed", queue.delayed().to_string()),
            ("CreatedTimestamp", queue.created_at.as_second().to_string()),
            ("LastModifiedTimestamp", queue.modified_at.as_second().to_string()),
            ("QueueArn", queue.arn.clone()),
        ];
        values.extend(read_only.map(|(name, value)| (name.to_owned(), value)));
        if !input.attribute_names.iter().any(|name| name == "All") {
            values.retain(|name, _| input.attribute_names.contains(name));
        }
        Ok(api::GetQueueAttributesOutput { attributes: values })
    }

    pub(super) fn set_queue_attributes(
        &mut self,
        input: &api::SetQueueAttributesInput,
        now: Timestamp,
    ) -> Result<Empty, ApiError> {
        let arns = self.arns();
        let queue = self.queue_mut(&input.queue_url)?;
        queue.attributes = queue.attributes.with(&input.attributes, |arn| arns.contains(arn))?;
        queue.modified_at = now;
        Ok(Empty {})
    }

    pub(super) fn list_queue_tags(&self, input: &api::QueueInput) -> Result<api::ListQueueTagsOutput, ApiError> {
        let tags = self.queue(&input.queue_url)?.tags.clone();
        Ok(api::ListQueueTagsOutput { tags: (!tags.is_empty()).then_some(tags) })
    }
}

fn url_of(name: &str, settings: &Settings) -> String {
    format!("{}/{}/{name}", settings.endpoint.trim_end_matches('/'), settings.account)
}

fn url_output(queue: &Queue, settings: &Settings) -> api::QueueUrlOutput {
    api::QueueUrlOutput { queue_url: url_of(&queue.name, settings) }
}

/// Returns a page of queue URLs and the token for the next page.
fn url_page<'a>(
    names: impl Iterator<Item = &'a str>,
    max_results: Option<i32>,
    token: Option<&str>,
    settings: &Settings,
) -> Result<(Vec<String>, Option<String>), ApiError> {
    let size = limits::page_size(max_results)?;
    let invalid_token = |_| ApiError::new("InvalidParameterValue", "Invalid or expired next token.");
    let (names, next) = page(names, |name| name, size, token).map_err(invalid_token)?;
    // As on AWS, there is no token unless the request sets MaxResults.
    let next = next.filter(|_| max_results.is_some());
    Ok((names.into_iter().map(|name| url_of(name, settings)).collect(), next))
}
