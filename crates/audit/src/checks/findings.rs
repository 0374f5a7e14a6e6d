//! Findings: each is raised before it is repeated or cleared; and those that are current at the end.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::entry::Entry;
use crate::service::Service;
use crate::verdict::{Citation, Claim, CurrentFinding, Verdict};

/// A finding, by its kind and its resource.
type Key<'a> = (&'a str, &'a str);

/// What tells the processes apart: their number, or the log that they write.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Writer<'a> {
    Process(u32),
    Log(&'a str),
}

pub fn judge(service: &Service<'_>, verdict: &mut Verdict) {
    let mut last: BTreeMap<Key<'_>, BTreeMap<&str, &Entry>> = BTreeMap::new();
    let mut current: BTreeMap<Key<'_>, BTreeMap<Writer<'_>, &Entry>> = BTreeMap::new();
    let mut ended: BTreeMap<Key<'_>, Timestamp> = BTreeMap::new();
    let mut starts: BTreeMap<&str, u32> = BTreeMap::new();
    let check = verdict.check(Claim::Findings);
    // In the order in which they were written: a process can correct its clock between two observations.
    let mut entries = service.entries.clone();
    entries.sort_by_key(|entry| entry.at);
    for entry in &entries {
        if entry.is("watcher_started") {
            *starts.entry(&entry.log).or_default() += 1;
        }
        let (true, Some(name), Some(subject)) = (entry.is("finding"), entry.text("finding"), entry.text("subject"))
        else {
            continue;
        };
        let key = (name, subject);
        if entry.has("state", "cleared") {
            last.remove(&key);
        } else {
            last.entry(key).or_default().insert(&entry.log, entry);
        }
        // Commands have no number that tells them apart, and each begins without findings.
        if entry.is_of_command() {
            continue;
        }
        let writer = || entry.process().map_or(Writer::Log(&entry.log), Writer::Process);
        let is_end = entry.has("state", "cleared") && entry.observation.is_none();
        let cleared_at = if is_end { ended.insert(key, entry.at) } else { None };
        let current = current.entry(key).or_default();
        let raised = match entry.text("state") {
            Some("cleared") if entry.observation.is_none() => {
                // The service is no longer watched: whichever of the log's processes had it has it no longer.
                let of_log: Vec<_> = current.extract_if(.., |_, raised| raised.log == entry.log).collect();
                of_log.first().map(|(_, raised)| *raised)
            }
            Some("cleared") => current.remove(&writer()),
            Some("raised") => {
                let before = current.insert(writer(), entry);
                if let Some(before) = before.filter(|_| entry.observation.is_some()) {
                    let what = format!("{name} on {subject} was raised twice");
                    check.breach(&service.name, what, &[before, entry]);
                } else {
                    check.hold();
                }
                continue;
            }
            _ => current.insert(writer(), entry),
        };
        match raised {
            Some(_) => check.hold(),
            // Another worker's line, or the same one of another log: the first has cleared the finding.
            None if entry.observation.is_none() && cleared_at == Some(entry.at) => {}
            // The log of one process, from its start on: it would have the line.
            None if starts.get(&*entry.log) == Some(&1) && service.of("lines_dropped").is_empty() => {
                let what =
                    format!("{name} on {subject} was {} and had not been raised", entry.text("state").unwrap_or("?"));
                check.breach(&service.name, what, &[entry]);
            }
            None => check.unknown("a finding was raised before the log of its process begins", entry),
        }
    }
    // A process that was killed clears nothing, and the next one raises again what still holds.
    let current = last.into_iter().filter_map(|(key, of_logs)| {
        let holding = of_logs.into_values().filter(|entry| !service.was_restarted_after(entry));
        Some((key, holding.max_by_key(|entry| entry.at)?))
    });
    verdict.current_findings.extend(current.map(|((finding, subject), entry)| CurrentFinding {
        service: service.name.clone(),
        finding: finding.to_owned(),
        subject: subject.to_owned(),
        line: Citation::of(entry),
    }));
}
