//! The verdict for people.

use std::fmt::Write;

use jiff::Timestamp;

use crate::verdict::{Breach, Check, Citation, Gap, State, Verdict};

/// The most breaches of a claim, and the most gaps, that are listed; all are in the JSON.
const LISTED: usize = 10;

/// Writes the verdict for people.
pub fn text(verdict: &Verdict) -> String {
    let Verdict { lines, from, until, services, checks, current_findings, gaps, limits } = verdict;
    let mut out = String::new();
    let time = |at: &Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    line(
        &mut out,
        format_args!(
            "{} line(s) of the watcher, {} service(s), {} to {}",
            lines.watcher,
            services,
            time(from),
            time(until)
        ),
    );
    line(&mut out, format_args!("state   checks  guarantee"));
    for check in checks {
        check_text(&mut out, check);
    }
    if !current_findings.is_empty() {
        heading(&mut out, "Findings that are current at the end:");
    }
    for finding in current_findings {
        line(&mut out, format_args!("  {} {} on {}", finding.service, finding.finding, finding.subject));
        citation(&mut out, &finding.line);
    }
    if !gaps.is_empty() {
        heading(&mut out, "Times without a line of a watcher, about which nothing is known:");
    }
    for Gap { service, from, until, is_announced, line: last } in gaps.iter().take(LISTED) {
        let why = if *is_announced { "the watcher was stopped" } else { "it was killed, or its log is missing" };
        line(&mut out, format_args!("  {service} {from:.0} to {until:.0}: {why}"));
        citation(&mut out, last);
    }
    more(&mut out, gaps.len());
    if !limits.is_empty() {
        heading(&mut out, "Limits of these logs:");
    }
    for limit in limits {
        line(&mut out, format_args!("  {limit}"));
    }
    out
}

fn check_text(out: &mut String, check: &Check) {
    let Check { sentence, guarantee, state, held, broken, unknown, .. } = check;
    let state = match state {
        State::Holds => "holds   ",
        State::Broken => "BROKEN  ",
        State::Unknown => "unknown ",
        State::NoCase => "no case ",
    };
    let of = guarantee.map(|number| format!(" (guarantee {number})")).unwrap_or_default();
    line(out, format_args!("{state}{held:>7}  {sentence}{of}"));
    for Breach { service, what, lines } in broken.iter().take(LISTED) {
        line(out, format_args!("  {service}: {what}"));
        lines.iter().for_each(|cited| citation(out, cited));
    }
    more(out, broken.len());
    for (why, unknown) in unknown {
        line(out, format_args!("  unknown in {} case(s): {why}", unknown.count));
        unknown.lines.iter().for_each(|cited| citation(out, cited));
    }
}

fn more(out: &mut String, count: usize) {
    if count > LISTED {
        line(out, format_args!("  and {} more; -o json lists all", count - LISTED));
    }
}

fn citation(out: &mut String, Citation { log, line: number, text }: &Citation) {
    line(out, format_args!("    {log}:{number}: {text}"));
}

fn heading(out: &mut String, text: &str) {
    out.push('\n');
    line(out, format_args!("{text}"));
}

/// Writes a line, with spaces for control characters: escape sequences in names and messages must not reach a terminal.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let begin = out.len();
    // A string takes everything.
    let _ = write!(out, "{text}");
    if out[begin..].contains(is_control) {
        let clean = out[begin..].replace(is_control, " ");
        out.truncate(begin);
        out.push_str(&clean);
    }
    out.push('\n');
}

/// Returns whether a character controls a terminal, ends a line, or changes the direction of the text around it
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
fn is_control(c: char) -> bool {
    let is_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_direction || matches!(c, '\u{2028}' | '\u{2029}')
}
