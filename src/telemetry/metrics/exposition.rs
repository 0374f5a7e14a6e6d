//! The figures as OpenMetrics text, for whoever asks at `/metrics`.
//!
//! A scraper wants other numbers than a line of the log: counters since the process began instead of since the last line,
//! distributions as buckets, and seconds instead of milliseconds.

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit as Suffix};

use super::figures::Figures;
use super::{Definition, Kind, Metric, Unit};

/// The media type (see "Overall Structure" in the specification of OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every name begins with.
const PREFIX: &str = "jvb_watcher";

/// When the last look that succeeded ended: how old the gauges are. A log line has that in its own time.
const LAST_LOOK: (&str, &str) = ("last_look_timestamp", "When the last look that succeeded was had, as Unix time");

/// Upper bounds in seconds. A look takes some tenths of a second, and has a minute; the SDK's own retries, which are the
/// usual reason for more, begin at half a second.
const RECONCILE_BUCKETS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Upper bounds in seconds. An event takes a second or two to arrive; one that is lost costs a resync interval, a minute;
/// beyond five a call would have failed for want of a target.
const REGISTRATION_BUCKETS: [f64; 9] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// The distributions since the process began.
pub struct Distributions {
    reconcile_duration: Histogram,
    registration_latency: Histogram,
}

impl Default for Distributions {
    fn default() -> Self {
        Self {
            reconcile_duration: Histogram::new(RECONCILE_BUCKETS),
            registration_latency: Histogram::new(REGISTRATION_BUCKETS),
        }
    }
}

impl Distributions {
    /// Takes a value, in milliseconds.
    pub fn measure(&self, distribution: Metric, value: u64) {
        if let Some(histogram) = self.of(distribution) {
            histogram.observe(Duration::from_millis(value).as_secs_f64());
        }
    }

    fn of(&self, distribution: Metric) -> Option<&Histogram> {
        match distribution {
            Metric::ReconcileDuration => Some(&self.reconcile_duration),
            Metric::RegistrationLatency => Some(&self.registration_latency),
            _ => None,
        }
    }
}

/// What is known, as text. A gauge that nothing has shown yet is left out: zero would be a lease.
pub fn text(project: &str, service: &str, figures: &Figures, distributions: &Distributions, now: Timestamp) -> String {
    let labels = [("project", project), ("service", service)];
    let labels = labels.map(|(name, value)| (name.into(), value.to_owned().into()));
    let mut registry = Registry::with_prefix_and_labels(PREFIX, labels.into_iter());
    for metric in Metric::ALL {
        let Definition { kind, .. } = metric.definition();
        match kind {
            Kind::Counter => register(&mut registry, metric, ConstCounter::new(figures.total(metric))),
            Kind::Distribution => {
                if let Some(histogram) = distributions.of(metric) {
                    register(&mut registry, metric, histogram.clone());
                }
            }
            Kind::Gauge => {
                if let Some(value) = gauge(metric, figures, now) {
                    register(&mut registry, metric, ConstGauge::new(value));
                }
            }
        }
    }
    if let Some(at) = figures.seen_at() {
        let (name, help) = LAST_LOOK;
        registry.register_with_unit(name, help, Suffix::Seconds, ConstGauge::new(at.as_millisecond() as f64 / 1000.0));
    }
    encoded(&registry)
}

/// The text when nothing is known yet.
pub fn nothing() -> String {
    encoded(&Registry::default())
}

fn encoded(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string doesn't fail.
    let _ = encode(&mut text, registry);
    text
}

fn gauge(metric: Metric, figures: &Figures, now: Timestamp) -> Option<f64> {
    match metric {
        Metric::QueueAge => figures.queue_age().map(|age| age.as_secs_f64()),
        Metric::Findings => figures.seen().map(|_| figures.findings() as f64),
        _ => figures.seen()?.gauge(metric, now).map(|value| value as f64),
    }
}

fn register(registry: &mut Registry, metric: Metric, value: impl prometheus_client::registry::Metric) {
    let help = metric.definition().meaning;
    match suffix(metric) {
        Some(suffix) => registry.register_with_unit(stem(metric), help, suffix, value),
        None => registry.register(stem(metric), help, value),
    }
}

/// OpenMetrics wants base units.
fn suffix(metric: Metric) -> Option<Suffix> {
    match metric.definition().unit {
        Unit::Seconds | Unit::Milliseconds => Some(Suffix::Seconds),
        Unit::Count | Unit::None => None,
    }
}

/// The name without prefix and unit: CloudWatch's, in OpenMetrics' way of writing it.
fn stem(metric: Metric) -> String {
    let name = metric.definition().name;
    let name = if suffix(metric).is_some() { name.strip_suffix("Seconds").unwrap_or(name) } else { name };
    let mut stem = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            stem.push('_');
        }
        stem.push(letter.to_ascii_lowercase());
    }
    stem
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::aws::fake::noon;
    use crate::telemetry::metrics::tests::{documented, page};
    use crate::telemetry::metrics::{Seen, Sight, Usage};
    use jvb_watcher_rules::model::{Counts, LoadBalancerState};

    fn exposed(figures: &Figures, distributions: &Distributions) -> String {
        text("p", "p-service", figures, distributions, noon())
    }

    /// The samples, by name and labels.
    fn samples(text: &str) -> BTreeMap<&str, f64> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
                (name, value.parse().expect("a number"))
            })
            .collect()
    }

    fn seen() -> Seen {
        let counts = Counts { desired: 2, running: 2, pending: 0 };
        let sight = Sight {
            counts,
            serving: 2,
            registered: 4,
            healthy: 3,
            unhealthy: 1,
            load_balancer_state: Some(LoadBalancerState::Active),
        };
        let idle_since = Some(noon() - jiff::SignedDuration::from_secs(90));
        Seen { sight, idle_since, usage: Usage::InUse }
    }

    #[test]
    fn what_nothing_has_shown_yet_is_left_out() {
        let text = exposed(&Figures::default(), &Distributions::default());
        for gauge in ["running_tasks", "load_balancer_up", "findings", "queue_age", "last_look"] {
            assert!(!text.contains(&format!("jvb_watcher_{gauge}")), "{gauge} in {text}");
        }
        assert_eq!(samples(&text)["jvb_watcher_reconciles_total{project=\"p\",service=\"p-service\"}"], 0.0);
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(nothing(), "# EOF\n");
    }

    #[test]
    fn gauges_are_what_the_last_look_saw_and_say_when() {
        let mut figures = Figures::default();
        figures.see(seen(), 1, noon());
        figures.wait(Duration::from_millis(412));
        let text = exposed(&figures, &Distributions::default());
        let samples = samples(&text);
        for (name, value) in [
            ("running_tasks", 2.0),
            ("serving_tasks", 2.0),
            ("registered_targets", 4.0),
            ("healthy_targets", 3.0),
            ("unhealthy_targets", 1.0),
            ("load_balancer_up", 1.0),
            ("idle_seconds", 90.0),
            ("queue_age_seconds", 0.412),
            ("findings", 1.0),
            ("last_look_timestamp_seconds", noon().as_second() as f64),
        ] {
            let sample = samples[format!("jvb_watcher_{name}{{project=\"p\",service=\"p-service\"}}").as_str()];
            assert!((sample - value).abs() < 1e-9, "{name} is {sample}");
        }
        assert!(text.contains("# UNIT jvb_watcher_idle_seconds seconds\n"), "{text}");
    }

    #[test]
    fn counters_go_on_and_distributions_are_in_seconds() {
        let (mut figures, distributions) = (Figures::default(), Distributions::default());
        for round in 1..=2_u64 {
            figures.count(Metric::Teardowns);
            distributions.measure(Metric::RegistrationLatency, 1_500);
            let text = exposed(&figures, &distributions);
            let samples = samples(&text);
            let value = |name: &str, more: &str| {
                samples[format!("jvb_watcher_{name}{{{more}project=\"p\",service=\"p-service\"}}").as_str()]
            };
            assert_eq!(value("teardowns_total", ""), round as f64);
            assert_eq!(value("registration_latency_seconds_sum", ""), 1.5 * round as f64);
            assert_eq!(value("registration_latency_seconds_count", ""), round as f64);
        }
    }

    #[test]
    fn a_name_can_hold_anything_and_the_text_stays_whole() {
        let text = text("p\"}\n1", "\\", &Figures::default(), &Distributions::default(), noon());
        assert!(text.contains(r#"project="p\"}\n1",service="\\""#), "{text}");
    }

    #[test]
    fn the_page_has_the_name_of_each() {
        let (mut figures, distributions) = (Figures::default(), Distributions::default());
        figures.see(seen(), 0, noon());
        figures.wait(Duration::ZERO);
        let text = exposed(&figures, &distributions);
        let mut families: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| line.split_once(' ').expect("a type"))
            .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
            .collect();
        let mut documented: Vec<_> = documented().into_iter().map(|[_, exposed, ..]| exposed).collect();
        assert!(page().contains("`jvb_watcher_last_look_timestamp_seconds`"));
        documented.push("jvb_watcher_last_look_timestamp_seconds".to_owned());
        families.sort();
        documented.sort();
        assert_eq!(families, documented);
    }
}
