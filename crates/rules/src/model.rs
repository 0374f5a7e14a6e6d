//! The part of AWS that the rules know, free of any SDK type.
//!
//! - [`task`](Task), [`service`](Service), [`deployment`](Startup): ECS, as DescribeTasks and DescribeServices show it.
//! - [`load_balancer`](LoadBalancer), [`target`](Target): Elastic Load Balancing.
//! - [`flows`](FlowHistory): the use of the load balancer, as CloudWatch shows it.
//! - [`advertised`](Advertised): the addresses that bridges advertise to clients for media.
//! - [`tags`](Tags): the tags in which the watcher keeps its state.
//! - [`observation`](Observation): all of it at one instant.

mod advertised;
mod deployment;
mod flows;
mod load_balancer;
mod observation;
mod service;
mod tags;
mod target;
mod task;

pub use advertised::{ADVERTISED_ADDRESSES_VARIABLE, Advertised, BridgeAddress, LoadBalancerAddresses, PinnedAddress};
pub use deployment::{Deployment, Rollout, SchedulerMessage, ServiceEvent, ServiceEventName, Startup};
pub use flows::{FlowHistory, FlowProblem, FlowProtocols, MINUTE, MinuteFlows, minute_of};
pub use load_balancer::{
    LoadBalancer, LoadBalancerKind, LoadBalancerState, Protocol, TargetGroup, TargetType, load_balancer_name,
};
pub use observation::{Observation, Readiness, TasksByAddress};
pub use service::{Counts, Service, cluster_name};
pub use tags::{
    BRIDGE_ADDRESS_TAG, HELD_BY_TAG, HOLD_UNTIL_TAG, IDLE_SINCE_TAG, LOAD_BALANCER_TAG, OPERATION_TAG, STOP_AT_TAG,
    Tags,
};
pub use target::{AddressFamily, Target, TargetKey, TargetKeys, TargetState};
pub use task::{DesiredStatus, LastStatus, Phase, StopCode, Task, TaskId};

#[cfg(test)]
mod tests;
