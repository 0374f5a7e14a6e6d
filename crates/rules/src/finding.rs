//! Findings: conditions that the watcher observes and that an operator must resolve.

mod catalogue;
mod ledger;

pub use catalogue::FindingName;
pub use ledger::{FindingLedger, FindingState};

use std::sync::{Arc, Mutex, PoisonError};

/// One condition on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The kind of condition.
    pub name: FindingName,
    /// The resource that it is about, by name or id.
    pub subject: String,
    /// The observed condition, in a sentence.
    pub detail: String,
}

/// Findings that hold until the next check replaces them, beside those of each observation. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct StandingFindings(Arc<Mutex<Vec<Finding>>>);

impl StandingFindings {
    /// Replaces the findings.
    pub fn set(&self, findings: Vec<Finding>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = findings;
    }

    /// Returns the findings.
    pub fn get(&self) -> Vec<Finding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
