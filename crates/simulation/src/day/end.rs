//! The quiet end of a day: nothing fails any more, and a scale-up and a scale-down must each complete within their bounds. In a
//! fleet one service still fails while the others come to their ends.

use std::time::Duration;

use super::fleet::Failing;
use super::run::{Platform, Run};
use super::usage::known_metrics;
use super::{Action, HOUR, Severity};
use crate::checker::{DELETED_WITHIN, Guarantee};
use jvb_watcher_sandbox::faults::{FaultPlan, Faults};
use jvb_watcher_sandbox::world::{Incident, Settings};

mod platform;

use platform::End;

/// How long a service must have failed that counts as failing for hours.
const LONG: Duration = Duration::from_secs(2 * HOUR.as_secs());

/// The moment that a service has gone through all of its end beside one that fails.
const BESIDE_FAILING: &str = "a service was registered and torn down beside a failing one";

impl Run<'_> {
    /// Plays the quiet end of each platform, and checks the final state. Of a fleet one service still fails while the others
    /// come to their ends; its own follows.
    pub(super) async fn end(&mut self) {
        self.environment.note(|| "the quiet end".to_owned());
        self.quiet();
        if let Some(failing) = self.failing {
            let kept = self.end_beside(failing).await;
            self.end_of(failing.platform).await;
            self.environment.with(|state, now| {
                if state.checkers.of(failing.platform).messages_waiting_for(HOUR, now) < kept {
                    state.coverage.moment("messages about a failing service were deleted after its recovery");
                }
            });
        } else {
            self.end_of(0).await;
        }
        self.check_queues();
    }

    /// Plays the ends of the platforms beside the one whose service fails, and lets that one recover. Returns the number of its
    /// messages that were kept for an hour or longer.
    async fn end_beside(&mut self, failing: &Failing) -> usize {
        let fails_from = self.environment.now();
        self.perform(failing.platform, &Action::SetPlatformFaults(failing.kind.plan()));
        let others: Vec<_> = (0..self.platforms.len()).filter(|platform| *platform != failing.platform).collect();
        for (index, platform) in others.into_iter().enumerate() {
            // Messages about the failing service arrive, too.
            self.perform(failing.platform, &Action::Scale { tasks: if index.is_multiple_of(2) { 1 } else { 0 } });
            self.end_of(platform).await;
            self.environment.with(|state, _| state.coverage.moment(BESIDE_FAILING));
        }
        let kept = self.environment.with(|state, now| {
            if fails_from + LONG <= now {
                state.coverage.moment(failing.kind.moment());
            }
            state.checkers.of(failing.platform).messages_waiting_for(HOUR, now)
        });
        self.perform(failing.platform, &Action::SetPlatformFaults(FaultPlan::default()));
        kept
    }

    async fn end_of(&mut self, platform: usize) {
        // A fault that has waited in vain for a call about another platform.
        self.environment.with(|state, _| state.call_faults.clear());
        End::of(self, platform).play().await;
    }

    /// Ends all faults but those of the failing service.
    fn quiet(&mut self) {
        self.environment.with(|state, now| {
            state.call_faults.clear();
            state.faults.clear();
            state.usage_faults.clear();
            state.platform_faults.iter_mut().for_each(Faults::clear);
            for budget in state.checkers.budgets() {
                budget.set_usage_failing(false, now);
                budget.set_aws_failing(false, now);
                budget.set_platform_failing(false, now);
            }
            let settings = state.world.settings_mut();
            (settings.ecs_lag, settings.stopped_list_lag) = (Duration::ZERO, Duration::ZERO);
            settings.events = Settings::default().events;
            settings.metrics = known_metrics();
        });
        self.perform(0, &Action::Inject(Incident::Callers { n: 0 }));
    }

    fn check_queues(&self) {
        let queues = self.environment.with(|state, _| state.world.queues());
        for queue in queues.iter().filter(|queue| queue.name.ends_with("jvb-watcher")) {
            if let Some(age) = queue.oldest.filter(|age| *age > DELETED_WITHIN) {
                let what = format!("a message has been in {} for {age:?}", queue.name);
                self.violate(Guarantee::NoMessageIsLost, what);
            }
        }
        let Some(Platform { day, operator, .. }) = self.platforms.first() else { return };
        let (malformed, others) = operator.dead_letters();
        if malformed < self.malformed {
            let what = format!("{malformed} of {} malformed message(s) are in the dead-letter queue", self.malformed);
            self.violate(Guarantee::NoMessageIsLost, what);
        }
        if others > 0 {
            self.environment
                .with(|state, _| state.coverage.moment("a readable message came into the dead-letter queue"));
        }
        // On other days a message is received too often while workers are killed or cannot delete it.
        if others > 0 && day.severity == Severity::Calm {
            let what = format!("{others} readable message(s) are in the dead-letter queue");
            self.violate(Guarantee::NoMessageIsLost, what);
        }
    }
}
