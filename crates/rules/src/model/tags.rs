//! The tags in which the watcher keeps its state: any worker can stop at any instant, and another resumes from them.

use std::collections::BTreeMap;

/// The tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// The mark: since when the service behind a load balancer has been idle, as an RFC 3339 instant.
///
/// On the load balancer and on its target groups.
pub const IDLE_SINCE_TAG: &str = "jvb-watcher:idle-since";

/// The ARN of the load balancer that a mark belongs to, beside [`IDLE_SINCE_TAG`].
///
/// After that load balancer's deletion, nothing else tells whose target group it was.
pub const LOAD_BALANCER_TAG: &str = "jvb-watcher:load-balancer";

/// The end of an operator's hold, as an RFC 3339 instant; until then the load balancer is neither marked nor deleted.
pub const HOLD_UNTIL_TAG: &str = "jvb-watcher:hold-until";

/// The holder, beside [`HOLD_UNTIL_TAG`]; a hold without it was placed by hand.
pub const HELD_BY_TAG: &str = "jvb-watcher:held-by";

/// The announced time at which an unused service is scaled to zero, as an RFC 3339 instant; on the load balancer.
pub const STOP_AT_TAG: &str = "jvb-watcher:stop-at";

/// The lease on the ECS service, by which the later of two operations (`up`, `down`, a stop by the watcher) wins.
pub const OPERATION_TAG: &str = "jvb-watcher:operation";

/// What the bridge must know of the load balancer when its task starts, as `awaited` or `fixed`; on the ECS service.
///
/// Its operator sets it. It lacks the prefix of the watcher's own tags, which `ignore_tags` of the operator's Terraform may
/// exclude.
pub const BRIDGE_ADDRESS_TAG: &str = "jvb-watcher-bridge-address";
