//! Unit prices, by region.

use serde::Serialize;

use crate::platform::Architecture;

/// The unit prices of a region, in US dollars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prices {
    /// The region that the prices are for.
    pub region: String,
    /// The region whose prices they are: another one if the table has none of that region.
    pub listed_region: &'static str,
    /// The day of the price list.
    pub as_of: &'static str,
    /// An hour of a network load balancer.
    pub load_balancer_hour: f64,
    /// An hour of a load balancer capacity unit (NLCU).
    pub capacity_unit_hour: f64,
    /// An hour of a public IPv4 address.
    pub public_ipv4_hour: f64,
    /// An hour of a task's vCPU.
    pub vcpu_hour: f64,
    /// An hour of a GB of a task's memory.
    pub memory_gb_hour: f64,
    /// A GB from AWS to the internet, in the first paid tier.
    pub egress_gb: f64,
    /// A month of a hosted zone.
    pub hosted_zone_month: f64,
    /// A month of the watcher in which nothing runs.
    pub watcher_month: f64,
}

/// A row of the price table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegionalPrices {
    /// The region.
    pub region: &'static str,
    /// Its name in AWS's price list.
    pub name: &'static str,
    /// The day of the latest of the price lists.
    pub as_of: &'static str,
    /// An hour of a network load balancer (`LoadBalancerUsage` of `LoadBalancing:Network`).
    pub load_balancer_hour: f64,
    /// An hour of a capacity unit (`LCUUsage` of `LoadBalancing:Network`).
    pub capacity_unit_hour: f64,
    /// Linux on ARM (`Fargate-ARM-vCPU-Hours:perCPU`, `Fargate-ARM-GB-Hours`).
    pub arm64: FargatePrices,
    /// Linux on x86 (`Fargate-vCPU-Hours:perCPU`, `Fargate-GB-Hours`).
    pub x86_64: FargatePrices,
    /// A GB to the internet, of the first 10 TB a month (`DataTransfer-Out-Bytes`).
    pub egress_gb: f64,
    /// A GB that CloudWatch Logs ingests (`DataProcessing-Bytes`).
    pub log_gb: f64,
}

/// The prices of Fargate for one architecture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FargatePrices {
    /// An hour of a vCPU.
    pub vcpu_hour: f64,
    /// An hour of a GB of memory.
    pub memory_gb_hour: f64,
}

/// The region whose prices stand in for those of a region that the table lacks.
pub const FALLBACK_REGION: &str = "us-east-1";

/// An hour of a public IPv4 address, in use or idle, in every region (Amazon VPC pricing, "Public IPv4 Address";
/// `PublicIPv4:InUseAddress`).
pub(crate) const PUBLIC_IPV4_HOUR: f64 = 0.005;

/// A month of each of an account's first 25 hosted zones (Amazon Route 53 pricing; `HostedZone`). Queries for alias records
/// of load balancers are free.
pub(crate) const HOSTED_ZONE_MONTH: f64 = 0.50;

/// The price table: AWS's price list (offers AWSELB, AmazonECS, AWSDataTransfer and AmazonCloudWatch).
///
/// It has the regions whose prices were found quoted from the price list, with one exception that says so;
/// [`FALLBACK_REGION`] is among them.
pub const REGIONS: &[RegionalPrices] = &[
    RegionalPrices {
        region: "us-east-1",
        name: "US East (N. Virginia)",
        as_of: "2026-09-20",
        load_balancer_hour: 0.0225,
        capacity_unit_hour: 0.006,
        arm64: FargatePrices { vcpu_hour: 0.03238, memory_gb_hour: 0.00356 },
        x86_64: FargatePrices { vcpu_hour: 0.04048, memory_gb_hour: 0.004_445 },
        egress_gb: 0.09,
        log_gb: 0.50,
    },
    RegionalPrices {
        region: "eu-west-1",
        name: "Europe (Ireland)",
        as_of: "2026-09-11",
        load_balancer_hour: 0.0252,
        // From a secondary source: no public quotation of the price list has `EU-LCUUsage` of `LoadBalancing:Network`. The
        // other regions here have the same price.
        capacity_unit_hour: 0.006,
        arm64: FargatePrices { vcpu_hour: 0.03238, memory_gb_hour: 0.00356 },
        x86_64: FargatePrices { vcpu_hour: 0.04048, memory_gb_hour: 0.004_445 },
        egress_gb: 0.09,
        log_gb: 0.57,
    },
    RegionalPrices {
        region: "ap-northeast-2",
        name: "Asia Pacific (Seoul)",
        as_of: "2026-10-05",
        load_balancer_hour: 0.0225,
        capacity_unit_hour: 0.006,
        arm64: FargatePrices { vcpu_hour: 0.03725, memory_gb_hour: 0.00409 },
        x86_64: FargatePrices { vcpu_hour: 0.04656, memory_gb_hour: 0.00511 },
        egress_gb: 0.126,
        log_gb: 0.76,
    },
];

impl RegionalPrices {
    /// Returns the prices of a region, or those of [`FALLBACK_REGION`].
    pub fn of(region: &str) -> &'static Self {
        let [fallback, ..] = REGIONS else { unreachable!("the table has rows") };
        REGIONS.iter().find(|listed| listed.region == region).unwrap_or(fallback)
    }

    /// Returns the prices of Fargate for an architecture.
    pub fn fargate(&self, architecture: Architecture) -> FargatePrices {
        match architecture {
            Architecture::Arm64 => self.arm64,
            Architecture::X86_64 => self.x86_64,
        }
    }
}

impl Prices {
    /// Returns the unit prices of a region for tasks of an architecture.
    pub fn of(region: &str, architecture: Architecture) -> Self {
        let listed = RegionalPrices::of(region);
        let FargatePrices { vcpu_hour, memory_gb_hour } = listed.fargate(architecture);
        Self {
            region: region.to_owned(),
            listed_region: listed.region,
            as_of: listed.as_of,
            load_balancer_hour: listed.load_balancer_hour,
            capacity_unit_hour: listed.capacity_unit_hour,
            public_ipv4_hour: PUBLIC_IPV4_HOUR,
            vcpu_hour,
            memory_gb_hour,
            egress_gb: listed.egress_gb,
            hosted_zone_month: HOSTED_ZONE_MONTH,
            watcher_month: crate::watcher::idle_month(listed.region).with_free_tier,
        }
    }

    /// Returns the origin of the prices, as a clause that names another region's prices as such.
    pub fn origin(&self) -> String {
        let Self { region, listed_region, as_of, .. } = self;
        match region == listed_region {
            true => format!("prices of {listed_region} of {as_of}"),
            false => format!("prices of {listed_region} of {as_of}, as those of {region} are not in the table"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_is_the_first_row_and_named_as_such() {
        assert_eq!(REGIONS[0].region, FALLBACK_REGION);
        let known = Prices::of("eu-west-1", Architecture::Arm64);
        assert_eq!(known.origin(), "prices of eu-west-1 of 2026-09-11");
        let unknown = Prices::of("eu-north-1", Architecture::Arm64);
        assert_eq!((unknown.region.as_str(), unknown.listed_region), ("eu-north-1", "us-east-1"));
        assert_eq!(unknown.origin(), "prices of us-east-1 of 2026-09-20, as those of eu-north-1 are not in the table");
    }

    #[test]
    fn each_region_has_one_row_of_positive_prices() {
        for (index, row) in REGIONS.iter().enumerate() {
            assert!(REGIONS[..index].iter().all(|other| other.region != row.region), "{} twice", row.region);
            let prices = [row.load_balancer_hour, row.capacity_unit_hour, row.egress_gb, row.log_gb];
            assert!(prices.iter().all(|price| *price > 0.0), "{row:?}");
            // ARM costs a fifth less, everywhere (AWS Fargate pricing).
            for (arm, x86) in
                [(row.arm64.vcpu_hour, row.x86_64.vcpu_hour), (row.arm64.memory_gb_hour, row.x86_64.memory_gb_hour)]
            {
                assert!((0.79..0.81).contains(&(arm / x86)), "{}: {arm} and {x86}", row.region);
            }
        }
    }

    #[test]
    fn the_architecture_decides_the_prices_of_tasks() {
        let [arm, x86] = [Architecture::Arm64, Architecture::X86_64].map(|it| Prices::of("us-east-1", it));
        assert_eq!((arm.vcpu_hour, arm.memory_gb_hour), (0.03238, 0.00356));
        assert_eq!((x86.vcpu_hour, x86.memory_gb_hour), (0.04048, 0.004_445));
        assert_eq!(
            Prices { vcpu_hour: 0.0, memory_gb_hour: 0.0, ..arm },
            Prices { vcpu_hour: 0.0, memory_gb_hour: 0.0, ..x86 }
        );
    }
}
