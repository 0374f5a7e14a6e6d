//! A bill, by items.

use serde::{Serialize, Serializer};

/// What AWS charges for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// Hours of the load balancer that have begun.
    LoadBalancer,
    /// Hours of the load balancer's public IPv4 addresses.
    LoadBalancerAddresses,
    /// Hours of the load balancer's capacity units.
    CapacityUnits,
    /// Hours of the tasks' vCPUs.
    TaskVcpus,
    /// Hours of the tasks' memory.
    TaskMemory,
    /// Hours of the tasks' public IPv4 addresses.
    TaskAddresses,
    /// Traffic to the internet.
    Egress,
    /// Months of the hosted zones.
    HostedZones,
    /// Months of the watcher.
    Watcher,
}

impl Item {
    /// Returns the name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadBalancer => "network load balancer",
            Self::LoadBalancerAddresses => "its public IPv4 addresses",
            Self::CapacityUnits => "its capacity units",
            Self::TaskVcpus => "Fargate vCPUs",
            Self::TaskMemory => "Fargate memory",
            Self::TaskAddresses => "the tasks' public IPv4 addresses",
            Self::Egress => "traffic to the internet",
            Self::HostedZones => "Route 53 hosted zones",
            Self::Watcher => "the watcher",
        }
    }

    /// Returns the unit in texts.
    pub fn unit(self) -> &'static str {
        match self {
            Self::LoadBalancer => "h begun",
            Self::LoadBalancerAddresses | Self::TaskAddresses => "h",
            Self::CapacityUnits => "NLCU h",
            Self::TaskVcpus => "vCPU h",
            Self::TaskMemory => "GB h",
            Self::Egress => "GB",
            Self::HostedZones | Self::Watcher => "months",
        }
    }
}

/// An item of a bill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BillItem {
    /// What is charged.
    pub item: Item,
    /// How much of it.
    pub quantity: f64,
    /// The price of one unit.
    pub unit_price: f64,
}

impl BillItem {
    /// Returns the amount.
    pub fn amount(&self) -> f64 {
        self.quantity * self.unit_price
    }
}

impl Serialize for BillItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            item: Item,
            quantity: f64,
            unit: &'static str,
            unit_price_usd: f64,
            cost_usd: f64,
        }
        let Self { item, quantity, unit_price } = *self;
        let unit = item.unit();
        Shown { item, quantity, unit, unit_price_usd: unit_price, cost_usd: self.amount() }.serialize(serializer)
    }
}

/// A bill: items in the order of [`Item`], none of them zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Bill {
    /// The items.
    pub items: Vec<BillItem>,
}

impl Bill {
    /// Returns a bill of these quantities and prices, without those of which there is nothing.
    pub(crate) fn of(items: impl IntoIterator<Item = (Item, f64, f64)>) -> Self {
        let items = items.into_iter().filter(|(_, quantity, _)| *quantity > 0.0);
        Self { items: items.map(|(item, quantity, unit_price)| BillItem { item, quantity, unit_price }).collect() }
    }

    /// Returns the sum.
    pub fn total(&self) -> f64 {
        self.items.iter().map(BillItem::amount).sum()
    }

    /// Returns the quantity of one item.
    pub fn quantity(&self, item: Item) -> f64 {
        self.items.iter().filter(|of| of.item == item).map(|of| of.quantity).sum()
    }

    /// Returns the amount of one item.
    pub fn amount(&self, item: Item) -> f64 {
        self.items.iter().filter(|of| of.item == item).map(BillItem::amount).sum()
    }

    /// Returns the sum of two bills, item by item at the price of the first.
    pub fn and(mut self, other: &Self) -> Self {
        for more in &other.items {
            match self.items.iter_mut().find(|of| of.item == more.item) {
                Some(of) => of.quantity += more.quantity,
                None => self.items.push(*more),
            }
        }
        self.items.sort_by_key(|of| of.item as u8);
        self
    }
}

/// Formats an amount in cents, or more finely below one.
pub fn dollars(amount: f64) -> String {
    // Half a cent is rounded up, although the sum of prices may be a little below.
    let amount = if amount < 0.0 { amount } else { amount + 1e-9 };
    if amount > 1e-6 && amount < 0.01 { format!("${amount:.4}") } else { format!("${amount:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_has_no_items_of_nothing_and_sums_up() {
        let bill = Bill::of([(Item::LoadBalancer, 2.0, 0.5), (Item::Egress, 0.0, 0.09)]);
        assert_eq!(bill.items.len(), 1);
        let both = bill.and(&Bill::of([(Item::Egress, 10.0, 0.1), (Item::LoadBalancer, 1.0, 0.5)]));
        assert_eq!((both.total(), both.amount(Item::LoadBalancer), both.amount(Item::Egress)), (2.5, 1.5, 1.0));
        assert_eq!((both.quantity(Item::LoadBalancer), both.quantity(Item::Egress)), (3.0, 10.0));
        assert_eq!((both.amount(Item::Watcher), both.quantity(Item::Watcher)), (0.0, 0.0));
    }

    #[test]
    fn amounts_below_a_cent_are_shown() {
        assert_eq!([0.0, 0.0048, 0.01, 13.4].map(dollars), ["$0.00", "$0.0048", "$0.01", "$13.40"]);
        assert_eq!([20.575 - 0.5, -1.25].map(dollars), ["$20.08", "$-1.25"]);
    }
}
