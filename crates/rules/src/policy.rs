//! The operator's configuration of the rules.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{FlowProtocols, LoadBalancer, Tags, TargetGroup};

/// What a load balancer is billed by, from its creation on: a partial hour counts as a full one (Elastic Load Balancing
/// pricing, "each hour or partial hour").
const PAID_HOUR: Duration = Duration::from_secs(60 * 60);

/// How long before the end of its paid hour an idle load balancer is deleted at the latest: the time that a teardown takes
/// at most ([`crate::bounds::TEARDOWN_ALLOWANCE`]), and the minute between two ticks of the Lambda function.
pub const PAID_HOUR_MARGIN: Duration = Duration::from_secs(180);

/// The configuration of the rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The service's name.
    pub service: String,
    /// The load balancer's name.
    pub load_balancer: String,
    /// The tag without which a load balancer is never marked or deleted.
    pub owner_tag: OwnerTag,
    /// The extent of a teardown.
    pub teardown: Teardown,
    /// The grace period: how long a service must have been idle before its load balancer is deleted, at least.
    pub idle_grace: Duration,
    /// Whether the grace period of a load balancer extends to just before the end of its paid hour.
    pub until_paid_hour: bool,
    /// The age from which a load balancer that has never served counts as idle.
    pub unused_grace: Duration,
    /// The longest time between two reconciliations.
    pub resync_interval: Duration,
    /// Whether several bridges behind one UDP listener are right for this service, and no finding.
    pub allow_several_bridges: bool,
    /// What counts as use of the load balancer, and what follows when there is none.
    pub usage: UsagePolicy,
}

/// What counts as use of the load balancer, and what follows when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsagePolicy {
    /// Whether CloudWatch is asked for the flows over the load balancer.
    pub observe: bool,
    /// The protocols whose flows count; `None` for UDP where a target group takes UDP, and for all elsewhere.
    pub protocols: Option<FlowProtocols>,
    /// The flows that a minute must exceed to count as use. Port scans make single flows.
    pub threshold: u64,
    /// When an unused service is scaled to zero; `None` if never.
    pub stop: Option<StopWhenUnused>,
}

impl UsagePolicy {
    /// A policy that asks nothing and stops nothing.
    pub const OFF: Self = Self { observe: false, protocols: None, threshold: 1, stop: None };

    /// Returns the protocols whose flows over a load balancer count as use.
    pub fn protocols_of(&self, load_balancer: &LoadBalancer) -> FlowProtocols {
        let takes_udp = load_balancer.target_groups.iter().any(|group| group.protocol.takes_udp());
        self.protocols.unwrap_or(if takes_udp { FlowProtocols::MEDIA } else { FlowProtocols::default() })
    }
}

/// When an unused service is scaled to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopWhenUnused {
    /// How long the load balancer must have been unused: the window.
    pub after: Duration,
    /// How long before the stop it is announced.
    pub notice: Duration,
    /// How long after the newest task began to serve nothing is stopped, if no use has been seen since.
    pub first_call_grace: Duration,
}

impl Policy {
    /// Returns the end of the grace period of a load balancer by the times of its creation and of its mark.
    ///
    /// It depends on nothing else, so that it never moves while the mark is valid. With `until_paid_hour` it lies in the
    /// same paid hour as the end without: the extension is free.
    pub fn grace_ends_at(&self, created_at: Timestamp, idle_since: Timestamp) -> Timestamp {
        let ends_at = idle_since + self.idle_grace;
        if self.until_paid_hour { ends_at.max(paid_until(created_at, ends_at) - PAID_HOUR_MARGIN) } else { ends_at }
    }

    /// Returns the longest grace period of any load balancer.
    pub fn longest_idle_grace(&self) -> Duration {
        let extension = if self.until_paid_hour { PAID_HOUR - PAID_HOUR_MARGIN } else { Duration::ZERO };
        self.idle_grace + extension
    }
}

/// Returns the end of the paid hour that an instant lies in. The first one begins with the creation.
fn paid_until(created_at: Timestamp, at: Timestamp) -> Timestamp {
    let age = Duration::try_from(at.duration_since(created_at)).unwrap_or_default();
    let begun = age.as_secs() / PAID_HOUR.as_secs() + 1;
    created_at + Duration::from_secs(begun * PAID_HOUR.as_secs())
}

/// The tag by which the operator allows the watcher to delete a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerTag {
    /// The tag's key.
    pub key: String,
    /// The tag's value.
    pub value: String,
}

impl OwnerTag {
    /// Returns whether the tag is among these.
    pub fn is_among(&self, tags: &Tags) -> bool {
        tags.get(&self.key) == Some(&self.value)
    }

    /// Returns the target groups behind the load balancer that have the tag. The others stay when it is deleted: they cost
    /// nothing, and the watcher's role doesn't allow deleting them.
    pub fn owned_groups<'a>(&'a self, load_balancer: &'a LoadBalancer) -> impl Iterator<Item = &'a TargetGroup> {
        load_balancer.target_groups.iter().filter(|group| self.is_among(&group.tags))
    }
}

impl fmt::Display for OwnerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// The extent of a teardown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teardown {
    /// The load balancer, its listeners and its target groups.
    All,
    /// The load balancer and its listeners; the target groups stay.
    LoadBalancer,
    /// Nothing: an idle load balancer is neither marked nor deleted, only reported.
    Off,
}

#[cfg(test)]
mod tests {
    use crate::plan::samples::policy;

    #[test]
    fn writes_the_owner_tag_as_the_option_takes_it() {
        assert_eq!(policy().owner_tag.to_string(), "Lifecycle=on-demand");
    }
}
