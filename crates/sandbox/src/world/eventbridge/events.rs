//! Events: emission, loss and delivery.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{EventBridge, Rule, check_bus, invalid};
use crate::api::ApiError;
use crate::api::eventbridge as api;
use crate::world::random::Random;
use crate::world::settings::Settings;
use crate::world::sqs::{Sender, Sqs, SqsContext};
use crate::world::{Context, Timer};

/// Number of recent events that can be replayed.
const MAX_RECENT: usize = 1000;

/// The members of an event's envelope that its source determines.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// source.
    pub source: &'a str,
    /// detail-type.
    pub detail_type: &'a str,
    /// resources.
    pub resources: &'a [String],
    /// detail.
    pub detail: Value,
    /// time.
    pub time: Timestamp,
}

impl Envelope<'_> {
    /// Returns the whole event.
    pub fn into_event(self, settings: &Settings, random: &mut Random) -> Value {
        json!({
            "version": "0",
            "id": random.uuid(),
            "detail-type": self.detail_type,
            "source": self.source,
            "account": settings.account,
            // In whole seconds, as on AWS.
            "time": format!("{:.0}", self.time),
            "region": settings.region,
            "resources": self.resources,
            "detail": self.detail,
        })
    }
}

impl EventBridge {
    /// Accepts an event. It arrives after a delay, or is lost, duplicated or late according to the settings.
    pub fn emit(&mut self, event: Value, context: &mut Context<'_>) {
        self.counts.made += 1;
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(event.clone());
        let settings = &context.settings.events;
        // Everything is drawn for every event, so that the rate of one fault doesn't change which events others affect.
        let lost = context.random.chance(settings.lost);
        let duplicated = context.random.chance(settings.duplicated);
        let (delayed, delay) = (context.random.chance(settings.delayed), context.random.up_to(settings.delay));
        let (reordered, shift) =
            (context.random.chance(settings.reordered), context.random.up_to(settings.reorder_within));
        let duplicate_delay = context.random.up_to(settings.reorder_within);
        if lost {
            self.counts.lost += 1;
            return;
        }
        let mut latency = settings.latency;
        if delayed {
            latency = latency.saturating_add(delay);
        }
        if reordered {
            latency = latency.saturating_add(shift);
        }
        if duplicated {
            context.start_timer(latency.saturating_add(duplicate_delay), Timer::Deliver(event.clone()));
        }
        context.start_timer(latency, Timer::Deliver(event));
    }

    /// Delivers the last events that match a rule again.
    pub fn replay(&self, number: usize, context: &mut Context<'_>) {
        let is_matched = |event: &&Value| self.rules.values().any(|rule| rule.matches(event));
        let matched: Vec<_> = self.recent.iter().filter(is_matched).collect();
        for event in matched.into_iter().rev().take(number).rev().cloned() {
            context.start_timer(context.settings.events.latency, Timer::Deliver(event));
        }
    }

    /// Delivers an event to the targets of the rules that match it.
    pub fn deliver(&mut self, event: &Value, sqs: &mut Sqs, context: &mut SqsContext<'_>) {
        let body = event.to_string();
        let matching: Vec<&Rule> = self.rules.values().filter(|rule| rule.matches(event)).collect();
        self.counts.unmatched += u64::from(matching.is_empty());
        for rule in matching {
            let sender = Sender {
                service: "events.amazonaws.com",
                source_arn: &rule.api.arn,
                source_account: &context.settings.account,
            };
            for target in rule.targets.values() {
                if sqs.deliver(&target.arn, &body, sender, context) {
                    self.counts.delivered += 1;
                    continue;
                }
                self.counts.refused += 1;
                let dead_letter_queue = target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
                if let Some(arn) = dead_letter_queue {
                    sqs.deliver(arn, &body, sender, context);
                }
            }
        }
    }

    pub(super) fn put_events(
        &mut self,
        input: &api::PutEventsInput,
        context: &mut Context<'_>,
    ) -> Result<api::PutEventsOutput, ApiError> {
        if !(1..=10).contains(&input.entries.len()) {
            let message = "1 validation error detected: 'entries' must have a length between 1 and 10";
            return Err(invalid(message));
        }
        let mut output = api::PutEventsOutput::default();
        for entry in &input.entries {
            let result = match read_entry(entry, context) {
                Ok(event) => {
                    let event_id = event["id"].as_str().map(str::to_owned);
                    self.emit(event, context);
                    api::PutEventsResult { event_id, ..api::PutEventsResult::default() }
                }
                Err((code, message)) => {
                    output.failed_entry_count += 1;
                    let (error_code, error_message) = (Some(code.to_owned()), Some(message.to_owned()));
                    api::PutEventsResult { event_id: None, error_code, error_message }
                }
            };
            output.entries.push(result);
        }
        Ok(output)
    }
}

/// Reads an entry of PutEvents as an event, or returns the code and message with which AWS refuses it.
fn read_entry(entry: &api::PutEventsEntry, context: &mut Context<'_>) -> Result<Value, (&'static str, &'static str)> {
    let given = |member: &Option<String>| member.clone().filter(|text| !text.is_empty());
    let code = "InvalidArgument";
    let source =
        given(&entry.source).ok_or((code, "Parameter Source is not valid. Reason: Source is a required argument."))?;
    let detail_type = given(&entry.detail_type)
        .ok_or((code, "Parameter DetailType is not valid. Reason: DetailType is a required argument."))?;
    let detail =
        given(&entry.detail).ok_or((code, "Parameter Detail is not valid. Reason: Detail is a required argument."))?;
    if check_bus(entry.event_bus_name.as_deref()).is_err() {
        return Err((code, "Parameter EventBusName is not valid. Reason: there is only the default event bus."));
    }
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source."));
    }
    let detail: Value = serde_json::from_str(&detail).map_err(|_| ("MalformedDetail", "Detail is malformed."))?;
    if !detail.is_object() {
        return Err(("MalformedDetail", "Detail is malformed."));
    }
    let envelope = Envelope {
        source: &source,
        detail_type: &detail_type,
        resources: &entry.resources,
        detail,
        time: entry.time.unwrap_or(context.now),
    };
    Ok(envelope.into_event(context.settings, context.random))
}
