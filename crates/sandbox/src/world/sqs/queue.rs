//! One standard queue: its messages, and what has become of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::attributes::Attributes;
use crate::api::{ApiError, sqs as api};
use crate::world::agenda::after;
use crate::world::random::Random;

/// No message may be hidden for longer after it was received.
pub const LONGEST_VISIBILITY: u32 = 43_200;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
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
    /// The ARN of the queue that it was moved from, for want of success there.
    moved_from: Option<String>,
    place: Place,
}

impl Message {
    fn shown(&self, receipt_handle: String, wanted: &[String]) -> api::Message {
        let milliseconds = |at: Timestamp| at.as_millisecond().to_string();
        let mut attributes = BTreeMap::from([
            ("SenderId", "AIDASANDBOX".to_owned()),
            ("SentTimestamp", milliseconds(self.sent_at)),
            ("ApproximateReceiveCount", self.receives.to_string()),
        ]);
        if let Some(at) = self.first_received_at {
            attributes.insert("ApproximateFirstReceiveTimestamp", milliseconds(at));
        }
        if let Some(arn) = &self.moved_from {
            attributes.insert("DeadLetterQueueSourceArn", arn.clone());
        }
        let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted == "All" || wanted == name);
        let attributes: BTreeMap<String, String> = attributes
            .into_iter()
            .filter(|(name, _)| is_wanted(name))
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
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What is set on it.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its attributes were last set.
    pub modified_at: Timestamp,
    /// When it was last purged.
    pub purged_at: Option<Timestamp>,
    /// What the receipt handles of this queue begin with.
    mark: String,
    messages: BTreeMap<u64, Message>,
    next_number: u64,
    // The numbers of the messages in each place, in the order in which something becomes of them.
    visible: BTreeSet<u64>,
    in_flight: BTreeSet<(Timestamp, u64)>,
    delayed: BTreeSet<(Timestamp, u64)>,
    by_age: BTreeSet<(Timestamp, u64)>,
}

/// What a receive gave.
#[derive(Debug, Default)]
pub struct Received {
    /// The messages, hidden from now on.
    pub messages: Vec<api::Message>,
    /// Those that have been received too often, and are in this queue no more.
    pub moved: Vec<Message>,
}

impl Queue {
    /// A new and empty queue.
    pub fn new(name: String, arn: String, attributes: Attributes, now: Timestamp, random: &mut Random) -> Self {
        Self {
            name,
            arn,
            attributes,
            tags: BTreeMap::new(),
            created_at: now,
            modified_at: now,
            purged_at: None,
            mark: random.hex(16),
            messages: BTreeMap::new(),
            next_number: 0,
            visible: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            delayed: BTreeSet::new(),
            by_age: BTreeSet::new(),
        }
    }

    /// How many messages could be received at once.
    pub fn visible(&self) -> usize {
        self.visible.len()
    }

    /// How many messages have been received and are hidden.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many messages have been sent and are not there yet.
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// When the oldest message was sent.
    pub fn oldest_sent_at(&self) -> Option<Timestamp> {
        self.by_age.first().map(|(sent_at, _)| *sent_at)
    }

    /// When a message next appears or expires by itself.
    pub fn next_change_at(&self) -> Option<Timestamp> {
        let appears = self.in_flight.first().into_iter().chain(self.delayed.first()).map(|(at, _)| *at).min();
        appears.into_iter().chain(self.oldest_sent_at().map(|sent| after(sent, self.retention()))).min()
    }

    /// Lets appear what is to appear by now, and forgets what has expired.
    pub fn step(&mut self, now: Timestamp) {
        while let Some(&(sent_at, number)) = self.by_age.first()
            && after(sent_at, self.retention()) <= now
        {
            self.take(number);
        }
        while let Some(&(at, number)) = self.in_flight.first().into_iter().chain(self.delayed.first()).min()
            && at <= now
        {
            self.put(number, Place::Visible);
        }
    }

    /// Takes in a new message, and returns its id.
    pub fn send(&mut self, body: String, delay: Option<u32>, now: Timestamp, random: &mut Random) -> String {
        let id = random.uuid();
        let delay = Duration::from_secs(delay.unwrap_or(self.attributes.delay).into());
        let place = if delay.is_zero() { Place::Visible } else { Place::Delayed { until: after(now, delay) } };
        let message = Message {
            id: id.clone(),
            body,
            sent_at: now,
            first_received_at: None,
            received_at: None,
            receives: 0,
            moved_from: None,
            place,
        };
        self.add(message);
        id
    }

    /// Takes in a message that was received too often elsewhere. It keeps its age, as on AWS.
    pub fn take_over(&mut self, message: Message, from: &str) {
        self.add(Message { moved_from: Some(from.to_owned()), place: Place::Visible, received_at: None, ..message });
    }

    /// Hands out visible messages, the oldest first, with those of their attributes that are wanted.
    ///
    /// A message that has been received `max_receives` times already is taken out instead.
    pub fn receive(
        &mut self,
        most: usize,
        visibility: Option<u32>,
        max_receives: Option<u32>,
        wanted: &[String],
        now: Timestamp,
    ) -> Received {
        let until = after(now, Duration::from_secs(visibility.unwrap_or(self.attributes.visibility).into()));
        let mut received = Received::default();
        while received.messages.len() < most
            && let Some(&number) = self.visible.first()
        {
            let receives = self.messages.get(&number).map_or(0, |message| message.receives);
            if max_receives.is_some_and(|max| receives >= max) {
                received.moved.extend(self.take(number));
                continue;
            }
            self.put(number, Place::InFlight { until });
            let Some(message) = self.messages.get_mut(&number) else { continue };
            message.receives = message.receives.saturating_add(1);
            message.received_at = Some(now);
            message.first_received_at.get_or_insert(now);
            let handle = format!("{}{number:016x}{:08x}", self.mark, message.receives);
            received.messages.push(message.shown(handle, wanted));
        }
        received
    }

    /// Deletes the message of a handle. As AWS documents it: that of an older receive succeeds and deletes nothing.
    ///
    /// # Errors
    ///
    /// When the handle isn't one of this queue's.
    pub fn delete(&mut self, handle: &str) -> Result<(), ApiError> {
        let (number, receives) = self.read(handle)?;
        if self.messages.get(&number).is_some_and(|message| message.receives == receives) {
            self.take(number);
        }
        Ok(())
    }

    /// Hides the message of a handle for so many seconds from now.
    ///
    /// # Errors
    ///
    /// When the handle isn't one of this queue's, or its message isn't hidden any more.
    pub fn change_visibility(&mut self, handle: &str, seconds: u32, now: Timestamp) -> Result<(), ApiError> {
        let (number, receives) = self.read(handle)?;
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
        if !matches!(message.place, Place::InFlight { .. }) {
            let message = "The specified message isn't in flight.";
            return Err(ApiError::new("MessageNotInflight", message));
        }
        let until = after(now, Duration::from_secs(seconds.into()));
        let latest = after(message.received_at.unwrap_or(now), Duration::from_secs(LONGEST_VISIBILITY.into()));
        if until > latest {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].";
            return Err(invalid("VisibilityTimeout", &seconds.to_string(), reason));
        }
        self.put(number, Place::InFlight { until });
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
        self.enter(number, message.place);
        self.messages.insert(number, message);
    }

    /// Puts a message in another place.
    fn put(&mut self, number: u64, place: Place) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        let before = std::mem::replace(&mut message.place, place);
        self.leave(number, before);
        self.enter(number, place);
    }

    /// Takes a message out.
    fn take(&mut self, number: u64) -> Option<Message> {
        let message = self.messages.remove(&number)?;
        self.by_age.remove(&(message.sent_at, number));
        self.leave(number, message.place);
        Some(message)
    }

    fn enter(&mut self, number: u64, place: Place) {
        match place {
            Place::Visible => self.visible.insert(number),
            Place::InFlight { until } => self.in_flight.insert((until, number)),
            Place::Delayed { until } => self.delayed.insert((until, number)),
        };
    }

    fn leave(&mut self, number: u64, place: Place) {
        match place {
            Place::Visible => self.visible.remove(&number),
            Place::InFlight { until } => self.in_flight.remove(&(until, number)),
            Place::Delayed { until } => self.delayed.remove(&(until, number)),
        };
    }

    /// The message's number and the receive that a handle is of.
    fn read(&self, handle: &str) -> Result<(u64, u32), ApiError> {
        let parts = handle.strip_prefix(&self.mark).and_then(|rest| rest.split_at_checked(16));
        let numbers = parts.and_then(|(number, receives)| {
            Some((u64::from_str_radix(number, 16).ok()?, u32::from_str_radix(receives, 16).ok()?))
        });
        numbers.ok_or_else(|| {
            let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            ApiError::new("ReceiptHandleIsInvalid", message)
        })
    }
}

/// The sum that SQS gives over a body, for its clients to check.
pub fn md5_of(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}
