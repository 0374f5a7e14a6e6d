//! The addresses that the service's tasks advertise for media, beside those of the load balancer.
//!
//! A finding needs them, and nothing else: a read that fails or takes too long leaves them unknown, and the reconciliation
//! goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::aws::operation::ApiOperation;
use crate::aws::{AwsError, LoadBalancerDescription, Platform};
use crate::clock::Moment;
use crate::controller::context::Context;
use crate::telemetry::log::{Event, Failure};
use jvb_watcher_rules::finding::FindingName;
use jvb_watcher_rules::model::{LoadBalancerAddresses, Phase, PinnedAddress, Task};

/// The time limit for reading a task definition, beside which the other reads of an observation wait.
const READ_LIMIT: Duration = Duration::from_secs(3);

/// The time between a failed read of a task definition and the next one.
const RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// What is remembered from one observation to the next.
#[derive(Default)]
pub struct AdvertisedCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    /// What each task definition pins, by ARN. A revision never changes.
    pinned: BTreeMap<String, Vec<PinnedAddress>>,
    /// The last failed read, until one succeeds.
    failed_at: Option<Moment>,
    /// The addresses of a load balancer, by its ARN and its number of zones. They don't change while it exists.
    load_balancer: Option<((String, usize), LoadBalancerAddresses)>,
}

impl AdvertisedCache {
    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the addresses that the task definitions of serving and starting tasks pin.
    pub async fn pinned<P: Platform>(&self, platform: &P, tasks: &[Task], context: &Context) -> Vec<PinnedAddress> {
        let current = tasks.iter().filter(|task| task.phase() != Phase::Stopping);
        let arns: BTreeSet<&str> = current.filter_map(|task| task.task_definition.as_deref()).collect();
        let unknown: Vec<&str> = {
            let mut cached = self.lock();
            if !arns.is_empty() {
                cached.pinned.retain(|arn, _| arns.contains(arn.as_str()));
            }
            arns.iter().copied().filter(|arn| !cached.pinned.contains_key(*arn)).collect()
        };
        for arn in unknown {
            if self.failed_within(RETRY_AFTER, context) {
                break;
            }
            match tokio::time::timeout(READ_LIMIT, platform.pinned_addresses(arn)).await {
                Ok(Ok(pinned)) => {
                    let mut cached = self.lock();
                    cached.failed_at = None;
                    cached.pinned.insert(arn.to_owned(), pinned);
                }
                Ok(Err(error)) => self.failed(&error, context),
                Err(_) => {
                    self.failed(&AwsError::too_slow(ApiOperation::DescribeTaskDefinition, arn, READ_LIMIT), context)
                }
            }
        }
        let cached = self.lock();
        arns.iter().filter_map(|arn| cached.pinned.get(*arn)).flatten().cloned().collect()
    }

    fn failed_within(&self, time: Duration, context: &Context) -> bool {
        self.lock().failed_at.is_some_and(|at| at.elapsed(&*context.clock) < time)
    }

    /// Remembers a failed read; logs the first of several.
    fn failed(&self, error: &AwsError, context: &Context) {
        let earlier = self.lock().failed_at.replace(Moment::now(&*context.clock));
        if earlier.is_none() {
            let failure = Failure::new(error, 1, RETRY_AFTER);
            let finding = FindingName::AdvertisedAddressMismatched;
            context.log.emit(&Event::FindingCheckFailed { finding, failure });
        }
    }

    /// Returns the load balancer's addresses: those that its description shows, and the others by its DNS name.
    pub async fn of_load_balancer<P: Platform>(
        &self,
        platform: &P,
        load_balancer: &LoadBalancerDescription,
    ) -> LoadBalancerAddresses {
        let LoadBalancerDescription { arn, zones, dns_name, addresses: shown, .. } = load_balancer;
        if shown.are_known() {
            return shown.clone();
        }
        let key = (arn.clone(), *zones);
        let cached = self.lock().load_balancer.clone();
        if let Some((of, addresses)) = cached
            && of == key
        {
            return addresses;
        }
        let Some(dns_name) = dns_name else { return shown.clone() };
        let answer = platform.resolve(dns_name).await;
        let family = |known: &Option<BTreeSet<IpAddr>>, is_of: fn(&IpAddr) -> bool| {
            let of_family: BTreeSet<_> = answer.iter().copied().filter(is_of).collect();
            // A zone without a healthy target is missing from the answer ("Network Load Balancers" in the guide of
            // Elastic Load Balancing): only an answer with an address for each zone is complete.
            known.clone().or_else(|| (*zones > 0 && of_family.len() == *zones).then_some(of_family))
        };
        let addresses = LoadBalancerAddresses {
            ipv4: family(&shown.ipv4, IpAddr::is_ipv4),
            ipv6: family(&shown.ipv6, IpAddr::is_ipv6),
        };
        if addresses.are_known() {
            self.lock().load_balancer = Some((key, addresses.clone()));
        }
        addresses
    }
}
