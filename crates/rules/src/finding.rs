//! What a person should know: conditions that the watcher sees and can't, or mustn't, mend.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// A finding that stands is said again this often.
const REPEAT_AFTER: Duration = Duration::from_secs(15 * 60);

/// The kinds of findings. Their names are part of the log's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingName {
    /// The service, or its cluster, doesn't exist.
    ServiceMissing,
    /// Tasks serve, but there is no load balancer to reach them through.
    LoadBalancerMissing,
    /// The load balancer doesn't carry the owner tag.
    LoadBalancerNotOwned,
    /// The load balancer of that name isn't a network one.
    LoadBalancerNotNetwork,
    /// AWS could not set the load balancer up.
    LoadBalancerFailed,
    /// The load balancer is protected against deletion.
    DeletionProtected,
    /// Tasks serve, but no target group of type ip is behind the balancer.
    TargetGroupMissing,
    /// A target group doesn't take addresses.
    TargetGroupUnsupported,
    /// A target group takes no more targets.
    TargetGroupFull,
    /// A target is healthy though no task of the service has its address.
    TargetOfOthers,
    /// A target group of a balancer that is gone can't be deleted.
    TargetGroupInUse,
    /// A task serves without an address of a group's family.
    TaskWithoutAddress,
    /// A task was told to stop long ago, and hasn't stopped.
    TaskNotStopping,
    /// The service is idle, and teardown is switched off.
    TeardownOff,
    /// An operator's hold is in force.
    HoldActive,
    /// A hold that can't be obeyed.
    HoldInvalid,
    /// A mark is so old that nobody can have looked for a long time.
    MarkExpired,
    /// The queue doesn't exist.
    QueueMissing,
    /// No rule sends events to the queue.
    RuleMissing,
    /// The rule that sends events to the queue is switched off.
    RuleDisabled,
    /// The rule doesn't match the service's events.
    RuleMismatched,
    /// The queue's policy doesn't let the rule send.
    QueueClosed,
    /// Looks found changes that no event had announced.
    EventsMissing,
}

/// As it is in the log.
impl fmt::Display for FindingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FindingName {
    /// What the operator should do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::ServiceMissing => {
                "Check --cluster, --service, --region and the account; nothing is registered or torn down meanwhile, and a load balancer that is there goes on costing money."
            }
            Self::LoadBalancerMissing => {
                "Create the load balancer (terraform apply), or check --load-balancer; the tasks are registered as soon as it exists."
            }
            Self::LoadBalancerNotOwned => {
                "Add the owner tag if the watcher may delete this load balancer, or set --owner-tag to the tag that it has."
            }
            Self::LoadBalancerNotNetwork => "Check --load-balancer: it must name the network load balancer of the JVB.",
            Self::LoadBalancerFailed => "Look at the load balancer's state reason, then delete and create it again.",
            Self::DeletionProtected => "Switch deletion_protection.enabled off, or delete the load balancer by hand.",
            Self::TargetGroupMissing => "Give the load balancer a listener with a target group of type ip.",
            Self::TargetGroupUnsupported => {
                "Make the target group anew with target type ip: Fargate tasks have addresses only."
            }
            Self::TargetGroupFull => "Raise the quota for targets per target group, or run fewer tasks.",
            Self::TargetOfOthers => {
                "Check --service and --load-balancer: somebody else's task answers there. Deregister the target if it shouldn't; the load balancer is kept meanwhile."
            }
            Self::TaskNotStopping => "Look at the task in ECS; the load balancer is kept until it has stopped.",
            Self::TargetGroupInUse => {
                "Find the listener or rule that still refers to the target group, and delete it; or remove the group's idle mark to keep it."
            }
            Self::TaskWithoutAddress => {
                "Give the service's subnets addresses of this family, or the target group the other family."
            }
            Self::TeardownOff => "Delete the load balancer by hand, or run with --teardown all.",
            Self::HoldActive => "Nothing to do; jvb-watcher hold --release ends it early.",
            Self::HoldInvalid => {
                "Set jvb-watcher:hold-until to an RFC 3339 instant at most a day ahead, or remove it; it is ignored meanwhile."
            }
            Self::MarkExpired => {
                "Nothing to do if the watcher was away for once. If this comes again and again, let it look at least every 50 minutes: with looks further apart the load balancer is never deleted."
            }
            Self::QueueMissing => "Create the queue and its rule (terraform apply), or check --queue and --region.",
            Self::RuleMissing => {
                "Create the rule, with the queue as its target (terraform apply); if something else fills the queue, run with --feed-check off."
            }
            Self::RuleDisabled => "Enable it: aws events enable-rule --name NAME.",
            Self::RuleMismatched => {
                "Give the rule a pattern that matches the ECS Task State Change events of this service (terraform apply)."
            }
            Self::QueueClosed => {
                "Let events.amazonaws.com send to the queue for this rule, in the queue's access policy (terraform apply)."
            }
            Self::EventsMissing => {
                "Run jvb-watcher doctor: it checks the way from ECS to the queue. Until it is mended, changes are found by the clock only."
            }
        }
    }

    /// Whether it keeps tasks from being registered as they should.
    pub fn hinders_registration(self) -> bool {
        match self {
            Self::ServiceMissing
            | Self::LoadBalancerMissing
            | Self::LoadBalancerNotNetwork
            | Self::TargetGroupMissing
            | Self::TargetGroupUnsupported
            | Self::TargetGroupFull
            | Self::TaskWithoutAddress => true,
            Self::LoadBalancerNotOwned
            | Self::LoadBalancerFailed
            | Self::DeletionProtected
            | Self::TargetOfOthers
            | Self::TargetGroupInUse
            | Self::TaskNotStopping
            | Self::TeardownOff
            | Self::HoldActive
            | Self::HoldInvalid
            | Self::MarkExpired
            | Self::QueueMissing
            | Self::RuleMissing
            | Self::RuleDisabled
            | Self::RuleMismatched
            | Self::QueueClosed
            | Self::EventsMissing => false,
        }
    }
}

/// One thing that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Its kind.
    pub name: FindingName,
    /// The resource that it is about.
    pub subject: String,
    /// What was seen, in a sentence.
    pub detail: String,
}

/// What stands beside what looks find, until it is known better; clones share it.
#[derive(Clone, Debug, Default)]
pub struct StandingFindings(Arc<Mutex<Vec<Finding>>>);

impl StandingFindings {
    /// Puts these in the place of those before.
    pub fn set(&self, findings: Vec<Finding>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = findings;
    }

    /// What stands now.
    pub fn get(&self) -> Vec<Finding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What became of a finding between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "testing", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It wasn't there at the last look.
    Raised,
    /// It was there, with another detail.
    Changed,
    /// It stands as it did a quarter of an hour ago.
    Repeated,
    /// It is no longer there.
    Cleared,
}

/// The findings that stand, so that each is said when it comes, changes and goes, and seldom in between.
#[derive(Debug, Default)]
pub struct FindingLedger {
    standing: BTreeMap<(FindingName, String), Standing>,
}

#[derive(Debug)]
struct Standing {
    detail: String,
    said_at: Timestamp,
}

impl FindingLedger {
    /// Takes what a look found, all of it, and returns what to say.
    pub fn update(&mut self, found: &[Finding], now: Timestamp) -> Vec<(FindingState, Finding)> {
        let mut news = Vec::new();
        for finding in found {
            let key = (finding.name, finding.subject.clone());
            let state = match self.standing.get(&key) {
                None => FindingState::Raised,
                Some(standing) if standing.detail != finding.detail => FindingState::Changed,
                Some(standing) if now >= standing.said_at + REPEAT_AFTER => FindingState::Repeated,
                Some(_) => continue,
            };
            self.standing.insert(key, Standing { detail: finding.detail.clone(), said_at: now });
            news.push((state, finding.clone()));
        }
        self.standing.retain(|(name, subject), standing| {
            let stands = found.iter().any(|finding| finding.name == *name && finding.subject == *subject);
            if !stands {
                let finding = Finding { name: *name, subject: subject.clone(), detail: standing.detail.clone() };
                news.push((FindingState::Cleared, finding));
            }
            stands
        });
        news
    }

    /// How many findings stand.
    pub fn len(&self) -> usize {
        self.standing.len()
    }

    /// Whether none stands.
    pub fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a valid second")
    }

    fn finding(detail: &str) -> Finding {
        Finding { name: FindingName::HoldActive, subject: "p-jvb-nlb".into(), detail: detail.into() }
    }

    fn states(news: &[(FindingState, Finding)]) -> Vec<FindingState> {
        news.iter().map(|(state, _)| *state).collect()
    }

    #[test]
    fn a_finding_is_said_when_it_comes_changes_and_goes() {
        let mut ledger = FindingLedger::default();
        assert_eq!(states(&ledger.update(&[finding("a")], at(0))), [FindingState::Raised]);
        assert_eq!(states(&ledger.update(&[finding("a")], at(1))), []);
        assert_eq!(states(&ledger.update(&[finding("b")], at(2))), [FindingState::Changed]);
        assert_eq!(states(&ledger.update(&[], at(3))), [FindingState::Cleared]);
        assert_eq!(states(&ledger.update(&[], at(4))), []);
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_standing_finding_is_repeated_every_fifteen_minutes() {
        let mut ledger = FindingLedger::default();
        ledger.update(&[finding("a")], at(0));
        assert_eq!(states(&ledger.update(&[finding("a")], at(899))), []);
        assert_eq!(states(&ledger.update(&[finding("a")], at(900))), [FindingState::Repeated]);
        assert_eq!(states(&ledger.update(&[finding("a")], at(1799))), []);
        assert_eq!(states(&ledger.update(&[finding("a")], at(1800))), [FindingState::Repeated]);
    }

    #[test]
    fn findings_of_one_name_about_two_resources_are_two() {
        let mut ledger = FindingLedger::default();
        let other = Finding { subject: "q-jvb-nlb".into(), ..finding("a") };
        assert_eq!(ledger.update(&[finding("a"), other.clone()], at(0)).len(), 2);
        assert_eq!(ledger.update(&[other], at(1)), [(FindingState::Cleared, finding("a"))]);
        assert_eq!(ledger.len(), 1);
    }
}
