//! The metrics as OpenMetrics text, for `/metrics`.
//!
//! A scraper expects other values than a log line: counters since the process started instead of since the last line,
//! distributions as histograms, and seconds instead of milliseconds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit as Suffix};

use super::catalogue::{GaugeSource, Kind, Metric};
use super::interval::Part;
use super::store::Store;
use crate::telemetry::emf::{Scope, Unit};
use crate::telemetry::log::Identity;

/// The media type (see "Overall Structure" in the specification of OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The prefix of every metric name.
const PREFIX: &str = "jvb_watcher";

/// The name and help of the time of the last successful observation, which tells how old the gauges are. A log line has a
/// timestamp of its own.
pub(super) const LAST_OBSERVATION: (&str, &str) =
    ("last_look_timestamp", "The time of the last successful observation, as Unix time");

/// The distributions since the process started.
pub struct Histograms(BTreeMap<Metric, Histogram>);

impl Default for Histograms {
    fn default() -> Self {
        let histogram = |metric: Metric| match metric.definition().kind {
            Kind::Distribution { buckets } => Some((metric, Histogram::new(buckets.iter().copied()))),
            Kind::Gauge(_) | Kind::Counter => None,
        };
        Self(Metric::ALL.into_iter().filter_map(histogram).collect())
    }
}

impl Histograms {
    /// Records a value.
    pub fn record(&self, distribution: Metric, milliseconds: u64) {
        if let Some(histogram) = self.0.get(&distribution) {
            histogram.observe(Duration::from_millis(milliseconds).as_secs_f64());
        }
    }
}

/// The metrics to render, of one service or of a process and its services.
#[derive(Default)]
pub struct Exposition {
    /// The values by their labels: a service that was removed and added again has those of its later time.
    series: BTreeMap<Labels, Values>,
}

/// The names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The values of the metrics with the same labels.
struct Values {
    metrics: BTreeMap<Metric, Value>,
    /// The time of the last successful observation, as Unix time.
    observed_at: Option<f64>,
}

/// The value of a metric.
#[derive(Debug)]
enum Value {
    Counter(ConstCounter<u64>),
    Gauge(ConstGauge<f64>),
    Histogram(Histogram),
}

impl Value {
    fn metric(&self) -> &dyn EncodeMetric {
        match self {
            Self::Counter(counter) => counter,
            Self::Gauge(gauge) => gauge,
            Self::Histogram(histogram) => histogram,
        }
    }
}

impl Exposition {
    /// Adds a part of the metrics. A gauge without a value is left out: zero would be wrong.
    pub fn add(&mut self, scope: &Scope, part: Part, store: &Store, histograms: &Histograms, now: Timestamp) {
        let value = |metric: Metric| match metric.definition().kind {
            Kind::Counter => Some(Value::Counter(ConstCounter::new(store.total(metric)))),
            Kind::Distribution { .. } => histograms.0.get(&metric).cloned().map(Value::Histogram),
            Kind::Gauge(source) => gauge(source, store, now).map(|value| Value::Gauge(ConstGauge::new(value))),
        };
        let metrics = Metric::ALL.into_iter().filter(|metric| part.has(&metric.definition()));
        let metrics = metrics.filter_map(|metric| Some((metric, value(metric)?))).collect();
        let observed_at = store.observed_at().map(|at| at.as_millisecond() as f64 / 1000.0);
        self.series.insert(labels(scope, part), Values { metrics, observed_at });
    }

    /// Renders the metrics: each family once, with the values of all services.
    pub fn text(self) -> String {
        let mut families = Vec::new();
        let mut observed = Vec::new();
        let mut values: BTreeMap<Metric, Vec<(Arc<Labels>, Value)>> = BTreeMap::new();
        for (labels, Values { metrics, observed_at }) in self.series {
            let labels = Arc::new(labels);
            for (metric, value) in metrics {
                values.entry(metric).or_default().push((labels.clone(), value));
            }
            observed.extend(observed_at.map(|at| (labels, Value::Gauge(ConstGauge::new(at)))));
        }
        for metric in Metric::ALL {
            let values = values.remove(&metric).unwrap_or_default();
            let name = stem(metric);
            families.push(Family { name, help: metric.definition().help, suffix: suffix(metric), values });
        }
        let (name, help) = LAST_OBSERVATION;
        families.push(Family { name: name.to_owned(), help, suffix: Some(Suffix::Seconds), values: observed });
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Families(families)));
        let mut text = String::new();
        // Writing to a string doesn't fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// Returns the labels of a part. What all services share is about no service.
pub(super) fn labels(scope: &Scope, part: Part) -> Labels {
    let Scope { project, cluster, service, .. } = scope;
    match part {
        Part::OfProcess if project == Identity::ANY => Vec::new(),
        Part::OfProcess => vec![("project", project.clone())],
        Part::All | Part::OfService => {
            vec![("project", project.clone()), ("cluster", cluster.clone()), ("service", service.clone())]
        }
    }
}

/// A family: the values of one metric.
#[derive(Debug)]
struct Family {
    name: String,
    help: &'static str,
    suffix: Option<Suffix>,
    values: Vec<(Arc<Labels>, Value)>,
}

/// The families, for the encoder.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, suffix, values } in &self.0 {
            let Some((_, first)) = values.first() else { continue };
            let kind = first.metric().metric_type();
            let mut family = encoder.encode_descriptor(name, &format!("{help}."), suffix.as_ref(), kind)?;
            for (labels, value) in values {
                value.metric().encode(family.encode_family(&**labels)?)?;
            }
        }
        Ok(())
    }
}

pub(super) fn gauge(source: GaugeSource, store: &Store, now: Timestamp) -> Option<f64> {
    match source {
        GaugeSource::QueueAge => store.queue_age().map(|age| age.as_secs_f64()),
        GaugeSource::Findings => store.snapshot().map(|_| store.findings() as f64),
        GaugeSource::KnownSnapshot(value) => {
            store.snapshot().and_then(|snapshot| value(&snapshot, now)).map(|value| value as f64)
        }
        GaugeSource::Snapshot(value) => store.snapshot().map(|snapshot| value(&snapshot, now) as f64),
    }
}

/// Returns the unit's suffix. OpenMetrics uses base units.
pub(super) fn suffix(metric: Metric) -> Option<Suffix> {
    match metric.definition().unit {
        Unit::Seconds | Unit::Milliseconds => Some(Suffix::Seconds),
        Unit::Count | Unit::None => None,
    }
}

/// Returns the name of the metric's family with the suffix of its samples' unit and kind.
#[cfg(test)]
pub fn exposed_name(metric: Metric) -> String {
    let unit = suffix(metric).map_or("", |_| "_seconds");
    let kind = if matches!(metric.definition().kind, Kind::Counter) { "_total" } else { "" };
    format!("{PREFIX}_{}{unit}{kind}", stem(metric))
}

/// Returns the metric's name in snake case, without prefix and unit.
pub(super) fn stem(metric: Metric) -> String {
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
    use super::*;
    use crate::aws::fake::noon;
    use crate::telemetry::metrics::tests::documented;
    use crate::telemetry::metrics::{Flows, Snapshot, Summary, Usage};
    use crate::telemetry::tests::read;
    use jvb_watcher_rules::model::{Counts, LoadBalancerState};

    fn exposed(store: &Store, histograms: &Histograms) -> String {
        text(&scope("p", "p-service"), store, histograms)
    }

    fn text(scope: &Scope, store: &Store, histograms: &Histograms) -> String {
        let mut exposition = Exposition::default();
        exposition.add(scope, Part::All, store, histograms, noon());
        exposition.text()
    }

    fn scope(project: &str, service: &str) -> Scope {
        Scope { namespace: "jvb-watcher".into(), project: project.into(), cluster: "c".into(), service: service.into() }
    }

    /// Returns the samples by name and labels.
    fn samples(text: &str) -> BTreeMap<&str, f64> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
                (name, value.parse().expect("a number"))
            })
            .collect()
    }

    fn snapshot() -> Snapshot {
        let counts = Counts { desired: 2, running: 2, pending: 0 };
        let summary = Summary {
            counts,
            serving: 2,
            registered: 4,
            healthy: 3,
            unhealthy: 1,
            load_balancer_state: Some(LoadBalancerState::Active),
            ..Summary::default()
        };
        let idle_since = Some(noon() - jiff::SignedDuration::from_secs(90));
        Snapshot {
            summary,
            idle_since,
            usage: Usage::InUse,
            flows: Some(Flows { newest: 4, minute: noon(), unused_since: None }),
        }
    }

    #[test]
    fn omits_gauges_without_a_value() {
        let text = exposed(&Store::default(), &Histograms::default());
        for gauge in ["running_tasks", "load_balancer_up", "findings", "queue_age", "last_look"] {
            assert!(!text.contains(&format!("jvb_watcher_{gauge}")), "{gauge} in {text}");
        }
        assert_eq!(
            samples(&text)["jvb_watcher_reconciles_total{project=\"p\",cluster=\"c\",service=\"p-service\"}"],
            0.0
        );
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(Exposition::default().text(), "# EOF\n");
    }

    #[test]
    fn shows_the_last_observation_and_its_time() {
        let mut store = Store::default();
        store.set_snapshot(snapshot(), 1, noon());
        store.set_queue_age(Duration::from_millis(412));
        let text = exposed(&store, &Histograms::default());
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
            let sample =
                samples[format!("jvb_watcher_{name}{{project=\"p\",cluster=\"c\",service=\"p-service\"}}").as_str()];
            assert!((sample - value).abs() < 1e-9, "{name} is {sample}");
        }
        assert!(text.contains("# UNIT jvb_watcher_idle_seconds seconds\n"), "{text}");
    }

    #[test]
    fn counts_since_the_process_started_and_measures_in_seconds() {
        let (mut store, histograms) = (Store::default(), Histograms::default());
        for round in 1..=2_u64 {
            store.increment(Metric::Teardowns);
            histograms.record(Metric::RegistrationLatency, 1_500);
            let text = exposed(&store, &histograms);
            let samples = samples(&text);
            let value = |name: &str, more: &str| {
                samples
                    [format!("jvb_watcher_{name}{{{more}project=\"p\",cluster=\"c\",service=\"p-service\"}}").as_str()]
            };
            assert_eq!(value("teardowns_total", ""), round as f64);
            assert_eq!(value("registration_latency_seconds_sum", ""), 1.5 * round as f64);
            assert_eq!(value("registration_latency_seconds_count", ""), round as f64);
        }
    }

    #[test]
    fn escapes_label_values() {
        let text = text(&scope("p\"}\n1", "\\"), &Store::default(), &Histograms::default());
        assert!(text.contains(r#"project="p\"}\n1",cluster="c",service="\\""#), "{text}");
    }

    #[test]
    fn documents_the_name_of_every_metric() {
        let (mut store, histograms) = (Store::default(), Histograms::default());
        store.set_snapshot(snapshot(), 0, noon());
        store.set_queue_age(Duration::ZERO);
        let text = exposed(&store, &histograms);
        let mut families: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| line.split_once(' ').expect("a type"))
            .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
            .collect();
        let mut documented: Vec<_> = documented().into_iter().map(|[_, exposed, ..]| exposed).collect();
        assert!(read("metrics.md").contains("`jvb_watcher_last_look_timestamp_seconds`"));
        documented.push("jvb_watcher_last_look_timestamp_seconds".to_owned());
        families.sort();
        documented.sort();
        assert_eq!(families, documented);
    }
}
