//! Flow tables of the load balancers: the flows that callers make through their listeners. Health checks make none.
//!
//! A load balancer tracks a UDP flow by the addresses and ports of its two ends, from its first packet until none has come
//! for 120 seconds, and a TCP or TLS connection until it closes or no data has come for 350 seconds (Network Load Balancers
//! user guide, "Connection idle timeout").

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::elb::Flow;
use super::settings::LoadBalancerSettings;
use super::timers::after;

/// Protocol of a flow, by which CloudWatch's metrics tell flows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowProtocol {
    /// A connection through a TCP or TCP_UDP listener.
    Tcp,
    /// A connection through a TLS listener.
    Tls,
    /// Packets through a UDP or TCP_UDP listener.
    Udp,
}

impl FlowProtocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Udp];

    /// Returns AWS's name of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
        }
    }
}

/// Handle of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(u64);

/// A flow in a load balancer's table.
#[derive(Debug)]
pub struct TrackedFlow {
    /// ARN of the load balancer.
    pub load_balancer: String,
    /// Protocol.
    pub protocol: FlowProtocol,
    /// Time of the first packet.
    pub opened_at: Timestamp,
    /// End of the flow; `None` while packets keep it.
    pub end: Option<FlowEnd>,
    /// Traffic between the first and the last packet.
    pub bytes_per_second: u32,
}

/// End of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// Time of the last packet.
    pub last_packet_at: Timestamp,
    /// Time at which the load balancer forgets the flow.
    pub forgotten_at: Timestamp,
}

/// The flow tables of all load balancers.
#[derive(Debug, Default)]
pub struct Flows {
    tracked: BTreeMap<FlowId, TrackedFlow>,
    /// Time of the last packet of ended flows, by load balancer and protocol.
    last_packets: BTreeMap<(String, FlowProtocol), Timestamp>,
    /// Number of flows so far.
    count: u64,
}

impl Flows {
    /// Opens a flow, which packets keep until it ends.
    pub fn open(&mut self, flow: &Flow, protocol: FlowProtocol, bytes_per_second: u32, now: Timestamp) -> FlowId {
        self.count += 1;
        let id = FlowId(self.count);
        let load_balancer = flow.load_balancer().to_owned();
        self.tracked.insert(id, TrackedFlow { load_balancer, protocol, opened_at: now, end: None, bytes_per_second });
        id
    }

    /// Ends a flow at its client: a connection closes, and of a UDP flow no further packet comes.
    pub fn close(&mut self, id: FlowId, settings: &LoadBalancerSettings, now: Timestamp) {
        self.end(id, Duration::ZERO, settings, now);
    }

    /// Ends a flow whose client is gone without a word, so that no connection closes.
    pub fn abandon(&mut self, id: FlowId, settings: &LoadBalancerSettings, now: Timestamp) {
        self.end(id, settings.tcp_idle_timeout, settings, now);
    }

    fn end(&mut self, id: FlowId, connection_remembered: Duration, settings: &LoadBalancerSettings, now: Timestamp) {
        let Some(flow) = self.tracked.get_mut(&id) else { return };
        let remembered = match flow.protocol {
            FlowProtocol::Udp => settings.udp_idle_timeout,
            FlowProtocol::Tcp | FlowProtocol::Tls => connection_remembered,
        };
        flow.end = Some(FlowEnd { last_packet_at: now, forgotten_at: after(now, remembered) });
        self.last_packets.insert((flow.load_balancer.clone(), flow.protocol), now);
    }

    /// Returns the flows of a load balancer.
    pub fn of<'a>(&'a self, load_balancer: &'a str) -> impl Iterator<Item = &'a TrackedFlow> {
        self.tracked.values().filter(move |flow| flow.load_balancer == load_balancer)
    }

    /// Returns the time of the last packet of a protocol through a load balancer, which is now while a flow is open.
    pub fn last_packet_at(&self, load_balancer: &str, protocol: FlowProtocol, now: Timestamp) -> Option<Timestamp> {
        let is_open = self.of(load_balancer).any(|flow| flow.protocol == protocol && flow.end.is_none());
        if is_open {
            Some(now)
        } else {
            self.last_packets.get(&(load_balancer.to_owned(), protocol)).map(|at| now.min(*at))
        }
    }

    /// Discards the flows that were forgotten before a time, and those of load balancers that are gone.
    pub fn discard(&mut self, before: Timestamp, exists: impl Fn(&str) -> bool) {
        let is_forgotten = |flow: &TrackedFlow| flow.end.is_some_and(|end| end.forgotten_at < before);
        self.tracked.retain(|_, flow| !is_forgotten(flow) && exists(&flow.load_balancer));
    }
}

impl TrackedFlow {
    /// Returns whether the load balancer has the flow in its table at a time.
    pub fn is_tracked_at(&self, at: Timestamp) -> bool {
        self.opened_at <= at && self.end.is_none_or(|end| at < end.forgotten_at)
    }
}
