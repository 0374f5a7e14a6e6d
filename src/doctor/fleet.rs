//! The diagnosis of several services: what is the same for all of them once, and of the rest what is wrong.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::text::{checks_table, severity};
use super::{Check, CheckResult, Diagnosis, Tally};
use crate::text::{Severity, Style, grouped, table};

/// The indentation of the rows.
const INDENT: u16 = 2;

/// The most faults that the text lists.
const LISTED: usize = 50;

/// The most services that a fault names.
const NAMED: usize = 3;

/// The diagnosis of several services.
#[derive(Debug, Serialize)]
pub struct FleetDiagnosis {
    /// The numbers of all checks. A cluster that couldn't be read is one that failed.
    #[serde(flatten)]
    pub tally: Tally,
    /// The checks with the same result for every service, and those of the list.
    pub checks: Vec<Check>,
    /// The services, in the order of their clusters and names, with their other checks.
    pub services: Vec<ServiceDiagnosis>,
}

/// The checks of one of several services.
#[derive(Debug, Serialize)]
pub struct ServiceDiagnosis {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// True if none of its checks failed.
    pub wired_up: bool,
    /// Its checks, without those that are the same for all services.
    pub checks: Vec<Check>,
}

/// What a service's diagnosis is about: its cluster and its name.
pub type Subject = (String, String);

impl FleetDiagnosis {
    /// Combines the diagnoses of services and the checks of their list. What has the same result for every service counts
    /// once.
    pub fn new(list: Vec<Check>, mut diagnoses: Vec<(Subject, Diagnosis)>) -> Self {
        diagnoses.sort_by(|(a, _), (b, _)| a.cmp(b));
        let shared = shared_checks(&diagnoses);
        let mut checks = list;
        checks.extend(shared.iter().cloned());
        let services: Vec<_> = diagnoses
            .into_iter()
            .map(|((cluster, service), diagnosis)| {
                let own = diagnosis.checks.into_iter().filter(|check| !shared.contains(check));
                let checks: Vec<_> = own.collect();
                let wired_up = checks.iter().all(|check| check.result != CheckResult::Failed);
                ServiceDiagnosis { cluster, service, wired_up, checks }
            })
            .collect();
        let tally = Tally::of(checks.iter().chain(services.iter().flat_map(|service| &service.checks)));
        Self { tally, checks, services }
    }
}

/// Returns the checks that every service has, with the same result.
fn shared_checks(diagnoses: &[(Subject, Diagnosis)]) -> Vec<Check> {
    let Some(((_, first), rest)) = diagnoses.split_first() else { return Vec::new() };
    let is_shared = |check: &&Check| rest.iter().all(|(_, diagnosis)| diagnosis.checks.contains(check));
    first.checks.iter().filter(is_shared).cloned().collect()
}

/// Formats the shared checks, the faults of the services, and the counts.
pub fn fleet_text(diagnosis: &FleetDiagnosis, style: Style) -> String {
    let mut text = format!("{}\n", checks_table(&diagnosis.checks, style));
    let faults = faults(&diagnosis.services);
    if !faults.is_empty() {
        let rows: Vec<_> = faults.iter().take(LISTED).map(Fault::check).collect();
        // Writing to a String can't fail.
        let _ = writeln!(text, "\nServices\n{}", checks_table(&rows, style));
        if faults.len() > LISTED {
            let more = format!("{} more; --output json has all", grouped(faults.len() - LISTED));
            let _ = writeln!(text, "{}", table(INDENT, [[more]]));
        }
    }
    let _ = writeln!(text, "\n{}", summary(diagnosis, style));
    text
}

/// A warning or a failure, and the services that have it.
struct Fault<'a> {
    check: &'a Check,
    services: Vec<&'a ServiceDiagnosis>,
}

impl Fault<'_> {
    /// Returns the check with its services in its detail.
    fn check(&self) -> Check {
        let named: Vec<_> =
            self.services.iter().take(NAMED).map(|of| format!("{}/{}", of.cluster, of.service)).collect();
        let named = named.join(", ");
        let subject = match self.services.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named} and {} more", grouped(more)),
        };
        Check { detail: format!("{subject}: {}", self.check.detail), ..self.check.clone() }
    }
}

/// Returns the faults of services: failures first, each once for all services that have it.
fn faults(services: &[ServiceDiagnosis]) -> Vec<Fault<'_>> {
    let mut places: BTreeMap<(&str, &str, Option<&str>), usize> = BTreeMap::new();
    let mut faults: Vec<Fault<'_>> = Vec::new();
    for service in services {
        let is_fault = |check: &&Check| matches!(check.result, CheckResult::Warning | CheckResult::Failed);
        for check in service.checks.iter().filter(is_fault) {
            let place = *places.entry((check.check, &check.detail, check.advice.as_deref())).or_insert_with(|| {
                faults.push(Fault { check, services: Vec::new() });
                faults.len() - 1
            });
            faults[place].services.push(service);
        }
    }
    faults.sort_by_key(|fault| fault.check.result != CheckResult::Failed);
    faults
}

fn summary(diagnosis: &FleetDiagnosis, style: Style) -> String {
    let FleetDiagnosis { tally: Tally { ok, failed, warnings, skipped, .. }, services, .. } = diagnosis;
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let counts = format!("{} ok, {warnings} warning{}, {} skipped", grouped(*ok), plural(*warnings), grouped(*skipped));
    let all = format!("{} service{}", grouped(services.len()), plural(services.len()));
    if *failed == 0 {
        return style.marked(severity(CheckResult::Ok), &format!("No check of {all} failed: {counts}"));
    }
    let troubled = services.iter().filter(|service| !service.wired_up).count();
    let of = if troubled == 0 { String::new() } else { format!(", for {} of {all}", grouped(troubled)) };
    style.marked(Severity::Error, &format!("{failed} check{} failed{of}: {counts}", plural(*failed)))
}

#[cfg(test)]
mod tests;
