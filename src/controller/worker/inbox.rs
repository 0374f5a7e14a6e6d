//! What arrives, sorted: of this service, of somebody else, or of no use to anyone.

use crate::aws::{Message, Receipt, Redrive};
use crate::controller::message::Notice;
use crate::controller::reconcile::{Hints, Scope};
use crate::telemetry::log::{Event, Log};
use crate::telemetry::metrics::Metrics;

/// So much of a malformed message's body is logged while it may still come again.
pub(crate) const LOGGED_BODY: usize = 2 * 1024;

/// On a queue without a redrive policy a malformed message is deleted at this receive.
pub(crate) const LAST_RECEIVE: u32 = 5;

/// What was received in one go.
#[derive(Debug, Default)]
pub struct Batch {
    /// Where to look.
    pub hints: Hints,
    /// The messages behind the hints: to be deleted once a look has succeeded.
    pub relevant: Vec<Receipt>,
    /// The messages that nothing more will come of: to be deleted at once.
    pub done: Vec<Receipt>,
    /// How many of them were well-formed and not of this service.
    pub foreign: usize,
    /// The malformed ones that stay on the queue.
    pub left: Vec<Receipt>,
}

impl Batch {
    /// How many messages went into it.
    pub fn len(&self) -> usize {
        self.relevant.len() + self.done.len() + self.left.len()
    }

    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.relevant.is_empty() && self.foreign == 0 && self.left.is_empty()
    }
}

/// Sorts messages for one service.
pub struct Inbox {
    scope: Scope,
    log: Log,
    metrics: Metrics,
}

impl Inbox {
    /// An inbox for the service.
    pub fn new(scope: Scope, log: Log) -> Self {
        Self { scope, log, metrics: Metrics::off() }
    }

    /// The same, with its figures gathered.
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Puts a message where it belongs.
    pub fn sort(&self, message: Message, redrive: Redrive, batch: &mut Batch) {
        let notice = match Notice::parse(&message.body) {
            Ok(notice) => notice,
            Err(malformed) => return self.reject(message, &malformed.to_string(), redrive, batch),
        };
        match notice.concerning(&self.scope.cluster, &self.scope.service) {
            Some(hint) => {
                self.metrics.event_received(message.sent_at);
                batch.hints.add(hint);
                batch.relevant.push(message.receipt);
            }
            None => {
                self.metrics.event_foreign(message.sent_at);
                batch.foreign += 1;
                batch.done.push(message.receipt);
            }
        }
    }

    fn reject(&self, message: Message, reason: &str, redrive: Redrive, batch: &mut Batch) {
        self.metrics.message_rejected();
        let deleted = redrive == Redrive::None && message.receive_count >= LAST_RECEIVE;
        // Its last trace is whole.
        let body = if deleted { message.body.as_str() } else { cut(&message.body, LOGGED_BODY) };
        self.log.emit(&Event::MessageRejected {
            message_id: message.receipt.message_id.clone(),
            reason: reason.to_owned(),
            body: body.to_owned(),
            receive_count: message.receive_count,
            deleted,
        });
        if deleted {
            batch.done.push(message.receipt);
        } else {
            batch.left.push(message.receipt);
        }
    }
}

/// The beginning of a text, at most so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::telemetry::log::{Format, Identity, Level, LogConfig, Output};

    fn inbox() -> Inbox {
        let identity = Identity { project: "p".into(), cluster: "p-cluster".into(), service: "p-service".into() };
        let (clock, output) = (Arc::new(SystemClock), Output::discarded());
        let log = Log::new(LogConfig { identity, format: Format::Json, level: Level::Info, clock, output });
        Inbox::new(Scope { cluster: "p-cluster".into(), service: "p-service".into() }, log)
    }

    fn message(body: &str, receive_count: u32) -> Message {
        let receipt = Receipt { message_id: "id".into(), handle: format!("handle-{receive_count}") };
        Message { receipt, body: body.into(), receive_count, sent_at: None }
    }

    fn sorted(body: &str, receive_count: u32, redrive: Redrive) -> Batch {
        let mut batch = Batch::default();
        inbox().sort(message(body, receive_count), redrive, &mut batch);
        batch
    }

    #[test]
    fn a_malformed_message_is_left_to_the_redrive_policy_however_often_it_comes() {
        for receive_count in [1, 5, 50] {
            let batch = sorted("{", receive_count, Redrive::ToDeadLetterQueue);
            assert_eq!((batch.left.len(), batch.done.len()), (1, 0));
        }
    }

    #[test]
    fn without_a_redrive_policy_a_malformed_message_is_deleted_at_the_fifth_receive() {
        assert_eq!(sorted("{", 4, Redrive::None).done.len(), 0);
        assert_eq!(sorted("{", 5, Redrive::None).done.len(), 1);
    }

    #[test]
    fn a_foreign_message_is_done_with_at_once() {
        let batch = sorted(r#"{"source":"aws.ec2","detail-type":"x"}"#, 1, Redrive::None);
        assert_eq!((batch.foreign, batch.done.len(), batch.relevant.len()), (1, 1, 0));
    }

    #[test]
    fn a_body_is_cut_between_characters() {
        assert_eq!(cut("aéb", 2), "a");
        assert_eq!(cut("aéb", 3), "aé");
        assert_eq!(cut("ab", 9), "ab");
    }
}
