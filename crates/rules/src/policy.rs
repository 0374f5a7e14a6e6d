//! The operator's configuration of the rules.

use std::fmt;
use std::time::Duration;

use crate::model::Tags;

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
    /// The grace period: how long a service must have been idle before its load balancer is deleted.
    pub idle_grace: Duration,
    /// The age from which a load balancer that has never served counts as idle.
    pub unused_grace: Duration,
    /// The longest time between two reconciliations.
    pub resync_interval: Duration,
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
