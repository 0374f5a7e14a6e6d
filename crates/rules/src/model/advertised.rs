//! The addresses that bridges advertise to clients for media.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{AddressFamily, BRIDGE_ADDRESS_TAG, Tags};

/// The variable of the container image `jvb` with the addresses to advertise: a comma-separated list of `ADDRESS` or
/// `ADDRESS#PORT` (docker-jitsi-meet, `env.example` and `jvb/rootfs/defaults/jvb.conf`).
pub const ADVERTISED_ADDRESSES_VARIABLE: &str = "JVB_ADVERTISE_IPS";

/// The addresses that task definitions pin, and those that the load balancer has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advertised {
    /// The addresses that the task definitions of the service's tasks pin.
    pub pinned: Vec<PinnedAddress>,
    /// The load balancer's addresses; read only if a task definition pins any.
    pub load_balancer: LoadBalancerAddresses,
}

/// An address for media in a task definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PinnedAddress {
    /// The task definition, as `FAMILY:REVISION`.
    pub task_definition: String,
    /// The container's name.
    pub container: String,
    /// The address.
    pub address: IpAddr,
}

impl PinnedAddress {
    /// Returns the addresses that a value of [`ADVERTISED_ADDRESSES_VARIABLE`] pins. What isn't an address is left out.
    pub fn parse(task_definition_arn: &str, container: &str, value: &str) -> Vec<Self> {
        let task_definition = task_definition_arn.rsplit('/').next().unwrap_or(task_definition_arn);
        let address = |entry: &str| entry.split('#').next().and_then(|address| address.trim().parse().ok());
        let pinned = |address| Self { task_definition: task_definition.into(), container: container.into(), address };
        value.split(',').filter_map(address).map(pinned).collect()
    }
}

/// What a bridge must know of the load balancer when its task starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeAddress {
    /// Unknown: the load balancer must be active.
    Unknown,
    /// The bridge waits until the platform's name resolves to the load balancer, so the name's record must be the present
    /// load balancer's.
    Awaited,
    /// Nothing: its address doesn't depend on the load balancer's creation.
    Fixed,
}

impl BridgeAddress {
    /// Reads it from the tags of the ECS service.
    pub fn of(service_tags: &Tags) -> Self {
        match service_tags.get(BRIDGE_ADDRESS_TAG).map(String::as_str) {
            Some("awaited") => Self::Awaited,
            Some("fixed") => Self::Fixed,
            Some(_) | None => Self::Unknown,
        }
    }
}

/// The addresses of a load balancer, by family; `None` if they are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancerAddresses {
    /// The IPv4 addresses.
    pub ipv4: Option<BTreeSet<IpAddr>>,
    /// The IPv6 addresses.
    pub ipv6: Option<BTreeSet<IpAddr>>,
}

impl LoadBalancerAddresses {
    /// Returns the addresses of one family, if they are known.
    pub fn of(&self, family: AddressFamily) -> Option<&BTreeSet<IpAddr>> {
        match family {
            AddressFamily::Ipv4 => self.ipv4.as_ref(),
            AddressFamily::Ipv6 => self.ipv6.as_ref(),
        }
    }

    /// Returns whether the addresses of both families are known.
    pub fn are_known(&self) -> bool {
        self.ipv4.is_some() && self.ipv6.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &str = "arn:aws:ecs:eu-west-1:111122223333:task-definition/p-jvb:3";

    #[test]
    fn reads_addresses_with_and_without_a_port() {
        let pinned = PinnedAddress::parse(DEFINITION, "jvb", "192.0.2.1, 192.0.2.2#12000,2001:db8::1#12000,");
        let addresses: Vec<_> = pinned.iter().map(|pinned| pinned.address.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!((pinned[0].task_definition.as_str(), pinned[0].container.as_str()), ("p-jvb:3", "jvb"));
    }

    #[test]
    fn reads_what_a_bridge_must_know_from_the_services_tags() {
        let of = |value: &str| BridgeAddress::of(&Tags::from([(BRIDGE_ADDRESS_TAG.to_owned(), value.to_owned())]));
        assert_eq!([of("awaited"), of("fixed")], [BridgeAddress::Awaited, BridgeAddress::Fixed]);
        assert_eq!([of("Fixed"), of("")], [BridgeAddress::Unknown; 2]);
        assert_eq!(BridgeAddress::of(&Tags::new()), BridgeAddress::Unknown);
    }

    #[test]
    fn addresses_are_known_when_those_of_both_families_are() {
        let none = Some(BTreeSet::new());
        for (ipv4, ipv6, known) in
            [(none.clone(), none.clone(), true), (none.clone(), None, false), (None, none, false), (None, None, false)]
        {
            let addresses = LoadBalancerAddresses { ipv4, ipv6 };
            assert_eq!(addresses.are_known(), known, "{addresses:?}");
        }
    }

    #[test]
    fn leaves_out_what_is_not_an_address() {
        for value in ["", "meet.example.org", "$(dig +short meet.example.org)", "192.0.2", "#10000"] {
            assert_eq!(PinnedAddress::parse(DEFINITION, "jvb", value), [], "{value:?}");
        }
    }
}
