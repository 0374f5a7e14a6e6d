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
    /// Time at which the load balancer forgets the flow; `None` while packets keep it.
    pub forgotten_at: Option<Timestamp>,
}

/// The flow tables of all load balancers.
#[derive(Debug, Default)]
pub struct Flows {
    tracked: BTreeMap<FlowId, TrackedFlow>,
    /// Number of flows so far.
    count: u64,
}

impl Flows {
    /// Opens a flow, which packets keep until it is closed.
    pub fn open(&mut self, flow: &Flow, protocol: FlowProtocol, now: Timestamp) -> FlowId {
        self.count += 1;
        let id = FlowId(self.count);
        let load_balancer = flow.load_balancer().to_owned();
        self.tracked.insert(id, TrackedFlow { load_balancer, protocol, opened_at: now, forgotten_at: None });
        id
    }

    /// Ends a flow: a connection closes, and of a UDP flow no further packet comes.
    pub fn close(&mut self, id: FlowId, settings: &LoadBalancerSettings, now: Timestamp) {
        if let Some(flow) = self.tracked.get_mut(&id) {
            let remembered = match flow.protocol {
                FlowProtocol::Udp => settings.udp_idle_timeout,
                FlowProtocol::Tcp | FlowProtocol::Tls => Duration::ZERO,
            };
            flow.forgotten_at = Some(after(now, remembered));
        }
    }

    /// Returns the flows of a load balancer.
    pub fn of<'a>(&'a self, load_balancer: &'a str) -> impl Iterator<Item = &'a TrackedFlow> {
        self.tracked.values().filter(move |flow| flow.load_balancer == load_balancer)
    }

    /// Discards the flows that were forgotten before a time, and those of load balancers that are gone.
    pub fn discard(&mut self, before: Timestamp, exists: impl Fn(&str) -> bool) {
        let is_forgotten = |flow: &TrackedFlow| flow.forgotten_at.is_some_and(|at| at < before);
        self.tracked.retain(|_, flow| !is_forgotten(flow) && exists(&flow.load_balancer));
    }
}
