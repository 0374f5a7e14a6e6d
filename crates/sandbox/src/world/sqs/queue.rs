//! A standard queue and its messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::attributes::Attributes;
use crate::api::{ApiError, sqs as api};
use crate::world::random::Random;
use crate::world::timers::after;

/// Maximum time from the receipt of a message until it is visible again, in seconds.
pub const MAX_VISIBILITY: u32 = 43_200;

/// State of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Visible,
    InFlight { until: Timestamp },
    Delayed { until: Timestamp },
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Message {
    id: String,
    body: String,
    sent_at: Timestamp,
    first_received_at: Option<Timestamp>,
    received_at: Option<Timestamp>,
    receives: u32,
    /// ARN of the queue from which the redrive policy moved the message.
    redriven_from: Option<String>,
    state: State,
}

impl Message {
    /// Returns the message in the form of the API, with the named system attributes.
    fn to_api(&self, receipt_handle: String, attribute_names: &[String]) -> api::Message {
        let milliseconds = |at: Timestamp| at.as_millisecond().to_string();
        let mut attributes = BTreeMap::from([
            ("SenderId", "AIDASANDBOX".to_owned()),
            ("SentTimestamp", milliseconds(self.sent_at)),
            ("ApproximateReceiveCount", self.receives.to_string()),
        ]);
        if let Some(at) = self.first_received_at {
            attributes.insert("ApproximateFirstReceiveTimestamp", milliseconds(at));
        }
        if let Some(arn) = &self.redriven_from {
            attributes.insert("DeadLetterQueueSourceArn", arn.clone());
        }
        let is_requested = |name: &str| attribute_names.iter().any(|requested| requested == "All" || requested == name);
        let attributes: BTreeMap<String, String> = attributes
            .into_iter()
            .filter(|(name, _)| is_requested(name))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        api::Message {
            message_id: self.id.clone(),
            receipt_handle,
            md5_of_body: md5_of(&self.body),
            body: self.body.clone(),
            attributes: (!attributes.is_empty()).then_some(attributes),
        }
    }
}

/// A standard queue.
#[derive(Debug)]
pub struct Queue {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// Attributes.
    pub attributes: Attributes,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time at which the attributes were last set.
    pub modified_at: Timestamp,
    /// Time of the last purge.
    pub purged_at: Option<Timestamp>,
    /// Prefix of this queue's receipt handles.
    handle_prefix: String,
    messages: BTreeMap<u64, Message>,
    next_number: u64,
    // Indexes of the messages in each state, sorted by when a message changes.
    visible: BTreeSet<u64>,
    in_flight: BTreeSet<(Timestamp, u64)>,
    delayed: BTreeSet<(Timestamp, u64)>,
    by_age: BTreeSet<(Timestamp, u64)>,
}

/// Result of [`Queue::receive`].
#[derive(Debug, Default)]
pub struct Received {
    /// The received messages, in flight from now on.
    pub messages: Vec<api::Message>,
    /// Messages that were received too often, removed from the queue.
    pub redriven: Vec<Message>,
}

impl Queue {
    /// Creates an empty queue.
    pub fn new(name: String, arn: String, attributes: Attributes, now: Timestamp, random: &mut Random) -> Self {
        Self {
            name,
            arn,
            attributes,
            tags: BTreeMap::new(),
            created_at: now,
            modified_at: now,
            purged_at: None,
            handle_prefix: random.hex(16),
            messages: BTreeMap::new(),
            next_number: 0,
            visible: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            delayed: BTreeSet::new(),
            by_age: BTreeSet::new(),
        }
    }

    /// Returns the number of messages that can be received.
    pub fn visible(&self) -> usize {
        self.visible.len()
    }

    /// Returns the number of messages in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns the number of delayed messages.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// Returns when the oldest message was sent.
    pub fn oldest_sent_at(&self) -> Option<Timestamp> {
        self.by_age.first().map(|(sent_at, _)| *sent_at)
    }

    /// Returns when a message next becomes visible or expires.
    pub fn next_change_at(&self) -> Option<Timestamp> {
        let visible_at = self.in_flight.first().into_iter().chain(self.delayed.first()).map(|(at, _)| *at).min();
        visible_at.into_iter().chain(self.oldest_sent_at().map(|sent| after(sent, self.retention()))).min()
    }

    /// Advances to the given time: expires messages, and makes others visible.
    pub fn step(&mut self, now: Timestamp) {
        while let Some(&(sent_at, number)) = self.by_age.first()
            && after(sent_at, self.retention()) <= now
        {
            self.remove(number);
        }
        while let Some(&(at, number)) = self.in_flight.first().into_iter().chain(self.delayed.first()).min()
            && at <= now
        {
            self.set_state(number, State::Visible);
        }
    }

    /// Accepts a new message and returns its id.
    pub fn send(&mut self, body: String, delay: Option<u32>, now: Timestamp, random: &mut Random) -> String {
        let id = random.uuid();
        let delay = Duration::from_secs(delay.unwrap_or(self.attributes.delay).into());
        let state = if delay.is_zero() { State::Visible } else { State::Delayed { until: after(now, delay) } };
        let message = Message {
            id: id.clone(),
            body,
            sent_at: now,
            first_received_at: None,
            received_at: None,
            receives: 0,
            redriven_from: None,
            state,
        };
        self.add(message);
        id
    }

    /// Accepts a message that a redrive policy moved here. It keeps its age, as on AWS.
    pub fn accept_redriven(&mut self, message: Message, from: &str) {
        self.add(Message { redriven_from: Some(from.to_owned()), state: State::Visible, received_at: None, ..message });
    }

    /// Receives visible messages, the oldest first, with the named system attributes.
    ///
    /// A message that has been received `max_receives` times already is removed from the queue instead.
    pub fn receive(
        &mut self,
        max_messages: usize,
        visibility: Option<u32>,
        max_receives: Option<u32>,
        attribute_names: &[String],
        now: Timestamp,
    ) -> Received {
        let until = after(now, Duration::from_secs(visibility.unwrap_or(self.attributes.visibility).into()));
        let mut received = Received::default();
        while received.messages.len() < max_messages
            && let Some(&number) = self.visible.first()
        {
            let receives = self.messages.get(&number).map_or(0, |message| message.receives);
            if max_receives.is_some_and(|max| receives >= max) {
                received.redriven.extend(self.remove(number));
                continue;
            }
            self.set_state(number, State::InFlight { until });
            let Some(message) = self.messages.get_mut(&number) else { continue };
            message.receives = message.receives.saturating_add(1);
            message.received_at = Some(now);
            message.first_received_at.get_or_insert(now);
            let handle = format!("{}{number:016x}{:08x}", self.handle_prefix, message.receives);
            received.messages.push(message.to_api(handle, attribute_names));
        }
        received
    }

    /// Deletes the message with a receipt handle. As AWS documents, the handle of an earlier receipt deletes nothing, and
    /// succeeds.
    ///
    /// # Errors
    ///
    /// Returns an error when the handle doesn't belong to this queue.
    pub fn delete(&mut self, handle: &str) -> Result<(), ApiError> {
        let (number, receives) = self.parse_handle(handle)?;
        if self.messages.get(&number).is_some_and(|message| message.receives == receives) {
            self.remove(number);
        }
        Ok(())
    }

    /// Changes the visibility timeout of the message with a receipt handle, counted from now.
    ///
    /// # Errors
    ///
    /// Returns an error when the handle doesn't belong to this queue, or its message isn't in flight.
    pub fn change_visibility(&mut self, handle: &str, seconds: u32, now: Timestamp) -> Result<(), ApiError> {
        let (number, receives) = self.parse_handle(handle)?;
        let invalid = |parameter: &str, value: &str, reason: &str| {
            let message = format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
            ApiError::new("InvalidParameterValue", message)
        };
        let message = self.messages.get(&number).filter(|message| message.receives == receives).ok_or_else(|| {
            invalid(
                "ReceiptHandle",
                handle,
                "Message does not exist or is not available for visibility timeout change.",
            )
        })?;
        if !matches!(message.state, State::InFlight { .. }) {
            let message = "The specified message isn't in flight.";
            return Err(ApiError::new("MessageNotInflight", message));
        }
        let until = after(now, Duration::from_secs(seconds.into()));
        let latest = after(message.received_at.unwrap_or(now), Duration::from_secs(MAX_VISIBILITY.into()));
        if until > latest {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].";
            return Err(invalid("VisibilityTimeout", &seconds.to_string(), reason));
        }
        self.set_state(number, State::InFlight { until });
        Ok(())
    }

    /// Deletes all messages.
    pub fn purge(&mut self, now: Timestamp) {
        self.messages.clear();
        self.visible.clear();
        self.in_flight.clear();
        self.delayed.clear();
        self.by_age.clear();
        self.purged_at = Some(now);
    }

    fn retention(&self) -> Duration {
        Duration::from_secs(self.attributes.retention.into())
    }

    fn add(&mut self, message: Message) {
        let number = self.next_number;
        self.next_number += 1;
        self.by_age.insert((message.sent_at, number));
        self.add_to_index(number, message.state);
        self.messages.insert(number, message);
    }

    /// Changes the state of a message.
    fn set_state(&mut self, number: u64, state: State) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        let before = std::mem::replace(&mut message.state, state);
        self.remove_from_index(number, before);
        self.add_to_index(number, state);
    }

    /// Removes a message.
    fn remove(&mut self, number: u64) -> Option<Message> {
        let message = self.messages.remove(&number)?;
        self.by_age.remove(&(message.sent_at, number));
        self.remove_from_index(number, message.state);
        Some(message)
    }

    fn add_to_index(&mut self, number: u64, state: State) {
        match state {
            State::Visible => self.visible.insert(number),
            State::InFlight { until } => self.in_flight.insert((until, number)),
            State::Delayed { until } => self.delayed.insert((until, number)),
        };
    }

    fn remove_from_index(&mut self, number: u64, state: State) {
        match state {
            State::Visible => self.visible.remove(&number),
            State::InFlight { until } => self.in_flight.remove(&(until, number)),
            State::Delayed { until } => self.delayed.remove(&(until, number)),
        };
    }

    /// Returns the number of a receipt handle's message, and which of its receipts the handle is for.
    fn parse_handle(&self, handle: &str) -> Result<(u64, u32), ApiError> {
        let parts = handle.strip_prefix(&self.handle_prefix).and_then(|rest| rest.split_at_checked(16));
        let numbers = parts.and_then(|(number, receives)| {
            Some((u64::from_str_radix(number, 16).ok()?, u32::from_str_radix(receives, 16).ok()?))
        });
        numbers.ok_or_else(|| {
            let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            ApiError::new("ReceiptHandleIsInvalid", message)
        })
    }
}

/// Returns the checksum of a body, which SQS's clients verify.
pub fn md5_of(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}
