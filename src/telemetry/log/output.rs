//! Where lines go. A reader that stops reading must not stop the watcher.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many lines wait for a reader that is slow; what comes beyond is dropped, and counted.
const LINES_WAITING: usize = 10_000;

/// Takes lines.
pub enum Output {
    /// Writes each line before going on.
    Direct(Mutex<Box<dyn Write + Send>>),
    /// Leaves the writing to a thread of its own: standard output may be a pipe that nobody empties, a terminal that is
    /// stopped, or a log driver that is stuck, and a write to it would never return.
    Detached(SyncSender<Job>),
    /// Writes nothing.
    Discarded,
}

/// What the writing thread does.
pub enum Job {
    /// Write this.
    Line(String),
    /// Say when all that came before is written.
    Tell(Sender<()>),
}

/// A line that found no place.
#[derive(Debug)]
pub struct Dropped;

impl Output {
    /// An output that a thread of its own writes.
    pub fn detached(writer: Box<dyn Write + Send>) -> Self {
        let (sender, receiver) = sync_channel(LINES_WAITING);
        std::thread::spawn(move || write_all(&receiver, writer));
        Self::Detached(sender)
    }

    /// Takes a line.
    ///
    /// A log that can't be written (its reader has gone, the disk is full) is no reason to stop the work, and nobody is
    /// left to tell.
    ///
    /// # Errors
    ///
    /// When too many lines wait already.
    pub fn line(&self, line: String) -> Result<(), Dropped> {
        match self {
            Self::Direct(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
                Ok(())
            }
            Self::Detached(sender) => match sender.try_send(Job::Line(line)) {
                Err(TrySendError::Full(_)) => Err(Dropped),
                Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            },
            Self::Discarded => Ok(()),
        }
    }

    /// Waits until the lines so far are written, but no longer than this.
    pub fn finish(&self, limit: Duration) {
        if let Self::Detached(sender) = self {
            let (told, written) = channel();
            if sender.try_send(Job::Tell(told)).is_ok() {
                let _ = written.recv_timeout(limit);
            }
        }
    }
}

fn write_all(jobs: &Receiver<Job>, mut writer: Box<dyn Write + Send>) {
    for job in jobs {
        match job {
            Job::Line(line) => {
                let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
            }
            Job::Tell(written) => {
                let _ = written.send(());
            }
        }
    }
}
