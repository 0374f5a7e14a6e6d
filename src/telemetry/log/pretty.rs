//! The format for people at a terminal.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Colour, Event, Level};

/// The states of load balancers and targets that are coloured in messages.
const STATES: [(&str, AnsiColor); 9] = [
    ("active", AnsiColor::Green),
    ("healthy", AnsiColor::Green),
    ("draining", AnsiColor::Yellow),
    ("initial", AnsiColor::Yellow),
    ("provisioning", AnsiColor::Yellow),
    ("unused", AnsiColor::Yellow),
    ("active_impaired", AnsiColor::Red),
    ("failed", AnsiColor::Red),
    ("unhealthy", AnsiColor::Red),
];

/// Renders an event as a line. `service` names the service that the event is about, in the log of several.
pub fn line(event: &Event, service: Option<&str>, at: Timestamp, time_zone: &TimeZone, colour: Colour) -> String {
    let time = at.to_zoned_datetime(time_zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z");
    let level = event.level();
    let message = on_one_line(&event.message());
    // Text of libraries and of the load balancer command isn't about these states.
    let is_foreign = matches!(event, Event::Diagnostic { .. } | Event::CommandOutput { .. });
    let message = if colour == Colour::On && !is_foreign { colour_states(&message) } else { message };
    let style = match colour {
        Colour::On => level_style(level),
        Colour::Off => Style::new(),
    };
    let service = service.map(|service| on_one_line(service) + ": ").unwrap_or_default();
    format!("{time} {style}{:5}{style:#} {service}{message}\n", level.as_str())
}

fn level_style(level: Level) -> Style {
    match level {
        Level::Error => AnsiColor::Red.on_default(),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Info => AnsiColor::Green.on_default(),
        Level::Debug => Style::new().dimmed(),
    }
}

fn colour_states(message: &str) -> String {
    let mut coloured = String::with_capacity(message.len());
    let is_word = |c: char| c.is_ascii_alphabetic() || c == '_';
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        match STATES.iter().find(|(state, _)| *state == part) {
            Some((_, colour)) => {
                let style = colour.on_default();
                coloured.push_str(&format!("{style}{part}{style:#}"));
            }
            None => coloured.push_str(part),
        }
        rest = after;
    }
    coloured
}

/// Replaces control characters by spaces: line breaks and escape sequences in texts of others must not reach a terminal.
pub fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::TargetFields;

    fn became_healthy() -> Event {
        Event::TargetHealthChanged {
            target: TargetFields {
                task_id: Some("0f3d6c1e8a9b4f27b5d0c4e19a7f6b32".into()),
                ip: "10.0.1.23".into(),
                port: 10_000,
                target_group: "jitsi-jvb-udp".into(),
            },
            from: "initial".into(),
            to: "healthy".into(),
            reason: None,
            since_start_ms: None,
        }
    }

    fn at() -> Timestamp {
        "2026-11-20T18:00:54.7809Z".parse().expect("an instant")
    }

    #[test]
    fn shows_local_time_and_short_ids() {
        let time_zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(
            line(&became_healthy(), None, at(), &time_zone, Colour::Off),
            "2026-11-20T19:00:54.780+01:00 INFO  target 10.0.1.23:10000 in jitsi-jvb-udp (task 0f3d6c1e) changed from \
             initial to healthy\n"
        );
    }

    #[test]
    fn colours_levels_and_states() {
        let line = line(&became_healthy(), None, at(), &TimeZone::UTC, Colour::On);
        assert!(line.starts_with("2026-11-20T18:00:54.780+00:00 \u{1b}[32mINFO \u{1b}[0m target "), "{line:?}");
        assert!(line.ends_with("from \u{1b}[33minitial\u{1b}[0m to \u{1b}[32mhealthy\u{1b}[0m\n"), "{line:?}");
    }

    #[test]
    fn colours_whole_words() {
        for text in ["inactive", "jitsi-activebalancer", "unhealthy_ones"] {
            assert_eq!(colour_states(text), text);
        }
        assert_ne!(colour_states("2 healthy"), "2 healthy");
    }

    #[test]
    fn does_not_colour_the_texts_of_others() {
        let event = Event::Diagnostic { level: Level::Info, target: "library".into(), text: "failed".into() };
        assert!(line(&event, None, at(), &TimeZone::UTC, Colour::On).ends_with(" failed\n"));
    }
}
