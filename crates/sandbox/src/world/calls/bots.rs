//! Bots, which scan the ports of load balancers.

use std::time::Duration;

use crate::world::Context;
use crate::world::elb::Elb;
use crate::world::flows::FlowProtocol;
use crate::world::timers::after;

/// Time for which a bot's connection lasts.
const CONNECTION: Duration = Duration::from_secs(1);

/// Lets bots send a packet to each UDP listener, and connect to each TCP and TLS listener, of every load balancer.
///
/// A load balancer keeps UDP flow state by source and destination, without a handshake (Network Load Balancers user guide,
/// "Connection idle timeout"): a single packet is a flow until the idle timeout is over. A connection closes after a
/// second. Where
/// no target is healthy, nothing answers and there is no flow.
pub(super) fn scan(bots: usize, elb: &Elb, context: &mut Context<'_>) {
    for load_balancer in elb.load_balancers() {
        for listener in elb.listeners().filter(|listener| listener.load_balancer == load_balancer.arn) {
            for protocol in FlowProtocol::ALL.into_iter().filter(|protocol| listener.takes(protocol.as_str())) {
                let targets = load_balancer
                    .addresses()
                    .iter()
                    .filter_map(|address| elb.flows(*address, protocol.as_str(), listener.port).into_iter().next());
                for flow in targets {
                    for _ in 0..bots {
                        let lasts = if protocol == FlowProtocol::Udp { Duration::ZERO } else { CONNECTION };
                        let id = context.flows.open(&flow, protocol, 0, context.now);
                        context.flows.close(id, &context.settings.load_balancers, after(context.now, lasts));
                    }
                }
            }
        }
    }
}
