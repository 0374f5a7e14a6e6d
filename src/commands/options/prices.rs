//! The unit prices and the quantities that costs are estimated from.

use clap::{Args, ValueEnum};
use jvb_watcher_cost::{Architecture, FALLBACK_REGION, Model, Platform, Prices};

use super::values::{price, quantity};

/// The unit prices and the quantities that costs are estimated from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Prices")]
pub struct PriceOptions {
    /// Region of the prices [default: that of the platform]
    ///
    /// Those of us-east-1 stand in for a region that the table of docs/costs.md lacks.
    #[arg(long, env = "JVB_WATCHER_PRICE_REGION", value_name = "REGION", hide_short_help = true)]
    pub price_region: Option<String>,
    /// vCPUs of a task
    #[arg(long, env = "JVB_WATCHER_TASK_VCPUS", value_name = "NUMBER", default_value_t = Platform::EXAMPLE.vcpus, value_parser = quantity, hide_short_help = true)]
    pub task_vcpus: f64,
    /// Memory of a task, in GB
    #[arg(long, env = "JVB_WATCHER_TASK_MEMORY", value_name = "GB", default_value_t = Platform::EXAMPLE.memory_gb, value_parser = quantity, hide_short_help = true)]
    pub task_memory: f64,
    /// Architecture of a task
    #[arg(
        long,
        env = "JVB_WATCHER_TASK_ARCHITECTURE",
        value_name = "NAME",
        default_value = "arm64",
        hide_short_help = true
    )]
    pub task_architecture: TaskArchitecture,
    /// Public IPv4 addresses of a task
    #[arg(long, env = "JVB_WATCHER_TASK_ADDRESSES", value_name = "NUMBER", default_value_t = Platform::EXAMPLE.task_addresses, value_parser = quantity, hide_short_help = true)]
    pub task_addresses: f64,
    /// Subnets of the load balancer, each with a public IPv4 address
    #[arg(long, env = "JVB_WATCHER_LOAD_BALANCER_SUBNETS", value_name = "NUMBER", default_value_t = Platform::EXAMPLE.load_balancer_subnets, value_parser = quantity, hide_short_help = true)]
    pub load_balancer_subnets: f64,
    /// Route 53 hosted zones
    #[arg(long, env = "JVB_WATCHER_HOSTED_ZONES", value_name = "NUMBER", default_value_t = Platform::EXAMPLE.hosted_zones, value_parser = quantity, hide_short_help = true)]
    pub hosted_zones: f64,
    /// Traffic to the internet in an hour of use, in GB
    ///
    /// Ten people who each receive 2.5 Mbit/s: 11.25.
    #[arg(long, env = "JVB_WATCHER_EGRESS", value_name = "GB", default_value_t = Platform::EXAMPLE.egress_gb_per_hour, value_parser = quantity, hide_short_help = true)]
    pub egress: f64,
    /// Price of an hour of the load balancer [default: of the region]
    #[arg(long, env = "JVB_WATCHER_LOAD_BALANCER_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub load_balancer_price: Option<f64>,
    /// Price of an hour of a capacity unit [default: of the region]
    #[arg(long, env = "JVB_WATCHER_CAPACITY_UNIT_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub capacity_unit_price: Option<f64>,
    /// Price of an hour of a public IPv4 address [default: of the region]
    #[arg(long, env = "JVB_WATCHER_PUBLIC_IPV4_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub public_ipv4_price: Option<f64>,
    /// Price of an hour of a vCPU, e.g. on Fargate Spot [default: of the region]
    #[arg(long, env = "JVB_WATCHER_VCPU_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub vcpu_price: Option<f64>,
    /// Price of an hour of a GB of memory, e.g. on Fargate Spot [default: of the region]
    #[arg(long, env = "JVB_WATCHER_MEMORY_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub memory_price: Option<f64>,
    /// Price of a GB to the internet [default: of the region]
    #[arg(long, env = "JVB_WATCHER_EGRESS_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub egress_price: Option<f64>,
    /// Price of a month of a hosted zone [default: of the region]
    #[arg(long, env = "JVB_WATCHER_HOSTED_ZONE_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub hosted_zone_price: Option<f64>,
    /// Cost of an idle month of the watcher [default: that of the Lambda function within the free tier]
    #[arg(long, env = "JVB_WATCHER_WATCHER_PRICE", value_name = "DOLLARS", value_parser = price, hide_short_help = true)]
    pub watcher_price: Option<f64>,
}

/// The architecture of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TaskArchitecture {
    /// ARM, a fifth cheaper
    Arm64,
    /// x86
    #[value(name = "x86-64", alias = "x86_64")]
    X86_64,
}

impl From<TaskArchitecture> for Architecture {
    fn from(architecture: TaskArchitecture) -> Self {
        match architecture {
            TaskArchitecture::Arm64 => Self::Arm64,
            TaskArchitecture::X86_64 => Self::X86_64,
        }
    }
}

impl PriceOptions {
    /// Returns the model of these options for a platform in this region, if it is known.
    pub fn model(&self, region: Option<&str>) -> Model {
        let platform = Platform {
            tasks: Platform::EXAMPLE.tasks,
            vcpus: self.task_vcpus,
            memory_gb: self.task_memory,
            architecture: self.task_architecture.into(),
            task_addresses: self.task_addresses,
            load_balancer_subnets: self.load_balancer_subnets,
            hosted_zones: self.hosted_zones,
            egress_gb_per_hour: self.egress,
        };
        let region = self.price_region.as_deref().or(region).unwrap_or(FALLBACK_REGION);
        let model = Model::new(region, platform);
        let listed = model.prices;
        let prices = Prices {
            load_balancer_hour: self.load_balancer_price.unwrap_or(listed.load_balancer_hour),
            capacity_unit_hour: self.capacity_unit_price.unwrap_or(listed.capacity_unit_hour),
            public_ipv4_hour: self.public_ipv4_price.unwrap_or(listed.public_ipv4_hour),
            vcpu_hour: self.vcpu_price.unwrap_or(listed.vcpu_hour),
            memory_gb_hour: self.memory_price.unwrap_or(listed.memory_gb_hour),
            egress_gb: self.egress_price.unwrap_or(listed.egress_gb),
            hosted_zone_month: self.hosted_zone_price.unwrap_or(listed.hosted_zone_month),
            watcher_month: self.watcher_price.unwrap_or(listed.watcher_month),
            ..listed
        };
        Model { prices, ..model }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        prices: PriceOptions,
    }

    fn model(options: &[&str], region: Option<&str>) -> Model {
        let words = std::iter::once("p").chain(options.iter().copied());
        Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).prices.model(region)
    }

    #[test]
    fn the_default_is_the_example_in_the_platforms_region() {
        assert_eq!(model(&[], Some("eu-west-1")), Model::new("eu-west-1", Platform::EXAMPLE));
        assert_eq!(model(&[], None).prices.region, FALLBACK_REGION);
        assert_eq!(model(&["--price-region", "us-east-1"], Some("eu-west-1")).prices.region, "us-east-1");
    }

    #[test]
    fn every_price_can_be_given() {
        let options = [
            "--load-balancer-price=1",
            "--capacity-unit-price=2",
            "--public-ipv4-price=3",
            "--vcpu-price=4",
            "--memory-price=5",
            "--egress-price=6",
            "--hosted-zone-price=7",
            "--watcher-price=8",
        ];
        let expected = Prices {
            load_balancer_hour: 1.0,
            capacity_unit_hour: 2.0,
            public_ipv4_hour: 3.0,
            vcpu_hour: 4.0,
            memory_gb_hour: 5.0,
            egress_gb: 6.0,
            hosted_zone_month: 7.0,
            watcher_month: 8.0,
            ..Prices::of(FALLBACK_REGION, Architecture::Arm64)
        };
        assert_eq!(model(&options, None).prices, expected);
    }

    #[test]
    fn every_quantity_can_be_given() {
        let options = [
            "--task-vcpus=0.5",
            "--task-memory=1",
            "--task-architecture=x86-64",
            "--task-addresses=0",
            "--load-balancer-subnets=2",
            "--hosted-zones=0",
            "--egress=11.25",
        ];
        let expected = Platform {
            tasks: 1.0,
            vcpus: 0.5,
            memory_gb: 1.0,
            architecture: Architecture::X86_64,
            task_addresses: 0.0,
            load_balancer_subnets: 2.0,
            hosted_zones: 0.0,
            egress_gb_per_hour: 11.25,
        };
        let given = model(&options, None);
        assert_eq!((given.platform, given.prices.vcpu_hour), (expected, 0.04048));
    }
}
