//! The page of several services: a verdict, and a row for each service, those first that aren't well.

use std::collections::BTreeSet;

use askama::Template;

use super::{Frame, Known, StatusPage, Subject, Verdict, names, outstanding, service_path};
use crate::status::fleet::{Condition, FleetSnapshot, FleetStatus, ServiceEntry, ServiceNames, ServiceReading, State};
use crate::status::fleet_text::{load_balancer, others, reasons, verdict};
use crate::text::{Severity, grouped};

/// Stands for the age of an observation that there has never been.
const NEVER: &str = "never";

/// The page of several services.
#[derive(Template)]
#[template(path = "status/page/fleet.html", config = "src/status/page/askama.toml")]
pub(super) struct FleetPage {
    frame: Frame,
    verdict: Verdict,
    /// The status of the services that have been reconciled.
    status: FleetStatus,
    /// What those do that are well, in one sentence.
    others: Option<String>,
    rows: Vec<Row>,
}

/// A service.
struct Row {
    names: ServiceNames,
    /// Its path below [`super::SERVICES_PATH`].
    path: String,
    state: Verdict,
    load_balancer: String,
    /// How long ago the latest reconciliation observed it.
    observed: String,
    /// Why it isn't well.
    reasons: Vec<String>,
}

impl FleetPage {
    pub(super) fn new(frame: Frame, services: Vec<(Subject, Known)>, page: &StatusPage) -> Self {
        let mut readings = Vec::with_capacity(services.len());
        let (mut known_rows, mut new_rows) = (Vec::with_capacity(services.len()), Vec::new());
        for (subject, known) in services {
            let (path, observed_at) = (service_path(&subject), known.reconciliation.as_ref().map(|of| of.at));
            let findings = known.reconciliation.as_ref().map(|of| of.event_source_findings.clone());
            let observed = match (known.failure, &known.reconciliation) {
                (Some((error, _)), _) => Err(error),
                (None, Some(of)) => Ok((of.observation.clone(), outstanding(of))),
                (None, None) => {
                    new_rows.push(Row::not_reconciled(names(&subject), path));
                    continue;
                }
            };
            let observed_ago = observed_at.map_or_else(|| NEVER.to_owned(), |at| frame.ago(at));
            known_rows.push((names(&subject), path, observed_ago));
            readings.push(ServiceReading {
                names: names(&subject),
                scope: subject.scope,
                policy: subject.policy,
                observed,
                observed_at: observed_at.unwrap_or(frame.now),
                event_source_findings: findings.unwrap_or_default(),
            });
        }
        let status = FleetStatus::new(FleetSnapshot::of_services(readings, &page.costs, frame.now));
        known_rows.sort();
        let entries = status.services.iter().zip(known_rows);
        let mut rows: Vec<_> = entries.map(|(entry, (_, path, observed))| Row::new(entry, path, observed)).collect();
        let new = new_rows.len();
        rows.extend(new_rows);
        // Those first that aren't well. The sort is stable.
        rows.sort_by_key(|row| row.reasons.is_empty());
        let well: Vec<_> = status.services.iter().filter(|service| service.is_well()).collect();
        let verdict = match status.summary.services {
            0 => (Severity::Neutral, "No service has been reconciled yet".to_owned()),
            _ => {
                let (severity, words) = verdict(&status);
                (severity, if new == 0 { words } else { format!("{words}; {} not reconciled yet", grouped(new)) })
            }
        };
        Self {
            frame,
            verdict: verdict.into(),
            others: others(&well, well.len() == status.services.len()),
            status,
            rows,
        }
    }

    /// Returns the number of services, with a comma between thousands.
    fn count(&self) -> String {
        grouped(self.rows.len())
    }

    /// Returns whether the services are in several clusters.
    fn has_clusters(&self) -> bool {
        self.rows.iter().map(|row| &row.names.cluster).collect::<BTreeSet<_>>().len() > 1
    }
}

impl Row {
    fn new(entry: &ServiceEntry, path: String, observed: String) -> Self {
        let (load_balancer, reasons) = match &entry.condition {
            Condition::Observed(status) => (load_balancer(status), reasons(status)),
            Condition::Failed { error, .. } => (String::new(), vec![error.clone()]),
            // A service that can't be watched isn't reconciled.
            Condition::NotWatched { .. } => (String::new(), Vec::new()),
        };
        let severity = match (entry.state, entry.is_well()) {
            (State::Failed, _) => Severity::Error,
            (_, false) => Severity::Warning,
            (_, true) => Severity::Ok,
        };
        let state = (severity, entry.state.as_str().to_owned()).into();
        Self { names: entry.names.clone(), path, state, load_balancer, observed, reasons }
    }

    fn not_reconciled(names: ServiceNames, path: String) -> Self {
        let state = (Severity::Neutral, "not reconciled yet".to_owned()).into();
        Self { names, path, state, load_balancer: String::new(), observed: NEVER.to_owned(), reasons: Vec::new() }
    }
}
