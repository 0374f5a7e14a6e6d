//! The cost of a run of the platform, and of the idle time after it.

use std::time::Duration;

use serde::Serialize;

/// Prices, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// The whole platform while it is up, an hour.
    pub hourly: f64,
    /// The whole platform while it is down, a month.
    pub idle_monthly: f64,
    /// The platform without tasks but with its load balancer, a month.
    pub kept_monthly: f64,
}

impl Default for Prices {
    /// The figures of the platform's own cost model.
    fn default() -> Self {
        Self { hourly: 0.19, idle_monthly: 0.73, kept_monthly: 16.62 }
    }
}

/// The cost of a run of the platform, and of the idle time after it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The load balancer's uptime, in hours; `None` if it was deleted before `down` observed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours_up: Option<f64>,
    /// The cost of that time, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The cost of an idle month, in US dollars.
    pub idle_monthly: f64,
    /// The savings of a month without the load balancer, in US dollars.
    pub saved_monthly: f64,
}

impl Cost {
    /// Returns the cost of a run that lasted so long, if that is known.
    pub fn new(up: Option<Duration>, prices: Prices) -> Self {
        let hours_up = up.map(|up| up.as_secs_f64() / 3600.0);
        Self {
            hours_up,
            cost: hours_up.map(|hours| hours * prices.hourly),
            idle_monthly: prices.idle_monthly,
            saved_monthly: prices.kept_monthly - prices.idle_monthly,
        }
    }

    /// Returns the cost as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let run = match (self.hours_up, self.cost) {
            (Some(hours), Some(cost)) => {
                format!("The load balancer was up for {hours:.2} h, which cost ${cost:.2}.")
            }
            _ => "How long the load balancer was up isn't known: it was deleted before.".to_owned(),
        };
        let Self { idle_monthly, saved_monthly, .. } = self;
        let idle = format!(
            "An idle month costs ${idle_monthly:.2}, which is ${saved_monthly:.2} less than with a load balancer."
        );
        vec![run, idle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_costs_its_hours_and_an_idle_month_saves_the_load_balancer() {
        let cost = Cost::new(Some(Duration::from_secs(9000)), Prices::default());
        assert_eq!(
            cost.lines(),
            [
                "The load balancer was up for 2.50 h, which cost $0.47.",
                "An idle month costs $0.73, which is $15.89 less than with a load balancer."
            ]
        );
    }

    #[test]
    fn a_run_of_unknown_length_has_no_cost() {
        let cost = Cost::new(None, Prices::default());
        assert_eq!((cost.hours_up, cost.cost), (None, None));
        assert!(cost.lines()[0].contains("isn't known"));
    }
}
