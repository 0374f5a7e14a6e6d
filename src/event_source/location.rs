//! Partition, region and account: the parts that the ARNs of one place share.

/// The location of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The partition, e.g. `aws`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account id.
    pub account: String,
}

impl Location {
    /// Parses the location out of an ARN. Parts that it lacks are empty.
    pub fn of_arn(arn: &str) -> Self {
        let part = |index| arn.split(':').nth(index).unwrap_or_default().to_owned();
        Self { partition: part(1), region: part(3), account: part(4) }
    }

    /// Formats the ARN of a resource at this location.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}
