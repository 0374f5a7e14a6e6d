//! Message bodies: whatever comes, the parser gives a notice or says what is wrong, and no notice concerns a service that
//! its event doesn't name.
//!
//! With what is known as seeds:
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
