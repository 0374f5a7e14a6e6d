//! Settings of the world: delays, limits and the reliability of events.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::duration;

mod patch;

/// Settings of the world. The defaults follow AWS, as documented or as observed.
///
/// Durations are text (`"40s"`, `"1m 30s"`). A change applies to what begins after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Account that owns all resources. Default: 111122223333, which AWS's documentation uses.
    pub account: String,
    /// Region of all resources. Default: eu-west-1.
    pub region: String,
    /// Base of queue URLs. Default: `http://localhost:4566`. The server sets its own address when it starts.
    pub endpoint: String,
    /// Settings of tasks.
    pub tasks: TaskSettings,
    /// Settings of services and their scheduler.
    pub services: ServiceSettings,
    /// Settings of load balancers and their targets.
    #[serde(rename = "balancers")]
    pub load_balancers: LoadBalancerSettings,
    /// Settings of the delivery of events.
    pub events: EventSettings,
    /// Settings of the calls.
    pub calls: CallSettings,
    /// Settings of CloudWatch's metrics.
    pub metrics: MetricSettings,
    /// Age of the state that DescribeServices, ListTasks and DescribeTasks return. Default: none.
    #[serde(with = "duration")]
    pub ecs_lag: Duration,
    /// How much older the state is that ListTasks returns for the desired status STOPPED. Default: no older.
    #[serde(with = "duration")]
    pub stopped_list_lag: Duration,
}

/// Settings of tasks: the time in each status of their lifecycle, among others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TaskSettings {
    /// Time in PROVISIONING, while the network interface is created. Default: 9 s.
    #[serde(with = "duration")]
    pub provisioning: Duration,
    /// Time in PENDING, while a host is found and the image is pulled. Default: 29 s.
    #[serde(with = "duration")]
    pub pending: Duration,
    /// Time in ACTIVATING, while the containers start. Default: 3 s.
    #[serde(with = "duration")]
    pub activating: Duration,
    /// Time from desiredStatus STOPPED until lastStatus changes. Default: 5 s.
    #[serde(with = "duration")]
    pub told_to_stop: Duration,
    /// Time in DEACTIVATING. Default: 3 s.
    #[serde(with = "duration")]
    pub deactivating: Duration,
    /// Time in STOPPING, from SIGTERM until the containers exit. Default: 26 s, within AWS's `stopTimeout` of 30 s.
    #[serde(with = "duration")]
    pub stopping: Duration,
    /// Time in DEPROVISIONING, while the network interface is deleted. Default: 17 s.
    #[serde(with = "duration")]
    pub deprovisioning: Duration,
    /// Time from a Spot interruption notice until the task stops. Default: 2 min.
    #[serde(with = "duration")]
    pub spot_notice: Duration,
    /// Time for which a stopped task can still be described. Default: 1 h.
    #[serde(with = "duration")]
    pub stopped_visible: Duration,
    /// Gives tasks IPv6 addresses as well. Default: no.
    pub dual_stack: bool,
    /// Capacity provider of tasks, FARGATE or FARGATE_SPOT. Default: FARGATE.
    pub capacity_provider: String,
}

/// Settings of services and their scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceSettings {
    /// Time from a change until the scheduler acts on it. Default: 5 s.
    #[serde(with = "duration")]
    pub scheduler: Duration,
    /// Time between two attempts to place a task. Default: 30 s; AWS documents none.
    #[serde(with = "duration")]
    pub placement_retry: Duration,
    /// Time for which a deleted service is INACTIVE before it is MISSING. Default: 1 h.
    #[serde(with = "duration")]
    pub inactive_visible: Duration,
}

/// Settings of load balancers and their targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoadBalancerSettings {
    /// Time from a load balancer's creation until it is `active`. Default: 2 min; AWS takes one to three.
    #[serde(with = "duration")]
    pub provisioning: Duration,
    /// Time from a target's registration to its first health check result. Default: 3 min, which an NLB often takes.
    #[serde(with = "duration")]
    pub initial: Duration,
    /// Time from a change behind an address until its targets' health changes. Default: 30 s, three checks of 10 s.
    #[serde(with = "duration")]
    pub health_change: Duration,
    /// Time for which a deregistered target is `draining` in a group with AWS's default deregistration delay of 300 s.
    /// In a group with another delay it is longer or shorter in proportion. Default: 300 s.
    #[serde(with = "duration")]
    pub draining: Duration,
    /// Time for which a target group stays in use after the listener that refers to it is deleted. Default: 5 s.
    #[serde(with = "duration")]
    pub group_release: Duration,
    /// Time for which a deleted load balancer is still described. Default: none.
    #[serde(with = "duration")]
    pub deleted_visible: Duration,
    /// Time after the last packet for which a load balancer remembers a UDP flow. Default: 120 s.
    #[serde(with = "duration")]
    pub udp_idle_timeout: Duration,
    /// Time after the last data for which a load balancer remembers a TCP or TLS connection. Default: 350 s.
    #[serde(with = "duration")]
    pub tcp_idle_timeout: Duration,
    /// Maximum number of targets in a group. Default: AWS's quota of 1,000.
    pub targets_per_group: usize,
    /// Maximum number of load balancers of a type. Default: AWS's quota of 50.
    pub per_region: usize,
}

/// Settings of the delivery of events. Rates are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventSettings {
    /// Time from a change until its event arrives. Default: 500 ms, about what EventBridge takes.
    #[serde(with = "duration")]
    pub latency: Duration,
    /// Share of events that never arrive. Default: 0.
    #[serde(deserialize_with = "rate")]
    pub lost: f64,
    /// Share of events that arrive twice. Default: 0.
    #[serde(deserialize_with = "rate")]
    pub duplicated: f64,
    /// Share of events that are delayed. Default: 0.
    #[serde(deserialize_with = "rate")]
    pub delayed: f64,
    /// Longest delay of a delayed event. Default: 5 min.
    #[serde(with = "duration")]
    pub delay: Duration,
    /// Share of events that later events may overtake. Default: 0.
    #[serde(deserialize_with = "rate")]
    pub reordered: f64,
    /// Time within which events change their order. Default: 10 s.
    #[serde(with = "duration")]
    pub reorder_within: Duration,
}

/// Settings of the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CallSettings {
    /// Domain of the platform, which its bridges resolve at their start and by which callers join. Default: none; the
    /// ready-made platform's bridges then find their own address, and there are no callers.
    pub domain: Option<String>,
    /// Time between a starting bridge's attempts to resolve the domain. Default: 2 s.
    #[serde(with = "duration")]
    pub resolve_interval: Duration,
    /// Time after which a starting bridge gives up, and its task stops. Default: 4 min.
    #[serde(with = "duration")]
    pub resolve_timeout: Duration,
    /// Time between a caller's attempts to join, and between checks of a call. Default: 5 s.
    #[serde(with = "duration")]
    pub check_interval: Duration,
}

/// Settings of CloudWatch's metrics. Rates are from 0 to 1.
///
/// AWS documents neither how late the data points of a load balancer come nor how many are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MetricSettings {
    /// Interval at which load balancers report, below called a minute. At least a second. Default: 60 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Shortest time from the end of a minute until its data points are visible. Default: 60 s.
    #[serde(with = "duration")]
    pub earliest: Duration,
    /// Longest time from the end of a minute until its data points are visible. Default: 240 s.
    #[serde(with = "duration")]
    pub latest: Duration,
    /// Longest time from the first to the last data point of a load balancer's minute. Default: none; all become visible
    /// at once.
    #[serde(with = "duration")]
    pub skew: Duration,
    /// Share of a load balancer's minutes without any data point. Default: 0.
    #[serde(deserialize_with = "rate")]
    pub missing: f64,
    /// Share of hours, of 60 minutes each, without any data point. Default: 0.
    #[serde(deserialize_with = "rate")]
    pub silent_hours: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account: "111122223333".to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint: "http://localhost:4566".to_owned(),
            tasks: TaskSettings::default(),
            services: ServiceSettings::default(),
            load_balancers: LoadBalancerSettings::default(),
            events: EventSettings::default(),
            calls: CallSettings::default(),
            metrics: MetricSettings::default(),
            ecs_lag: Duration::ZERO,
            stopped_list_lag: Duration::ZERO,
        }
    }
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            provisioning: Duration::from_secs(9),
            pending: Duration::from_secs(29),
            activating: Duration::from_secs(3),
            told_to_stop: Duration::from_secs(5),
            deactivating: Duration::from_secs(3),
            stopping: Duration::from_secs(26),
            deprovisioning: Duration::from_secs(17),
            spot_notice: Duration::from_secs(120),
            stopped_visible: Duration::from_secs(3600),
            dual_stack: false,
            capacity_provider: "FARGATE".to_owned(),
        }
    }
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            scheduler: Duration::from_secs(5),
            placement_retry: Duration::from_secs(30),
            inactive_visible: Duration::from_secs(3600),
        }
    }
}

impl Default for LoadBalancerSettings {
    fn default() -> Self {
        Self {
            provisioning: Duration::from_secs(120),
            initial: Duration::from_secs(180),
            health_change: Duration::from_secs(30),
            draining: Duration::from_secs(300),
            group_release: Duration::from_secs(5),
            deleted_visible: Duration::ZERO,
            udp_idle_timeout: Duration::from_secs(120),
            tcp_idle_timeout: Duration::from_secs(350),
            targets_per_group: 1000,
            per_region: 50,
        }
    }
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(500),
            lost: 0.0,
            duplicated: 0.0,
            delayed: 0.0,
            delay: Duration::from_secs(300),
            reordered: 0.0,
            reorder_within: Duration::from_secs(10),
        }
    }
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            domain: None,
            resolve_interval: Duration::from_secs(2),
            resolve_timeout: Duration::from_secs(240),
            check_interval: Duration::from_secs(5),
        }
    }
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            earliest: Duration::from_secs(60),
            latest: Duration::from_secs(240),
            skew: Duration::ZERO,
            missing: 0.0,
            silent_hours: 0.0,
        }
    }
}

impl Settings {
    /// Returns the name of an availability zone. The region has three; the index wraps around.
    pub fn zone(&self, index: usize) -> String {
        format!("{}{}", self.region, ["a", "b", "c"][index % 3])
    }

    /// Divides every delay by a factor: with 10, what takes a minute takes six seconds.
    ///
    /// The times of [`MetricSettings`] stay: CloudWatch's minutes are those of the clock, by which clients ask for them.
    /// [`Sandbox::advance`](crate::wire::Sandbox::advance) makes them pass.
    ///
    /// A factor that isn't positive and finite changes nothing.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        if !(factor.is_finite() && factor > 0.0) {
            return self;
        }
        let Self { tasks, services, load_balancers, events, calls, ecs_lag, stopped_list_lag, .. } = &mut self;
        let delays = [
            &mut tasks.provisioning,
            &mut tasks.pending,
            &mut tasks.activating,
            &mut tasks.told_to_stop,
            &mut tasks.deactivating,
            &mut tasks.stopping,
            &mut tasks.deprovisioning,
            &mut tasks.spot_notice,
            &mut tasks.stopped_visible,
            &mut services.scheduler,
            &mut services.placement_retry,
            &mut services.inactive_visible,
            &mut load_balancers.provisioning,
            &mut load_balancers.initial,
            &mut load_balancers.health_change,
            &mut load_balancers.draining,
            &mut load_balancers.group_release,
            &mut load_balancers.deleted_visible,
            &mut load_balancers.udp_idle_timeout,
            &mut load_balancers.tcp_idle_timeout,
            &mut events.latency,
            &mut events.delay,
            &mut events.reorder_within,
            &mut calls.resolve_interval,
            &mut calls.resolve_timeout,
            &mut calls.check_interval,
            ecs_lag,
            stopped_list_lag,
        ];
        for delay in delays {
            // A small factor can overflow; such a delay never ends.
            *delay = Duration::try_from_secs_f64(delay.as_secs_f64() / factor).unwrap_or(Duration::MAX);
        }
        self
    }
}

/// Deserializes a rate from 0 to 1.
fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let rate = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&rate) {
        Ok(rate)
    } else {
        Err(D::Error::custom(format!("the rate {rate} is not from 0 to 1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_settings_have_awss_values() {
        let settings: Settings = serde_json::from_str(r#"{"tasks": {"pending": "1m 2s"}, "ecs-lag": "4s"}"#).unwrap();
        assert_eq!(settings.tasks.pending, Duration::from_secs(62));
        assert_eq!(settings.tasks.activating, TaskSettings::default().activating);
        assert_eq!(settings.ecs_lag, Duration::from_secs(4));
        assert_eq!(settings.load_balancers, LoadBalancerSettings::default());
    }

    #[test]
    fn settings_survive_serialization() {
        let settings = Settings::default().scaled(7.0);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn invalid_settings_are_refused_with_a_message() {
        let unknown = serde_json::from_str::<Settings>(r#"{"tasks": {"pendign": "1s"}}"#).unwrap_err();
        assert!(unknown.to_string().contains("pendign"));
        let wrong = serde_json::from_str::<Settings>(r#"{"ecs-lag": "soon"}"#).unwrap_err();
        assert!(wrong.to_string().contains("`soon` is not a duration"), "{wrong}");
        for rate in ["-0.1", "1.5", "7"] {
            let wrong = serde_json::from_str::<Settings>(&format!(r#"{{"events": {{"lost": {rate}}}}}"#)).unwrap_err();
            assert!(wrong.to_string().contains("is not from 0 to 1"), "{wrong}");
        }
    }

    #[test]
    fn scaling_divides_only_delays() {
        let settings = Settings::default().scaled(10.0);
        assert_eq!(settings.load_balancers.draining, Duration::from_secs(30));
        assert_eq!(settings.events.latency, Duration::from_millis(50));
        assert_eq!(settings.load_balancers.targets_per_group, 1000);
        assert_eq!(settings.load_balancers.per_region, 50);
        assert_eq!(settings.metrics, MetricSettings::default());
        assert_eq!(Settings::default().scaled(0.0), Settings::default());
        assert_eq!(Settings::default().scaled(f64::NAN), Settings::default());
    }
}
