//! The terminal that the live view is on: taken over, drawn on, asked for keys, and given back whatever happens.

use std::io;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::time::{Instant, MissedTickBehavior};

use super::stage::Board;
use super::view::{self, Snapshot};
use jvb_watcher_sandbox::wire::Sandbox;

/// How often the view is drawn, and keys are asked for.
const BETWEEN_FRAMES: Duration = Duration::from_millis(100);

/// The terminal; given back when it is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    ///
    /// When it can't be drawn on.
    pub fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // It may have got half-way.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    /// Shows the world and the board until somebody presses q or Ctrl-C.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub async fn keep_showing(&mut self, title: &str, board: &Board, sandbox: &Sandbox) -> io::Result<()> {
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
            let snapshot = sandbox.with_world(|world, now| Snapshot::take(world, now, began.elapsed(), calls));
            self.terminal.draw(|frame| view::draw(frame, title, &snapshot, &board.lock()))?;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where it can't be given back, nobody is left to tell.
        let _ = ratatui::try_restore();
    }
}

/// While the terminal is taken over, Ctrl-C comes as a key.
fn means_quit(key: KeyEvent) -> bool {
    let is_interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    key.kind == KeyEventKind::Press && (is_interrupt || key.code == KeyCode::Char('q'))
}
