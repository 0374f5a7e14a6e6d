//! The lines of the log, and its documentation.

use std::io::Write;
use std::sync::{Mutex, mpsc};

use super::*;
use crate::clock::Clock;

pub mod documentation;
pub mod examples;
mod schema;

struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct Lines(mpsc::Sender<Vec<u8>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn identity() -> Identity {
    Identity { project: "jitsi".into(), cluster: "jitsi-cluster".into(), service: "jitsi-service".into() }
}

/// Returns what a log of this format and level writes.
pub fn log_to(act: impl FnOnce(&Log), at: Timestamp, format: Format, level: Level) -> String {
    let (sender, lines) = mpsc::channel();
    let (clock, output) = (Arc::new(Fixed(at)), Output::direct(Box::new(Lines(sender))));
    act(&Log::new(LogConfig { identity: identity(), format, level, clock, output }));
    String::from_utf8(lines.try_iter().flatten().collect()).expect("text")
}

fn written(event: &Event, format: Format, level: Level) -> String {
    log_to(|log| log.emit(event), at(), format, level)
}

/// Returns an event's name.
pub fn name_of(event: &Event) -> String {
    let event = serde_json::to_value(event).expect("JSON");
    event["event"].as_str().expect("an event has a name").to_owned()
}

#[test]
fn a_line_about_another_service_names_it_and_goes_to_the_same_output() {
    let act = |log: &Log| {
        let other = Identity { project: "q".into(), cluster: "c".into(), service: "meet".into() };
        log.about(other).emit(&Event::Listening { address: "x".to_owned() });
        log.emit(&Event::Listening { address: "x".to_owned() });
    };
    let json = log_to(act, at(), Format::Json, Level::Info);
    let services = json.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["service"].clone());
    assert_eq!(services.collect::<Vec<_>>(), ["meet", "jitsi-service"]);
    let pretty = Format::Pretty { colour: Colour::Off, time_zone: TimeZone::UTC };
    let lines = log_to(act, at(), pretty, Level::Info);
    let messages: Vec<_> =
        lines.lines().filter_map(|line| line.split_once("INFO")).map(|(_, rest)| rest.trim()).collect();
    assert_eq!(messages, ["meet: listening on x", "listening on x"]);
}

fn at() -> Timestamp {
    "2026-11-20T18:00:54.7809Z".parse().expect("an instant")
}

fn diagnostic(level: Level, text: &str) -> Event {
    Event::Diagnostic { level, target: "library".into(), text: text.into() }
}

fn pretty(colour: Colour) -> Format {
    Format::Pretty { colour, time_zone: TimeZone::UTC }
}

#[test]
fn writes_utc_timestamps_with_milliseconds() {
    let line = written(&diagnostic(Level::Info, "x"), Format::Json, Level::Info);
    assert!(
        line.starts_with(r#"{"timestamp":"2026-11-20T18:00:54.780Z","level":"INFO","event":"diagnostic""#),
        "{line}"
    );
}

#[test]
fn omits_events_below_the_level() {
    let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
    for enabled in levels {
        for level in levels {
            let line = written(&diagnostic(level, "x"), Format::Json, enabled);
            assert_eq!(line.is_empty(), level > enabled, "{level:?} at {enabled:?}");
        }
    }
}

#[test]
fn escapes_control_characters() {
    for format in [Format::Json, pretty(Colour::Off), pretty(Colour::On)] {
        let line = written(&diagnostic(Level::Warn, "a\nb\r\u{1b}[2Jc\u{0}"), format, Level::Info);
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(line.ends_with('\n'));
        assert!(!line.contains("\u{1b}[2J"), "{line:?}");
    }
}

#[test]
fn colours_only_when_asked_to() {
    let is_coloured = |colour| written(&diagnostic(Level::Error, "x"), pretty(colour), Level::Info).contains('\u{1b}');
    assert!(is_coloured(Colour::On));
    assert!(!is_coloured(Colour::Off));
}

/// A writer that blocks while the test holds the lock.
struct Stalled(Arc<Mutex<()>>, mpsc::Sender<Vec<u8>>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _turn = self.0.lock().expect("not poisoned");
        self.1.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stalled_reader_does_not_block_and_learns_how_many_lines_were_dropped() {
    let gate = Arc::new(Mutex::new(()));
    let (sender, lines) = mpsc::channel();
    let output = Output::detached(Box::new(Stalled(gate.clone(), sender)));
    let clock = Arc::new(Fixed(at()));
    let log = Log::new(LogConfig { identity: identity(), format: Format::Json, level: Level::Info, clock, output });
    {
        let _stalled = gate.lock().expect("not poisoned");
        for _ in 0..12_000 {
            log.emit(&diagnostic(Level::Info, "x"));
        }
    }
    let parse = |line: &[u8]| serde_json::from_slice::<Value>(line).expect("JSON");
    let mut written: Vec<Value> = (0..10_000).map(|_| parse(&lines.recv().expect("a line"))).collect();
    log.emit(&diagnostic(Level::Info, "the last"));
    log.finish(Duration::from_secs(30));
    written.extend(lines.try_iter().map(|line| parse(&line)));
    let dropped: u64 = written.iter().filter_map(|line| line["lines"].as_u64()).sum();
    let received = written.iter().filter(|line| line["event"] == "diagnostic").count() as u64;
    assert!(dropped > 0);
    assert_eq!(received + dropped, 12_001);
    assert_eq!(written.last().expect("a line")["message"], "the last");
}
