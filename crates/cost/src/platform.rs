//! The quantities that a platform uses.

use serde::Serialize;

/// The processor architecture of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// ARM, a fifth cheaper.
    Arm64,
    /// x86.
    X86_64,
}

impl Architecture {
    /// Returns the name in texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arm64 => "ARM64",
            Self::X86_64 => "x86-64",
        }
    }
}

/// The quantities that a platform uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Platform {
    /// The tasks that run while the platform does.
    pub tasks: f64,
    /// The vCPUs of a task.
    pub vcpus: f64,
    /// The memory of a task, in GB.
    pub memory_gb: f64,
    /// The architecture of a task.
    pub architecture: Architecture,
    /// The public IPv4 addresses of a task.
    pub task_addresses: f64,
    /// The subnets of the load balancer; it has a public IPv4 address in each.
    pub load_balancer_subnets: f64,
    /// The hosted zones.
    pub hosted_zones: f64,
    /// The traffic to the internet in an hour of use, in GB.
    pub egress_gb_per_hour: f64,
}

impl Platform {
    /// The platform of `terraform/examples`, without traffic: one task with the four containers of a conference, and a
    /// load balancer in one subnet.
    pub const EXAMPLE: Self = Self {
        tasks: 1.0,
        vcpus: 2.0,
        memory_gb: 4.0,
        architecture: Architecture::Arm64,
        task_addresses: 1.0,
        load_balancer_subnets: 1.0,
        hosted_zones: 1.0,
        egress_gb_per_hour: 0.0,
    };
}

impl Default for Platform {
    fn default() -> Self {
        Self::EXAMPLE
    }
}
