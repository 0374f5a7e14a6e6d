//! What the platform costs: one model of AWS's bill, pure.
//!
//! - [`Prices`]: the unit prices of a region, from a table of AWS's price list; each can be replaced.
//! - [`Platform`]: the quantities, e.g. the size of a task.
//! - [`Model`]: both together, and the bills that follow from them.
//! - [`watcher`]: what the watcher itself costs in a month in which nothing runs.
//!
//! All amounts are US dollars without taxes, discounts and, unless a function says otherwise, without the free tier.

#![warn(missing_docs)]

mod bill;
mod model;
mod platform;
mod prices;
pub mod watcher;

pub use bill::{Bill, BillItem, Item, dollars};
pub use model::{EXAMPLE_MONTH, Model, Month, Run, billed_hours};
pub use platform::{Architecture, Platform};
pub use prices::{FALLBACK_REGION, FargatePrices, Prices, REGIONS, RegionalPrices};

/// The hours of a month in AWS's price examples: 365 days of 24 hours, divided by twelve.
pub const HOURS_PER_MONTH: f64 = 730.0;
