//! Takes logs in: many files, plain or compressed, in any order, with anybody's lines between the watcher's.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::line::{Line, ServiceName, Unread};

/// The watcher's own lines are shorter: the longest carries a message of SQS's, 256 KiB, in JSON.
const LONGEST_LINE: u64 = 2 * 1024 * 1024;

/// The names of unknown events that are kept; more only count.
const NAMES_KEPT: usize = 20;

/// How a gzip file begins (RFC 1952, ID1), and no text. One byte is looked at: a pipe may give no more at first.
const GZIP_BEGINS: u8 = 0x1f;

/// What was read.
#[derive(Debug, Default)]
pub struct Logs {
    lines: BTreeMap<ServiceName, Vec<Line>>,
    tally: Tally,
    // The sums of the lines seen: whole lines would be as much again as what is kept of them.
    seen: HashSet<u64>,
}

/// How many lines there were, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them, empty ones not counted.
    pub lines: u64,
    /// Those of the watcher's that the page is made of.
    pub read: u64,
    /// Those that had come before: files overlap.
    pub repeated: u64,
    /// Other programs'.
    pub foreign: u64,
    /// Those that end in the middle.
    pub cut_off: u64,
    /// Those of an event, by its name, that this version doesn't know.
    pub unknown: BTreeMap<String, u64>,
    /// Those of a known event whose fields aren't its own.
    pub wrong_fields: u64,
}

impl Logs {
    /// Reads one log to its end.
    ///
    /// # Errors
    ///
    /// When it can't be read, or what is compressed is broken.
    pub fn add(&mut self, log: impl Read) -> io::Result<()> {
        let mut log = BufReader::new(log);
        if is_gzip(&mut log)? { self.add_lines(BufReader::new(MultiGzDecoder::new(log))) } else { self.add_lines(log) }
    }

    fn add_lines(&mut self, mut log: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let is_whole = line.ends_with(b"\n") || (line.len() as u64) < LONGEST_LINE;
            self.add_line(String::from_utf8_lossy(&line).trim());
            if !is_whole {
                log.skip_until(b'\n')?;
            }
        }
    }

    fn add_line(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.tally.lines += 1;
        match Line::read(text) {
            Ok(line) => {
                if self.is_new(text) {
                    self.tally.read += 1;
                    self.lines.entry(line.service.clone()).or_default().push(line);
                } else {
                    self.tally.repeated += 1;
                }
            }
            Err(Unread::Foreign) => self.tally.foreign += 1,
            Err(Unread::CutOff) => self.tally.cut_off += 1,
            Err(Unread::WrongFields(_)) => self.tally.wrong_fields += 1,
            Err(Unread::UnknownEvent(name)) => {
                let is_kept = self.tally.unknown.len() < NAMES_KEPT || self.tally.unknown.contains_key(&name);
                let name = if is_kept { name } else { "others".to_owned() };
                *self.tally.unknown.entry(name).or_default() += 1;
            }
        }
    }

    fn is_new(&mut self, text: &str) -> bool {
        let mut sum = DefaultHasher::new();
        text.hash(&mut sum);
        self.seen.insert(sum.finish())
    }

    /// The lines of each service, in the order of their time, and how many lines of which kind there were.
    pub fn sorted(self) -> (BTreeMap<ServiceName, Vec<Line>>, Tally) {
        let Self { mut lines, tally, .. } = self;
        for lines in lines.values_mut() {
            // Stable: lines of the same millisecond stay as they were written.
            lines.sort_by_key(|line| line.at);
        }
        (lines, tally)
    }
}

fn is_gzip(log: &mut impl BufRead) -> io::Result<bool> {
    Ok(log.fill_buf()?.first() == Some(&GZIP_BEGINS))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn line(second: u32, event: &str) -> String {
        format!(
            r#"{{"timestamp":"2026-11-20T18:00:{second:02}.000Z","level":"INFO","event":"{event}","message":"m","project":"p","cluster":"c","service":"s"}}"#
        )
    }

    fn read(logs: &[&[u8]]) -> (BTreeMap<ServiceName, Vec<Line>>, Tally) {
        let mut all = Logs::default();
        for log in logs {
            all.add(*log).expect("it can be read");
        }
        all.sorted()
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("memory can be written");
        encoder.finish().expect("memory can be written")
    }

    #[test]
    fn lines_of_many_files_are_in_the_order_of_their_time() {
        let late = line(9, "listening") + "\n" + &line(3, "watcher_stopped");
        let early = line(1, "watcher_started") + "\r\n\n";
        let (lines, tally) = read(&[late.as_bytes(), early.as_bytes()]);
        let seconds: Vec<i64> = lines.values().flatten().map(|line| line.at.as_second() % 60).collect();
        assert_eq!(seconds, [1, 3, 9]);
        assert_eq!(tally, Tally { lines: 3, read: 3, ..Tally::default() });
    }

    #[test]
    fn a_compressed_log_of_several_members_is_read_whole() {
        let mut log = gzip(&(line(1, "listening") + "\n"));
        log.extend(gzip(&line(2, "listening")));
        assert_eq!(read(&[&log]).1.read, 2);
    }

    #[test]
    fn a_broken_compressed_log_is_an_error() {
        let log = gzip(&line(1, "listening"));
        assert!(Logs::default().add(&log[..log.len() - 12]).is_err());
    }

    #[test]
    fn a_line_that_two_files_have_counts_once() {
        let log = line(1, "listening");
        let (_, tally) = read(&[log.as_bytes(), log.as_bytes()]);
        assert_eq!(tally, Tally { lines: 2, read: 1, repeated: 1, ..Tally::default() });
    }

    #[test]
    fn what_is_not_the_watchers_is_counted_and_breaks_nothing() {
        let mut log = b"START RequestId: 1\n\xff\xfe\x00 noise\n".to_vec();
        log.extend(line(1, "brewed_tea").bytes().chain(*b"\n"));
        log.extend(line(1, "lines_dropped").bytes().chain(*b"\n"));
        log.extend([b' '; 64].iter().chain(&vec![b'x'; 3 * 1024 * 1024]).chain(b"\n"));
        log.extend(line(2, "listening").bytes().chain(*b"\n"));
        log.extend(&line(3, "listening").as_bytes()[..50]);
        let (_, tally) = read(&[&log]);
        let unknown = BTreeMap::from([("brewed_tea".to_owned(), 1)]);
        assert_eq!(tally, Tally { lines: 7, read: 1, repeated: 0, foreign: 3, cut_off: 1, unknown, wrong_fields: 1 });
    }

    #[test]
    fn names_of_unknown_events_are_kept_within_bounds() {
        let log: String = (0..100).map(|number| line(1, &format!("event_{number}")) + "\n").collect();
        let (_, tally) = read(&[log.as_bytes()]);
        assert_eq!(tally.unknown.len(), NAMES_KEPT + 1);
        assert_eq!(tally.unknown.values().sum::<u64>(), 100);
    }
}
