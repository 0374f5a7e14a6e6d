//! Parsers of option values. Their errors say what a good value looks like.

use std::net::SocketAddr;
use std::time::Duration;

use super::IdleGrace;
use jvb_watcher_rules::plan::OwnerTag;

/// The shortest duration that any option takes.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest duration that any option takes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest time after which an unused service is stopped. CloudWatch's data points are late by up to several minutes.
const SHORTEST_STOP_WINDOW: Duration = Duration::from_secs(5 * 60);

/// The longest notice of a stop.
const LONGEST_STOP_NOTICE: Duration = Duration::from_secs(60 * 60);

/// Parses a duration of 1s to 24h.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| {
        let problem = match &error {
            // Its text lists all units up to years.
            humantime::DurationError::UnknownUnit { unit, .. } if !unit.is_empty() => {
                format!("unknown time unit {unit:?}")
            }
            humantime::DurationError::UnknownUnit { .. } => "it has no time unit".to_owned(),
            other => other.to_string(),
        };
        format!("{problem}; write it like 90s, 15m or 2h")
    })?;
    if !(SHORTEST..=LONGEST).contains(&duration) {
        return Err("it must be from 1s to 24h".to_owned());
    }
    Ok(duration)
}

/// Parses the time after which an unused service is stopped.
pub fn stop_window(text: &str) -> Result<Duration, String> {
    let window = duration(text)?;
    if window < SHORTEST_STOP_WINDOW {
        return Err("it must be from 5m to 24h".to_owned());
    }
    Ok(window)
}

/// Parses the notice of a stop.
pub fn stop_notice(text: &str) -> Result<Duration, String> {
    let notice = duration(text)?;
    if notice > LONGEST_STOP_NOTICE {
        return Err("it must be from 1s to 1h".to_owned());
    }
    Ok(notice)
}

/// Parses the grace period of an idle load balancer.
pub fn idle_grace(text: &str) -> Result<IdleGrace, String> {
    match text {
        "until-paid-hour" => Ok(IdleGrace::UntilPaidHour),
        _ => duration(text).map(IdleGrace::For).map_err(|error| format!("{error}, or until-paid-hour")),
    }
}

/// Parses an HTTP or HTTPS URL with a host.
pub fn url(text: &str) -> Result<http::Uri, String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{error}; write it like https://meet.example.org"))?;
    match (url.scheme_str(), url.host()) {
        (Some("https" | "http"), Some(_)) => Ok(url),
        _ => Err("write it like https://meet.example.org".to_owned()),
    }
}

/// Parses an IP address with a port.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write it as an IP address and a port, like 127.0.0.1:8081 or [::1]:8081".to_owned())
}

/// Parses an amount of US dollars.
pub fn price(text: &str) -> Result<f64, String> {
    amount(text, "0.19")
}

/// Parses an amount of what is paid for.
pub fn quantity(text: &str) -> Result<f64, String> {
    amount(text, "2 or 0.5")
}

/// Parses an amount; the error for what isn't a number names examples.
fn amount(text: &str, examples: &str) -> Result<f64, String> {
    let amount: f64 = text.parse().map_err(|_| format!("write it as a number, like {examples}"))?;
    // NaN is in no range.
    if !(0.0..=1e6).contains(&amount) {
        return Err("it must be from 0 to 1000000".to_owned());
    }
    Ok(amount)
}

/// Parses a factor of 0.001 to 100000000.
#[cfg(feature = "sandbox")]
pub fn time_scale(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "write it as a number, like 10 or 0.5".to_owned())?;
    // A year in a third of a second, or a second in a quarter of an hour.
    if !(0.001..=1e8).contains(&factor) {
        return Err("it must be from 0.001 to 100000000".to_owned());
    }
    Ok(factor)
}

/// Parses a tag. Tags take keys of up to 128 characters and values of up to 256 (see AWS's tagging reference).
pub fn owner_tag(text: &str) -> Result<OwnerTag, String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE, like Lifecycle=on-demand")?;
    match (key.chars().count(), value.chars().count()) {
        (0, _) => Err("the key is empty; write it as KEY=VALUE, like Lifecycle=on-demand".to_owned()),
        (1..=128, 0..=256) => Ok(OwnerTag { key: key.to_owned(), value: value.to_owned() }),
        _ => Err("a tag's key has at most 128 characters and its value at most 256".to_owned()),
    }
}

/// Parses a CloudWatch namespace: up to 255 characters of a few kinds; those that begin with `AWS/` are reserved
/// (see "Namespaces" in its user guide).
pub fn metrics_namespace(text: &str) -> Result<String, String> {
    let made_well = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_/#:".contains(c));
    if !made_well || !(1..=255).contains(&text.len()) {
        return Err("it must be made of 1 to 255 letters, digits and the characters . - _ / # :".to_owned());
    }
    if text.starts_with("AWS/") || text.starts_with(':') {
        return Err("it must not begin with AWS/, which is AWS's own, nor with a colon".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses an event bus by name or ARN (see EventBusName of PutEvents in EventBridge's API reference).
pub fn event_bus(text: &str) -> Result<String, String> {
    let name = match text.strip_prefix("arn:") {
        Some(arn) => arn.split_once(":event-bus/").map(|(_, name)| name).unwrap_or_default(),
        None => text,
    };
    let made_well = name.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c));
    if made_well && (1..=256).contains(&name.len()) {
        Ok(text.to_owned())
    } else {
        Err("it must be the name of an event bus (letters, digits and the characters / . - _) or its ARN".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_durations_within_bounds() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for (wrong, says) in [("0s", "from 1s to 24h"), ("2days", "from 1s to 24h"), ("90", "90s"), ("", "90s")] {
            let message = duration(wrong).expect_err(wrong);
            assert!(message.contains(says), "{wrong:?} gives {message:?}");
        }
    }

    #[test]
    fn parses_grace_periods() {
        assert_eq!(idle_grace("5m"), Ok(IdleGrace::For(Duration::from_secs(300))));
        let until_paid_hour = idle_grace("until-paid-hour").expect("a grace period");
        assert_eq!((until_paid_hour, until_paid_hour.at_least()), (IdleGrace::UntilPaidHour, Duration::from_secs(60)));
        for wrong in ["0s", "soon", "until-paid", "Until-Paid-Hour", ""] {
            let message = idle_grace(wrong).expect_err(wrong);
            assert!(message.ends_with(", or until-paid-hour"), "{wrong:?} gives {message:?}");
        }
    }

    #[test]
    fn parses_prices() {
        assert_eq!(price("0.0225"), Ok(0.0225));
        for wrong in ["$1", "", "-0.1", "NaN", "inf", "1e7"] {
            assert!(price(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parses_quantities() {
        assert_eq!(quantity("11.25"), Ok(11.25));
        assert_eq!(quantity("many"), Err("write it as a number, like 2 or 0.5".to_owned()));
        assert!(quantity("-1").is_err());
    }

    #[test]
    fn parses_addresses_with_a_port() {
        for address in ["127.0.0.1:8081", "[::]:8081", "0.0.0.0:0"] {
            assert!(socket_address(address).is_ok(), "{address}");
        }
        for wrong in ["8081", ":8081", "localhost:8081", "127.0.0.1", "::1:8081x", "127.0.0.1:65536"] {
            let message = socket_address(wrong).expect_err(wrong);
            assert!(message.contains("127.0.0.1:8081"), "{message}");
        }
    }

    #[test]
    fn parses_namespaces_that_cloudwatch_accepts() {
        let longest = "n".repeat(255);
        for good in ["jvb-watcher", "Jitsi/JVB", "a.b_c#d:e", &longest] {
            assert_eq!(metrics_namespace(good).as_deref(), Ok(good));
        }
        for wrong in ["", "AWS/ECS", ":a", "a b", "jvb–watcher", &"n".repeat(256)] {
            assert!(metrics_namespace(wrong).is_err(), "{wrong}");
        }
        assert_eq!(metrics_namespace("AWSome").as_deref(), Ok("AWSome"));
    }

    #[test]
    fn parses_owner_tags() {
        let tag = |key: &str, value: &str| OwnerTag { key: key.into(), value: value.into() };
        assert_eq!(owner_tag("Lifecycle=on-demand"), Ok(tag("Lifecycle", "on-demand")));
        assert_eq!(owner_tag("a=b=c"), Ok(tag("a", "b=c")));
        assert_eq!(owner_tag("a="), Ok(tag("a", "")));
        for wrong in ["Lifecycle", "=x", &format!("{}=x", "k".repeat(129)), &format!("k={}", "v".repeat(257))] {
            assert!(owner_tag(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(feature = "sandbox")]
    #[test]
    fn parses_time_scales() {
        assert_eq!(time_scale("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "inf", "NaN", "1e9", "fast", ""] {
            assert!(time_scale(wrong).is_err(), "{wrong}");
        }
    }
}
