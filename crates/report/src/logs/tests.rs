use std::io::{ErrorKind, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn line(second: u32, event: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-11-20T18:00:{second:02}.000Z","level":"INFO","event":"{event}","message":"m","project":"p","cluster":"c","service":"s"}}"#
    )
}

fn read(logs: &[&[u8]]) -> (BTreeMap<ServiceName, Vec<Line>>, LineCounts, Vec<Truncation>) {
    let mut all = Logs::default();
    for log in logs {
        all.add("worker.log", *log).expect("memory can be read");
    }
    all.into_sorted()
}

fn counts(logs: &[&[u8]]) -> LineCounts {
    read(logs).1
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Lines that don't compress to nothing, and their number.
fn many_lines() -> (String, u64) {
    let mut random: u64 = 1;
    let lines = (0..500).map(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        line((random >> 33) as u32 % 60, "listening").replace("\"m\"", &format!("\"{random:x}\"")) + "\n"
    });
    (lines.collect(), 500)
}

#[test]
fn sorts_the_lines_of_all_logs_by_time() {
    let late = line(9, "listening") + "\n" + &line(3, "watcher_stopped");
    let early = line(1, "watcher_started") + "\r\n\n";
    let (lines, counts, _) = read(&[late.as_bytes(), early.as_bytes()]);
    let seconds: Vec<i64> = lines.values().flatten().map(|line| line.at.as_second() % 60).collect();
    assert_eq!(seconds, [1, 3, 9]);
    assert_eq!(counts, LineCounts { total: 3, used: 3, ..LineCounts::default() });
}

#[test]
fn reads_all_members_of_a_gzip_file() {
    let mut log = gzip(&(line(1, "listening") + "\n"));
    log.extend(gzip(&line(2, "listening")));
    let (_, counts, truncations) = read(&[&log]);
    assert_eq!((counts.used, truncations), (2, vec![]));
}

#[test]
fn reads_a_truncated_gzip_file_up_to_its_end() {
    let (text, lines) = many_lines();
    let log = gzip(&text);
    let (_, counts, truncations) = read(&[&log[..log.len() / 2]]);
    assert!(lines / 4 < counts.used && counts.used < lines * 3 / 4, "{counts:?}");
    assert_eq!((counts.total, counts.truncated), (counts.used + 1, 1), "the last line is cut");
    let expected = Truncation { log: "worker.log".to_owned(), cause: TruncationCause::EndsEarly, lines: counts.total };
    assert_eq!(truncations, [expected]);
}

#[test]
fn a_gzip_file_without_its_trailer_has_all_its_lines() {
    let log = gzip(&line(1, "listening"));
    let (_, counts, truncations) = read(&[&log[..log.len() - 8], &gzip(&line(2, "listening"))]);
    assert_eq!(counts, LineCounts { total: 2, used: 2, ..LineCounts::default() });
    let [truncation] = &truncations[..] else { panic!("{truncations:?}") };
    assert_eq!(
        truncation.to_string(),
        "worker.log ends before its compressed data is complete; the report covers the 1 line(s) up to its end"
    );
}

#[test]
fn reads_a_damaged_gzip_file_up_to_the_damage() {
    let (text, lines) = many_lines();
    let mut log = gzip(&text);
    let middle = log.len() / 2;
    log[middle..middle + 64].fill(0xff);
    let (_, counts, truncations) = read(&[&log]);
    let [truncation] = &truncations[..] else { panic!("{truncations:?}") };
    assert_eq!(truncation.cause, TruncationCause::Damaged);
    assert!(counts.used > 0 && counts.used < lines, "{counts:?}");
}

#[test]
fn an_error_of_the_reader_is_an_error() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::ConnectionReset.into())
        }
    }
    let log = gzip(&line(1, "listening"));
    let result = Logs::default().add("worker.log", log[..log.len() - 12].chain(Failing));
    assert_eq!(result.expect_err("it fails").kind(), ErrorKind::ConnectionReset);
}

#[test]
fn counts_a_line_of_several_logs_once() {
    let log = line(1, "listening");
    // As CloudWatch Logs gives it to `aws logs tail --format short`.
    let prefixed = format!("2026-11-20T18:00:01 {log}\n");
    let expected = LineCounts { total: 3, used: 1, duplicate: 2, ..LineCounts::default() };
    assert_eq!(counts(&[log.as_bytes(), prefixed.as_bytes(), log.as_bytes()]), expected);
}

#[test]
fn lines_that_differ_in_one_field_are_not_duplicates() {
    let one = line(1, "lines_dropped").replace("\"m\"", "\"m\",\"lines\":1");
    let other = one.replace("\"lines\":1", "\"lines\":2");
    assert_eq!(counts(&[one.as_bytes(), other.as_bytes()]).used, 2);
}

#[test]
fn counts_lines_that_are_not_part_of_the_page() {
    let mut log = b"START RequestId: 1\n\xff\xfe\x00 noise\n".to_vec();
    log.extend(line(1, "tea_brewed").bytes().chain(*b"\n"));
    log.extend(line(1, "lines_dropped").bytes().chain(*b"\n"));
    log.extend([b' '; 64].iter().chain(&vec![b'x'; 3 * 1024 * 1024]).chain(b"\n"));
    log.extend(line(2, "listening").bytes().chain(*b"\n"));
    log.extend(&line(3, "listening").as_bytes()[..50]);
    let unknown = BTreeMap::from([("tea_brewed".to_owned(), 1)]);
    let expected = LineCounts {
        total: 7,
        used: 1,
        foreign: 3,
        truncated: 1,
        unknown,
        unexpected_fields: 1,
        ..LineCounts::default()
    };
    assert_eq!(counts(&[&log]), expected);
}

#[test]
fn limits_the_number_of_unknown_names() {
    let log: String = (0..100).map(|number| line(1, &format!("event_{number}")) + "\n").collect();
    let unknown = counts(&[log.as_bytes()]).unknown;
    assert_eq!(unknown.len(), MAX_UNKNOWN_NAMES + 1);
    assert_eq!(unknown.values().sum::<u64>(), 100);
}
