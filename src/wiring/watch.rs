//! The feed, checked at the start and every hour: a rule that somebody has disabled makes no error anywhere.

use std::convert::Infallible;
use std::time::Duration;

use super::{findings, read};
use crate::clock::{Moment, SharedClock};
use crate::cloud::wiring::Wiring;
use crate::config::Settings;
use crate::finding::StandingFindings;
use crate::log::{Event, Failure, Log};
use crate::retry::{Prospect, prospect};

/// The time between two checks. Five calls an hour cost nothing, and looks find what happened meanwhile.
pub const CHECK_EVERY: Duration = Duration::from_secs(60 * 60);

/// The time after a check that found something, which somebody may be mending, or that failed in a way that may pass.
const CHECK_AGAIN: Duration = Duration::from_secs(5 * 60);

/// Checks the feed, and leaves what is wrong with it to be told at each look.
pub struct FeedWatch<W> {
    wiring: W,
    settings: Settings,
    standing: StandingFindings,
    log: Log,
    clock: SharedClock,
    failures: u32,
    /// The last check, and how long after it the next is due.
    checked: Option<(Moment, Duration)>,
}

impl<W: Wiring> FeedWatch<W> {
    /// A watch that hasn't checked yet.
    pub fn new(wiring: W, settings: &Settings, standing: StandingFindings, log: Log, clock: SharedClock) -> Self {
        Self { wiring, settings: settings.clone(), standing, log, clock, failures: 0, checked: None }
    }

    /// Checks now, and again whenever a check is due, for as long as it is polled.
    pub async fn keep_checking(mut self) -> Infallible {
        loop {
            let wait = self.check().await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Checks if a check is due.
    pub async fn check_if_due(&mut self) {
        let is_due = self.checked.is_none_or(|(checked, wait)| checked.elapsed(&*self.clock) >= wait);
        if is_due {
            let began = Moment::now(&*self.clock);
            // One that is cut off is not repeated at once.
            self.checked = Some((began, CHECK_AGAIN));
            let wait = self.check().await;
            self.checked = Some((began, wait));
        }
    }

    /// Checks, and says how long after it the next check is due. A check that fails says nothing of the feed: what stood
    /// before it stands on, and the worker works on.
    async fn check(&mut self) -> Duration {
        let Settings { scope, queue, .. } = &self.settings;
        match read(&self.wiring, scope, queue).await {
            Ok(feed) => {
                self.failures = 0;
                let findings = findings(&feed, queue);
                let wait = if findings.is_empty() { CHECK_EVERY } else { CHECK_AGAIN };
                self.standing.set(findings);
                wait
            }
            Err(error) => {
                self.failures += 1;
                let wait = match prospect(error.kind) {
                    Prospect::Lasting => CHECK_EVERY,
                    Prospect::Passing => CHECK_AGAIN,
                };
                self.log.emit(&Event::FeedCheckFailed { failure: Failure::new(&error, self.failures, wait) });
                wait
            }
        }
    }
}
