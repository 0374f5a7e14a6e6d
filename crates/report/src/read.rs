//! Reads the lines of a log, plain or compressed.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

/// The longest line that is parsed. The watcher's longest carries an SQS message of 256 KiB, escaped as JSON.
const MAX_LINE_BYTES: u64 = 2 * 1024 * 1024;

/// The first byte of a gzip file (RFC 1952, ID1); no text begins with it. The second byte isn't checked because a pipe
/// may deliver one byte at first.
const GZIP_FIRST_BYTE: u8 = 0x1f;

/// A line of a log that isn't empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Its number; the first line is 1.
    pub number: u64,
    /// Its text, without spaces at its ends. Of a very long one it is the beginning.
    pub text: &'a str,
    /// Whether the log can be read to the end of the line.
    pub is_whole: bool,
}

/// The reason why a compressed log can't be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruncationCause {
    /// The file ends before the compressed data does, as one does that is still being written or copied.
    EndsEarly,
    /// The compressed data is damaged.
    Damaged,
}

/// Reads a log to its end, and passes on each line. Compressed data that ends early or is damaged is read up to that point;
/// the reason is returned.
///
/// # Errors
///
/// Returns the error of the log's reader.
pub fn read_lines(log: impl Read, receive: impl FnMut(LogLine<'_>)) -> io::Result<Option<TruncationCause>> {
    let mut log = BufReader::new(log);
    if log.fill_buf()?.first() != Some(&GZIP_FIRST_BYTE) {
        return read_text(log, receive).map(|()| None);
    }
    let Err(error) = read_text(BufReader::new(MultiGzDecoder::new(log)), receive) else { return Ok(None) };
    match error.kind() {
        ErrorKind::UnexpectedEof => Ok(Some(TruncationCause::EndsEarly)),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => Ok(Some(TruncationCause::Damaged)),
        _ => Err(error),
    }
}

fn read_text(mut log: impl BufRead, mut receive: impl FnMut(LogLine<'_>)) -> io::Result<()> {
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        let result = log.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            receive(LogLine { number, text, is_whole: result.is_ok() });
        }
        if result? == 0 {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n") || (line.len() as u64) < MAX_LINE_BYTES;
        if !is_whole {
            log.skip_until(b'\n')?;
        }
    }
}
