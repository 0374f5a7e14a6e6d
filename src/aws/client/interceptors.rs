//! Interceptors: the SDK calls them at fixed points of every request.

mod call_counter;
#[cfg(feature = "otlp")]
mod call_tracer;
mod date_reader;
mod deadline_guard;
mod whole_answer;

pub(super) use call_counter::CallCounter;
#[cfg(feature = "otlp")]
pub(super) use call_tracer::CallTracer;
pub(super) use date_reader::DateReader;
pub(super) use deadline_guard::DeadlineGuard;
pub(super) use whole_answer::{WholeAnswer, ends_early};
