//! Fuzzes message bodies: for any body the parser returns a notice or an error, and a notice concerns only a service that
//! its event names.
//!
//! With the fixtures as seeds:
//!
//!     mkdir -p fuzz/corpus/event && cargo +nightly fuzz run event fuzz/corpus/event fixtures/events

#![no_main]

use jvb_watcher::controller::message::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(body) = std::str::from_utf8(body) {
        check::body(body);
    }
});
