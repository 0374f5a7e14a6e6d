//! The cost of a run of the platform, and of the idle time after it.

use std::time::Duration;

pub use jvb_watcher_cost::Model;
use jvb_watcher_cost::{BillItem, Prices, dollars};
use serde::Serialize;

/// The cost of a run of the platform, and of the idle time after it, estimated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The load balancer's uptime, in hours; `None` if it was deleted before `down` observed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours_up: Option<f64>,
    /// The hours of the load balancer that began, which are billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_hours: Option<f64>,
    /// The cost of the run, with tasks as long as the load balancer was up, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Its items; none at an hourly price that was given.
    pub cost_items: Vec<BillItem>,
    /// The cost of an idle month, in US dollars.
    pub idle_monthly: f64,
    /// The savings of a month without the load balancer, in US dollars.
    pub saved_monthly: f64,
    /// The unit prices.
    pub prices: Prices,
    #[serde(skip)]
    hourly: Option<f64>,
}

impl Cost {
    /// Returns the cost of a run that lasted so long, if that is known.
    pub fn new(up: Option<Duration>, model: &Model) -> Self {
        let run = up.map(|up| model.run(up));
        Self {
            hours_up: run.map(|run| run.load_balancer_hours),
            billed_hours: run.map(|run| run.billed_hours),
            cost: run.map(|run| model.run_cost(&run)),
            cost_items: run.map(|run| model.run_items(&run)).unwrap_or_default(),
            idle_monthly: model.idle_monthly(),
            saved_monthly: model.kept_monthly() - model.idle_monthly(),
            prices: model.prices.clone(),
            hourly: model.hourly,
        }
    }

    /// Returns the cost as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![match (self.hours_up, self.billed_hours, self.cost, self.hourly) {
            (Some(up), _, Some(cost), Some(hourly)) => {
                format!("The load balancer was up for {up:.2} h; the run cost {} at ${hourly} an hour.", dollars(cost))
            }
            (Some(up), Some(billed), Some(cost), None) => {
                format!(
                    "The load balancer was up for {up:.2} h ({billed} h billed); the run cost about {}:",
                    dollars(cost)
                )
            }
            _ => "How long the load balancer was up isn't known: it was deleted before.".to_owned(),
        }];
        lines.extend(self.cost_items.iter().map(|of| {
            let quantity = format!("{:.2} {}", of.quantity, of.item.unit());
            format!("  {:<34}{quantity:<16}{:>8}", of.item.name(), dollars(of.amount()))
        }));
        lines.push(format!(
            "An idle month costs {}, which is {} less than with a load balancer kept all month.",
            dollars(self.idle_monthly),
            dollars(self.saved_monthly)
        ));
        lines.push(format!("Estimated by {}.", self.prices.origin()));
        lines
    }
}

#[cfg(test)]
mod tests {
    use jvb_watcher_cost::Platform;

    use super::*;

    #[test]
    fn a_run_costs_its_items_and_an_idle_month_saves_the_load_balancer() {
        let platform = Platform { egress_gb_per_hour: 4.0, ..Platform::EXAMPLE };
        let cost = Cost::new(Some(Duration::from_secs(9000)), &Model::new("us-east-1", platform));
        assert_eq!(
            cost.lines(),
            [
                "The load balancer was up for 2.50 h (3 h billed); the run cost about $1.31:",
                "  network load balancer             3.00 h begun       $0.07",
                "  its public IPv4 addresses         2.50 h             $0.01",
                "  its capacity units                20.00 NLCU h       $0.12",
                "  Fargate vCPUs                     5.00 vCPU h        $0.16",
                "  Fargate memory                    10.00 GB h         $0.04",
                "  the tasks' public IPv4 addresses  2.50 h             $0.01",
                "  traffic to the internet           10.00 GB           $0.90",
                "An idle month costs $0.50, which is $20.08 less than with a load balancer kept all month.",
                "Estimated by prices of us-east-1 of 2026-09-20.",
            ]
        );
    }

    #[test]
    fn a_given_hourly_price_replaces_the_items() {
        let model = Model { hourly: Some(0.19), ..Model::default() };
        let cost = Cost::new(Some(Duration::from_secs(9000)), &model);
        assert_eq!(cost.lines()[0], "The load balancer was up for 2.50 h; the run cost $0.48 at $0.19 an hour.");
        assert_eq!((cost.cost_items.len(), cost.billed_hours), (0, Some(3.0)));
    }

    #[test]
    fn a_run_of_unknown_length_has_no_cost() {
        let cost = Cost::new(None, &Model::default());
        assert_eq!((cost.hours_up, cost.cost), (None, None));
        assert!(cost.lines()[0].contains("isn't known"));
    }
}
