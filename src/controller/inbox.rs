//! Classifies received messages: relevant, foreign or malformed.

use jiff::Timestamp;

use crate::aws::{Message, Receipt, Redrive};
use crate::controller::context::{Context, QueueContext};
use crate::controller::message::{EventBridgeEvent, Hint, Hints};
use crate::controller::routes::Routes;
use crate::telemetry::log::Event;

/// The first bytes of a malformed message's body that are logged while the message stays on the queue.
pub const LOGGED_BODY: usize = 2 * 1024;

/// The receive at which a malformed message is deleted from a queue without a redrive policy.
pub const LAST_RECEIVE: u32 = 5;

/// The messages of a service that one reconciliation handles.
#[derive(Debug, Default)]
pub struct Batch {
    /// What they say.
    pub hints: Hints,
    /// Their receipts: deleted once a reconciliation has succeeded.
    pub receipts: Vec<Receipt>,
}

/// A classified message.
#[derive(Debug)]
pub enum Sorted<K> {
    /// About a service: deleted once a reconciliation of it has succeeded.
    Relevant {
        /// The service.
        service: K,
        /// What the message says.
        hint: Hint,
        /// The message.
        receipt: Receipt,
        /// The time at which it was sent.
        sent_at: Option<Timestamp>,
    },
    /// About something else, or malformed and received for the last time: deleted at once.
    Deletable(Receipt),
    /// Malformed: left to the redrive policy.
    Malformed(Receipt),
}

/// Classifies messages.
pub struct Inbox {
    context: QueueContext,
}

impl Inbox {
    /// An inbox that logs and counts what belongs to no service in this context.
    pub fn new(context: QueueContext) -> Self {
        Self { context }
    }

    /// Classifies a message.
    pub fn sort<K: Copy>(&self, message: Message, redrive: Redrive, routes: &Routes<K>) -> Sorted<K> {
        let event = match EventBridgeEvent::parse(&message.body) {
            Ok(event) => event,
            Err(malformed) => return self.reject(message, &malformed.to_string(), redrive),
        };
        let Message { receipt, sent_at, .. } = message;
        match routes.route(event) {
            Some((service, hint)) => Sorted::Relevant { service, hint, receipt, sent_at },
            None => {
                self.context.metrics.event_foreign(sent_at);
                self.context.totals.count_foreign();
                Sorted::Deletable(receipt)
            }
        }
    }

    fn reject<K>(&self, message: Message, reason: &str, redrive: Redrive) -> Sorted<K> {
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
        if deleted { Sorted::Deletable(message.receipt) } else { Sorted::Malformed(message.receipt) }
    }
}

impl Context {
    /// Counts a message about the service.
    pub fn count_message(&self, sent_at: Option<Timestamp>) {
        self.metrics.event_received(sent_at);
        self.totals.count_message();
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

    fn sort(body: &str, receive_count: u32, redrive: Redrive) -> Sorted<usize> {
        let identity = Identity { project: "p".into(), cluster: "p-cluster".into(), service: "p-service".into() };
        let clock = Arc::new(SystemClock);
        let output = Output::discarded();
        let config = LogConfig { identity, format: Format::Json, level: Level::Info, clock: clock.clone(), output };
        let log = Log::new(config);
        let scope = Scope { cluster: "p-cluster".into(), service: "p-service".into() };
        let mut routes = Routes::default();
        routes.insert(&scope, 7);
        let inbox = Inbox::new(QueueContext::from(&Context::new(scope, log, clock)));
        let receipt = Receipt { message_id: "id".into(), handle: format!("handle-{receive_count}") };
        inbox.sort(Message { receipt, body: body.into(), receive_count, sent_at: None }, redrive, &routes)
    }

    #[test]
    fn leaves_a_malformed_message_to_the_redrive_policy_however_often_it_is_received() {
        for receive_count in [1, 5, 50] {
            assert!(matches!(sort("{", receive_count, Redrive::ToDeadLetterQueue), Sorted::Malformed(_)));
        }
    }

    #[test]
    fn deletes_a_malformed_message_at_the_fifth_receive_without_a_redrive_policy() {
        assert!(matches!(sort("{", 4, Redrive::None), Sorted::Malformed(_)));
        assert!(matches!(sort("{", 5, Redrive::None), Sorted::Deletable(_)));
    }

    #[test]
    fn deletes_a_foreign_message_at_once() {
        assert!(matches!(sort(r#"{"source":"aws.ec2","detail-type":"x"}"#, 1, Redrive::None), Sorted::Deletable(_)));
    }

    #[test]
    fn truncates_between_characters() {
        assert_eq!(truncate("aéb", 2), "a");
        assert_eq!(truncate("aéb", 3), "aé");
        assert_eq!(truncate("ab", 9), "ab");
    }
}
