//! Writes and removes the idle mark.

use jiff::Timestamp;

use crate::aws::Platform;
use crate::controller::writes::{Applied, Writer};
use crate::telemetry::log::{Event, rfc3339_millis};
use jvb_watcher_rules::model::{IDLE_SINCE_TAG, LOAD_BALANCER_TAG, Tags};
use jvb_watcher_rules::plan::{MarkReason, UnmarkReason};

impl<P: Platform> Writer<'_, P> {
    /// Marks the load balancer and its target groups idle.
    pub(super) async fn mark(
        &self,
        resources: &[String],
        tags: &Tags,
        idle_since: Timestamp,
        reason: MarkReason,
    ) -> Applied {
        let answer = self.platform.add_tags(resources, tags, &self.deadline).await;
        let load_balancer = self.load_balancer.to_owned();
        self.tagged(
            answer,
            Event::IdleMarked {
                load_balancer,
                idle_since: rfc3339_millis(idle_since),
                reason,
                observation: self.basis.id(),
            },
            Applied { marks: 1, ..Applied::default() },
        )
    }

    /// Removes the mark.
    pub(super) async fn unmark(
        &self,
        resources: &[String],
        idle_since: Option<Timestamp>,
        reason: UnmarkReason,
    ) -> Applied {
        let keys = [IDLE_SINCE_TAG, LOAD_BALANCER_TAG];
        let answer = self.platform.remove_tags(resources, &keys, &self.deadline).await;
        let load_balancer = self.load_balancer.to_owned();
        self.tagged(
            answer,
            Event::IdleUnmarked {
                load_balancer,
                idle_since: idle_since.map(rfc3339_millis),
                reason,
                observation: self.basis.id(),
            },
            Applied { marks: 1, ..Applied::default() },
        )
    }
}
