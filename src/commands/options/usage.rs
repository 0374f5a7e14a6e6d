//! The options about the use of the load balancer: what counts, and what follows when there is none.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use jvb_watcher_rules::model::FlowProtocols;
use jvb_watcher_rules::plan::{StopWhenUnused, UsagePolicy};

use super::super::settings::ConfigError;
use super::values::{duration, stop_notice, stop_window};

/// When an unused service is stopped, and what counts as use.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct UsageOptions {
    /// Scale the service to zero when unused for this long
    ///
    /// From 5m. The load balancer is unused when CloudWatch shows no minute with flows in that time; a minute that it
    /// doesn't show counts as used. [default: never]
    #[arg(long, env = "JVB_WATCHER_STOP_WHEN_UNUSED", value_name = "DURATION", value_parser = stop_window)]
    pub stop_when_unused: Option<Duration>,
    /// Announce the stop this long before
    ///
    /// In the log, on the event bus (--publish-events), and as a tag on the load balancer. A hold or an `up` in this time
    /// cancels the stop, and so does a call that CloudWatch shows in time: one that began five minutes before the stop or
    /// earlier. With a notice below 5m, a call that begins after the announcement may be cut off.
    #[arg(long, env = "JVB_WATCHER_STOP_NOTICE", value_name = "DURATION", default_value = "2m", value_parser = stop_notice, hide_short_help = true)]
    pub stop_notice: Duration,
    /// Wait this long for the first call
    ///
    /// A service that no call has used since its newest task started isn't stopped before.
    #[arg(long, env = "JVB_WATCHER_FIRST_CALL_GRACE", value_name = "DURATION", default_value = "30m", value_parser = duration, hide_short_help = true)]
    pub first_call_grace: Duration,
    /// What counts.
    #[command(flatten)]
    pub counting: UseOptions,
}

/// What counts as use of the load balancer.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct UseOptions {
    /// Flows that a minute must exceed to count as used
    ///
    /// Port scans make single flows, a call of two makes two.
    #[arg(long, env = "JVB_WATCHER_USE_THRESHOLD", value_name = "FLOWS", default_value_t = 1, hide_short_help = true)]
    pub use_threshold: u32,
    /// Protocols of the flows that count [default: udp]
    ///
    /// A list of udp, tcp and tls, with commas or blanks in between, or all. Without a UDP listener the default is all.
    #[arg(long, env = "JVB_WATCHER_USE_PROTOCOLS", value_name = "LIST", value_parser = protocols, hide_short_help = true)]
    pub use_protocols: Option<FlowProtocols>,
    /// Don't ask CloudWatch for the usage
    ///
    /// It costs about $0.002 an hour while a load balancer exists, and needs the permission cloudwatch:GetMetricData.
    #[arg(long, env = "JVB_WATCHER_NO_USAGE", value_parser = BoolishValueParser::new(), hide_short_help = true)]
    pub no_usage: bool,
}

impl UsageOptions {
    /// Returns the rules that the options configure.
    ///
    /// # Errors
    ///
    /// A stop is asked for, and its usage isn't.
    pub fn policy(&self) -> Result<UsagePolicy, ConfigError> {
        let Self { stop_when_unused, stop_notice, first_call_grace, ref counting } = *self;
        if counting.no_usage && stop_when_unused.is_some() {
            let problem = "stop-when-unused needs the usage; give one of the two".to_owned();
            return Err(ConfigError { option: "no-usage", problem });
        }
        Ok(UsagePolicy {
            stop: stop_when_unused.map(|after| StopWhenUnused { after, notice: stop_notice, first_call_grace }),
            ..counting.policy()
        })
    }
}

impl UseOptions {
    /// Returns the rules that the options configure, by which nothing is stopped.
    pub fn policy(&self) -> UsagePolicy {
        let Self { use_threshold, use_protocols, no_usage } = *self;
        UsagePolicy { observe: !no_usage, protocols: use_protocols, threshold: use_threshold.into(), stop: None }
    }
}

/// Parses a list of protocols.
fn protocols(text: &str) -> Result<FlowProtocols, String> {
    let mut protocols = FlowProtocols::default();
    if text == "all" {
        return Ok(protocols);
    }
    // Tags of ECS can't have commas (its API reference, Tag).
    for word in text.split(',').flat_map(|part| part.trim().split(' ')) {
        match word {
            "udp" => protocols.udp = true,
            "tcp" => protocols.tcp = true,
            "tls" => protocols.tls = true,
            _ => return Err("write it like udp or udp,tls (of udp, tcp and tls), or all".to_owned()),
        }
    }
    Ok(protocols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_needs_the_usage() {
        let options = |stop_when_unused, no_usage| UsageOptions {
            stop_when_unused,
            stop_notice: Duration::from_secs(120),
            first_call_grace: Duration::from_secs(1800),
            counting: UseOptions { use_threshold: 1, use_protocols: None, no_usage },
        };
        let after = Duration::from_secs(600);
        assert_eq!(options(Some(after), true).policy().expect_err("a contradiction").option, "no-usage");
        assert_eq!(options(Some(after), false).policy().expect("a policy").stop.map(|stop| stop.after), Some(after));
        assert!(!options(None, true).policy().expect("a policy").observe);
    }

    #[test]
    fn parses_lists_of_protocols() {
        assert_eq!(protocols("udp"), Ok(FlowProtocols::MEDIA));
        assert_eq!(protocols("all"), Ok(FlowProtocols::default()));
        for list in ["tls,udp", "tls, udp", "tls udp"] {
            assert_eq!(protocols(list), Ok(FlowProtocols { udp: true, tcp: false, tls: true }), "{list:?}");
        }
        for wrong in ["", "udp,", "quic", "UDP", "all,udp"] {
            assert!(protocols(wrong).is_err(), "{wrong:?}");
        }
    }
}
