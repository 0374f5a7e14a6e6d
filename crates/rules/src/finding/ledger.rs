//! Decides which findings to report: each when it is raised, changed or cleared, and every fifteen minutes in between.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Finding, FindingName};

/// The interval at which a current finding is reported again.
const REPEAT_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The difference between a finding and its last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// The last observation didn't have it.
    Raised,
    /// The last observation had it, with another detail.
    Changed,
    /// The last observation had it, and it was last reported fifteen minutes ago.
    Repeated,
    /// The last observation had it, and this one doesn't.
    Cleared,
}

/// The current findings, with the time of each one's last report.
#[derive(Debug, Default)]
pub struct FindingLedger {
    standing: BTreeMap<(FindingName, String), Standing>,
}

#[derive(Debug)]
struct Standing {
    detail: String,
    reported_at: Timestamp,
}

impl FindingLedger {
    /// Takes all findings of an observation, and returns those to report.
    pub fn update(&mut self, found: &[Finding], now: Timestamp) -> Vec<(FindingState, Finding)> {
        let mut reports = Vec::new();
        for finding in found {
            let key = (finding.name, finding.subject.clone());
            let state = match self.standing.get(&key) {
                None => FindingState::Raised,
                Some(standing) if standing.detail != finding.detail => FindingState::Changed,
                Some(standing) if now >= standing.reported_at + REPEAT_INTERVAL => FindingState::Repeated,
                Some(_) => continue,
            };
            self.standing.insert(key, Standing { detail: finding.detail.clone(), reported_at: now });
            reports.push((state, finding.clone()));
        }
        self.standing.retain(|(name, subject), standing| {
            let stands = found.iter().any(|finding| finding.name == *name && finding.subject == *subject);
            if !stands {
                let finding = Finding { name: *name, subject: subject.clone(), detail: standing.detail.clone() };
                reports.push((FindingState::Cleared, finding));
            }
            stands
        });
        reports
    }

    /// Returns the number of current findings.
    pub fn len(&self) -> usize {
        self.standing.len()
    }

    /// Returns the number of current findings that an operator must act on.
    pub fn needing_action(&self) -> usize {
        self.standing.keys().filter(|(name, _)| !name.is_informational()).count()
    }

    /// Returns whether there is no current finding.
    pub fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::FindingName;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a valid second")
    }

    fn finding(detail: &str) -> Finding {
        Finding { name: FindingName::HoldActive, subject: "p-jvb-nlb".into(), detail: detail.into() }
    }

    fn states(changes: &[(FindingState, Finding)]) -> Vec<FindingState> {
        changes.iter().map(|(state, _)| *state).collect()
    }

    #[test]
    fn reports_a_finding_when_it_is_raised_changed_and_cleared() {
        let mut ledger = FindingLedger::default();
        assert_eq!(states(&ledger.update(&[finding("a")], at(0))), [FindingState::Raised]);
        assert_eq!(states(&ledger.update(&[finding("a")], at(1))), []);
        assert_eq!(states(&ledger.update(&[finding("b")], at(2))), [FindingState::Changed]);
        assert_eq!(states(&ledger.update(&[], at(3))), [FindingState::Cleared]);
        assert_eq!(states(&ledger.update(&[], at(4))), []);
        assert!(ledger.is_empty());
    }

    #[test]
    fn repeats_a_standing_finding_every_fifteen_minutes() {
        let mut ledger = FindingLedger::default();
        ledger.update(&[finding("a")], at(0));
        assert_eq!(states(&ledger.update(&[finding("a")], at(899))), []);
        assert_eq!(states(&ledger.update(&[finding("a")], at(900))), [FindingState::Repeated]);
        assert_eq!(states(&ledger.update(&[finding("a")], at(1799))), []);
        assert_eq!(states(&ledger.update(&[finding("a")], at(1800))), [FindingState::Repeated]);
    }

    #[test]
    fn keeps_findings_of_one_name_on_two_resources_apart() {
        let mut ledger = FindingLedger::default();
        let other = Finding { subject: "q-jvb-nlb".into(), ..finding("a") };
        assert_eq!(ledger.update(&[finding("a"), other.clone()], at(0)).len(), 2);
        assert_eq!((ledger.len(), ledger.is_empty()), (2, false));
        assert_eq!(ledger.update(&[other], at(1)), [(FindingState::Cleared, finding("a"))]);
        assert_eq!(ledger.len(), 1);
    }

    #[test]
    fn counts_the_findings_that_need_action() {
        let mut ledger = FindingLedger::default();
        ledger.update(&[finding("a")], at(0));
        assert_eq!(ledger.needing_action(), 0, "an operator has placed the hold");
        let failed = Finding { name: FindingName::LoadBalancerNotOwned, ..finding("a") };
        ledger.update(&[finding("a"), failed], at(1));
        assert_eq!((ledger.len(), ledger.needing_action()), (2, 1));
    }
}
