//! The diagnosis as text of at most 80 columns.

use super::{Check, CheckResult, Diagnosis};
use crate::text::{Mark, Style, table};

/// How far the rows stand in.
const INDENT: u16 = 2;

/// A row for each check, and what they come to.
pub fn text(diagnosis: &Diagnosis, style: Style) -> String {
    let rows = diagnosis.checks.iter().flat_map(|Check { check, result, detail, advice }| {
        let row = [style.with_symbol(mark(*result), result.as_str()), (*check).to_owned(), detail.clone()];
        let advice = advice.iter().map(|advice| [String::new(), String::new(), advice.clone()]);
        [row].into_iter().chain(advice).collect::<Vec<_>>()
    });
    let table = table(INDENT, rows);
    let lines = table.lines().map(|line| painted(line, style)).collect::<Vec<_>>().join("\n");
    format!("{lines}\n\n{}\n", summary(diagnosis, style))
}

fn mark(result: CheckResult) -> Mark {
    match result {
        CheckResult::Ok => Mark::Good,
        CheckResult::Warning => Mark::Warning,
        CheckResult::Failed => Mark::Bad,
    }
}

/// Colours the result at a line's beginning; only now, since columns are reckoned without colours.
fn painted(line: &str, style: Style) -> String {
    let results = [CheckResult::Ok, CheckResult::Warning, CheckResult::Failed];
    let word = |result: CheckResult| style.with_symbol(mark(result), result.as_str());
    let (indent, rest) = line.split_at(usize::from(INDENT).min(line.len()));
    match results.into_iter().find(|result| rest.starts_with(&word(*result))) {
        Some(result) => {
            let word = word(result);
            format!("{indent}{}{}", style.paint(mark(result), &word), &rest[word.len()..])
        }
        None => line.to_owned(),
    }
}

fn summary(diagnosis: &Diagnosis, style: Style) -> String {
    let Diagnosis { failed, warnings, .. } = diagnosis;
    let warnings = match warnings {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    match failed {
        0 => style.marked(Mark::Good, &format!("It is wired up{warnings}")),
        1 => style.marked(Mark::Bad, &format!("1 check failed{warnings}")),
        count => style.marked(Mark::Bad, &format!("{count} checks failed{warnings}")),
    }
}
