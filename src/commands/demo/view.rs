//! The live view: the sandbox and the watcher's log on one screen of at least 80×24.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, Wrap};

use super::stage::{Posted, SENTENCE};
use super::usage::{self, Usage};
use jvb_watcher_rules::model::IDLE_SINCE_TAG;
use jvb_watcher_sandbox::platform::PROJECT;
use jvb_watcher_sandbox::world::{CallEvent, GroupView, ListenerView, TaskView, World};

/// The width from which the log is beside the sandbox instead of below it.
const WIDE: u16 = 130;

/// The width of the sandbox beside the log.
const WORLD_WIDTH: u16 = 74;

/// The time for which a stopped task stays in view.
const STOPPED_SHOWN: Duration = Duration::from_secs(3);

/// The length of shortened task ids.
const ID_SHOWN: usize = 6;

/// The length of a task's id.
const ID: usize = 32;

/// Service, load balancer, domain, callers, use and queue, a line each.
const FACTS_HEIGHT: u16 = 6;

/// The place of the time of day in a line's timestamp.
const LOG_TIME: std::ops::Range<usize> = 11..19;

/// The sandbox at one instant, as text.
#[derive(Debug, Default)]
pub struct Snapshot {
    elapsed: Duration,
    service: String,
    load_balancer: String,
    domain: String,
    callers: String,
    usage: String,
    queue: String,
    tasks: Vec<[String; 3]>,
    /// The target groups, each with the listener that forwards to it.
    groups: Vec<String>,
    /// The states of each address, one a target group.
    targets: BTreeMap<String, Vec<&'static str>>,
}

impl Snapshot {
    /// Takes a snapshot.
    pub fn take(world: &World, now: Timestamp, elapsed: Duration, calls: u64, usage: &Usage) -> Self {
        let groups = world.groups();
        let listeners = world.listeners();
        Self {
            elapsed,
            service: service(world),
            load_balancer: load_balancer(world, now),
            domain: domain(world),
            callers: callers(world),
            usage: usage.text(now),
            queue: queue(world, calls),
            tasks: tasks(world.tasks(), now),
            groups: groups.iter().map(|group| with_listener(group, &listeners)).collect(),
            targets: targets(&groups),
        }
    }
}

fn service(world: &World) -> String {
    let tell = |service: jvb_watcher_sandbox::world::ServiceView| {
        format!("{} desired, {} running, {} pending", service.desired, service.running, service.pending)
    };
    world.services().into_iter().next().map_or_else(|| "none".to_owned(), tell)
}

fn load_balancer(world: &World, now: Timestamp) -> String {
    let Some(load_balancer) = world.load_balancers().into_iter().next() else { return "none".to_owned() };
    let age = Duration::try_from(now.duration_since(load_balancer.created_at)).unwrap_or_default();
    let is_marked = load_balancer.tags.iter().any(|(key, _)| key == IDLE_SINCE_TAG);
    let mark = if is_marked { ", marked as idle" } else { "" };
    format!("{}, up {}{mark}", load_balancer.state, usage::duration(age))
}

fn domain(world: &World) -> String {
    let Some(domain) = &world.settings().calls.domain else { return "none".to_owned() };
    match world.records().into_iter().find(|record| record.name == *domain) {
        None => format!("{domain} has no record"),
        Some(record) if record.addresses.is_empty() => format!("{domain} does not resolve"),
        Some(record) => {
            let addresses: Vec<String> = record.addresses.iter().map(ToString::to_string).collect();
            format!("{domain} resolves to {}", addresses.join(", "))
        }
    }
}

/// Tells how many callers are in the call, and what keeps the first of the others out.
fn callers(world: &World) -> String {
    let callers = world.callers();
    if callers.is_empty() {
        return "none".to_owned();
    }
    let joined = callers.iter().filter(|caller| caller.state == CallEvent::Joined).count();
    let obstacle = callers.iter().find_map(|caller| match caller.state {
        CallEvent::NoSignIn(reason) => Some(format!("; no sign-in: {reason}")),
        CallEvent::NoMedia(reason) => Some(format!("; no media: {reason}")),
        CallEvent::Joined | CallEvent::Dropped | CallEvent::Left => None,
    });
    format!("{joined} of {} in the call{}", callers.len(), obstacle.unwrap_or_default())
}

/// Returns a group's name, shortened, after the listener that forwards to it.
fn with_listener(group: &GroupView, listeners: &[ListenerView]) -> String {
    let name = group.name.trim_start_matches(PROJECT).trim_start_matches("-jvb-");
    let listener = listeners.iter().find(|listener| listener.groups.contains(&group.arn));
    listener.map_or_else(|| name.to_owned(), |listener| format!("{} {}→{name}", listener.protocol, listener.port))
}

fn queue(world: &World, calls: u64) -> String {
    let queues = world.queues();
    let name = format!("{PROJECT}-jvb-watcher");
    let (waiting, in_flight) = queues
        .iter()
        .find(|queue| queue.name == name)
        .map_or((0, 0), |queue| (queue.visible + queue.delayed, queue.in_flight));
    let events = world.event_counts().delivered;
    format!("{waiting} visible, {in_flight} in flight; {events} received, {calls} AWS calls")
}

/// Live tasks first, then those that have just stopped.
fn tasks(mut tasks: Vec<TaskView>, now: Timestamp) -> Vec<[String; 3]> {
    let is_shown = |task: &TaskView| {
        task.stopped_at.is_none_or(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default() < STOPPED_SHOWN)
    };
    tasks.retain(is_shown);
    tasks.sort_by_key(|task| (task.stopped_at, task.started_at.is_none(), task.started_at));
    let row = |task: TaskView| {
        // Only RUNNING hides that ECS has begun to stop the task.
        let fate = if task.last_status == "RUNNING" && task.desired_status == "STOPPED" { ", stopping" } else { "" };
        let address = task.address.map(|address| address.to_string()).unwrap_or_default();
        [task.id.chars().take(ID_SHOWN).collect(), format!("{}{fate}", task.last_status), address]
    };
    tasks.into_iter().map(row).collect()
}

fn targets(groups: &[GroupView]) -> BTreeMap<String, Vec<&'static str>> {
    let mut targets: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for (number, group) in groups.iter().enumerate() {
        for target in &group.targets {
            let states = targets.entry(target.id.clone()).or_insert_with(|| vec!["-"; groups.len()]);
            states[number] = target.state;
        }
    }
    targets
}

/// Draws the view.
pub fn draw(frame: &mut Frame<'_>, title: &str, snapshot: &Snapshot, posted: &Posted) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(4), Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    draw_header(frame, header, title, snapshot, posted);
    frame.render_widget(Line::styled(" q or Ctrl-C to quit", Style::new().add_modifier(Modifier::DIM)), footer);
    if body.width >= WIDE {
        let [world, log] = Layout::horizontal([Constraint::Length(WORLD_WIDTH), Constraint::Fill(1)]).areas(body);
        let [facts, tasks, targets] =
            Layout::vertical([Constraint::Length(FACTS_HEIGHT), Constraint::Fill(1), Constraint::Fill(1)]).areas(world);
        draw_world(frame, [facts, tasks, targets], snapshot);
        draw_log(frame, log, posted);
    } else {
        let [facts, world, log] =
            Layout::vertical([Constraint::Length(FACTS_HEIGHT), Constraint::Fill(1), Constraint::Fill(1)]).areas(body);
        let [tasks, targets] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(world);
        draw_world(frame, [facts, tasks, targets], snapshot);
        draw_log(frame, log, posted);
    }
}

fn draw_header(frame: &mut Frame<'_>, area: Rect, title: &str, snapshot: &Snapshot, posted: &Posted) {
    let clock = format!(" {:.1} s ", snapshot.elapsed.as_secs_f64());
    let block = Block::bordered().title(format!(" {title} ")).title_top(Line::from(clock).right_aligned());
    let style = Style::new().add_modifier(Modifier::BOLD);
    let sentence = Paragraph::new(posted.sentence.as_str()).style(style).wrap(Wrap { trim: true }).block(block);
    frame.render_widget(sentence, area);
}

fn draw_world(frame: &mut Frame<'_>, [facts, tasks, targets]: [Rect; 3], snapshot: &Snapshot) {
    let fact = |name: &'static str, value: &str| {
        Line::from(vec![Span::styled(format!(" {name:<10}"), Color::Cyan), Span::raw(value.to_owned())])
    };
    let lines = vec![
        fact("Service", &snapshot.service),
        fact("NLB", &snapshot.load_balancer),
        fact("Domain", &snapshot.domain),
        fact("Callers", &snapshot.callers),
        fact("Use", &snapshot.usage),
        fact("Queue", &snapshot.queue),
    ];
    frame.render_widget(Paragraph::new(lines), facts);
    let bold = Style::new().add_modifier(Modifier::DIM);
    let rows = snapshot.tasks.iter().map(|[id, status, address]| {
        Row::new([
            Cell::from(id.as_str()),
            Cell::from(status.as_str()).style(colour(status)),
            Cell::from(address.as_str()),
        ])
    });
    let widths = [Constraint::Length(6), Constraint::Fill(1), Constraint::Length(11)];
    let header = Row::new(["id", "lastStatus", "address"]).style(bold);
    frame.render_widget(Table::new(rows, widths).header(header).block(Block::bordered().title(" Tasks ")), tasks);
    let rows = snapshot.targets.iter().map(|(address, states)| {
        let states = states.iter().map(|state| Cell::from(*state).style(colour(state)));
        Row::new(std::iter::once(Cell::from(address.as_str())).chain(states))
    });
    let mut widths = vec![Constraint::Length(10)];
    widths.extend(snapshot.groups.iter().map(|_| Constraint::Fill(1)));
    let header = Row::new(std::iter::once("address").chain(snapshot.groups.iter().map(String::as_str))).style(bold);
    frame.render_widget(Table::new(rows, widths).header(header).block(Block::bordered().title(" Targets ")), targets);
}

fn colour(state: &str) -> Style {
    match state {
        "RUNNING" | "healthy" => Style::new().fg(Color::Green),
        "unhealthy" => Style::new().fg(Color::Red),
        "initial" | "PROVISIONING" | "PENDING" | "ACTIVATING" => Style::new().fg(Color::Yellow),
        _ => Style::new().add_modifier(Modifier::DIM),
    }
}

/// Draws the newest lines that fit, each wrapped.
fn draw_log(frame: &mut Frame<'_>, area: Rect, posted: &Posted) {
    let block = Block::bordered().title(" Log of the watcher ");
    let inner = block.inner(area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut rows: Vec<Line<'_>> = Vec::new();
    for line in posted.lines.iter().rev() {
        if rows.len() >= height {
            break;
        }
        let (text, style) = shown(line);
        rows.extend(wrapped(&text, width).into_iter().rev().map(|row| Line::styled(row, style)));
    }
    rows.truncate(height);
    rows.reverse();
    frame.render_widget(Paragraph::new(rows).block(block), area);
}

/// Returns a line of the log without its date, in the colour of its level.
fn shown(line: &str) -> (String, Style) {
    if line.starts_with(SENTENCE) {
        return (line.to_owned(), Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD));
    }
    let mut parts = line.splitn(3, ' ');
    let time = parts.next().and_then(|timestamp| timestamp.get(LOG_TIME));
    let (Some(time), Some(level), Some(message)) = (time, parts.next(), parts.next()) else {
        return (line.to_owned(), Style::new());
    };
    let style = match level {
        "ERROR" => Style::new().fg(Color::Red),
        "WARN" => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    };
    (format!("{time} {}", with_short_ids(message.trim_start())), style)
}

/// Shortens the task ids in a text, as elsewhere in the view.
fn with_short_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == ID && word.chars().all(|c| c.is_ascii_hexdigit());
    let short = |word: &str| {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let end = &word[bare.len()..];
        if is_id(bare) { format!("{}{end}", &bare[..ID_SHOWN]) } else { word.to_owned() }
    };
    text.split_inclusive(' ').map(short).collect()
}

/// Wraps a text into rows of at most `width` characters, at spaces where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rows = Vec::new();
    let mut row: Vec<char> = Vec::new();
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if !row.is_empty() && row.len() + length > width {
            rows.push(std::mem::take(&mut row));
        }
        row.extend(word.chars());
        // A word longer than a row continues in the next; a space at the end needs no room.
        while row.len() > width {
            let rest = row.split_off(width);
            rows.push(std::mem::replace(&mut row, rest));
            if row == [' '] {
                row.clear();
            }
        }
    }
    rows.push(row);
    rows.into_iter().map(|row| row.into_iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn drawn(width: u16, height: u16, posted: &Posted) -> Vec<String> {
        let snapshot = Snapshot {
            elapsed: Duration::from_secs(3),
            service: "2 desired, 1 running, 1 pending".to_owned(),
            load_balancer: "active, up 21m 3s".to_owned(),
            domain: "meet.jitsi.test resolves to 203.0.113.1".to_owned(),
            callers: "1 of 3 in the call; no media: flow to another bridge".to_owned(),
            usage: "0 flows, unused for 8m; stop in 58s".to_owned(),
            queue: "none".to_owned(),
            tasks: vec![["abc123".to_owned(), "RUNNING, stopping".to_owned(), "10.0.1.123".to_owned()]],
            groups: vec!["UDP 10000→udp".to_owned(), "TLS 443→web".to_owned()],
            targets: [("10.0.1.123".to_owned(), vec!["healthy", "initial"])].into(),
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, "Title", &snapshot, posted)).unwrap();
        let cells = terminal.backend().buffer().content();
        let row = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
        cells.chunks(usize::from(width)).map(row).collect()
    }

    #[test]
    fn shows_everything_on_small_and_large_terminals() {
        let mut posted = Posted { sentence: "The first caller.".to_owned(), ..Posted::default() };
        for number in 0..100 {
            posted.lines.push_back(format!("2026-11-23T17:24:00.123+01:00 WARN  line {number}"));
        }
        for (width, height) in [(80, 24), (129, 30), (130, 30), (200, 50)] {
            let screen = drawn(width, height, &posted).join("\n");
            for word in [
                "Title",
                "3.0 s",
                "The first caller.",
                "2 desired, 1 running, 1 pending",
                "active, up 21m 3s",
                "0 flows, unused for 8m; stop in 58s",
                "meet.jitsi.test resolves to 203.0.113.1",
                "1 of 3 in the call; no media: flow to another bridge",
                "UDP 10000→udp",
                "TLS 443→web",
                "abc123 RUNNING, stopping",
                "10.0.1.123",
                "healthy",
                "initial",
                "17:24:00 line 99",
                "q or Ctrl-C",
            ] {
                assert!(screen.contains(word), "{word:?} is missing at {width}×{height}:\n{screen}");
            }
        }
    }

    #[test]
    fn draws_on_terminals_of_any_size() {
        let posted = Posted { lines: ["x".repeat(300)].into(), ..Posted::default() };
        for (width, height) in [(1, 1), (3, 2), (10, 5), (140, 3), (20, 200)] {
            drawn(width, height, &posted);
        }
    }

    #[test]
    fn wraps_at_spaces_and_breaks_long_words() {
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrapped("a bcdefgh i", 4), ["a ", "bcde", "fgh ", "i"]);
        assert_eq!(wrapped("abcd ef", 4), ["abcd", "ef"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn shortens_task_ids_in_the_log() {
        let id = "f782305f0d0374dc05e242e780a26ea0";
        let line = format!("2026-11-23T17:24:00.123+01:00 INFO  registered x (task {id}): its task runs");
        assert_eq!(shown(&line).0, "17:24:00 registered x (task f78230): its task runs");
    }
}
