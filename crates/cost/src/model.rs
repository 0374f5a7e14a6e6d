//! The model: quantities, prices, and the bills that follow from them.

use std::time::Duration;

use crate::HOURS_PER_MONTH;
use crate::bill::{Bill, BillItem, Item};
use crate::platform::Platform;
use crate::prices::{FALLBACK_REGION, Prices};

/// The quantities and the prices of a platform. Totals that an operator has given replace those that follow from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The quantities.
    pub platform: Platform,
    /// The unit prices.
    pub prices: Prices,
    /// An hour in which the load balancer exists, as given.
    pub hourly: Option<f64>,
    /// A month in which nothing runs, as given.
    pub idle_monthly: Option<f64>,
    /// The same with a load balancer that is kept, as given.
    pub kept_monthly: Option<f64>,
    /// A month in which everything runs, as given.
    pub always_on_monthly: Option<f64>,
}

/// What a load balancer and its tasks use in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The hours in which the load balancer exists.
    pub load_balancer_hours: f64,
    /// The hours that are billed for it.
    pub billed_hours: f64,
    /// The hours in which the tasks run.
    pub task_hours: f64,
    /// The traffic to the internet, in GB.
    pub egress_gb: f64,
}

/// The use of a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Month {
    /// The number of calls, each with a load balancer of its own.
    pub calls: u32,
    /// How long the load balancer exists for a call.
    pub load_balancer_up: Duration,
    /// How long the tasks run for a call.
    pub tasks_up: Duration,
    /// The traffic of a call to the internet, in GB.
    pub egress_gb: f64,
}

/// The example of docs/costs.md: ten calls of an hour with ten people, each of whom receives 2.5 Mbit/s. The load balancer
/// takes three minutes to become active and its target as long to become healthy; stopping and grace period take some four.
pub const EXAMPLE_MONTH: Month = Month {
    calls: 10,
    load_balancer_up: Duration::from_secs(70 * 60),
    tasks_up: Duration::from_secs(66 * 60),
    egress_gb: 11.25,
};

/// The GB that the load balancer processes for each GB to the internet. Participants also send; their traffic to AWS is
/// free, but the load balancer's capacity units count it. As much in as out is the most that a conference of three or more
/// sends.
const PROCESSED_PER_EGRESS: f64 = 2.0;

/// The GB that a capacity unit processes in an hour. Of its dimensions this is the one that media exhausts first (Elastic
/// Load Balancing pricing, "Network Load Balancer Capacity Unit").
const GB_PER_CAPACITY_UNIT_HOUR: f64 = 1.0;

/// Returns the hours that are billed for a load balancer that existed for so long: those that began (Elastic Load Balancing
/// pricing, "each hour or partial hour").
pub fn billed_hours(up: Duration) -> u64 {
    let seconds = up.as_secs() + u64::from(up.subsec_nanos() > 0);
    seconds.div_ceil(3600).max(1)
}

fn hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

impl Default for Model {
    fn default() -> Self {
        Self::new(FALLBACK_REGION, Platform::EXAMPLE)
    }
}

impl Model {
    /// Returns the model of a platform in a region.
    pub fn new(region: &str, platform: Platform) -> Self {
        let prices = Prices::of(region, platform.architecture);
        Self { platform, prices, hourly: None, idle_monthly: None, kept_monthly: None, always_on_monthly: None }
    }

    /// Returns what a load balancer that existed for so long has used, with tasks that ran as long.
    pub fn run(&self, up: Duration) -> Run {
        #[expect(clippy::cast_precision_loss, reason = "2^53 hours are a trillion years")]
        let billed_hours = billed_hours(up) as f64;
        Run { billed_hours, ..self.part(hours(up)) }
    }

    /// Returns the same for a part of a load balancer's time, which isn't rounded.
    pub fn part(&self, hours: f64) -> Run {
        let egress_gb = hours * self.platform.egress_gb_per_hour;
        Run { load_balancer_hours: hours, billed_hours: hours, task_hours: hours, egress_gb }
    }

    /// Returns the bill of a run.
    pub fn bill(&self, run: &Run) -> Bill {
        let Run { load_balancer_hours, billed_hours, task_hours, egress_gb } = *run;
        let Self { platform, prices, .. } = self;
        let capacity_units = egress_gb * PROCESSED_PER_EGRESS / GB_PER_CAPACITY_UNIT_HOUR;
        let tasks = platform.tasks * task_hours;
        Bill::of([
            (Item::LoadBalancer, billed_hours, prices.load_balancer_hour),
            (
                Item::LoadBalancerAddresses,
                platform.load_balancer_subnets * load_balancer_hours,
                prices.public_ipv4_hour,
            ),
            (Item::CapacityUnits, capacity_units, prices.capacity_unit_hour),
            (Item::TaskVcpus, tasks * platform.vcpus, prices.vcpu_hour),
            (Item::TaskMemory, tasks * platform.memory_gb, prices.memory_gb_hour),
            (Item::TaskAddresses, tasks * platform.task_addresses, prices.public_ipv4_hour),
            (Item::Egress, egress_gb, prices.egress_gb),
        ])
    }

    /// Returns the bill of a load balancer alone that existed for so long.
    pub fn load_balancer(&self, up: Duration) -> Bill {
        self.bill(&Run { task_hours: 0.0, egress_gb: 0.0, ..self.run(up) })
    }

    /// Returns the bill of a month of the load balancer alone.
    pub fn load_balancer_month(&self) -> Bill {
        self.bill(&Run { task_hours: 0.0, egress_gb: 0.0, ..self.part(HOURS_PER_MONTH) })
    }

    /// Returns the bill of an hour in which everything runs.
    pub fn hour(&self) -> Bill {
        self.bill(&self.part(1.0))
    }

    /// Returns the bill of a month in which nothing runs.
    pub fn idle_month(&self) -> Bill {
        let Self { platform, prices, .. } = self;
        Bill::of([
            (Item::HostedZones, platform.hosted_zones, prices.hosted_zone_month),
            (Item::Watcher, 1.0, prices.watcher_month),
        ])
    }

    /// Returns the bill of a month of use.
    pub fn month(&self, month: &Month) -> Bill {
        self.bill(&self.of_calls(month)).and(&self.idle_month())
    }

    /// Returns the bill of the same use with a load balancer that is kept.
    pub fn kept_month(&self, month: &Month) -> Bill {
        let standing = self.part(HOURS_PER_MONTH);
        let Run { task_hours, egress_gb, .. } = self.of_calls(month);
        self.bill(&Run { task_hours, egress_gb, ..standing }).and(&self.idle_month())
    }

    /// Returns the bill of the same use with a load balancer and tasks that always run.
    pub fn always_on_month(&self, month: &Month) -> Bill {
        let Run { egress_gb, .. } = self.of_calls(month);
        self.bill(&Run { egress_gb, ..self.part(HOURS_PER_MONTH) }).and(&self.idle_month())
    }

    fn of_calls(&self, month: &Month) -> Run {
        let calls = f64::from(month.calls);
        Run {
            load_balancer_hours: calls * hours(month.load_balancer_up),
            billed_hours: calls * self.run(month.load_balancer_up).billed_hours,
            task_hours: calls * hours(month.tasks_up),
            egress_gb: calls * month.egress_gb,
        }
    }

    // ---- totals, of which an operator can give each ----

    /// Returns the cost of an hour in which everything runs.
    pub fn hourly(&self) -> f64 {
        self.hourly.unwrap_or_else(|| self.hour().total())
    }

    /// Returns the cost of a run: at the hourly price that was given, or by its items.
    pub fn run_cost(&self, run: &Run) -> f64 {
        self.hourly.map_or_else(|| self.bill(run).total(), |hourly| run.load_balancer_hours * hourly)
    }

    /// Returns the items of a run's cost; none at an hourly price that was given.
    pub fn run_items(&self, run: &Run) -> Vec<BillItem> {
        if self.hourly.is_some() { Vec::new() } else { self.bill(run).items }
    }

    /// Returns the cost of a month in which nothing runs.
    pub fn idle_monthly(&self) -> f64 {
        self.idle_monthly.unwrap_or_else(|| self.idle_month().total())
    }

    /// Returns the cost of a month in which nothing runs and the load balancer is kept.
    pub fn kept_monthly(&self) -> f64 {
        self.kept_monthly.unwrap_or_else(|| self.idle_monthly() + self.load_balancer_month().total())
    }

    /// Returns the cost of a month in which everything runs, with the traffic of a run.
    pub fn always_on_monthly(&self, egress_gb: f64) -> f64 {
        let standing = Run { egress_gb, ..self.part(HOURS_PER_MONTH) };
        self.always_on_monthly.unwrap_or_else(|| self.run_cost(&standing) + self.idle_monthly())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn model() -> Model {
        Model::new("us-east-1", Platform::EXAMPLE)
    }

    fn assert_close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-9, "{one} is not {other}");
    }

    #[test]
    fn an_hour_that_has_begun_is_billed_in_full() {
        for (minutes, billed) in [(0, 1), (1, 1), (60, 1), (61, 2), (119, 2), (120, 2), (121, 3)] {
            assert_eq!(billed_hours(minutes * MINUTE), billed, "{minutes} min");
        }
        assert_eq!(billed_hours(60 * MINUTE + Duration::from_nanos(1)), 2);
    }

    #[test]
    fn an_hour_of_the_example_is_the_sum_of_its_items() {
        let hour = model().hour();
        let by_hand = 0.0225 + 0.005 + 2.0 * 0.03238 + 4.0 * 0.00356 + 0.005;
        assert_close(hour.total(), by_hand);
        assert_eq!(hour.amount(Item::Egress) + hour.amount(Item::CapacityUnits), 0.0, "traffic is an input");
        let platform = Platform { egress_gb_per_hour: 11.25, ..Platform::EXAMPLE };
        let with_traffic = Model::new("us-east-1", platform).hour();
        assert_close(with_traffic.total(), by_hand + 11.25 * 0.09 + 22.5 * 0.006);
    }

    #[test]
    fn a_run_rounds_the_load_balancers_hours_alone() {
        let model = model();
        let bill = model.bill(&model.run(90 * MINUTE));
        assert_close(bill.amount(Item::LoadBalancer), 2.0 * 0.0225);
        assert_close(bill.amount(Item::LoadBalancerAddresses), 1.5 * 0.005);
        assert_close(bill.amount(Item::TaskVcpus), 1.5 * 2.0 * 0.03238);
        assert_close(model.bill(&model.part(1.5)).amount(Item::LoadBalancer), 1.5 * 0.0225);
    }

    #[test]
    fn an_idle_month_costs_the_hosted_zone() {
        let idle = model().idle_month();
        assert_close(idle.total(), 0.50);
        assert!(idle.total() < 1.0, "an idle platform costs less than a dollar");
    }

    #[test]
    fn a_month_saves_the_hours_in_which_nothing_runs() {
        let model = model();
        let month = model.month(&EXAMPLE_MONTH);
        let by_hand = 0.50
            + 20.0 * 0.0225
            + (10.0 * 70.0 / 60.0 + 11.0) * 0.005
            + 11.0 * (2.0 * 0.03238 + 4.0 * 0.00356)
            + 112.5 * 0.09
            + 225.0 * 0.006;
        assert_close(month.total(), by_hand);
        let kept = model.kept_month(&EXAMPLE_MONTH);
        assert_close(kept.total() - month.total(), (730.0 - 20.0) * 0.0225 + (730.0 - 10.0 * 70.0 / 60.0) * 0.005);
        let always_on = model.always_on_month(&EXAMPLE_MONTH);
        assert_close(always_on.total() - kept.total(), (730.0 - 11.0) * (0.079 + 0.005));
        assert_close(always_on.amount(Item::Egress), month.amount(Item::Egress));
    }

    #[test]
    fn what_runs_all_the_time_saves_nothing() {
        let model = model();
        let run = model.part(HOURS_PER_MONTH);
        assert_close(model.run_cost(&run) + model.idle_monthly(), model.always_on_monthly(run.egress_gb));
    }

    #[test]
    fn more_subnets_and_x86_cost_more() {
        let two = Model::new("us-east-1", Platform { load_balancer_subnets: 2.0, ..Platform::EXAMPLE });
        assert_close(two.load_balancer_month().total(), 730.0 * (0.0225 + 2.0 * 0.005));
        let x86 = Platform { architecture: crate::Architecture::X86_64, ..Platform::EXAMPLE };
        assert_close(Model::new("us-east-1", x86).hour().total() - model().hour().total(), 0.01974);
    }

    #[test]
    fn given_totals_replace_the_items() {
        let given = Model {
            hourly: Some(0.19),
            idle_monthly: Some(0.73),
            kept_monthly: Some(16.62),
            always_on_monthly: Some(150.0),
            ..model()
        };
        assert_close(given.run_cost(&given.run(90 * MINUTE)), 1.5 * 0.19);
        let totals = (given.hourly(), given.idle_monthly(), given.kept_monthly(), given.always_on_monthly(0.0));
        assert_eq!(totals, (0.19, 0.73, 16.62, 150.0));
        let hourly_only = Model { hourly: Some(0.19), ..model() };
        assert_close(hourly_only.always_on_monthly(0.0), 730.0 * 0.19 + 0.50);
        assert_close(hourly_only.kept_monthly(), 0.50 + 730.0 * 0.0275);
    }
}
