//! Answers for a person at a terminal: text of at most 80 columns, with colours and symbols only where they are shown.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{Column, ColumnConstraint, ContentArrangement, Table, presets};

/// How wide an answer may be.
pub const WIDTH: u16 = 80;

/// What may stand in an answer beside plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Nothing: it goes to a file, or to another program.
    Plain,
    /// Symbols: a terminal, with `NO_COLOR` set.
    Symbols,
    /// Symbols and colours: a terminal.
    Coloured,
}

/// How something does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should.
    Good,
    /// A person should know.
    Warning,
    /// A person must do something.
    Bad,
}

impl Style {
    /// The style that standard output takes. `NO_COLOR`, set to anything, takes the colours away (see no-color.org).
    pub fn of_stdout(no_color: Option<&str>) -> Self {
        match (std::io::stdout().is_terminal(), no_color.is_some_and(|value| !value.is_empty())) {
            (false, _) => Self::Plain,
            (true, true) => Self::Symbols,
            (true, false) => Self::Coloured,
        }
    }

    /// The words, after their symbol and in their colour where these are shown.
    pub fn marked(self, mark: Mark, words: &str) -> String {
        self.paint(mark, &self.with_symbol(mark, words))
    }

    /// The words, after their symbol where it is shown.
    pub fn with_symbol(self, mark: Mark, words: &str) -> String {
        let symbol = match mark {
            Mark::Good => '✓',
            Mark::Warning => '!',
            Mark::Bad => '✗',
        };
        match self {
            Self::Plain => words.to_owned(),
            Self::Symbols | Self::Coloured => format!("{symbol} {words}"),
        }
    }

    /// The words, in their colour where it is shown.
    pub fn paint(self, mark: Mark, words: &str) -> String {
        let colour = match mark {
            Mark::Good => 32,
            Mark::Warning => 33,
            Mark::Bad => 31,
        };
        match self {
            Self::Plain | Self::Symbols => words.to_owned(),
            Self::Coloured => format!("\x1b[{colour}m{words}\x1b[0m"),
        }
    }
}

/// Rows in columns. The columns take what they need; the last one takes what is left, and wraps.
pub fn table<R: IntoIterator<Item = String>>(indent: u16, rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    for row in rows {
        // Control characters in what others wrote must not reach the terminal.
        table.add_row(row.into_iter().map(|cell| cell.chars().filter(|c| !c.is_control()).collect::<String>()));
    }
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        lay_out(column, if index == 0 { indent } else { 0 }, index == last);
    }
    table.trim_fmt()
}

fn lay_out(column: &mut Column, indent: u16, is_last: bool) {
    column.set_padding((indent, if is_last { 0 } else { 2 }));
    if !is_last {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
}

/// A span of time as its two greatest units: `3h 20m`.
pub fn span(seconds: u64) -> String {
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_to_its_width_whatever_is_in_it() {
        let long = "word ".repeat(40);
        let unbroken = "x".repeat(200);
        for last in [long, unbroken] {
            let text = table(2, [["a-name-of-thirty-two-characters-".to_owned(), "b".to_owned(), last]]);
            assert!(text.lines().count() > 1, "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
                assert!(!line.ends_with(' '), "{line:?}");
            }
        }
    }

    #[test]
    fn what_others_wrote_cannot_drive_the_terminal() {
        assert_eq!(table(0, [["a\x1b[31mb".to_owned()]]), "a[31mb");
    }

    #[test]
    fn colours_and_symbols_are_for_terminals() {
        assert_eq!(Style::Plain.marked(Mark::Bad, "failed"), "failed");
        assert_eq!(Style::Symbols.marked(Mark::Good, "ok"), "✓ ok");
        assert_eq!(Style::Coloured.marked(Mark::Warning, "hm"), "\x1b[33m! hm\x1b[0m");
        assert_ne!(Style::of_stdout(Some("1")), Style::Coloured);
    }

    #[test]
    fn a_span_has_its_two_greatest_units() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (12_003, "3h 20m"), (90_061, "1day 1h")] {
            assert_eq!(span(seconds), text);
        }
    }
}
