//! What the watcher itself costs in a month in which nothing runs, as a Lambda function (terraform/modules/watcher).

use crate::HOURS_PER_MONTH;
use crate::prices::RegionalPrices;

/// An item of the watcher's bill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WatcherItem {
    /// What is charged.
    pub name: &'static str,
    /// How much of it, in [`Self::unit`].
    pub quantity: f64,
    /// The unit.
    pub unit: &'static str,
    /// How much an account gets for free each month, always.
    pub free: f64,
    /// The price of a unit.
    pub unit_price: f64,
}

impl WatcherItem {
    /// Returns the amount without the free tier.
    pub fn amount(&self) -> f64 {
        self.quantity * self.unit_price
    }

    /// Returns the amount if nothing else in the account uses the free tier.
    pub fn amount_with_free_tier(&self) -> f64 {
        (self.quantity - self.free).max(0.0) * self.unit_price
    }
}

/// The watcher's bill of an idle month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdleMonth {
    /// If nothing else in the account uses the always-free tier.
    pub with_free_tier: f64,
    /// Without the free tier.
    pub without: f64,
    /// Without the free tier, and without metrics, alarms and dashboard.
    pub bare: f64,
}

/// Returns the items of an idle month: a tick a minute, and Lambda's polls of the queue.
///
/// The sizes are those of terraform/modules/watcher/README.md; the duration of an invocation is an estimate.
pub fn items(region: &str) -> [WatcherItem; 7] {
    let item = |name, quantity, unit, free, unit_price| WatcherItem { name, quantity, unit, free, unit_price };
    let ticks = HOURS_PER_MONTH * 60.0;
    [
        item("Lambda invocations", ticks / 1e6, "million", 1.0, 0.20),
        item("Lambda duration (0.3 s, 128 MiB, ARM)", ticks * 0.3 * 0.125, "GB s", 400_000.0, 0.000_013_333_4),
        // Five concurrent long polls of twenty seconds.
        item("SQS requests", 5.0 * 3.0 * ticks / 1e6, "million", 1.0, 0.40),
        item("CloudWatch Logs (0.93 KB a tick)", ticks * 0.93e-6, "GB", 5.0, RegionalPrices::of(region).log_gb),
        item("custom metrics", 3.0, "metrics", 10.0, 0.30),
        item("alarms", 7.0, "alarms", 10.0, 0.10),
        item("dashboard", 1.0, "dashboards", 3.0, 3.00),
    ]
}

/// Returns the watcher's bill of an idle month.
pub fn idle_month(region: &str) -> IdleMonth {
    let items = items(region);
    let sum = |items: &[WatcherItem]| items.iter().map(WatcherItem::amount).sum();
    IdleMonth {
        with_free_tier: items.iter().map(WatcherItem::amount_with_free_tier).sum(),
        without: sum(&items),
        bare: sum(&items[..4]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_watcher_fits_the_free_tier() {
        let IdleMonth { with_free_tier, without, bare } = idle_month("eu-west-1");
        let rounded = [with_free_tier, without, bare].map(|amount| format!("{amount:.2}"));
        // The totals of terraform/modules/watcher/README.md.
        assert_eq!(rounded, ["0.00", "4.92", "0.32"]);
    }
}
