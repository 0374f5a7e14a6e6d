//! What a run of the platform cost, and what it costs from then on.

use std::time::Duration;

use serde::Serialize;

/// The prices, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// The whole platform, an hour that it runs.
    pub hourly: f64,
    /// What is left of it when nobody calls, a month.
    pub idle_monthly: f64,
    /// The same with a load balancer kept, a month.
    pub kept_monthly: f64,
}

impl Default for Prices {
    /// The figures of the platform's design: its cost model.
    fn default() -> Self {
        Self { hourly: 0.19, idle_monthly: 0.73, kept_monthly: 16.62 }
    }
}

/// What a run cost, and what it costs from then on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bill {
    /// How long the load balancer was up, in hours; not known where it was gone before anybody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours_up: Option<f64>,
    /// What that cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What a month costs from now on, in US dollars.
    pub idle_monthly: f64,
    /// What a month costs less than with a load balancer kept, in US dollars.
    pub saved_monthly: f64,
}

impl Bill {
    /// The bill for so long.
    pub fn new(up: Option<Duration>, prices: Prices) -> Self {
        let hours_up = up.map(|up| up.as_secs_f64() / 3600.0);
        Self {
            hours_up,
            cost: hours_up.map(|hours| hours * prices.hourly),
            idle_monthly: prices.idle_monthly,
            saved_monthly: prices.kept_monthly - prices.idle_monthly,
        }
    }

    /// The bill in lines, for a person.
    pub fn lines(&self) -> Vec<String> {
        let run = match (self.hours_up, self.cost) {
            (Some(hours), Some(cost)) => {
                format!("The load balancer was up for {hours:.2} h; that run cost ${cost:.2}.")
            }
            _ => "How long the load balancer was up isn't known: it was gone before.".to_owned(),
        };
        let Self { idle_monthly, saved_monthly, .. } = self;
        let from_now = format!(
            "From now on a month costs ${idle_monthly:.2}, ${saved_monthly:.2} less than with a load balancer kept."
        );
        vec![run, from_now]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evening_costs_its_hours_and_a_kept_balancer_is_what_is_saved() {
        let bill = Bill::new(Some(Duration::from_secs(9000)), Prices::default());
        assert_eq!(
            bill.lines(),
            [
                "The load balancer was up for 2.50 h; that run cost $0.47.",
                "From now on a month costs $0.73, $15.89 less than with a load balancer kept."
            ]
        );
    }

    #[test]
    fn a_run_that_nobody_saw_has_no_cost() {
        let bill = Bill::new(None, Prices::default());
        assert_eq!((bill.hours_up, bill.cost), (None, None));
        assert!(bill.lines()[0].contains("isn't known"));
    }
}
