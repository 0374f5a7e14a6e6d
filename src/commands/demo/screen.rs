//! The terminal of the live view: entered, drawn on, polled for keys, and restored in any case.

use std::io;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::time::{Instant, MissedTickBehavior};

use super::stage::Board;
use super::usage::UsageLog;
use super::view::{self, Snapshot};
use jvb_watcher_sandbox::wire::Sandbox;

/// The interval at which the view is drawn and keys are polled.
const BETWEEN_FRAMES: Duration = Duration::from_millis(100);

/// The terminal, which is restored on drop.
#[derive(Debug)]
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Enters the alternate screen.
    ///
    /// # Errors
    ///
    /// Returns an error if the terminal can't be drawn on.
    pub fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // The initialization can have succeeded in part.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    /// Shows the sandbox and the board until the user presses q or Ctrl-C.
    ///
    /// # Errors
    ///
    /// Returns an error if the terminal is closed.
    pub async fn keep_showing(
        &mut self,
        title: &str,
        board: &Board,
        sandbox: &Sandbox,
        usage: &UsageLog,
    ) -> io::Result<()> {
        let began = Instant::now();
        let mut frames = tokio::time::interval(BETWEEN_FRAMES);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            frames.tick().await;
            while event::poll(Duration::ZERO)? {
                if let Event::Key(key) = event::read()?
                    && means_quit(key)
                {
                    return Ok(());
                }
            }
            let calls = sandbox.calls().values().sum();
            let usage = usage.get();
            let snapshot = sandbox.with_world(|world, now| Snapshot::take(world, now, began.elapsed(), calls, &usage));
            self.terminal.draw(|frame| view::draw(frame, title, &snapshot, &board.lock()))?;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A closed terminal needs no restoring.
        let _ = ratatui::try_restore();
    }
}

/// In raw mode, Ctrl-C arrives as a key.
fn means_quit(key: KeyEvent) -> bool {
    let is_interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    key.kind == KeyEventKind::Press && (is_interrupt || key.code == KeyCode::Char('q'))
}
