//! A terminal as a full screen that is redrawn in place.
//!
//! The few settings that this takes are made through rustix, which clap has in the tree anyway; a terminal library would
//! add half a dozen crates to the deployed program.

use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use tokio::sync::mpsc;

use super::clip::{Size, clip};

/// The size of a terminal that doesn't report it.
const DEFAULT_SIZE: Size = Size { rows: 24, columns: 80 };

// Control sequences of xterm and its successors (see "XTerm Control Sequences").
const ENTER_ALTERNATE_SCREEN: &str = "\x1b[?1049h";
const LEAVE_ALTERNATE_SCREEN: &str = "\x1b[?1049l";
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CURSOR_HOME: &str = "\x1b[H";
const ERASE_TO_END_OF_LINE: &str = "\x1b[K";
const ERASE_TO_END_OF_SCREEN: &str = "\x1b[J";

/// The alternate screen of the terminal on standard output. Dropping it restores the terminal.
#[derive(Debug)]
pub struct Screen {
    /// The settings of the terminal on standard input, if there is one.
    original: Option<Termios>,
}

impl Screen {
    /// Switches to the alternate screen, and makes keys readable without Enter.
    ///
    /// # Errors
    ///
    /// Returns an error if the terminal can't be written to or set.
    pub fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        let mut original = None;
        if stdin.is_terminal() {
            let settings = termios::tcgetattr(&stdin)?;
            let mut unbuffered = settings.clone();
            unbuffered.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            termios::tcsetattr(&stdin, OptionalActions::Now, &unbuffered)?;
            original = Some(settings);
        }
        let screen = Self { original };
        write(&format!("{ENTER_ALTERNATE_SCREEN}{HIDE_CURSOR}"))?;
        Ok(screen)
    }

    /// Draws a text in place of the one before, clipped to the size of the terminal.
    ///
    /// # Errors
    ///
    /// Returns an error if the terminal can't be written to.
    pub fn draw(&self, text: &str) -> io::Result<()> {
        let lines: Vec<_> = clip(text, size()).lines().map(|line| format!("{line}{ERASE_TO_END_OF_LINE}")).collect();
        // No line break follows the last line: in the last row it would scroll the first line away.
        write(&format!("{CURSOR_HOME}{}{ERASE_TO_END_OF_SCREEN}", lines.join("\n")))
    }

    /// Returns the keys pressed from now on; none if standard input isn't a terminal.
    pub fn keys(&self) -> mpsc::UnboundedReceiver<u8> {
        let (sender, receiver) = mpsc::unbounded_channel();
        if self.original.is_some() {
            // A thread of its own: it would keep tokio's runtime from ending.
            std::thread::spawn(move || {
                for key in io::stdin().lock().bytes().map_while(Result::ok) {
                    if sender.send(key).is_err() {
                        break;
                    }
                }
            });
        }
        receiver
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = write(&format!("{SHOW_CURSOR}{LEAVE_ALTERNATE_SCREEN}"));
        if let Some(original) = &self.original {
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, original);
        }
    }
}

/// Returns the size of the terminal on standard output.
fn size() -> Size {
    match termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            Size { rows: usize::from(size.ws_row), columns: usize::from(size.ws_col) }
        }
        _ => DEFAULT_SIZE,
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
