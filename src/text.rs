//! Text for a terminal: at most 80 columns wide, with colours and symbols only where they can be shown.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{Column, ColumnConstraint, ContentArrangement, Table, presets};

pub mod clip;
pub mod terminal;

/// The width of the text, in columns.
pub const WIDTH: u16 = 80;

/// The decoration of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// None: the output is a file or a pipe.
    Plain,
    /// Symbols: a terminal with `NO_COLOR` set.
    Symbols,
    /// Symbols and colours: a terminal.
    Coloured,
}

/// The severity of a statement, by which it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is wrong.
    Ok,
    /// Nothing is known.
    Neutral,
    /// The operator should know.
    Warning,
    /// The operator must act.
    Error,
}

impl Severity {
    /// Returns the character that stands for it, for readers who don't see colours.
    pub fn symbol(self) -> char {
        match self {
            Self::Ok => '✓',
            Self::Neutral => '-',
            Self::Warning => '!',
            Self::Error => '✗',
        }
    }

    /// Returns the parameter of the escape sequence that selects the colour (ECMA-48, SGR).
    fn colour(self) -> u8 {
        match self {
            Self::Ok => 32,
            Self::Neutral => 2,
            Self::Warning => 33,
            Self::Error => 31,
        }
    }
}

impl Style {
    /// Returns the style for standard output. `NO_COLOR`, set to anything, disables colours (see no-color.org).
    pub fn of_stdout(no_color: Option<&str>) -> Self {
        match (std::io::stdout().is_terminal(), no_color.is_some_and(|value| !value.is_empty())) {
            (false, _) => Self::Plain,
            (true, true) => Self::Symbols,
            (true, false) => Self::Coloured,
        }
    }

    /// Returns true for a terminal.
    pub fn is_terminal(self) -> bool {
        self != Self::Plain
    }

    /// Formats words with the symbol and in the colour of a severity.
    pub fn marked(self, severity: Severity, words: &str) -> String {
        self.paint(severity, &self.with_symbol(severity, words))
    }

    /// Formats words with the symbol of a severity.
    pub fn with_symbol(self, severity: Severity, words: &str) -> String {
        match self {
            Self::Plain => words.to_owned(),
            Self::Symbols | Self::Coloured => format!("{} {words}", severity.symbol()),
        }
    }

    /// Formats words in the colour of a severity.
    pub fn paint(self, severity: Severity, words: &str) -> String {
        match self {
            Self::Plain | Self::Symbols => words.to_owned(),
            Self::Coloured => format!("\x1b[{}m{words}\x1b[0m", severity.colour()),
        }
    }
}

/// Formats rows in columns. Every column is as wide as its content; the last one takes the remaining width and wraps.
pub fn table<R: IntoIterator<Item = String>>(indent: u16, rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    for row in rows {
        // Control characters, e.g. in a tag's value, must not reach the terminal.
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

/// Formats a time span in its two largest units, e.g. `3h 20m`.
pub fn span(seconds: u64) -> String {
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Formats a number with a comma between thousands.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_never_exceeds_the_width() {
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
    fn a_table_contains_no_control_characters() {
        assert_eq!(table(0, [["a\x1b[31mb".to_owned()]]), "a[31mb");
    }

    #[test]
    fn only_terminals_get_colours_and_symbols() {
        assert_eq!(Style::Plain.marked(Severity::Error, "failed"), "failed");
        assert_eq!(Style::Symbols.marked(Severity::Ok, "ok"), "✓ ok");
        assert_eq!(Style::Coloured.marked(Severity::Warning, "hm"), "\x1b[33m! hm\x1b[0m");
        assert_ne!(Style::of_stdout(Some("1")), Style::Coloured);
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (12_003, "3h 20m"), (90_061, "1day 1h")] {
            assert_eq!(span(seconds), text);
        }
    }
}
