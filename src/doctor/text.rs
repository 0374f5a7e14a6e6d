//! The diagnosis as text, at most 80 columns wide.

use super::{Check, CheckResult, Diagnosis, Tally};
use crate::text::{Severity, Style, table};

/// The indentation of the rows.
const INDENT: u16 = 2;

/// Formats a row for each check, and the counts.
pub fn text(diagnosis: &Diagnosis, style: Style) -> String {
    format!("{}\n\n{}\n", checks_table(&diagnosis.checks, style), summary(diagnosis, style))
}

/// Formats a row for each check.
pub(super) fn checks_table(checks: &[Check], style: Style) -> String {
    let rows = checks.iter().flat_map(|Check { check, result, detail, advice }| {
        let row = [style.with_symbol(severity(*result), result.as_str()), (*check).to_owned(), detail.clone()];
        let advice = advice.iter().map(|advice| [String::new(), String::new(), advice.clone()]);
        [row].into_iter().chain(advice).collect::<Vec<_>>()
    });
    table(INDENT, rows).lines().map(|line| painted(line, style)).collect::<Vec<_>>().join("\n")
}

pub(super) fn severity(result: CheckResult) -> Severity {
    match result {
        CheckResult::Ok => Severity::Ok,
        CheckResult::Warning => Severity::Warning,
        CheckResult::Failed => Severity::Error,
        CheckResult::Skipped => Severity::Neutral,
    }
}

/// Colours the result at the beginning of a line. The table must be laid out first: it counts the columns of a colour
/// code.
fn painted(line: &str, style: Style) -> String {
    let word = |result: CheckResult| style.with_symbol(severity(result), result.as_str());
    let (indent, rest) = line.split_at(usize::from(INDENT).min(line.len()));
    match CheckResult::ALL.into_iter().find(|result| rest.starts_with(&word(*result))) {
        Some(result) => {
            let word = word(result);
            format!("{indent}{}{}", style.paint(severity(result), &word), &rest[word.len()..])
        }
        None => line.to_owned(),
    }
}

fn summary(diagnosis: &Diagnosis, style: Style) -> String {
    let Tally { ok, failed, warnings, skipped, .. } = diagnosis.tally;
    let plural = |count| if count == 1 { "" } else { "s" };
    let counts = format!("{ok} ok, {warnings} warning{}, {skipped} skipped", plural(warnings));
    match failed {
        0 => style.marked(Severity::Ok, &format!("No check failed: {counts}")),
        _ => style.marked(Severity::Error, &format!("{failed} check{} failed: {counts}", plural(failed))),
    }
}
