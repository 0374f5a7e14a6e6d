//! The use of the platform and the stop for disuse, as the watcher reports them in its log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::telemetry::log::{Event, Subscriber};

/// A subscriber of the log that follows the use of the platform. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct UsageLog {
    inner: Arc<Mutex<Usage>>,
}

/// The use of the platform, as far as the watcher knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// The flows in the newest minute that CloudWatch shows.
    flows: Option<u64>,
    /// The time since which the load balancer has been unused.
    unused_since: Option<Timestamp>,
    /// The announcement of the stop.
    announcement: Option<Announcement>,
    /// The last stop.
    stopped: Option<Stopped>,
}

/// An announced stop.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Announcement {
    at: Timestamp,
    stop_at: Timestamp,
}

/// A stop of the service for disuse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stopped {
    /// The time without use before it.
    pub unused_for: Duration,
    /// The time from its announcement.
    pub announced_ahead: Duration,
}

impl UsageLog {
    /// Returns what is known now.
    pub fn get(&self) -> Usage {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for UsageLog {
    fn receive(&self, event: &Event, at: Timestamp, _: &dyn Fn() -> Map<String, Value>) {
        self.lock().follow(event, at);
    }
}

impl Usage {
    /// Returns the last stop of the service for disuse.
    pub fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// Returns the use as a text, e.g. "0 flows, unused for 8m; stop in 58s".
    pub fn text(&self, now: Timestamp) -> String {
        if let Some(Stopped { unused_for, .. }) = self.stopped {
            return format!("service stopped after {} without use", duration(unused_for));
        }
        let Some(flows) = self.flows else { return "unknown".to_owned() };
        let flows = if flows == 1 { "1 flow".to_owned() } else { format!("{flows} flows") };
        let Some(since) = self.unused_since else { return format!("{flows}, in use") };
        let stop = self.announcement.map(|Announcement { stop_at, .. }| match stop_at > now {
            true => format!("; stop in {}", duration(span(now, stop_at))),
            false => "; stop due".to_owned(),
        });
        format!("{flows}, unused for {}{}", duration(span(since, now)), stop.unwrap_or_default())
    }

    /// Returns whether a stop is announced.
    pub fn is_stop_announced(&self) -> bool {
        self.announcement.is_some()
    }

    fn follow(&mut self, event: &Event, at: Timestamp) {
        let time = |text: &String| text.parse().ok();
        match event {
            Event::Reconciled { desired, flows, unused_since, .. } => {
                self.flows = *flows;
                self.unused_since = unused_since.as_ref().and_then(time);
                if *desired > 0 {
                    self.stopped = None;
                }
            }
            Event::StopAnnounced { stop_at, .. } => {
                self.announcement = time(stop_at).map(|stop_at| Announcement { at, stop_at });
            }
            Event::StopWithdrawn { .. } => self.announcement = None,
            Event::ServiceStopped { unused_since, .. } => {
                let announced_at = self.announcement.take().map_or(at, |announced| announced.at);
                self.stopped = time(unused_since)
                    .map(|since| Stopped { unused_for: span(since, at), announced_ahead: span(announced_at, at) });
            }
            _ => {}
        }
    }
}

/// Formats a duration in whole seconds.
pub fn duration(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

fn span(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use jvb_watcher_rules::plan::StopObstacle;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-25T{text}Z").parse().expect("a time")
    }

    fn reconciled(flows: Option<u64>, unused_since: Option<&str>) -> Event {
        Event::Reconciled {
            observation: "o".to_owned(),
            desired: 1,
            running: 1,
            pending: 0,
            serving: 1,
            registered: 2,
            healthy: 2,
            load_balancer_state: "active".to_owned(),
            load_balancer_age_seconds: Some(600),
            flows,
            flows_minute: flows.map(|_| at("21:05:00").to_string()),
            unused_since: unused_since.map(|since| at(since).to_string()),
            changes: 0,
            findings: 0,
            messages: 0,
            foreign: 0,
            aws_calls: 9,
            duration_ms: 9,
        }
    }

    /// The text after these events, at 21:08:00.
    fn text(events: &[Event]) -> String {
        let mut usage = Usage::default();
        for event in events {
            usage.follow(event, at("21:08:00"));
        }
        usage.text(at("21:08:00"))
    }

    fn announced() -> Event {
        Event::StopAnnounced {
            stop_at: at("21:09:30").to_string(),
            unused_since: at("21:00:00").to_string(),
            observation: "o".to_owned(),
        }
    }

    #[test]
    fn tells_the_flows_and_the_time_without_use() {
        assert_eq!(text(&[reconciled(None, None)]), "unknown");
        assert_eq!(text(&[reconciled(Some(6), None)]), "6 flows, in use");
        assert_eq!(text(&[reconciled(Some(1), Some("21:01:00"))]), "1 flow, unused for 7m");
    }

    #[test]
    fn counts_down_to_an_announced_stop() {
        let unused = || reconciled(Some(0), Some("21:00:00"));
        assert_eq!(text(&[announced(), unused()]), "0 flows, unused for 8m; stop in 1m 30s");
        let mut due = Usage::default();
        due.follow(&announced(), at("21:08:00"));
        due.follow(&unused(), at("21:08:00"));
        assert_eq!(due.text(at("21:10:00")), "0 flows, unused for 10m; stop due");
        let withdrawn = Event::StopWithdrawn { reason: StopObstacle::InUse, observation: "o".to_owned() };
        assert_eq!(text(&[announced(), withdrawn, unused()]), "0 flows, unused for 8m");
    }

    #[test]
    fn keeps_the_stop_until_the_service_is_up_again() {
        let stopped = || Event::ServiceStopped {
            desired_before: 1,
            unused_since: at("21:00:00").to_string(),
            held: false,
            first_observation: None,
            observation: "o".to_owned(),
        };
        assert_eq!(text(&[announced(), stopped()]), "service stopped after 8m without use");
        assert_eq!(text(&[announced(), stopped(), reconciled(Some(0), None)]), "0 flows, in use");
    }
}
