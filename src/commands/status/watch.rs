//! `status --watch`: refreshes the status until the operator ends it.

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Observer, print, verdict};
use crate::aws::AwsError;
use crate::clock::Clock;
use crate::commands::CommandError;
use crate::commands::options::OutputFormat;
use crate::shutdown;
use crate::status::{Status, text};
use crate::text::terminal::Screen;
use crate::text::{Style, table};

/// The time between two observations.
const INTERVAL: Duration = Duration::from_secs(5);

/// Refreshes the status: on a terminal in place, until `q` or a signal; elsewhere line after line, until a signal.
///
/// # Errors
///
/// After a signal, [`CommandError::Ended`]; after `q`, those of the last observation.
pub(super) async fn watch(
    observer: &Observer<'_>,
    clock: &dyn Clock,
    output: OutputFormat,
    style: Style,
) -> Result<(), CommandError> {
    let (order, shutdown) = shutdown::channel();
    order.on_signals()?;
    let watching = async {
        if output == OutputFormat::Text && style.is_terminal() {
            on_screen(observer, clock, style).await
        } else {
            line_by_line(observer, clock, output, style).await
        }
    };
    tokio::select! {
        _ = shutdown.begun() => Err(CommandError::Ended),
        ended = watching => ended,
    }
}

async fn line_by_line(
    observer: &Observer<'_>,
    clock: &dyn Clock,
    output: OutputFormat,
    style: Style,
) -> Result<(), CommandError> {
    loop {
        match observer.observe(clock).await {
            Ok(status) => {
                if output == OutputFormat::Text {
                    writeln!(io::stdout(), "\n{:.0}", status.at)?;
                }
                print(&status, output, style)?;
            }
            Err(error) => writeln!(io::stderr(), "error: {}", error.with_remedy())?,
        }
        sleep(INTERVAL).await;
    }
}

/// The content of the screen.
#[derive(Default)]
struct View {
    last: Option<Status>,
    /// The error of the latest observation, if it failed.
    error: Option<(Timestamp, AwsError)>,
}

async fn on_screen(observer: &Observer<'_>, clock: &dyn Clock, style: Style) -> Result<(), CommandError> {
    let screen = Screen::open()?;
    let mut keys = screen.keys();
    let mut resized = signal(SignalKind::window_change())?;
    let view = RefCell::new(View::default());
    let refresh = async {
        loop {
            let observed = observer.observe(clock).await;
            view.borrow_mut().update(observed, clock.now());
            screen.draw(&view.borrow().text(style))?;
            sleep(INTERVAL).await;
        }
    };
    let redraw = async {
        while resized.recv().await.is_some() {
            screen.draw(&view.borrow().text(style))?;
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
    fn update(&mut self, observed: Result<Status, AwsError>, now: Timestamp) {
        match observed {
            Ok(status) => *self = Self { last: Some(status), error: None },
            Err(error) => self.error = Some((now, error)),
        }
    }

    /// Formats the view: a line about the refresh, and the status.
    fn text(&self, style: Style) -> String {
        let keys = format!("refreshes every {} s, q quits", INTERVAL.as_secs());
        let heading = match (&self.error, &self.last) {
            (Some((at, error)), _) => {
                let error = table(0, [[format!("{at:.0}: not refreshed: {}", error.with_remedy())]]);
                format!("{error}\n{keys}")
            }
            (None, Some(status)) => format!("{:.0}: {keys}", status.at),
            (None, None) => keys,
        };
        let status = self.last.as_ref().map(|status| text(status, style)).unwrap_or_default();
        format!("{heading}\n\n{status}")
    }

    /// Returns the result of the command when the operator quits.
    fn verdict(self) -> Result<(), CommandError> {
        match (self.error, self.last) {
            (Some((_, error)), _) => Err(CommandError::Failed(error.with_remedy())),
            (None, Some(status)) => verdict(&status),
            (None, None) => Err(CommandError::Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ErrorKind;

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
        let mut view = View::default();
        view.update(Err(refused()), "2026-11-20T12:00:00.123456789Z".parse().expect("an instant"));
        let text = view.text(Style::Plain);
        assert!(text.starts_with("2026-11-20T12:00:00Z: not refreshed: ecs:DescribeServices"), "{text}");
        assert!(text.contains("q quits"), "{text}");
        assert!(matches!(view.verdict(), Err(CommandError::Failed(_))));
    }
}
