//! Where lines go. A reader that stops reading must not stop the watcher.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many lines wait for a reader that is slow; what comes beyond is dropped, and counted.
const LINES_WAITING: usize = 10_000;

/// The destination of a log's lines.
pub struct Output(Kind);

enum Kind {
    Direct(Mutex<Box<dyn Write + Send>>),
    Detached(SyncSender<Job>),
    Discarded,
}

/// What the writing thread does.
enum Job {
    /// Write this.
    Line(String),
    /// Say when all that came before is written.
    Tell(Sender<()>),
}

/// A line that found no place.
#[derive(Debug)]
pub(super) struct Dropped;

impl Output {
    /// Creates an output that writes each line before it returns.
    pub fn direct(writer: Box<dyn Write + Send>) -> Self {
        Self(Kind::Direct(Mutex::new(writer)))
    }

    /// Creates an output that writes in a thread of its own, so that a reader that stops reading doesn't block the caller:
    /// a write to a full pipe, a stopped terminal or a stuck log driver never returns. Lines beyond the buffer are dropped
    /// and counted.
    pub fn detached(writer: Box<dyn Write + Send>) -> Self {
        let (sender, receiver) = sync_channel(LINES_WAITING);
        std::thread::spawn(move || write_all(&receiver, writer));
        Self(Kind::Detached(sender))
    }

    /// Creates an output that writes nothing, for a log that only its subscriber reads.
    pub fn discarded() -> Self {
        Self(Kind::Discarded)
    }

    pub(super) fn is_discarded(&self) -> bool {
        matches!(self.0, Kind::Discarded)
    }

    /// Takes a line.
    ///
    /// A log that can't be written (its reader has gone, the disk is full) is no reason to stop the work, and nobody is
    /// left to tell.
    ///
    /// # Errors
    ///
    /// When too many lines wait already.
    pub(super) fn line(&self, line: String) -> Result<(), Dropped> {
        match &self.0 {
            Kind::Direct(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
                Ok(())
            }
            Kind::Detached(sender) => match sender.try_send(Job::Line(line)) {
                Err(TrySendError::Full(_)) => Err(Dropped),
                Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            },
            Kind::Discarded => Ok(()),
        }
    }

    /// Waits until the lines so far are written, but no longer than this.
    pub(super) fn finish(&self, limit: Duration) {
        if let Kind::Detached(sender) = &self.0 {
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
