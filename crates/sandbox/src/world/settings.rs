//! How this AWS behaves: how long things take, what the limits are, and what goes wrong.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// How this AWS behaves. The defaults are what AWS itself does, as far as that is documented or was seen.
///
/// Durations are written as text (`"40s"`, `"1m 30s"`). A change holds for what begins after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The account that owns everything. Default: 111122223333, the one of AWS's documentation.
    pub account: String,
    /// The region that everything is in. Default: eu-west-1.
    pub region: String,
    /// What queue URLs begin with. Default: `http://localhost:4566`; the server sets its own address at its start.
    pub endpoint: String,
    /// How a task's life goes.
    pub tasks: TaskSettings,
    /// How services and their scheduler behave.
    pub services: ServiceSettings,
    /// How load balancers and their targets behave.
    #[serde(rename = "balancers")]
    pub load_balancers: LoadBalancerSettings,
    /// How events travel, and what befalls them on the way.
    pub events: EventSettings,
    /// DescribeServices, ListTasks and DescribeTasks show the state of this long ago. Default: none.
    #[serde(with = "text")]
    pub ecs_lag: Duration,
}

/// How a task's life goes: how long it stays in each status, among others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TaskSettings {
    /// In PROVISIONING: the network interface is made. Default: 9 s.
    #[serde(with = "text")]
    pub provisioning: Duration,
    /// In PENDING: a host is found, and the image pulled. Default: 29 s.
    #[serde(with = "text")]
    pub pending: Duration,
    /// In ACTIVATING: the containers run, the last steps are made. Default: 3 s.
    #[serde(with = "text")]
    pub activating: Duration,
    /// Told to stop (desiredStatus STOPPED), with lastStatus as it was. Default: 5 s.
    #[serde(with = "text")]
    pub told_to_stop: Duration,
    /// In DEACTIVATING. Default: 3 s.
    #[serde(with = "text")]
    pub deactivating: Duration,
    /// In STOPPING: the containers have got SIGTERM; 30 s later comes SIGKILL. Default: 26 s.
    #[serde(with = "text")]
    pub stopping: Duration,
    /// In DEPROVISIONING: the network interface is taken away. Default: 17 s.
    #[serde(with = "text")]
    pub deprovisioning: Duration,
    /// From a Spot notice to the task's end. Default: 2 min.
    #[serde(with = "text")]
    pub spot_notice: Duration,
    /// How long a stopped task can still be described. Default: 1 h.
    #[serde(with = "text")]
    pub stopped_visible: Duration,
    /// Whether the subnets give IPv6 addresses too. Default: no.
    pub dual_stack: bool,
    /// What tasks run on, FARGATE or FARGATE_SPOT. Default: FARGATE.
    pub capacity_provider: String,
}

/// How services and their scheduler behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceSettings {
    /// From a change to what the scheduler makes of it. Default: 5 s.
    #[serde(with = "text")]
    pub scheduler: Duration,
    /// How long a deleted service shows as INACTIVE before it is MISSING. Default: 1 h.
    #[serde(with = "text")]
    pub inactive_visible: Duration,
}

/// How load balancers and their targets behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoadBalancerSettings {
    /// From a load balancer's creation to `active`. Default: 2 min, for AWS's one to three.
    #[serde(with = "text")]
    pub provisioning: Duration,
    /// From a target's registration to its first verdict. Default: 3 min, which an NLB often takes.
    #[serde(with = "text")]
    pub initial: Duration,
    /// From a change behind an address to the verdict on its targets. Default: 30 s, three checks of 10 s.
    #[serde(with = "text")]
    pub health_change: Duration,
    /// How long a deregistered target is `draining`, in a group with AWS's deregistration delay of 300 s; in one with
    /// another delay it takes as much longer or shorter as that is. Default: 300 s.
    #[serde(with = "text")]
    pub draining: Duration,
    /// How long a group stays in use after the deletion of the listener that referred to it. Default: 5 s.
    #[serde(with = "text")]
    pub group_release: Duration,
    /// How long a deleted load balancer is still described. Default: none.
    #[serde(with = "text")]
    pub deleted_visible: Duration,
    /// How many targets a group takes. Default: AWS's quota of 1,000.
    pub targets_per_group: usize,
}

/// How events travel, and what befalls them on the way. Rates are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventSettings {
    /// From a change to its event's arrival. Default: 500 ms, about what EventBridge takes.
    #[serde(with = "text")]
    pub latency: Duration,
    /// How many of the events never arrive. Default: none.
    #[serde(deserialize_with = "share")]
    pub lost: f64,
    /// How many of the events arrive twice. Default: none.
    #[serde(deserialize_with = "share")]
    pub duplicated: f64,
    /// How many of the events are late. Default: none.
    #[serde(deserialize_with = "share")]
    pub delayed: f64,
    /// By how much a late event is late at the most. Default: 5 min.
    #[serde(with = "text")]
    pub delay: Duration,
    /// How many of the events let later ones overtake them. Default: none.
    #[serde(deserialize_with = "share")]
    pub reordered: f64,
    /// Within what time events change places. Default: 10 s.
    #[serde(with = "text")]
    pub reorder_within: Duration,
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
            ecs_lag: Duration::ZERO,
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
        Self { scheduler: Duration::from_secs(5), inactive_visible: Duration::from_secs(3600) }
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
            targets_per_group: 1000,
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

impl Settings {
    /// The name of the region's zone of that number, from 0; there are three.
    pub fn zone(&self, number: usize) -> String {
        format!("{}{}", self.region, ["a", "b", "c"][number % 3])
    }

    /// The same with every delay divided by the factor: at 10, what took a minute takes six seconds.
    ///
    /// A factor that isn't a positive number changes nothing.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        if !(factor.is_finite() && factor > 0.0) {
            return self;
        }
        let Self { tasks, services, load_balancers, events, ecs_lag, .. } = &mut self;
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
            &mut services.inactive_visible,
            &mut load_balancers.provisioning,
            &mut load_balancers.initial,
            &mut load_balancers.health_change,
            &mut load_balancers.draining,
            &mut load_balancers.group_release,
            &mut load_balancers.deleted_visible,
            &mut events.latency,
            &mut events.delay,
            &mut events.reorder_within,
            ecs_lag,
        ];
        for delay in delays {
            // A delay that no longer fits is as good as for ever.
            *delay = Duration::try_from_secs_f64(delay.as_secs_f64() / factor).unwrap_or(Duration::MAX);
        }
        self
    }
}

/// A rate from 0 to 1.
fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let rate = f64::deserialize(deserializer)?;
    let is_share = (0.0..=1.0).contains(&rate);
    if is_share { Ok(rate) } else { Err(D::Error::custom(format!("the rate {rate} is not from 0 to 1"))) }
}

/// Durations as people write them.
mod text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map_err(|error| D::Error::custom(format!("`{text}` is not a duration: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_on_aws() {
        let settings: Settings = serde_json::from_str(r#"{"tasks": {"pending": "1m 2s"}, "ecs-lag": "4s"}"#).unwrap();
        assert_eq!(settings.tasks.pending, Duration::from_secs(62));
        assert_eq!(settings.tasks.activating, TaskSettings::default().activating);
        assert_eq!(settings.ecs_lag, Duration::from_secs(4));
        assert_eq!(settings.load_balancers, LoadBalancerSettings::default());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let settings = Settings::default().scaled(7.0);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn mistakes_are_told() {
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
    fn scaling_divides_delays_and_nothing_else() {
        let settings = Settings::default().scaled(10.0);
        assert_eq!(settings.load_balancers.draining, Duration::from_secs(30));
        assert_eq!(settings.events.latency, Duration::from_millis(50));
        assert_eq!(settings.load_balancers.targets_per_group, 1000);
        assert_eq!(Settings::default().scaled(0.0), Settings::default());
        assert_eq!(Settings::default().scaled(f64::NAN), Settings::default());
    }
}
