//! The findings of a service that the log shows as current.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::controller::missed_events::MissedEvents;
use crate::telemetry::log::{Event, Log};
use jvb_watcher_rules::finding::{Finding, FindingLedger};

/// The current findings of a service, and what they rest on. Clones share them, so that they outlast a change of the
/// service's settings.
#[derive(Clone, Debug, Default)]
pub struct CurrentFindings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    ledger: FindingLedger,
    missed_events: MissedEvents,
}

impl CurrentFindings {
    /// Logs the findings that are new, changed or cleared, and returns how many they are.
    pub fn update(&self, findings: &[Finding], observation: Option<&str>, log: &Log, now: Timestamp) -> usize {
        log_changes(&mut self.lock().ledger, findings, observation, log, now)
    }

    /// Returns the number of current findings.
    pub fn count(&self) -> usize {
        self.lock().ledger.len()
    }

    /// Returns the number of current findings that an operator must act on.
    pub fn needing_action(&self) -> usize {
        self.lock().ledger.needing_action()
    }

    /// Passes on what observations have found while no event arrived.
    pub fn missed_events<T>(&self, access: impl FnOnce(&mut MissedEvents) -> T) -> T {
        access(&mut self.lock().missed_events)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs the findings that are new, changed or cleared, and returns how many they are. The observation is that which shows
/// them, by its id; there is none for those about the list of services.
pub fn log_changes(
    ledger: &mut FindingLedger,
    findings: &[Finding],
    observation: Option<&str>,
    log: &Log,
    now: Timestamp,
) -> usize {
    let changes = ledger.update(findings, now);
    let count = changes.len();
    for (state, finding) in changes {
        log.emit(&Event::Finding {
            finding: finding.name,
            state,
            subject: finding.subject,
            detail: finding.detail,
            advice: finding.name.advice().to_owned(),
            observation: observation.map(str::to_owned),
        });
    }
    count
}
