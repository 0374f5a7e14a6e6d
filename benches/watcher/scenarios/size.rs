//! The size of the program.

use super::Bench;
use crate::report::{Bar, Section};

pub fn run(bench: &Bench, section: &mut Section<'_>) {
    let program = std::fs::read(&bench.program).expect("the program can be read");
    // The name of the section that `strip` removes.
    let is_stripped = !program.windows(8).any(|part| part == b".symtab\0");
    let row = section.row("size of the program", program.len() as f64 / 1_048_576.0, "MiB");
    row.bar(Bar::AtMost(10.0)).detail("bytes", program.len());
    row.note(format!("{}, {}", if is_stripped { "stripped" } else { "not stripped" }, std::env::consts::ARCH));
}
