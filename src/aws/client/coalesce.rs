//! Coalescing: requests that are made at the same time go into one call, as in Karpenter's batcher
//! (aws/karpenter-provider-aws, `pkg/batcher`) and in DataLoader (graphql/dataloader).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::oneshot;

use super::call::Call;
use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, ErrorKind};
use crate::trace;

/// The answers of a call, by key. A key without an answer has no resource.
pub(super) type Answers<K, V> = BTreeMap<K, Result<V, AwsError>>;

type CallFn<G, K, V> = Box<dyn Fn(G, Vec<K>) -> BoxFuture<'static, Result<Answers<K, V>, AwsError>> + Send + Sync>;

/// Gathers the requests of a time window into calls for several resources.
///
/// The requests of a call are of one group, e.g. a cluster. Each is answered from a call that begins after the request. If
/// a call fails, all of its requests do, unless the error may be about one of its resources: then each half is called by
/// itself.
pub(super) struct Coalescer<G, K, V>(Arc<Inner<G, K, V>>);

struct Inner<G, K, V> {
    operation: ApiOperation,
    window: Duration,
    limit: usize,
    call: CallFn<G, K, V>,
    waiting: Mutex<BTreeMap<G, Requests<K, V>>>,
}

/// The answer to a request; `None` if there is no resource.
type Answer<V> = Result<Option<V>, AwsError>;

/// The requests for each key.
type Requests<K, V> = BTreeMap<K, Vec<oneshot::Sender<Answer<V>>>>;

impl<G, K, V> Coalescer<G, K, V>
where
    G: Ord + Clone + Send + 'static,
    K: Ord + Clone + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// Creates a coalescer of requests within a window into calls for at most `limit` resources.
    pub(super) fn new<F>(
        operation: ApiOperation,
        window: Duration,
        limit: usize,
        call: impl Fn(G, Vec<K>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Answers<K, V>, AwsError>> + Send + 'static,
    {
        let call: CallFn<G, K, V> = Box::new(move |group, keys| call(group, keys).boxed());
        Self(Arc::new(Inner { operation, window, limit, call, waiting: Mutex::default() }))
    }

    /// Returns the resource of a key; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The error of the call that the request went into.
    pub(super) async fn get(&self, group: G, key: K) -> Answer<V> {
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut waiting = self.0.lock();
            let entry = waiting.entry(group.clone());
            let is_first = matches!(entry, Entry::Vacant(_));
            entry.or_default().entry(key).or_default().push(sender);
            is_first
        };
        if is_first {
            // A task of its own: a request that is cancelled takes none of the others with it.
            tokio::spawn(trace::in_current_trace(self.0.clone().answer_after_window(group)));
        }
        receiver.await.unwrap_or_else(|_| Err(self.0.abandoned()))
    }

    /// Returns the resources of several keys that exist.
    ///
    /// # Errors
    ///
    /// The first error.
    pub(super) async fn get_all(&self, group: G, keys: &[K]) -> Result<BTreeMap<K, V>, AwsError> {
        let answers = join_all(keys.iter().map(|key| self.get(group.clone(), key.clone()))).await;
        let found = keys.iter().zip(answers).map(|(key, answer)| Ok(answer?.map(|value| (key.clone(), value))));
        found.filter_map(Result::transpose).collect()
    }
}

impl<G, K, V> Inner<G, K, V>
where
    G: Ord + Clone + Send + 'static,
    K: Ord + Clone + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    fn lock(&self) -> MutexGuard<'_, BTreeMap<G, Requests<K, V>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer_after_window(self: Arc<Self>, group: G) {
        tokio::time::sleep(self.window).await;
        let Some(mut requests) = self.lock().remove(&group) else { return };
        let keys: Vec<K> = requests.keys().cloned().collect();
        let calls = keys.chunks(self.limit).map(|keys| self.call(group.clone(), keys.to_vec()));
        for (key, answer) in join_all(calls).await.into_iter().flatten() {
            for sender in requests.remove(&key).into_iter().flatten() {
                // Its request was cancelled if the receiver is gone.
                let _ = sender.send(answer.clone());
            }
        }
    }

    /// Calls, and returns the answer for each key.
    fn call(&self, group: G, keys: Vec<K>) -> BoxFuture<'_, Vec<(K, Answer<V>)>> {
        async move {
            match (self.call)(group.clone(), keys.clone()).await {
                Ok(mut answers) => {
                    keys.into_iter().map(|key| (key.clone(), answers.remove(&key).transpose())).collect()
                }
                Err(error) if keys.len() > 1 && may_be_about_one(&error) => {
                    let halves =
                        keys.chunks(keys.len().div_ceil(2)).map(|half| self.call(group.clone(), half.to_vec()));
                    join_all(halves).await.into_iter().flatten().collect()
                }
                Err(error) => keys.into_iter().map(|key| (key, Err(error.clone()))).collect(),
            }
        }
        .boxed()
    }

    /// Returns the error of a request whose call ended without an answer.
    fn abandoned(&self) -> AwsError {
        let message = "the call was abandoned".to_owned();
        Call::new(self.operation, "*").error(ErrorKind::Unavailable, None, message, None)
    }
}

/// Returns whether an error can be about one resource of several: AWS doesn't say of which.
fn may_be_about_one(error: &AwsError) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::AccessDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const WINDOW: Duration = Duration::from_millis(5);
    const LATENCY: Duration = Duration::from_millis(50);

    /// The keys of each call, and when it began.
    type Calls = Arc<Mutex<Vec<(Instant, Vec<u32>)>>>;

    /// A coalescer of calls for at most four keys, which fail if `fails` says so. Key 0 has no resource.
    fn coalescer(fails: fn(&[u32]) -> Option<ErrorKind>) -> (Coalescer<&'static str, u32, u32>, Calls) {
        let calls = Calls::default();
        let log = calls.clone();
        let call = move |_: &'static str, keys: Vec<u32>| {
            log.lock().expect("not poisoned").push((Instant::now(), keys.clone()));
            async move {
                tokio::time::sleep(LATENCY).await;
                match fails(&keys) {
                    Some(kind) => {
                        Err(Call::new(ApiOperation::DescribeServices, "*").error(kind, None, String::new(), None))
                    }
                    None => Ok(keys.into_iter().filter(|key| *key != 0).map(|key| (key, Ok(key * 10))).collect()),
                }
            }
        };
        (Coalescer::new(ApiOperation::DescribeServices, WINDOW, 4, call), calls)
    }

    fn keys_of(calls: &Calls) -> Vec<Vec<u32>> {
        calls.lock().expect("not poisoned").iter().map(|(_, keys)| keys.clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_one_window_share_calls_up_to_the_limit() {
        let (coalescer, calls) = coalescer(|_| None);
        let began = Instant::now();
        let answers = join_all((0..6).map(|key| coalescer.get("a", key))).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
        assert_eq!(answers, [None, Some(10), Some(20), Some(30), Some(40), Some(50)]);
        assert_eq!(keys_of(&calls), [vec![0, 1, 2, 3], vec![4, 5]]);
        assert_eq!(began.elapsed(), WINDOW + LATENCY, "the calls are made side by side");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_key_is_read_once_and_groups_apart() {
        let (coalescer, calls) = coalescer(|_| None);
        let (a, b, c) = tokio::join!(coalescer.get("a", 1), coalescer.get("a", 1), coalescer.get("b", 1));
        assert_eq!([a, b, c].map(Result::unwrap), [Some(10); 3]);
        assert_eq!(keys_of(&calls), [vec![1], vec![1]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_answered_from_a_call_that_begins_after_it() {
        let (coalescer, calls) = coalescer(|_| None);
        let late = async {
            // The first call is in flight.
            tokio::time::sleep(WINDOW + LATENCY / 2).await;
            let requested = Instant::now();
            coalescer.get("a", 1).await.expect("an answer");
            requested
        };
        let (first, requested) = tokio::join!(coalescer.get("a", 1), late);
        first.expect("an answer");
        let calls = calls.lock().expect("not poisoned");
        assert!(calls.len() == 2 && calls[1].0 >= requested, "{calls:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_call_fails_its_requests_and_no_others() {
        let (coalescer, calls) = coalescer(|keys| keys.contains(&5).then_some(ErrorKind::Throttled));
        let answers = join_all((1..=6).map(|key| coalescer.get("a", key))).await;
        let is_throttled: Vec<_> =
            answers.iter().map(|answer| answer.as_ref().is_err_and(|e| e.is(ErrorKind::Throttled))).collect();
        assert_eq!(is_throttled, [false, false, false, false, true, true]);
        assert_eq!(keys_of(&calls).len(), 2, "a throttled call isn't repeated");
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_resource_fails_alone() {
        for kind in [ErrorKind::NotFound, ErrorKind::Rejected, ErrorKind::AccessDenied] {
            let (coalescer, calls) = match kind {
                ErrorKind::NotFound => coalescer(|keys| keys.contains(&3).then_some(ErrorKind::NotFound)),
                ErrorKind::Rejected => coalescer(|keys| keys.contains(&3).then_some(ErrorKind::Rejected)),
                _ => coalescer(|keys| keys.contains(&3).then_some(ErrorKind::AccessDenied)),
            };
            let answers = join_all((1..=4).map(|key| coalescer.get("a", key))).await;
            let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
            assert_eq!(kinds, [None, None, Some(kind), None]);
            assert_eq!(keys_of(&calls).len(), 5);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_request_takes_no_other_with_it() {
        let (coalescer, _) = coalescer(|_| None);
        let cancelled = tokio::time::timeout(WINDOW / 2, coalescer.get("a", 1));
        let (cancelled, other) = tokio::join!(cancelled, coalescer.get("a", 2));
        assert!(cancelled.is_err());
        assert_eq!(other.expect("an answer"), Some(20));
    }
}
