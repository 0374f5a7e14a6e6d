//! What stands in for AWS beneath a platform: moto, or the program's own sandbox.

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

/// Runs each of these tests on each stand-in for AWS: as `on_moto::NAME` and as `on_sandbox::NAME`.
///
/// A test that is left out of the list is a function that nobody calls, which the compiler tells.
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

/// Which stand-in for AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aws {
    /// The independent check. Nothing happens by itself: tests start and stop tasks, and send their events.
    Moto,
    /// A scheduler starts and stops tasks until the service has as many as it should, statuses and targets take their
    /// time, and events come by themselves once there is a rule for them.
    #[cfg(feature = "sandbox")]
    Sandbox,
}

/// The stand-in at work, for one account.
pub enum Stage {
    Moto(SocketAddr),
    #[cfg(feature = "sandbox")]
    Sandbox(Box<Sandbox>),
}

/// How much faster than on AWS things go in the sandbox: a task starts in a fifth of a second.
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

    /// Where it listens.
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
    // The scale is for what a test waits for; this is what it may still want to see at its end.
    settings.tasks.stopped_visible = Duration::from_secs(3600);
    settings.services.inactive_visible = Duration::from_secs(3600);
    let world = World::new(settings, account, jiff::Timestamp::now());
    Sandbox::start(world, Faults::new(account), ([127, 0, 0, 1], 0).into()).await.expect("the loopback has a free port")
}
