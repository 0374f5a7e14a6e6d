//! The hold on a load balancer: placed and released by an operator, and by `up` while it runs.

use std::time::Duration;

use super::failure::OperationError;
use crate::aws::{AwsError, Deadline, ErrorKind, Platform};
use crate::clock::{Moment, SharedClock};
use crate::controller::reconciler::OBSERVATION_VALID_FOR;
use crate::telemetry::log::{Event, Log, rfc3339_millis};
use jvb_watcher_rules::hold::{Hold, Holder};
use jvb_watcher_rules::model::{IDLE_SINCE_TAG, LOAD_BALANCER_TAG, Tags};
use jvb_watcher_rules::plan::OwnerTag;

/// The time that a call to AWS, begun within [`OBSERVATION_VALID_FOR`], may take to have its effect.
const CALL_MARGIN: Duration = Duration::from_secs(2);

/// The load balancer that a hold is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct HoldTarget<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its ARN.
    pub(super) arn: &'a str,
}

/// Writes a hold to the load balancer's tags.
pub(super) async fn write(
    platform: &impl Platform,
    log: &Log,
    target: HoldTarget<'_>,
    hold: &Hold,
    deadline: &Deadline,
) -> Result<(), AwsError> {
    platform.add_tags(&[target.arn.to_owned()], &hold.tags(), deadline).await?;
    log.emit(&Event::HoldPlaced {
        load_balancer: target.name.to_owned(),
        hold_until: rfc3339_millis(hold.until),
        held_by: hold.holder.as_str().to_owned(),
    });
    Ok(())
}

/// Removes a hold from the load balancer's tags, and an idle mark from before the hold: the grace period begins now.
pub(super) async fn remove(
    platform: &impl Platform,
    log: &Log,
    target: HoldTarget<'_>,
    holder: &Holder,
    deadline: &Deadline,
) -> Result<(), AwsError> {
    let [until, by] = Hold::KEYS;
    let keys = [until, by, IDLE_SINCE_TAG, LOAD_BALANCER_TAG];
    platform.remove_tags(&[target.arn.to_owned()], &keys, deadline).await?;
    log.emit(&Event::HoldReleased { load_balancer: target.name.to_owned(), held_by: holder.as_str().to_owned() });
    Ok(())
}

/// An operator's hold on a load balancer.
pub struct OperatorHold<P> {
    /// AWS.
    pub platform: P,
    /// Receives the events.
    pub log: Log,
    /// AWS's time.
    pub clock: SharedClock,
    /// The load balancer's name.
    pub load_balancer: String,
    /// The tag without which no watcher deletes a load balancer.
    pub owner_tag: OwnerTag,
}

/// The result of placing a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The new hold is in force.
    New(Hold),
    /// An operator's hold ends later than the new one would, and stays.
    KeptLonger(Hold),
}

/// The result of releasing a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The hold is released.
    Released,
    /// There was no hold.
    NotHeld,
    /// There is no load balancer.
    NoLoadBalancer,
}

/// The number of observations for one hold, before a write whose observation is stale each time is an error.
const MAX_OBSERVATIONS: u32 = 5;

/// Returns true if the write was not sent because its observation was stale, e.g. because an answer showed that the
/// machine's clock had stood still, and it may be tried on another observation.
fn may_observe_again(error: &AwsError, attempt: &mut u32) -> bool {
    let may = error.is(ErrorKind::StaleObservation) && *attempt < MAX_OBSERVATIONS;
    *attempt += 1;
    may
}

impl<P: Platform> OperatorHold<P> {
    /// Holds the load balancer for so long from now, unless an operator already holds it for longer.
    ///
    /// # Errors
    ///
    /// Returns an error if a call fails, or if there is no load balancer that a watcher could delete.
    pub async fn place(&self, time: Duration) -> Result<Placed, OperationError> {
        let mut attempt = 1;
        loop {
            match self.place_once(time).await {
                Err(OperationError::Aws(error)) if may_observe_again(&error, &mut attempt) => {}
                placed => return placed,
            }
        }
    }

    /// Releases the hold, of an operator or of `up`.
    ///
    /// # Errors
    ///
    /// Returns an error if a call fails.
    pub async fn release(&self) -> Result<Released, OperationError> {
        let mut attempt = 1;
        loop {
            match self.release_once().await {
                Err(error) if may_observe_again(&error, &mut attempt) => {}
                released => return Ok(released?),
            }
        }
    }

    async fn place_once(&self, time: Duration) -> Result<Placed, OperationError> {
        let name = &self.load_balancer;
        let deadline = self.deadline();
        let Some((arn, tags)) = self.find().await? else {
            return Err(OperationError::Refused(format!(
                "load balancer {name} doesn't exist; create it (jvb-watcher up), or correct --load-balancer"
            )));
        };
        let owner_tag = &self.owner_tag;
        if !owner_tag.is_among(&tags) {
            return Err(OperationError::Refused(format!(
                "load balancer {name} doesn't have the tag {owner_tag}, so no watcher deletes it and a hold has no \
                 effect; if its tag is another one, give it as --owner-tag"
            )));
        }
        let now = self.clock.now();
        let hold = Hold::for_duration(time, now, Holder::Hand);
        let longer = Hold::of(&tags).filter(|current| {
            // The hold of an `up` ends with it, whatever its time.
            current.is_in_force(now) && current.holder == Holder::Hand && current.until > hold.until
        });
        let placed = match longer {
            Some(current) => Placed::KeptLonger(current),
            None => {
                write(&self.platform, &self.log, HoldTarget { name, arn: &arn }, &hold, &deadline).await?;
                Placed::New(hold)
            }
        };
        if tags.contains_key(IDLE_SINCE_TAG) {
            self.verify_kept(&arn).await?;
        }
        Ok(placed)
    }

    async fn release_once(&self) -> Result<Released, AwsError> {
        let deadline = self.deadline();
        let Some((arn, tags)) = self.find().await? else { return Ok(Released::NoLoadBalancer) };
        // One that can't be parsed goes too.
        if !Hold::KEYS.iter().any(|key| tags.contains_key(*key)) {
            return Ok(Released::NotHeld);
        }
        let holder = Hold::of(&tags).map_or(Holder::Hand, |hold| hold.holder);
        let target = HoldTarget { name: &self.load_balancer, arn: &arn };
        remove(&self.platform, &self.log, target, &holder, &deadline).await?;
        Ok(Released::Released)
    }

    fn deadline(&self) -> Deadline {
        Deadline::new(Moment::now(&*self.clock), OBSERVATION_VALID_FOR, self.clock.clone())
    }

    async fn find(&self) -> Result<Option<(String, Tags)>, AwsError> {
        let Some(found) = self.platform.load_balancer(&self.load_balancer).await? else { return Ok(None) };
        let tags = self.platform.tags(std::slice::from_ref(&found.arn)).await?.remove(&found.arn).unwrap_or_default();
        Ok(Some((found.arn, tags)))
    }

    /// Waits until no watcher's observation from before the hold is valid, and verifies that the load balancer exists.
    async fn verify_kept(&self, arn: &str) -> Result<(), OperationError> {
        tokio::time::sleep(OBSERVATION_VALID_FOR + CALL_MARGIN).await;
        let name = &self.load_balancer;
        match self.platform.load_balancer(name).await? {
            Some(found) if found.arn == arn => Ok(()),
            _ => Err(OperationError::Refused(format!(
                "load balancer {name} was deleted just before the hold; create it again with jvb-watcher up"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aws::fake::{FakeAws, FakeClock};
    use crate::clock::Clock;
    use crate::telemetry::log::fake::LogLines;
    use jvb_watcher_rules::model::{Counts, Service};
    use jvb_watcher_rules::plan::samples::{load_balancer, minutes, observation, policy};

    struct Stage {
        aws: FakeAws,
        clock: Arc<FakeClock>,
        log: LogLines,
    }

    impl Stage {
        fn new(tags: &Tags) -> Self {
            let mut load_balancer = load_balancer(&[]);
            load_balancer.tags.extend(tags.clone());
            let idle = Service::Found(Counts::default());
            let aws = FakeAws::new(observation(idle, Vec::new(), Some(load_balancer)));
            Self { aws, clock: FakeClock::noon(), log: LogLines::default() }
        }

        fn hold(&self) -> OperatorHold<FakeAws> {
            OperatorHold {
                platform: self.aws.clone(),
                log: self.log.log(self.clock.clone()),
                clock: self.clock.clone(),
                load_balancer: "p-jvb-nlb".into(),
                owner_tag: policy().owner_tag,
            }
        }

        fn current(&self) -> Option<Hold> {
            Hold::of(&self.aws.world().observed.load_balancer.as_ref()?.tags)
        }

        fn for_duration(&self, time: Duration, holder: Holder) -> Hold {
            Hold::for_duration(time, self.clock.now(), holder)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_hold_of_an_operator_is_kept() {
        let stage = Stage::new(&Tags::new());
        let two_hours = stage.for_duration(minutes(120), Holder::Hand);
        assert_eq!(stage.hold().place(minutes(120)).await.expect("it is placed"), Placed::New(two_hours.clone()));
        tokio::time::sleep(minutes(60)).await;
        let placed = stage.hold().place(minutes(30)).await.expect("the longer one is kept");
        assert_eq!(placed, Placed::KeptLonger(two_hours.clone()));
        assert_eq!(stage.current(), Some(two_hours));
        assert_eq!((stage.aws.count("AddTags"), stage.log.of("hold_placed").len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_hold_of_an_operator_is_extended_and_an_invalid_one_replaced() {
        let stage = Stage::new(&Tags::new());
        let soon = stage.for_duration(minutes(30), Holder::Hand);
        let tomorrow = Hold { until: stage.clock.now() + minutes(30 * 60), holder: Holder::Hand };
        for current in [soon, tomorrow] {
            let stage = Stage::new(&current.tags());
            let hold = stage.for_duration(minutes(120), Holder::Hand);
            assert_eq!(stage.hold().place(minutes(120)).await.expect("it is placed"), Placed::New(hold.clone()));
            assert_eq!(stage.current(), Some(hold));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_hold_of_an_up_is_replaced_since_it_ends_with_that() {
        let stage = Stage::new(&Tags::new());
        let of_up = stage.for_duration(minutes(58), Holder::Up("1f2e".into()));
        let stage = Stage::new(&of_up.tags());
        let hold = stage.for_duration(minutes(30), Holder::Hand);
        assert_eq!(stage.hold().place(minutes(30)).await.expect("it is placed"), Placed::New(hold.clone()));
        assert_eq!(stage.current(), Some(hold));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_is_released_once_regardless_of_its_holder() {
        let stage = Stage::new(&Tags::new());
        for holder in [Holder::Hand, Holder::Up("1f2e".into())] {
            let stage = Stage::new(&stage.for_duration(minutes(30), holder).tags());
            assert_eq!(stage.hold().release().await.expect("it is released"), Released::Released);
            assert_eq!(stage.current(), None);
            assert_eq!(stage.hold().release().await.expect("nothing fails"), Released::NotHeld);
            stage.aws.world().observed.load_balancer = None;
            assert_eq!(stage.hold().release().await.expect("nothing fails"), Released::NoLoadBalancer);
        }
    }

    /// Lets the wall clock leap during so many observations, as when the machine was suspended.
    fn suspend(stage: &Stage, observations: usize) {
        for nth in 1..=observations {
            let clock = stage.clock.clone();
            stage.aws.before("DescribeLoadBalancers", nth, move |_| clock.freeze(Duration::from_secs(40)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn observes_again_when_the_observation_was_stale_before_the_write() {
        let stage = Stage::new(&Tags::new());
        suspend(&stage, 1);
        let placed = stage.hold().place(minutes(30)).await.expect("it is placed");
        assert_eq!(placed, Placed::New(stage.for_duration(minutes(30), Holder::Hand)), "from the corrected time on");
        suspend(&stage, 1);
        assert_eq!(stage.hold().release().await.expect("it is released"), Released::Released);
        assert_eq!((stage.aws.count("DescribeLoadBalancers"), stage.current()), (4, None));
    }

    #[tokio::test(start_paused = true)]
    async fn fails_when_every_observation_is_stale() {
        let stage = Stage::new(&Tags::new());
        suspend(&stage, 10);
        let error = stage.hold().place(minutes(30)).await.expect_err("no observation is recent");
        assert!(error.reason().ends_with("not sent: its observation began more than 10s ago"), "{}", error.reason());
        assert_eq!((stage.aws.count("DescribeLoadBalancers"), stage.aws.count("AddTags")), (5, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_on_a_load_balancer_that_is_being_deleted_fails() {
        let stage = Stage::new(&Tags::from([(IDLE_SINCE_TAG.to_owned(), "2026-11-20T11:59:00.000Z".to_owned())]));
        let aws = stage.aws.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(8)).await;
            aws.world().observed.load_balancer = None;
        });
        let error = stage.hold().place(minutes(30)).await.expect_err("it is gone");
        assert!(error.reason().contains("was deleted just before the hold"), "{}", error.reason());
    }
}
