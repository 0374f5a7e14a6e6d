//! Calls of the sandbox's, one after the other on one world: each gets an answer in its protocol's shape.
//!
//! With what is known as seeds:
//!
//!     mkdir -p fuzz/corpus/wire && cargo +nightly fuzz run wire fuzz/corpus/wire fixtures/fuzz/wire

#![no_main]

use jvb_watcher::sandbox::wire::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|conversation: &[u8]| check::conversation(conversation));
