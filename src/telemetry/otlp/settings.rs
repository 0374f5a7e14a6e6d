//! OpenTelemetry's environment variables, as far as its crates don't read them themselves.
//!
//! See "OpenTelemetry Protocol Exporter" and "Environment Variable Specification" in OpenTelemetry's specification.

use std::time::Duration;

/// The time limit of an export by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol that this program speaks.
const PROTOCOL: &str = "http/protobuf";

/// What is exported.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The time limit of an export of traces; `None` if they aren't exported.
    pub(super) traces: Option<Duration>,
    /// The time limit of an export of metrics; `None` if they aren't exported.
    pub(super) metrics: Option<Duration>,
    /// Whether an endpoint needs TLS.
    pub(super) uses_tls: bool,
}

impl Settings {
    /// Reads the variables; `None` if nothing is to be exported.
    ///
    /// # Errors
    ///
    /// A variable asks for what this program can't do.
    pub(super) fn read(environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        // An empty variable counts as one that isn't set.
        let read =
            |name: &str| environment(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        if read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (traces, metrics) = (Signal::read("TRACES", &read)?, Signal::read("METRICS", &read)?);
        let uses_tls = [&traces, &metrics].into_iter().flatten().any(|signal| signal.uses_tls);
        let timeout = |signal: Option<Signal>| signal.map(|signal| signal.timeout);
        let settings = Self { traces: timeout(traces), metrics: timeout(metrics), uses_tls };
        Ok((settings.traces.is_some() || settings.metrics.is_some()).then_some(settings))
    }
}

/// The settings of one signal.
struct Signal {
    timeout: Duration,
    uses_tls: bool,
}

impl Signal {
    fn read(name: &str, read: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        // The signal's own variable takes precedence.
        let setting = |setting: &str| {
            let [own, shared] =
                [format!("OTEL_EXPORTER_OTLP_{name}_{setting}"), format!("OTEL_EXPORTER_OTLP_{setting}")];
            read(&own).map(|value| (own, value)).or_else(|| read(&shared).map(|value| (shared, value)))
        };
        let Some((_, endpoint)) = setting("ENDPOINT") else { return Ok(None) };
        let exporter = format!("OTEL_{name}_EXPORTER");
        match read(&exporter).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => return Err(format!("{exporter}: {other:?} is not supported; set it to otlp or none")),
        }
        if let Some((variable, protocol)) = setting("PROTOCOL").filter(|(_, protocol)| protocol != PROTOCOL) {
            return Err(format!(
                "{variable}: {protocol:?} is not supported; set it to {PROTOCOL}, and the endpoint to the collector's \
                 port for it, which is 4318 by default"
            ));
        }
        let timeout = match setting("TIMEOUT") {
            Some((variable, timeout)) => timeout
                .parse()
                .map(Duration::from_millis)
                .map_err(|_| format!("{variable}: {timeout:?} is not a number of milliseconds, like 10000"))?,
            None => DEFAULT_TIMEOUT,
        };
        let uses_tls = endpoint.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        Ok(Some(Self { timeout, uses_tls }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::read(&get)
    }

    #[test]
    fn exports_nothing_without_an_endpoint_or_when_switched_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        let (no_traces, no_metrics) = (("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"));
        for variables in [
            &[("OTEL_SERVICE_NAME", "jvb-watcher"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")][..],
            &[endpoint, ("OTEL_SDK_DISABLED", "True")],
            &[endpoint, no_traces, no_metrics],
        ] {
            assert_eq!(read(variables), Ok(None), "{variables:?}");
        }
    }

    #[test]
    fn a_signal_has_its_own_endpoint_timeout_and_switch() {
        let settings = |variables: &[_]| read(variables).expect("valid").expect("an export");
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        let both = Settings { traces: Some(DEFAULT_TIMEOUT), metrics: Some(DEFAULT_TIMEOUT), uses_tls: false };
        assert_eq!(settings(&[endpoint, ("OTEL_TRACES_EXPORTER", "otlp")]), both);
        let timeouts = [("OTEL_EXPORTER_OTLP_TIMEOUT", "500"), ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "700")];
        let limits = settings(&[endpoint, timeouts[0], timeouts[1]]);
        assert_eq!(limits.traces.zip(limits.metrics), Some((Duration::from_millis(500), Duration::from_millis(700))));
        let metrics_alone = settings(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "HTTPS://example.org/v1/metrics")]);
        assert_eq!(metrics_alone, Settings { traces: None, metrics: Some(DEFAULT_TIMEOUT), uses_tls: true });
        assert_eq!(settings(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]).metrics, None);
    }

    #[test]
    fn what_is_not_supported_is_an_error_with_a_remedy() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");
        for (variable, value, remedy) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "set it to http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "set it to http/protobuf"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "set it to otlp or none"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "not a number of milliseconds"),
        ] {
            let error = read(&[endpoint, (variable, value)]).expect_err("an error");
            assert!(error.starts_with(&format!("{variable}: \"{value}\"")) && error.contains(remedy), "{error}");
        }
    }
}
