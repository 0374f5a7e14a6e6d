//! Text clipped to the size of a terminal.

use std::fmt::Write;

/// The size of a terminal, in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
}

/// The sequence that ends colours.
const RESET: &str = "\x1b[0m";

/// Clips a text to a size: keeps the first lines, each up to the last column. If lines are left out, the last row shows
/// their number.
pub fn clip(text: &str, size: Size) -> String {
    let lines: Vec<_> = text.lines().collect();
    let fits = lines.len() <= size.rows;
    let kept = if fits { lines.len() } else { size.rows.saturating_sub(1) };
    let mut clipped: Vec<_> = lines[..kept].iter().map(|line| clip_line(line, size.columns)).collect();
    if !fits && size.rows > 0 {
        let left_out = lines.len() - kept;
        clipped.push(clip_line(&format!("({left_out} more lines: enlarge the terminal to see them)"), size.columns));
    }
    clipped.join("\n")
}

/// Clips a line to a number of columns. Colour sequences (ECMA-48, SGR) take no columns.
fn clip_line(line: &str, columns: usize) -> String {
    let mut clipped = String::new();
    let mut used = 0;
    let mut coloured = false;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let sequence = rest.strip_prefix("\x1b[").and_then(|parameters| Some(parameters.find('m')? + "\x1b[m".len()));
        match sequence {
            Some(length) => {
                coloured = rest[..length] != *RESET;
                clipped.push_str(&rest[..length]);
                rest = &rest[length..];
            }
            None if used == columns => break,
            None => {
                clipped.push(c);
                used += 1;
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    if coloured {
        // Writing to a String can't fail.
        let _ = write!(clipped, "{RESET}");
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rows: 3, columns: 10 };

    #[test]
    fn a_text_that_fits_is_unchanged() {
        assert_eq!(clip("one\ntwo\nthree\n", SIZE), "one\ntwo\nthree");
    }

    #[test]
    fn keeps_the_first_lines_and_counts_the_rest() {
        let text = clip("one\ntwo\nthree\nfour\n", Size { columns: 80, ..SIZE });
        assert_eq!(text, "one\ntwo\n(2 more lines: enlarge the terminal to see them)");
    }

    #[test]
    fn keeps_the_first_columns_of_each_line() {
        assert_eq!(clip("0123456789abc\nöäüöäüöäüöäü", SIZE), "0123456789\nöäüöäüöäüö");
    }

    #[test]
    fn colours_take_no_columns_and_end_with_the_line() {
        assert_eq!(clip("\x1b[32m✓ well\x1b[0m", SIZE), "\x1b[32m✓ well\x1b[0m");
        assert_eq!(clip("\x1b[32m0123456789abc", SIZE), "\x1b[32m0123456789\x1b[0m");
    }
}
