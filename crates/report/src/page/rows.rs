//! The rows of the lists: events, findings and failures.

use std::collections::BTreeMap;

use super::tiles;
use crate::figures::Figures;
use crate::format;
use crate::history::{Entry, EntryKind, Failure, FindingLifetime, History};
use crate::line::ServiceName;
use crate::period::Edge;
use crate::replay::Saving;

/// A row of a day's event list.
pub struct EntryRow {
    pub at: String,
    pub time: String,
    pub kind: &'static str,
    pub class: &'static str,
    pub text: String,
}

/// A finding.
pub struct FindingRow {
    pub name: String,
    pub subject: String,
    pub detail: String,
    pub advice: String,
    pub lifetime: String,
    /// True if the log doesn't show it being cleared.
    pub is_open: bool,
}

/// A kind of failure.
pub struct FailureRow {
    pub what: String,
    pub resource: String,
    pub count: usize,
    pub when: String,
    /// The text of the last one.
    pub text: String,
}

/// What a stop after some time without use would have changed.
pub struct SavingRow {
    pub window: i64,
    pub stops: usize,
    pub starts: usize,
    pub hours: String,
    pub hours_value: String,
    pub dollars: String,
    pub dollars_value: String,
}

/// One of several services.
pub struct ServiceRow {
    /// The number of its section; `None` if the page has no sections.
    pub section: Option<usize>,
    pub service: ServiceName,
    pub runs: usize,
    pub hours_up: String,
    pub cost: String,
    pub avoided: String,
    pub findings: usize,
    /// The findings that the log doesn't show being cleared.
    pub open_findings: usize,
    pub failures: usize,
}

impl ServiceRow {
    /// Returns a row for each service: those with open findings first, the dearest first among them and among the others.
    pub fn of(histories: &[(ServiceName, History)], figures: &[Figures], has_sections: bool) -> Vec<Self> {
        let is_open = |finding: &&FindingLifetime| finding.lifetime.end == Edge::Outside;
        let rows = histories.iter().zip(figures).enumerate().map(|(index, ((service, history), figures))| {
            let row = Self {
                section: has_sections.then_some(index + 1),
                service: service.clone(),
                runs: figures.load_balancers,
                hours_up: format::hours(figures.hours_up),
                cost: format::dollars(figures.cost),
                avoided: format::dollars(figures.avoided()),
                findings: figures.findings,
                open_findings: history.findings.iter().filter(is_open).count(),
                failures: figures.failures,
            };
            (figures.cost, row)
        });
        let mut rows: Vec<(f64, Self)> = rows.collect();
        rows.sort_by(|(a_cost, a), (b_cost, b)| {
            (b.open_findings > 0).cmp(&(a.open_findings > 0)).then(b_cost.total_cmp(a_cost))
        });
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

impl SavingRow {
    pub fn of(saving: &Saving) -> Self {
        let Saving { window, stops, starts, billed_hours, dollars } = *saving;
        // Without the sign of a negative zero, and signed as a change of what was paid.
        let (hours, amount) = if billed_hours.abs() < 0.05 {
            ("0 h".to_owned(), billed_hours)
        } else {
            let sign = if billed_hours > 0.0 { "\u{2212}" } else { "+" };
            (format!("{sign}{:.1} h", billed_hours.abs()), billed_hours)
        };
        let change = if format::is_no_amount(dollars) {
            format::dollars(0.0)
        } else {
            format!("{} {}", format::dollars(dollars.abs()), if dollars > 0.0 { "less" } else { "more" })
        };
        Self {
            window,
            stops,
            starts,
            hours,
            hours_value: tiles::precise(amount),
            dollars: change,
            dollars_value: tiles::precise(dollars),
        }
    }
}

impl EntryRow {
    pub fn of(entry: &Entry) -> Self {
        let class = match entry.kind {
            EntryKind::Registered | EntryKind::Healthy => "good",
            EntryKind::Unhealthy | EntryKind::Failure => "bad",
            EntryKind::Finding => "warn",
            EntryKind::Teardown | EntryKind::Mark | EntryKind::Stop => "load-balancer",
            EntryKind::Deregistered | EntryKind::Other => "plain",
        };
        Self {
            at: entry.at.to_string(),
            time: format::time(entry.at),
            kind: entry.kind.label(),
            class,
            text: entry.text.clone(),
        }
    }
}

impl FindingRow {
    pub fn of(finding: &FindingLifetime) -> Self {
        Self {
            name: format::spaced(&finding.name),
            subject: finding.subject.clone(),
            detail: finding.detail.clone(),
            advice: finding.advice.clone(),
            lifetime: format::lifetime(finding.lifetime),
            is_open: finding.lifetime.end == Edge::Outside,
        }
    }
}

impl FailureRow {
    /// Groups failures by what failed on which resource, the most frequent first.
    pub fn of(failures: &[Failure]) -> Vec<Self> {
        let mut kinds: BTreeMap<(&str, &str), Vec<&Failure>> = BTreeMap::new();
        for failure in failures {
            kinds.entry((&failure.what, &failure.resource)).or_default().push(failure);
        }
        let mut rows: Vec<Self> = kinds
            .into_iter()
            .filter_map(|((what, resource), failures)| {
                let (first, last) = (failures.first()?, failures.last()?);
                let when = match failures.len() {
                    1 => format::minute(first.at),
                    _ => format!("{} to {}", format::minute(first.at), format::minute(last.at)),
                };
                let (what, resource, text) = (what.to_owned(), resource.to_owned(), last.text.clone());
                Some(Self { what, resource, count: failures.len(), when, text })
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        rows
    }
}
