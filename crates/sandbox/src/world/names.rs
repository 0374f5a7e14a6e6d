//! Alias records, in the manner of Route 53: names that follow a load balancer.
//!
//! Route 53's own API isn't modelled. Incidents write records, as Terraform does.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::elb::Elb;
use crate::api::ApiError;

/// Prefix of the DNS name that the console and some tools give an alias record.
const DUALSTACK: &str = "dualstack.";

/// Records by name.
#[derive(Debug, Default)]
pub struct Names {
    targets: BTreeMap<String, String>,
}

impl Names {
    /// Creates or replaces the record of a name. The target is the DNS name of a load balancer, which need not exist.
    pub fn put(&mut self, name: &str, target: &str) {
        self.targets.insert(normalized(name), normalized(target));
    }

    /// Deletes the record of a name.
    ///
    /// # Errors
    ///
    /// Returns an error when there is none.
    pub fn delete(&mut self, name: &str) -> Result<(), ApiError> {
        let missing = || ApiError::new("InvalidChangeBatch", format!("There is no record of the name {name}"));
        self.targets.remove(&normalized(name)).map(drop).ok_or_else(missing)
    }

    /// Returns the name and the target of every record.
    pub fn records(&self) -> impl Iterator<Item = (&str, &str)> {
        self.targets.iter().map(|(name, target)| (name.as_str(), target.as_str()))
    }

    /// Returns the addresses to which a name resolves: those of an active load balancer, else none. The record of a deleted
    /// load balancer stays, and resolves to nothing.
    pub fn resolve(&self, name: &str, elb: &Elb) -> Vec<Ipv4Addr> {
        let target = self.targets.get(&normalized(name));
        target.map_or_else(Vec::new, |target| elb.resolve(target).to_vec())
    }
}

/// Returns a name in lower case, without the dot of a fully qualified name and without the prefix for both families.
fn normalized(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.strip_prefix(DUALSTACK).map(str::to_owned).unwrap_or(name)
}
