//! `status --watch`: refreshes the status until the operator ends it.

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Formatting, Observer, Shown};
use crate::aws::AwsError;
use crate::clock::Clock;
use crate::commands::CommandError;
use crate::commands::options::OutputFormat;
use crate::shutdown;
use crate::text::table;
use crate::text::terminal::Screen;

/// The time between two observations of one service.
const INTERVAL: Duration = Duration::from_secs(5);

/// The time between two observations of several services: those of a thousand take some thousand calls, of which the
/// account's other programs want their share.
const FLEET_INTERVAL: Duration = Duration::from_secs(30);

fn interval(observer: &Observer<'_>) -> Duration {
    match observer {
        Observer::One(_) => INTERVAL,
        Observer::Fleet { .. } => FLEET_INTERVAL,
    }
}

/// Refreshes the status: on a terminal in place, until `q` or a signal; elsewhere line after line, until a signal.
///
/// # Errors
///
/// After a signal, [`CommandError::Ended`]; after `q`, those of the last observation.
pub(super) async fn watch(observer: &Observer<'_>, clock: &dyn Clock, format: Formatting) -> Result<(), CommandError> {
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let watching = async {
        if format.output == OutputFormat::Text && format.style.is_terminal() {
            on_screen(observer, clock, format).await
        } else {
            line_by_line(observer, clock, format).await
        }
    };
    tokio::select! {
        _ = shutdown.begun() => Err(CommandError::Ended),
        ended = watching => ended,
    }
}

async fn line_by_line(observer: &Observer<'_>, clock: &dyn Clock, format: Formatting) -> Result<(), CommandError> {
    loop {
        match observer.observe(clock).await {
            Ok(shown) => {
                if format.output == OutputFormat::Text {
                    writeln!(io::stdout(), "\n{:.0}", shown.at())?;
                }
                format.print(&shown)?;
            }
            Err(error) => writeln!(io::stderr(), "error: {}", error.with_remedy())?,
        }
        sleep(interval(observer)).await;
    }
}

/// The content of the screen.
struct View {
    last: Option<Shown>,
    interval: Duration,
    /// The error of the latest observation, if it failed.
    error: Option<(Timestamp, AwsError)>,
}

async fn on_screen(observer: &Observer<'_>, clock: &dyn Clock, format: Formatting) -> Result<(), CommandError> {
    let screen = Screen::open()?;
    let mut keys = screen.keys();
    let mut resized = signal(SignalKind::window_change())?;
    let view = RefCell::new(View::new(interval(observer)));
    let refresh = async {
        loop {
            let observed = observer.observe(clock).await;
            view.borrow_mut().update(observed, clock.now());
            screen.draw(&view.borrow().text(format))?;
            sleep(interval(observer)).await;
        }
    };
    let redraw = async {
        while resized.recv().await.is_some() {
            screen.draw(&view.borrow().text(format))?;
        }
        pending().await
    };
    let ended: io::Result<()> = tokio::select! {
        ended = refresh => ended,
        ended = redraw => ended,
        () = quit(&mut keys) => Ok(()),
    };
    drop(screen);
    ended?;
    view.into_inner().verdict()
}

/// Waits for the key `q`.
async fn quit(keys: &mut mpsc::UnboundedReceiver<u8>) {
    while let Some(key) = keys.recv().await {
        if key.eq_ignore_ascii_case(&b'q') {
            return;
        }
    }
    pending().await
}

impl View {
    fn new(interval: Duration) -> Self {
        Self { last: None, interval, error: None }
    }

    fn update(&mut self, observed: Result<Shown, AwsError>, now: Timestamp) {
        match observed {
            Ok(shown) => (self.last, self.error) = (Some(shown), None),
            Err(error) => self.error = Some((now, error)),
        }
    }

    /// Formats the view: a line about the refresh, and the status.
    fn text(&self, format: Formatting) -> String {
        let keys = format!("refreshes every {} s, q quits", self.interval.as_secs());
        let heading = match (&self.error, &self.last) {
            (Some((at, error)), _) => {
                let error = table(0, [[format!("{at:.0}: not refreshed: {}", error.with_remedy())]]);
                format!("{error}\n{keys}")
            }
            (None, Some(shown)) => format!("{:.0}: {keys}", shown.at()),
            (None, None) => keys,
        };
        let status = self.last.as_ref().map(|shown| format.text(shown)).unwrap_or_default();
        format!("{heading}\n\n{status}")
    }

    /// Returns the result of the command when the operator quits.
    fn verdict(self) -> Result<(), CommandError> {
        match (self.error, self.last) {
            (Some((_, error)), _) => Err(CommandError::Failed(error.with_remedy())),
            (None, Some(shown)) => shown.verdict(),
            (None, None) => Err(CommandError::Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ErrorKind;
    use crate::status::Extent;
    use crate::text::Style;

    fn refused() -> AwsError {
        AwsError {
            kind: ErrorKind::Unavailable,
            service: "ecs",
            operation: "DescribeServices",
            resource: "p-service".to_owned(),
            code: None,
            message: "no connection to http://127.0.0.1:4566".to_owned(),
            request_id: None,
        }
    }

    #[test]
    fn a_failed_refresh_is_shown_with_a_time_in_whole_seconds() {
        let mut view = View::new(INTERVAL);
        view.update(Err(refused()), "2026-11-20T12:00:00.123456789Z".parse().expect("an instant"));
        let format = Formatting { output: OutputFormat::Text, extent: Extent::NotWell, style: Style::Plain };
        let text = view.text(format);
        assert!(text.starts_with("2026-11-20T12:00:00Z: not refreshed: ecs:DescribeServices"), "{text}");
        assert!(text.contains("q quits"), "{text}");
        assert!(matches!(view.verdict(), Err(CommandError::Failed(_))));
    }
}
