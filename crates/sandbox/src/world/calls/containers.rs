//! The containers of a task: the ports on which they listen, and the bridge.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use crate::api::ecs::ContainerDefinition;
use crate::world::Context;
use crate::world::elb::{Elb, HealthCheck};
use crate::world::names::Names;
use crate::world::timers::after;

/// Name of the bridge's container, as in docker-jitsi-meet's compose file.
const BRIDGE: &str = "jvb";

/// Variable with the addresses that a bridge advertises: `ADDRESS` or `ADDRESS#PORT`, separated by commas.
const ADVERTISED: &str = "JVB_ADVERTISE_IPS";

/// Name of the script that the bridge's command runs before the bridge: `advertise DOMAIN SECONDS COMMAND…`. It waits until
/// the domain resolves (terraform/modules/jitsi-service, scripts/advertise.sh).
const ADVERTISE: &str = "advertise";

/// Path of the bridge's health, the only one that its private HTTP server serves here.
const HEALTH_PATH: &str = "/about/health";

/// Default port of a bridge's media.
const MEDIA_PORT: u16 = 10_000;

/// The running containers of a task.
#[derive(Debug)]
pub struct Containers {
    /// Id of the task.
    pub task: String,
    /// Ports that the task definition maps. Without any, the task is taken to listen on every port.
    ports: Vec<Port>,
    bridge: Option<Bridge>,
}

/// A port on which a container listens.
#[derive(Debug)]
struct Port {
    number: u16,
    is_udp: bool,
    /// The port is the bridge's: closed until the bridge knows what to advertise.
    of_bridge: bool,
}

/// A bridge.
#[derive(Debug)]
struct Bridge {
    advertised: Advertised,
    /// Time until which its command waits for the domain.
    gives_up_at: Timestamp,
}

/// What a bridge advertises to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertised {
    /// Nothing yet: its command waits until the domain resolves.
    Waiting {
        /// The domain.
        domain: String,
    },
    /// The address of its own task, which it finds by STUN. Media to it bypasses the load balancer.
    Own,
    /// These addresses.
    Addresses(Vec<Ipv4Addr>),
}

impl Containers {
    /// Creates the containers of a starting task.
    pub fn new(task: String, definitions: &[ContainerDefinition], context: &Context<'_>) -> Self {
        let ports = definitions.iter().flat_map(|definition| {
            definition.port_mappings.iter().map(|mapping| Port {
                number: mapping.container_port,
                is_udp: mapping.protocol.as_deref() == Some("udp"),
                of_bridge: definition.name == BRIDGE,
            })
        });
        let bridge = definitions.iter().find(|definition| definition.name == BRIDGE).map(|definition| Bridge {
            advertised: configured(definition),
            gives_up_at: after(context.now, context.settings.calls.resolve_timeout),
        });
        Self { task, ports: ports.collect(), bridge }
    }

    /// Resolves the domain if the bridge waits for it. Returns whether it no longer waits.
    pub fn resolve(&mut self, names: &Names, elb: &Elb) -> bool {
        let Some(bridge) = &mut self.bridge else { return true };
        if let Advertised::Waiting { domain } = &bridge.advertised {
            let addresses = names.resolve(domain, elb);
            if addresses.is_empty() {
                return false;
            }
            bridge.advertised = Advertised::Addresses(addresses);
        }
        true
    }

    /// Returns whether the bridge's command has waited for as long as it does.
    pub fn has_given_up(&self, now: Timestamp) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| bridge.gives_up_at <= now)
    }

    /// Returns what the bridge advertises.
    pub fn advertised(&self) -> Option<&Advertised> {
        self.bridge.as_ref().map(|bridge| &bridge.advertised)
    }

    /// Returns whether the bridge receives media at a port.
    pub fn receives_media_at(&self, port: u16) -> bool {
        self.is_bridge_ready() && self.listens(port, true)
    }

    /// Returns the port of the bridge's media.
    pub fn media_port(&self) -> u16 {
        self.ports.iter().find(|port| port.of_bridge && port.is_udp).map_or(MEDIA_PORT, |port| port.number)
    }

    /// Returns whether a health check at a port succeeds.
    pub fn answers(&self, check: &HealthCheck, port: u16) -> bool {
        match self.ports.iter().find(|found| found.number == port && !found.is_udp) {
            Some(found) if found.of_bridge => {
                self.is_bridge_ready() && check.path.as_deref().is_none_or(|path| path == HEALTH_PATH)
            }
            Some(_) => true,
            None => self.ports.is_empty(),
        }
    }

    /// Returns whether a container listens on a port.
    pub fn listens(&self, number: u16, udp: bool) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|port| port.number == number && port.is_udp == udp)
    }

    fn is_bridge_ready(&self) -> bool {
        self.advertised().is_some_and(|advertised| !matches!(advertised, Advertised::Waiting { .. }))
    }
}

/// Returns what a bridge advertises before its command has resolved a name.
fn configured(definition: &ContainerDefinition) -> Advertised {
    let pinned =
        definition.environment.iter().find(|variable| variable.name == ADVERTISED && !variable.value.is_empty());
    if let Some(pinned) = pinned {
        let addresses = pinned.value.split(',').filter_map(|address| address.trim().split('#').next()?.parse().ok());
        Advertised::Addresses(addresses.collect())
    } else {
        let mut arguments = definition.command.iter().skip_while(|argument| *argument != ADVERTISE).skip(1);
        arguments.next().map_or(Advertised::Own, |domain| Advertised::Waiting { domain: domain.clone() })
    }
}
