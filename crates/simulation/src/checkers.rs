//! The checkers of the platforms of one AWS account. Each platform has a checker of its own, as if it were alone; here each
//! call finds the checker of the platform that it concerns.
//!
//! A call about a platform is judged by the platform for which its sender makes it, so a write for one platform to resources of
//! another is a write to something else. The platforms share the queue: a message belongs to the platform that it is about,
//! and a call to the queue is taken from whichever platform's bound has most left, so that their sum is the bound.

use jiff::Timestamp;

use crate::budget::Budget;
use crate::checker::{Bounds, Checker, Guarantee, Violation};
use crate::coverage::Coverage;
use crate::day::Day;
use crate::environment::{Actor, Sender};
use crate::snapshot::Snapshot;
use jvb_watcher_sandbox::api::{ApiError, Request, Response, Service, sqs};
use jvb_watcher_sandbox::world::World;

/// The checkers of the platforms, by their numbers.
pub struct Checkers(Vec<Checker>);

impl Checkers {
    /// The checkers of these platforms' days at their midnight.
    pub fn new(days: &[Day], midnight: Timestamp) -> Self {
        let checker = |day: &Day| {
            let budget = Budget::new(&day.policy, day.longest_poll, day.clocks.len(), midnight);
            Checker::new(Bounds::of(day), budget)
        };
        Self(days.iter().map(checker).collect())
    }

    /// Returns the number of a project's platform.
    pub fn platform(&self, project: &str) -> Option<usize> {
        self.0.iter().position(|checker| checker.project() == project)
    }

    /// Returns whether there are several platforms.
    pub fn is_fleet(&self) -> bool {
        self.0.len() > 1
    }

    /// Returns what the history adds to a line about a platform: nothing if there is only one.
    pub fn label(&self, platform: Option<usize>) -> String {
        let platform = platform.and_then(|number| self.0.get(number)).filter(|_| self.is_fleet());
        platform.map_or_else(String::new, |checker| format!(" ({})", checker.project()))
    }

    /// Returns the checker of a platform.
    pub fn of(&mut self, platform: usize) -> &mut Checker {
        &mut self.0[platform]
    }

    fn find(&mut self, platform: Option<usize>) -> Option<&mut Checker> {
        self.0.get_mut(platform?)
    }

    /// Returns the bounds on the calls of all platforms.
    pub fn budgets(&mut self) -> impl Iterator<Item = &mut Budget> {
        self.0.iter_mut().map(|checker| &mut checker.budget)
    }

    /// Returns whether a guarantee was broken.
    pub fn has_violations(&self) -> bool {
        self.0.iter().any(|checker| !checker.violations.is_empty())
    }

    /// Returns the violations, in the order of the platforms. Those of a fleet name the project.
    pub fn violations(&self) -> Vec<Violation> {
        let of = |checker: &Checker| {
            let project = if self.is_fleet() { format!("{}: ", checker.project()) } else { String::new() };
            let named = |found: &Violation| Violation { what: format!("{project}{}", found.what), ..found.clone() };
            checker.violations.iter().map(named).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Records a violation that concerns the processes, or AWS as a whole.
    pub fn fail(&mut self, guarantee: Guarantee, at: Timestamp, what: String) {
        self.of(0).fail(guarantee, at, what);
    }

    /// Observes a change of the world, by an actor's call or by itself.
    pub fn observe(&mut self, world: &World, now: Timestamp, by: Option<Actor>) {
        let snapshot = Snapshot::of(world);
        for checker in &mut self.0 {
            checker.observe(&snapshot, world, now, by);
        }
    }

    /// Records that a process sends a call, and takes it from the budget, whether or not it arrives.
    pub fn sent(&mut self, Sender { actor, platform }: Sender, request: &Request, now: Timestamp) {
        let operation = request.operation();
        let payer = match request.service() {
            Service::Sqs => self.with_most_left(operation, now),
            _ => platform,
        };
        if let Some(checker) = self.find(payer) {
            checker.sent(actor, operation, now);
        }
    }

    fn with_most_left(&mut self, operation: &str, now: Timestamp) -> Option<usize> {
        let left = self.0.iter_mut().map(|checker| checker.budget.left(operation, now));
        left.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(number, _)| number)
    }

    /// Records that a call was not made after all, or that its process stopped waiting for the answer.
    pub fn call_failed(&mut self, Sender { actor, platform }: Sender, operation: &'static str) {
        if let Some(checker) = self.find(platform) {
            checker.call_failed(actor, operation);
        }
    }

    /// Records that an answer has arrived at its process: `Err` with the error's code, and the time of the answer at AWS.
    pub fn answered(
        &mut self,
        Sender { actor, platform }: Sender,
        request: &Request,
        code: Result<(), Option<&str>>,
        answered_at: Timestamp,
    ) {
        if let Some(checker) = self.find(platform) {
            checker.answered(actor, request, code, answered_at);
        }
    }

    /// Checks a write that is about to take effect.
    pub fn before(
        &mut self,
        Sender { actor, platform }: Sender,
        request: &Request,
        world: &World,
        now: Timestamp,
        coverage: &mut Coverage,
    ) {
        match request {
            Request::Sqs(sqs::Request::DeleteMessageBatch(input)) if actor != Actor::Operator => {
                for entry in &input.entries {
                    let receiver = self.receiver(&entry.receipt_handle);
                    self.of(receiver).before_deleting_message(actor, &entry.receipt_handle, now);
                }
            }
            _ => {
                // A worker's call about no platform is a call to the queue, or one that it must not make.
                let judge = platform.or((actor != Actor::Operator).then_some(0));
                if let Some(checker) = self.find(judge) {
                    checker.before(actor, request, world, now, coverage);
                }
            }
        }
    }

    /// Records a call that took effect, or was refused.
    pub fn after(
        &mut self,
        Sender { actor, platform }: Sender,
        request: &Request,
        answer: &Result<Response, ApiError>,
        now: Timestamp,
    ) {
        match (request, answer) {
            (_, Ok(Response::Sqs(sqs::Response::ReceiveMessage(output)))) if actor != Actor::Operator => {
                self.received(output.messages.as_deref().unwrap_or_default());
            }
            (Request::Sqs(sqs::Request::DeleteMessageBatch(input)), Ok(Response::Sqs(output))) => {
                let sqs::Response::DeleteMessageBatch(output) = output else { return };
                for entry in &input.entries {
                    if output.successful.iter().any(|deleted| deleted.id == entry.id) {
                        let receiver = self.receiver(&entry.receipt_handle);
                        self.of(receiver).deleted_message(&entry.receipt_handle, now);
                    }
                }
            }
            (_, Ok(answer)) => {
                if let Some(checker) = self.find(platform) {
                    checker.after(actor, request, answer, now);
                }
            }
            (_, Err(_)) => {}
        }
    }

    /// Gives each message to the checker of the platform that it is about; those about none, to the first one.
    fn received(&mut self, messages: &[sqs::Message]) {
        if let [checker] = self.0.as_mut_slice() {
            return checker.received(&messages.iter().collect::<Vec<_>>());
        }
        let owner = |message: &sqs::Message| {
            self.0.iter().position(|checker| checker.is_about_service(&message.body)).unwrap_or_default()
        };
        let owners: Vec<usize> = messages.iter().map(owner).collect();
        for (number, checker) in self.0.iter_mut().enumerate() {
            let of_platform = messages.iter().zip(&owners).filter(|(_, owner)| **owner == number);
            checker.received(&of_platform.map(|(message, _)| message).collect::<Vec<_>>());
        }
    }

    /// Returns the platform whose checker knows the receipt of a message; the first one if none does.
    fn receiver(&self, handle: &str) -> usize {
        self.0.iter().position(|checker| checker.has_received(handle)).unwrap_or_default()
    }
}
