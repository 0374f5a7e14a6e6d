//! Private addresses of tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Prefix of all IPv6 addresses; the task's IPv4 address follows it.
const IPV6_PREFIX: [u16; 6] = [0x2a05, 0xd018, 0x12, 0x3400, 0, 0];

/// Last bytes of the addresses in a subnet, clear of those that AWS reserves: the first four and the last one.
const LAST_BYTES: std::ops::RangeInclusive<u32> = 10..=250;

/// Pool of addresses, with a record of whether the task behind an address serves.
///
/// A released address is the next one to be assigned. That is the hardest case for clients that identify tasks by
/// address.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Every address that was ever assigned, with whether a task serves there.
    assigned: BTreeMap<Ipv4Addr, bool>,
    free: BTreeSet<Ipv4Addr>,
    fresh: u32,
}

impl Addresses {
    /// Assigns an address.
    pub fn take(&mut self) -> Ipv4Addr {
        let address = self.free.pop_first().unwrap_or_else(|| {
            let number = self.fresh;
            self.fresh += 1;
            nth(number)
        });
        self.assigned.insert(address, false);
        address
    }

    /// Releases an address.
    pub fn release(&mut self, address: Ipv4Addr) {
        self.assigned.insert(address, false);
        self.free.insert(address);
    }

    /// Records whether the task behind an address serves.
    pub fn set_serving(&mut self, address: Ipv4Addr, serves: bool) {
        self.assigned.insert(address, serves);
    }

    /// Returns whether a task serves behind an address; `None` for an address that never belonged to a task.
    pub fn serves(&self, address: IpAddr) -> Option<bool> {
        self.assigned.get(&v4_of(address)?).copied()
    }
}

fn nth(number: u32) -> Ipv4Addr {
    let per_subnet = LAST_BYTES.end() - LAST_BYTES.start() + 1;
    let (subnet, host) = (number / per_subnet, LAST_BYTES.start() + number % per_subnet);
    // 10.0.1.x, then 10.0.2.x and so on.
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 1, 0)) + (subnet << 8) + host)
}

/// Returns the addresses of a task with an IPv4 address, of both families.
pub fn addresses_of(address: Ipv4Addr) -> impl Iterator<Item = IpAddr> {
    [address.into(), v6_of(address).into()].into_iter()
}

/// Returns the IPv6 address that corresponds to an IPv4 address.
pub fn v6_of(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = IPV6_PREFIX;
    let [w, x, y, z] = address.octets().map(u16::from);
    Ipv6Addr::new(a, b, c, d, e, f, w << 8 | x, y << 8 | z)
}

/// Returns the IPv4 address that corresponds to an address of either family.
pub fn v4_of(address: IpAddr) -> Option<Ipv4Addr> {
    let address = match address {
        IpAddr::V4(address) => return Some(address),
        IpAddr::V6(address) => address,
    };
    let [prefix @ .., high, low] = address.segments();
    (prefix == IPV6_PREFIX).then(|| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_address_is_assigned_next() {
        let mut addresses = Addresses::default();
        let first = addresses.take();
        let second = addresses.take();
        assert_eq!([first, second], [Ipv4Addr::new(10, 0, 1, 10), Ipv4Addr::new(10, 0, 1, 11)]);
        addresses.release(first);
        assert_eq!(addresses.take(), first);
        assert_ne!(addresses.take(), second);
    }

    #[test]
    fn the_next_subnet_follows_a_full_one() {
        assert_eq!(nth(240), Ipv4Addr::new(10, 0, 1, 250));
        assert_eq!(nth(241), Ipv4Addr::new(10, 0, 2, 10));
    }

    #[test]
    fn both_address_families_know_whether_a_task_serves() {
        let mut addresses = Addresses::default();
        let v4 = addresses.take();
        assert_eq!(addresses.serves(IpAddr::V6(v6_of(v4))), Some(false));
        addresses.set_serving(v4, true);
        assert_eq!(addresses.serves(IpAddr::V6(v6_of(v4))), Some(true));
        assert_eq!(addresses.serves(IpAddr::V4(Ipv4Addr::new(10, 0, 9, 9))), None);
    }
}
