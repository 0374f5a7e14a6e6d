//! Fuzzes the sandbox's server: a conversation of requests to one world. Each request must get a valid response.
//!
//! With the known conversations as seeds:
//!
//!     mkdir -p fuzz/corpus/wire && cargo +nightly fuzz run wire fuzz/corpus/wire fixtures/fuzz/wire

#![no_main]

use jvb_watcher_sandbox::wire::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|conversation: &[u8]| check::conversation(conversation));
