//! Documentation that is generated from the code.

use std::path::{Path, PathBuf};

/// The variable that makes the tests write the generated parts of docs/ instead of comparing them.
const WRITE: &str = "JVB_WATCHER_WRITE_DOCS";

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file)
}

/// Reads a file in docs/.
pub fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("docs/{file}: {error}"))
}

/// Asserts that a file in docs/ is up to date; writes it first if [`WRITE`] is set.
pub fn assert_generated(file: &str, text: &str) {
    if std::env::var_os(WRITE).is_some() {
        // Replaced atomically: other tests read the file concurrently.
        let new = path(&format!("{file}.new"));
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path(file)));
        written.unwrap_or_else(|error| panic!("docs/{file}: {error}"));
    }
    let current = read(file);
    let difference = text.lines().zip(current.lines()).find(|(generated, current)| generated != current);
    assert!(current == text, "docs/{file} is out of date ({difference:?}); .ci/write-docs writes it");
}
