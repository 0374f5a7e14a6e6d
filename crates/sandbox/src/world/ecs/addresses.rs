//! The private addresses of tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What all IPv6 addresses here begin with; the task's IPv4 address follows.
const IPV6_PREFIX: [u16; 6] = [0x2a05, 0xd018, 0x12, 0x3400, 0, 0];

/// The last bytes that a subnet gives out: some at its ends are AWS's own, as are some others here for good measure.
const LAST_BYTES: std::ops::RangeInclusive<u32> = 10..=250;

/// Which addresses are held, and whether something serves behind them.
///
/// An address that has come free is the next to be given out: that is the case which anything that goes by addresses
/// must get right.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Every address that was ever given out: whether something serves there.
    given: BTreeMap<Ipv4Addr, bool>,
    free: BTreeSet<Ipv4Addr>,
    fresh: u32,
}

impl Addresses {
    /// Gives out an address.
    pub fn take(&mut self) -> Ipv4Addr {
        let address = self.free.pop_first().unwrap_or_else(|| {
            let number = self.fresh;
            self.fresh += 1;
            nth(number)
        });
        self.given.insert(address, false);
        address
    }

    /// Takes an address back.
    pub fn release(&mut self, address: Ipv4Addr) {
        self.given.insert(address, false);
        self.free.insert(address);
    }

    /// Notes whether something serves behind an address.
    pub fn set_serving(&mut self, address: Ipv4Addr, serves: bool) {
        self.given.insert(address, serves);
    }

    /// Whether something serves behind an address; `None` for one that never was a task's.
    pub fn serves(&self, address: IpAddr) -> Option<bool> {
        let v4 = match address {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => v4_of(address)?,
        };
        self.given.get(&v4).copied()
    }
}

fn nth(number: u32) -> Ipv4Addr {
    let per_subnet = LAST_BYTES.end() - LAST_BYTES.start() + 1;
    let (subnet, host) = (number / per_subnet, LAST_BYTES.start() + number % per_subnet);
    // 10.0.1.x, 10.0.2.x, …: subnets of 256 addresses, one after the other.
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 1, 0)) + (subnet << 8) + host)
}

/// The IPv6 address that goes with an IPv4 address.
pub fn v6_of(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = IPV6_PREFIX;
    let [w, x, y, z] = address.octets().map(u16::from);
    Ipv6Addr::new(a, b, c, d, e, f, w << 8 | x, y << 8 | z)
}

fn v4_of(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [prefix @ .., high, low] = address.segments();
    (prefix == IPV6_PREFIX).then(|| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_free_is_used_first() {
        let mut addresses = Addresses::default();
        let first = addresses.take();
        let second = addresses.take();
        assert_eq!([first, second], [Ipv4Addr::new(10, 0, 1, 10), Ipv4Addr::new(10, 0, 1, 11)]);
        addresses.release(first);
        assert_eq!(addresses.take(), first);
        assert_ne!(addresses.take(), second);
    }

    #[test]
    fn a_full_subnet_is_followed_by_the_next() {
        assert_eq!(nth(240), Ipv4Addr::new(10, 0, 1, 250));
        assert_eq!(nth(241), Ipv4Addr::new(10, 0, 2, 10));
    }

    #[test]
    fn both_families_know_who_serves() {
        let mut addresses = Addresses::default();
        let v4 = addresses.take();
        assert_eq!(addresses.serves(IpAddr::V6(v6_of(v4))), Some(false));
        addresses.set_serving(v4, true);
        assert_eq!(addresses.serves(IpAddr::V6(v6_of(v4))), Some(true));
        assert_eq!(addresses.serves(IpAddr::V4(Ipv4Addr::new(10, 0, 9, 9))), None);
    }
}
