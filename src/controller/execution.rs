//! Executes a plan: registrations first, then the load balancer's lifecycle, then the stop of an unused service.

use crate::aws::{Platform, Scaling};
use crate::controller::stop::Stop;
use crate::controller::teardown::Teardown;
use crate::controller::writes::{Applied, Writer};
use jvb_watcher_rules::model::{IDLE_SINCE_TAG, LOAD_BALANCER_TAG, Tags};
use jvb_watcher_rules::plan::{LifecycleAction, Plan};

impl<P: Platform + Scaling> Writer<'_, P> {
    /// Executes a plan. The failure of one write doesn't keep the others from being made.
    pub async fn execute(&self, plan: &Plan, teardown: &mut Teardown, stop: &mut Stop) -> Applied {
        let mut applied = Applied::default();
        for change in &plan.registrations {
            applied.merge(self.change_registrations(change).await);
        }
        applied.merge(match &plan.lifecycle {
            LifecycleAction::Keep => Applied::default(),
            LifecycleAction::Mark { load_balancer_arn, idle_since, resources, reason } => {
                let tags = Tags::from([
                    (IDLE_SINCE_TAG.to_owned(), teardown.new_mark(*idle_since)),
                    (LOAD_BALANCER_TAG.to_owned(), load_balancer_arn.clone()),
                ]);
                self.mark(resources, &tags, *idle_since, *reason).await
            }
            LifecycleAction::Unmark { resources, idle_since, reason } => {
                self.unmark(resources, *idle_since, *reason).await
            }
            LifecycleAction::DeleteLoadBalancer { load_balancer_arn, created_at, idle_since } => {
                self.delete_load_balancer(teardown, load_balancer_arn, *created_at, *idle_since).await
            }
            LifecycleAction::DeleteTargetGroups { target_groups } => {
                self.delete_target_groups(teardown, target_groups).await
            }
        });
        applied.merge(self.stop(&plan.stop, stop).await);
        applied
    }
}
