//! The prices that the page's costs are estimated from.

/// The hours of a month in AWS's price examples: 365 days of 24 hours, divided by twelve.
pub(crate) const HOURS_PER_MONTH: f64 = 730.0;

/// The prices of the platform, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// An hour in which the load balancer is up, with the tasks and everything else that runs only then.
    pub hour: f64,
    /// A month of the resources that are always there, such as a hosted zone or stored images.
    pub idle_month: f64,
    /// A month of always-on operation, where it is known. By default it follows from the other two.
    pub always_on_month: Option<f64>,
}

impl Prices {
    /// Returns the cost of a month in which the load balancer is always up.
    ///
    /// The default is 730 hours at the hourly price, and the idle month on top: both are part of the on-demand cost, so
    /// that a load balancer that was up all the time has saved exactly nothing.
    pub fn always_on_month(&self) -> f64 {
        self.always_on_month.unwrap_or(HOURS_PER_MONTH * self.hour + self.idle_month)
    }
}
