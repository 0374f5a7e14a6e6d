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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_standing_findings_until_the_next_check() {
        let of_check = StandingFindings::default();
        let of_reconciler = of_check.clone();
        assert_eq!(of_reconciler.get(), []);
        let detail = "the queue has no rule".to_owned();
        let missing = Finding { name: FindingName::RuleMissing, subject: "p-jvb-watcher".to_owned(), detail };
        of_check.set(vec![missing.clone()]);
        assert_eq!(of_reconciler.get(), [missing]);
        of_check.set(Vec::new());
        assert_eq!(of_reconciler.get(), []);
    }

    #[test]
    fn writes_a_finding_under_its_name_in_the_log() {
        assert_eq!(FindingName::TargetOfOthers.to_string(), "target_of_others");
    }
}
