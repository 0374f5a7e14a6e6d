//! The metrics as OpenTelemetry's instruments. They are those of `/metrics`, from the same catalogue and with the same
//! attributes.
//!
//! Counters and gauges are read when they are exported. OpenTelemetry has no histogram that is read, so distributions are
//! recorded as they occur.

use std::collections::BTreeMap;
use std::sync::{PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::catalogue::{Kind, Metric};
use super::exposition::{LAST_OBSERVATION, gauge, labels, stem, suffix};
use super::store::Store;
use super::{Inner, Recorded, Relation};

/// The histograms of the distributions.
#[derive(Clone)]
pub(super) struct Histograms(BTreeMap<Metric, Histogram<f64>>);

impl Histograms {
    /// Creates the histograms of a meter, which counts those of the same name as one.
    pub(super) fn new(meter: &Meter) -> Self {
        let histogram = |metric: Metric| match metric.definition().kind {
            Kind::Distribution { buckets } => {
                let histogram = meter.f64_histogram(name(metric)).with_description(metric.definition().help);
                let histogram = histogram.with_unit(unit(metric)).with_boundaries(buckets.to_vec());
                Some((metric, histogram.build()))
            }
            Kind::Gauge(_) | Kind::Counter => None,
        };
        Self(Metric::ALL.into_iter().filter_map(histogram).collect())
    }

    /// Records a value of the metrics.
    pub(super) fn record(&self, inner: &Inner, distribution: Metric, milliseconds: u64) {
        if let Some(histogram) = self.0.get(&distribution) {
            histogram.record(Duration::from_millis(milliseconds).as_secs_f64(), &attributes(inner));
        }
    }
}

/// Lets a meter read the counters and gauges of metrics, and of the services that belong to them, for as long as they exist.
pub(super) fn observe(meter: &Meter, metrics: &Weak<Inner>) {
    for metric in Metric::ALL {
        let (help, metrics) = (metric.definition().help, metrics.clone());
        match metric.definition().kind {
            Kind::Counter => {
                let counter = meter.u64_observable_counter(name(metric)).with_description(help).with_unit(unit(metric));
                let read = move |inner: &Inner, store: &Store, _| has(inner, metric).then(|| store.total(metric));
                counter
                    .with_callback(move |observer| {
                        for_each(&metrics, read, |value, attributes| observer.observe(value, attributes));
                    })
                    .build();
            }
            Kind::Gauge(source) => {
                let instrument =
                    meter.f64_observable_gauge(name(metric)).with_description(help).with_unit(unit(metric));
                let read = move |inner: &Inner, store: &Store, now| {
                    has(inner, metric).then(|| gauge(source, store, now)).flatten()
                };
                instrument
                    .with_callback(move |observer| {
                        for_each(&metrics, read, |value, attributes| observer.observe(value, attributes));
                    })
                    .build();
            }
            Kind::Distribution { .. } => {}
        }
    }
    let (last, help) = LAST_OBSERVATION;
    let metrics = metrics.clone();
    let read = |_: &Inner, store: &Store, _| store.observed_at().map(|at| at.as_millisecond() as f64 / 1000.0);
    meter
        .f64_observable_gauge(format!("{PREFIX}.{last}"))
        .with_description(help)
        .with_unit(SECONDS)
        .with_callback(move |observer| {
            for_each(&metrics, read, |value, attributes| observer.observe(value, attributes));
        })
        .build();
}

/// Reads a value of the metrics and of each of their services, and passes it on with their attributes.
fn for_each<V>(
    metrics: &Weak<Inner>,
    read: impl Fn(&Inner, &Store, Timestamp) -> Option<V>,
    mut observe: impl FnMut(V, &[KeyValue]),
) {
    let Some(metrics) = metrics.upgrade() else { return };
    let mut of = |inner: &Inner| {
        let Recorded { store, .. } = &*inner.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = read(inner, store, inner.clock.now()) {
            observe(value, &attributes(inner));
        }
    };
    of(&metrics);
    if let Relation::Process(services) = &metrics.relation {
        let services = services.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().filter_map(Weak::upgrade).for_each(|service| of(&service));
    }
}

fn has(inner: &Inner, metric: Metric) -> bool {
    inner.part().has(&metric.definition())
}

fn attributes(inner: &Inner) -> Vec<KeyValue> {
    labels(&inner.scope, inner.part()).into_iter().map(|(name, value)| KeyValue::new(name, value)).collect()
}

/// The first part of every name. OpenTelemetry separates the parts by dots.
const PREFIX: &str = "jvb_watcher";

/// The unit of durations and times, by its symbol in UCUM.
const SECONDS: &str = "s";

/// Returns the metric's name, without unit and kind: Prometheus adds them (see "Metric Metadata" in "Prometheus and OpenMetrics
/// Compatibility" of OpenTelemetry's specification).
fn name(metric: Metric) -> String {
    format!("{PREFIX}.{}", stem(metric))
}

/// Returns the metric's unit, if it has one. A count has none: Prometheus would take `1` for a ratio.
fn unit(metric: Metric) -> &'static str {
    suffix(metric).map_or("", |_| SECONDS)
}
