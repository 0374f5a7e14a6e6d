//! The emulators of AWS for the tests: moto and the project's own sandbox.

use std::net::SocketAddr;
#[cfg(feature = "sandbox")]
use std::time::Duration;

#[cfg(feature = "sandbox")]
use jvb_watcher_sandbox::faults::Faults;
#[cfg(feature = "sandbox")]
use jvb_watcher_sandbox::wire::Sandbox;
#[cfg(feature = "sandbox")]
use jvb_watcher_sandbox::world::{Settings, World};

use crate::moto;
#[cfg(feature = "sandbox")]
use crate::platform::REGION;

/// Declares each of these tests for both emulators: as `on_moto::NAME` and as `on_sandbox::NAME`.
///
/// The compiler warns of a test that the list misses, because its function is unused.
macro_rules! on_moto_and_sandbox {
    ($($test:ident),+ $(,)?) => {
        mod on_moto {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::stage::Aws::Moto).await;
            })+
        }

        #[cfg(feature = "sandbox")]
        mod on_sandbox {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::stage::Aws::Sandbox).await;
            })+
        }
    };
}
pub(crate) use on_moto_and_sandbox;

/// An emulator of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aws {
    /// An independent implementation. It runs no scheduler: tests start and stop tasks and send the events.
    Moto,
    /// A scheduler starts and stops tasks up to the desired count, statuses and target health change over time, and
    /// events arrive once a rule matches them.
    #[cfg(feature = "sandbox")]
    Sandbox,
}

/// A running emulator, for one account.
pub enum Stage {
    Moto(SocketAddr),
    #[cfg(feature = "sandbox")]
    Sandbox(Box<Sandbox>),
}

/// The factor by which the sandbox is faster than AWS: a task starts within a fifth of a second.
#[cfg(feature = "sandbox")]
const TIME_SCALE: f64 = 200.0;

impl Stage {
    pub async fn new(aws: Aws, account: u64) -> Self {
        match aws {
            Aws::Moto => Self::Moto(moto::address_for(account)),
            #[cfg(feature = "sandbox")]
            Aws::Sandbox => Self::Sandbox(Box::new(sandbox(account).await)),
        }
    }

    /// Returns the emulator's address.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Moto(address) => *address,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(sandbox) => {
                sandbox.endpoint().trim_start_matches("http://").parse().expect("an endpoint is an address")
            }
        }
    }
}

#[cfg(feature = "sandbox")]
async fn sandbox(account: u64) -> Sandbox {
    let mut settings = Settings::default().scaled(TIME_SCALE);
    settings.account = format!("{account:012}");
    settings.region = REGION.to_owned();
    // Not scaled, so that tests can still observe stopped tasks and deleted services at their end.
    settings.tasks.stopped_visible = Duration::from_secs(3600);
    settings.services.inactive_visible = Duration::from_secs(3600);
    let world = World::new(settings, account, jiff::Timestamp::now());
    Sandbox::start(world, Faults::new(account), ([127, 0, 0, 1], 0).into()).await.expect("the loopback has a free port")
}
