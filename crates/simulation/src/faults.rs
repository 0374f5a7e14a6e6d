//! Faults of processes: crashes, terminations and suspensions. Those of the network are the sandbox's.

use std::time::Duration;

/// A fault of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProcessFault {
    /// The process is killed, and its slot stays empty for a while.
    Kill {
        /// The time for which the slot stays empty.
        downtime: Duration,
    },
    /// The process receives SIGTERM, and its slot stays empty for a while.
    Terminate {
        /// The time for which the slot stays empty.
        downtime: Duration,
    },
    /// The process is suspended for a while.
    Suspend {
        /// The duration.
        time: Duration,
    },
}

/// A fault that waits for a process to make a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallFault {
    /// The kind of process.
    pub victim: Victim,
    /// The operation.
    pub operation: &'static str,
    /// The side of the call.
    pub side: Side,
    /// The fault.
    pub fault: ProcessFault,
}

/// A kind of process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// A worker.
    Worker,
    /// A run of `up` or `down`.
    Command,
}

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The decision is made, and nothing is sent.
    Before,
    /// The call has taken effect, and the process has not received the answer.
    After,
}

impl CallFault {
    /// Returns the name of the moment at which the fault occurs.
    pub fn moment(&self) -> String {
        let victim = match self.victim {
            Victim::Worker => "a worker",
            Victim::Command => "a command",
        };
        let fault = match self.fault {
            ProcessFault::Kill { .. } => "killed",
            ProcessFault::Terminate { .. } => "terminated",
            ProcessFault::Suspend { .. } => "suspended",
        };
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        format!("{victim} was {fault} just {side} {}", self.operation)
    }
}
