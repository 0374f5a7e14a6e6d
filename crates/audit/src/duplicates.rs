//! Recognizes a line that two logs contain: the same log given twice, or two exports that overlap.
//!
//! An observation has one process, so that a line that names it is one line wherever it is equal. Two workers can write equal
//! lines without one, e.g. when both read their configuration again in the same millisecond. Such a line is the same
//! one only if it is next to the same line with an observation.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The lines that were read.
#[derive(Debug, Default)]
pub struct Duplicates(HashSet<u64>);

impl Duplicates {
    /// Adds a line that names its observation; returns whether it is new.
    pub fn is_new(&mut self, identity: u64) -> bool {
        self.0.insert(hash((Place::Anywhere, identity)))
    }

    /// Adds a line without an observation by the lines with one around it, the last before and the first after it; returns
    /// whether it is new. It has its identity, and its number among the equal ones between these two.
    pub fn is_new_between(&mut self, before: Option<u64>, after: Option<u64>, line: (u64, u32)) -> bool {
        let places = [before.map(|anchor| (Place::After, anchor)), after.map(|anchor| (Place::Before, anchor))];
        let mut places: Vec<_> = places.into_iter().flatten().collect();
        if places.is_empty() {
            places.push((Place::Anywhere, 0));
        }
        // Each place is added, whether or not another one was known.
        let known = places.into_iter().filter(|place| !self.0.insert(hash((place, line)))).count();
        known == 0
    }
}

/// The place of a line beside another one.
#[derive(Hash)]
enum Place {
    Anywhere,
    After,
    Before,
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
