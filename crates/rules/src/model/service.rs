//! The ECS service.

/// The ECS service, as DescribeServices shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The service is ACTIVE, or DRAINING while it is being deleted.
    Found(Counts),
    /// DescribeServices reports it MISSING or INACTIVE, or the cluster doesn't exist.
    ///
    /// A deleted service shows as INACTIVE with counts of zero for a while; its successor, under another name, may
    /// already use the load balancer.
    Missing,
}

/// The task counts of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `desiredCount`.
    pub desired: i32,
    /// `runningCount`.
    pub running: i32,
    /// `pendingCount`.
    pub pending: i32,
}

/// Returns the name at the end of a cluster's ARN (`arn:…:cluster/NAME`), or the name itself.
pub fn cluster_name(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}
