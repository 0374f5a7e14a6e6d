//! Classifies received messages: relevant, foreign or malformed.

use crate::aws::{Message, Receipt, Redrive};
use crate::controller::context::Context;
use crate::controller::message::{EventBridgeEvent, Hints};
use crate::telemetry::log::Event;

/// The first bytes of a malformed message's body that are logged while the message stays on the queue.
pub const LOGGED_BODY: usize = 2 * 1024;

/// The receive at which a malformed message is deleted from a queue without a redrive policy.
pub const LAST_RECEIVE: u32 = 5;

/// Messages that are handled by one reconciliation.
#[derive(Debug, Default)]
pub struct Batch {
    /// What the relevant messages say.
    pub hints: Hints,
    /// The messages about the service: deleted once a reconciliation has succeeded.
    pub relevant: Vec<Receipt>,
    /// The messages that need no reconciliation: deleted at once.
    pub deletable: Vec<Receipt>,
    /// The number of well-formed messages about other resources.
    pub foreign: usize,
    /// The malformed messages that are left to the redrive policy.
    pub malformed: Vec<Receipt>,
}

impl Batch {
    /// The number of messages.
    pub fn len(&self) -> usize {
        self.relevant.len() + self.deletable.len() + self.malformed.len()
    }

    /// Returns whether no message was received.
    pub fn is_empty(&self) -> bool {
        self.relevant.is_empty() && self.foreign == 0 && self.malformed.is_empty()
    }
}

/// Classifies the messages for one service.
pub struct Inbox {
    context: Context,
}

impl Inbox {
    /// An inbox for the context's service.
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Adds a message to a batch.
    pub fn add(&self, message: Message, redrive: Redrive, batch: &mut Batch) {
        let Context { scope, metrics, totals, .. } = &self.context;
        let event = match EventBridgeEvent::parse(&message.body) {
            Ok(event) => event,
            Err(malformed) => return self.reject(message, &malformed.to_string(), redrive, batch),
        };
        match event.hint_for(scope) {
            Some(hint) => {
                metrics.event_received(message.sent_at);
                totals.count_message();
                batch.hints.add(hint);
                batch.relevant.push(message.receipt);
            }
            None => {
                metrics.event_foreign(message.sent_at);
                totals.count_foreign();
                batch.foreign += 1;
                batch.deletable.push(message.receipt);
            }
        }
    }

    fn reject(&self, message: Message, reason: &str, redrive: Redrive, batch: &mut Batch) {
        self.context.metrics.message_rejected();
        let deleted = redrive == Redrive::None && message.receive_count >= LAST_RECEIVE;
        // A message that is deleted is logged whole: the log is its last trace.
        let body = if deleted { message.body.as_str() } else { truncate(&message.body, LOGGED_BODY) };
        self.context.log.emit(&Event::MessageRejected {
            message_id: message.receipt.message_id.clone(),
            reason: reason.to_owned(),
            body: body.to_owned(),
            receive_count: message.receive_count,
            deleted,
        });
        if deleted {
            batch.deletable.push(message.receipt);
        } else {
            batch.malformed.push(message.receipt);
        }
    }
}

/// Returns the longest prefix of a text that has at most so many bytes.
pub fn truncate(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::controller::scope::Scope;
    use crate::telemetry::log::{Format, Identity, Level, Log, LogConfig, Output};

    fn inbox() -> Inbox {
        let identity = Identity { project: "p".into(), cluster: "p-cluster".into(), service: "p-service".into() };
        let clock = Arc::new(SystemClock);
        let output = Output::discarded();
        let config = LogConfig { identity, format: Format::Json, level: Level::Info, clock: clock.clone(), output };
        let log = Log::new(config);
        let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
        Inbox::new(Context::new(scope, log, clock))
    }

    fn message(body: &str, receive_count: u32) -> Message {
        let receipt = Receipt { message_id: "id".into(), handle: format!("handle-{receive_count}") };
        Message { receipt, body: body.into(), receive_count, sent_at: None }
    }

    fn classify(body: &str, receive_count: u32, redrive: Redrive) -> Batch {
        let mut batch = Batch::default();
        inbox().add(message(body, receive_count), redrive, &mut batch);
        batch
    }

    #[test]
    fn leaves_a_malformed_message_to_the_redrive_policy_however_often_it_is_received() {
        for receive_count in [1, 5, 50] {
            let batch = classify("{", receive_count, Redrive::ToDeadLetterQueue);
            assert_eq!((batch.malformed.len(), batch.deletable.len()), (1, 0));
        }
    }

    #[test]
    fn deletes_a_malformed_message_at_the_fifth_receive_without_a_redrive_policy() {
        assert_eq!(classify("{", 4, Redrive::None).deletable.len(), 0);
        assert_eq!(classify("{", 5, Redrive::None).deletable.len(), 1);
    }

    #[test]
    fn deletes_a_foreign_message_at_once() {
        let batch = classify(r#"{"source":"aws.ec2","detail-type":"x"}"#, 1, Redrive::None);
        assert_eq!((batch.foreign, batch.deletable.len(), batch.relevant.len()), (1, 1, 0));
    }

    #[test]
    fn truncates_between_characters() {
        assert_eq!(truncate("aéb", 2), "a");
        assert_eq!(truncate("aéb", 3), "aé");
        assert_eq!(truncate("ab", 9), "ab");
    }
}
