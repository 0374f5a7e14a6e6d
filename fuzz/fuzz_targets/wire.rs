//! Fuzzes sequences of calls to the AWS sandbox: each call gets a response in the format of its protocol.
//!
//! With the fixtures as seeds:
//!
//!     mkdir -p fuzz/corpus/wire && cargo +nightly fuzz run wire fuzz/corpus/wire fixtures/fuzz/wire

#![no_main]

use jvb_watcher_sandbox::wire::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|conversation: &[u8]| check::conversation(conversation));
