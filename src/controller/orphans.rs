//! The search for the target groups that a teardown left behind.
//!
//! Elastic Load Balancing doesn't list target groups by tag, so the search reads the tags of all target groups in the
//! region that are behind no other load balancer: one call for each 400 groups, and one for each 20 of those. A process
//! therefore searches only when there can be something to find: at its start, after it has seen the load balancer, as long
//! as it finds something, and every [`ORPHAN_SEARCH_INTERVAL`] besides.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::aws::{AwsError, Platform, TargetGroupDescription};
use crate::clock::{Clock, Moment};
use jvb_watcher_rules::bounds::ORPHAN_SEARCH_INTERVAL;
use jvb_watcher_rules::model::{LOAD_BALANCER_TAG, Tags, load_balancer_name};

/// A target group with its tags.
pub type TaggedGroup = (TargetGroupDescription, Tags);

/// The marked target groups in the region. Clones share them: the services that one process watches need one search, not
/// one each.
#[derive(Clone, Default)]
pub struct OrphanIndex(Arc<Index>);

#[derive(Default)]
struct Index {
    /// The number of searches begun.
    searches: AtomicU64,
    latest: tokio::sync::Mutex<Option<Listing>>,
}

/// What a search found.
#[derive(Clone)]
struct Listing {
    /// Which search it was, from 1.
    number: u64,
    began: Moment,
    /// The target groups that carry a mark.
    marked: Arc<Vec<TaggedGroup>>,
    /// The names of the load balancers whose target groups were left out.
    left_out: BTreeSet<String>,
}

/// How old a search may be.
#[derive(Clone, Copy)]
enum Age {
    /// It must begin after the request.
    New,
    /// It must have begun since then.
    Since(Moment),
    /// It may have begun this long ago.
    AtMost(Duration),
}

impl OrphanIndex {
    /// Returns the marked target groups that are behind no load balancer of another name, and whether their search began
    /// after this call.
    async fn find<P: Platform>(
        &self,
        platform: &P,
        load_balancer: &str,
        clock: &dyn Clock,
        age: Age,
    ) -> Result<(Listing, bool), AwsError> {
        let before = self.0.searches.load(Ordering::SeqCst);
        let mut latest = self.0.latest.lock().await;
        if let Some(listing) = latest.as_ref().filter(|listing| !listing.left_out.contains(load_balancer)) {
            let is_new = listing.number > before;
            let is_good = match age {
                Age::New => is_new,
                Age::Since(at) => listing.began.elapsed(clock) <= at.elapsed(clock),
                Age::AtMost(age) => listing.began.elapsed(clock) <= age,
            };
            if is_good {
                return Ok((listing.clone(), is_new));
            }
        }
        let number = self.0.searches.fetch_add(1, Ordering::SeqCst) + 1;
        let listing = list(platform, load_balancer, number, clock).await?;
        *latest = Some(listing.clone());
        Ok((listing, true))
    }
}

async fn list<P: Platform>(
    platform: &P,
    load_balancer: &str,
    number: u64,
    clock: &dyn Clock,
) -> Result<Listing, AwsError> {
    let began = Moment::now(clock);
    let mut groups = platform.target_groups(None).await?;
    let others_of = |group: &TargetGroupDescription| {
        let names = group.load_balancer_arns.iter().map(|arn| load_balancer_name(arn).unwrap_or_default().to_owned());
        names.filter(|name| name != load_balancer).collect::<Vec<_>>()
    };
    let left_out = groups.iter().flat_map(others_of).collect();
    groups.retain(|group| others_of(group).is_empty());
    let arns: Vec<_> = groups.iter().map(|group| group.arn.clone()).collect();
    let mut tags = platform.tags(&arns).await?;
    let tagged = groups.into_iter().map(|group| (tags.remove(&group.arn).unwrap_or_default(), group));
    let marked = tagged.filter(|(tags, _)| tags.contains_key(LOAD_BALANCER_TAG)).map(|(tags, group)| (group, tags));
    Ok(Listing { number, began, marked: Arc::new(marked.collect()), left_out })
}

/// The search of one service: when it is due.
pub struct OrphanSearch {
    index: OrphanIndex,
    due: Mutex<Due>,
}

/// When the next search is due.
#[derive(Clone, Copy)]
enum Due {
    /// Now; a search that began since then will do.
    Since(Moment),
    /// Now; the search must begin now.
    Now,
    /// An interval after the last search, which began then.
    After(Moment),
}

impl OrphanSearch {
    /// A search that is due since this process began to watch the service.
    pub fn new(index: OrphanIndex, clock: &dyn Clock) -> Self {
        Self { index, due: Mutex::new(Due::Since(Moment::now(clock))) }
    }

    /// Makes a search due: the load balancer exists, so target groups may be left when it is gone; or this process has not
    /// observed for a while, so others may have begun a teardown unseen.
    pub fn require(&self) {
        *self.lock() = Due::Now;
    }

    /// Returns whether a search is due.
    pub fn is_due(&self, clock: &dyn Clock) -> bool {
        self.due_age(clock).is_some()
    }

    /// Returns how old the search may be that is due; `None` while none is.
    fn due_age(&self, clock: &dyn Clock) -> Option<Age> {
        match *self.lock() {
            Due::Since(at) => Some(Age::Since(at)),
            Due::Now => Some(Age::New),
            // Counted from its beginning, a search of another service doesn't lengthen the interval.
            Due::After(at) => {
                (at.elapsed(clock) >= ORPHAN_SEARCH_INTERVAL).then_some(Age::AtMost(ORPHAN_SEARCH_INTERVAL / 2))
            }
        }
    }

    /// Returns the target groups that are left of a load balancer of this name, as far as `is_left` confirms it, if a
    /// search is due; none otherwise. What it returns was read after this call.
    ///
    /// # Errors
    ///
    /// The first call that failed; the search stays due.
    pub async fn search<P: Platform>(
        &self,
        platform: &P,
        load_balancer: &str,
        clock: &dyn Clock,
        is_left: impl Fn(&TaggedGroup) -> bool,
    ) -> Result<Vec<TaggedGroup>, AwsError> {
        let Some(age) = self.due_age(clock) else { return Ok(Vec::new()) };
        let left_of = |found: &Listing| found.marked.iter().filter(|group| is_left(group)).cloned().collect::<Vec<_>>();
        let (mut found, is_new) = self.index.find(platform, load_balancer, clock, age).await?;
        let mut left = left_of(&found);
        if !left.is_empty() && !is_new {
            // An earlier answer shows that there is something to do; only a new one shows what.
            found = self.index.find(platform, load_balancer, clock, Age::New).await?.0;
            left = left_of(&found);
        }
        *self.lock() = if left.is_empty() { Due::After(found.began) } else { Due::Now };
        Ok(left)
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fake::{FakeAws, FakeClock};
    use jvb_watcher_rules::plan::samples::{counts, marked_load_balancer, minutes, noon, observation, seconds};

    const NAME: &str = "p-jvb-nlb";

    /// An AWS with this many target groups that are left of the load balancer.
    fn left_over(count: usize) -> FakeAws {
        let mut left = observation(counts(0, 0, 0), vec![], None);
        left.orphaned_target_groups = marked_load_balancer(&[], noon() - minutes(5)).target_groups;
        left.orphaned_target_groups.truncate(count);
        FakeAws::new(left)
    }

    async fn found(search: &OrphanSearch, aws: &FakeAws, clock: &FakeClock) -> usize {
        search.search(aws, NAME, clock, |_| true).await.expect("a search").len()
    }

    #[tokio::test(start_paused = true)]
    async fn searches_at_the_start_then_once_an_interval() {
        let (aws, clock) = (left_over(0), FakeClock::noon());
        let search = OrphanSearch::new(OrphanIndex::default(), &*clock);
        for _ in 0..10 {
            assert_eq!(found(&search, &aws, &clock).await, 0);
        }
        assert_eq!(aws.count("DescribeTargetGroups"), 1);
        tokio::time::sleep(ORPHAN_SEARCH_INTERVAL - seconds(1)).await;
        found(&search, &aws, &clock).await;
        assert_eq!(aws.count("DescribeTargetGroups"), 1);
        tokio::time::sleep(seconds(1)).await;
        found(&search, &aws, &clock).await;
        assert_eq!(aws.count("DescribeTargetGroups"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn searches_after_the_load_balancer_was_seen_and_until_nothing_is_left() {
        let (aws, clock) = (left_over(2), FakeClock::noon());
        let search = OrphanSearch::new(OrphanIndex::default(), &*clock);
        assert_eq!(found(&search, &aws, &clock).await, 2);
        assert_eq!(found(&search, &aws, &clock).await, 2);
        aws.world().observed.orphaned_target_groups.clear();
        assert_eq!(found(&search, &aws, &clock).await, 0);
        assert!(!search.is_due(&*clock));
        search.require();
        assert_eq!(found(&search, &aws, &clock).await, 0);
        assert_eq!(aws.count("DescribeTargetGroups"), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_search_stays_due() {
        let (aws, clock) = (left_over(0), FakeClock::noon());
        let search = OrphanSearch::new(OrphanIndex::default(), &*clock);
        aws.fail("DescribeTags", crate::aws::ErrorKind::Throttled, 1);
        search.search(&aws, NAME, &*clock, |_| true).await.expect_err("throttled");
        assert!(search.is_due(&*clock));
    }

    #[tokio::test(start_paused = true)]
    async fn services_that_start_together_share_one_search() {
        let (aws, clock, index) = (left_over(0), FakeClock::noon(), OrphanIndex::default());
        let searches: Vec<_> = (0..20).map(|_| OrphanSearch::new(index.clone(), &*clock)).collect();
        aws.delay("DescribeTags", seconds(1));
        futures_util::future::join_all(searches.iter().map(|search| found(search, &aws, &clock))).await;
        assert_eq!(aws.count("DescribeTargetGroups"), 1);
        // A load balancer was seen: only what began since then shows what is left of it.
        searches[7].require();
        found(&searches[7], &aws, &clock).await;
        assert_eq!(aws.count("DescribeTargetGroups"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn acts_on_no_earlier_answer() {
        let (aws, clock, index) = (left_over(2), FakeClock::noon(), OrphanIndex::default());
        let [first, second] = [0, 1].map(|_| OrphanSearch::new(index.clone(), &*clock));
        assert_eq!(found(&first, &aws, &clock).await, 2);
        aws.world().observed.orphaned_target_groups.truncate(1);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(found(&second, &aws, &clock).await, 1, "what is left now");
    }
}
