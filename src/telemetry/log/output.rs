//! The destination of the lines.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The number of lines that wait for a slow reader. Lines beyond it are dropped.
const BUFFERED_LINES: usize = 10_000;

/// The destination of a log's lines.
pub struct Output(Kind);

enum Kind {
    Direct(Mutex<Box<dyn Write + Send>>),
    Detached(SyncSender<Job>),
    Discarded,
}

/// A job of the writing thread.
enum Job {
    /// Writes a line.
    Line(String),
    /// Replies when all lines before are written.
    Flush(Sender<()>),
}

/// The buffer is full.
#[derive(Debug)]
pub(super) struct Dropped;

impl Output {
    /// Creates an output that writes each line before it returns.
    pub fn direct(writer: Box<dyn Write + Send>) -> Self {
        Self(Kind::Direct(Mutex::new(writer)))
    }

    /// Creates an output that writes in a thread of its own, and drops lines when its buffer is full.
    ///
    /// A write to a full pipe, a stopped terminal or a stuck log driver may never return; the caller must not wait for it.
    pub fn detached(writer: Box<dyn Write + Send>) -> Self {
        let (sender, receiver) = sync_channel(BUFFERED_LINES);
        std::thread::spawn(move || write_all(&receiver, writer));
        Self(Kind::Detached(sender))
    }

    /// Creates an output that writes nothing, for a log that only has a subscriber.
    pub fn discarded() -> Self {
        Self(Kind::Discarded)
    }

    /// Returns whether the output writes nothing.
    pub(super) fn is_discarded(&self) -> bool {
        matches!(self.0, Kind::Discarded)
    }

    /// Writes a line.
    ///
    /// Errors of the writer are ignored: that the reader has gone or the disk is full is no reason to stop, and there is
    /// nowhere to report it.
    ///
    /// # Errors
    ///
    /// Returns an error if the buffer is full.
    pub(super) fn write_line(&self, line: String) -> Result<(), Dropped> {
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

    /// Waits until all lines are written, `limit` at most.
    pub(super) fn finish(&self, limit: Duration) {
        if let Kind::Detached(sender) = &self.0 {
            let (reply, written) = channel();
            if sender.try_send(Job::Flush(reply)).is_ok() {
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
            Job::Flush(reply) => {
                let _ = reply.send(());
            }
        }
    }
}
