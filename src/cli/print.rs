//! How data looks on standard output: a table, one JSON document, or one JSON object a line.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pure::problem::{Code, Problem};
use crate::pure::standing;

/// The option of every command that prints data.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Output {
    /// How to print: a table for people, one JSON document, or one JSON object a line
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Format,
}

/// See [`Output`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Format {
    Table,
    Json,
    Jsonl,
}

/// Writes data. A reader that has seen enough (`| head`) is no failure.
pub fn data(text: &str) -> Result<(), Problem> {
    bytes(text.as_bytes())
}

/// Writes bytes as they are.
pub fn bytes(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Problem::new(Code::System, format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Prints rows under headings; the same on a terminal and into a pipe.
pub fn table(
    headings: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), Problem> {
    data(&table_text(headings, rows))
}

/// Rows under headings, without lines around them, ended by a line feed.
pub fn table_text(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell, false)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// Prints one document: the schema's version and a list.
pub fn json(name: &str, items: Vec<Value>) -> Result<(), Problem> {
    document(json!({ name: items }))
}

/// Prints one document; an object gets the schema's version.
pub fn document(mut value: Value) -> Result<(), Problem> {
    value["schema_version"] = json!(1);
    data(&format!("{value:#}\n"))
}

/// Prints one object a line.
pub fn lines(items: impl Iterator<Item = Value>) -> Result<(), Problem> {
    data(&items.map(|item| format!("{item}\n")).collect::<String>())
}

/// Text from outside, made harmless for a terminal: control characters are written as escapes, line
/// feeds and tabs too unless they are to be `kept`.
pub fn visible(text: &str, kept: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if kept => out.push(c),
            c if c.is_control() => {
                let _ = write!(out, "{}", c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}

/// A time for a table: UTC, to the second.
pub fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An age in seconds, in its largest unit.
pub fn seconds(age: f64) -> String {
    standing::age(Duration::try_from_secs_f64(age).unwrap_or_default())
}

/// A cell that may be empty.
pub fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// Names and values of one thing, a pair a line.
pub fn sheet(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    pairs.iter().map(|(name, value)| format!("{name:width$}{}\n", visible(value, false))).collect()
}

/// Bytes for a person: text if they are UTF-8, else hexadecimal.
pub fn text_or_hex(bytes: &[u8]) -> (bool, String) {
    match str::from_utf8(bytes) {
        Ok(text) => (true, text.to_owned()),
        Err(_) => (false, bytes.iter().map(|b| format!("{b:02x}")).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[31m\u{7}\nb", false), "a\\u{1b}[31m\\u{7}\\nb");
        assert_eq!(visible("a\n\tb\r", true), "a\n\tb\\r");
        assert!(!table_text(&["H"], [vec!["\u{9b}x".to_owned()]]).contains('\u{9b}'));
    }

    #[test]
    fn a_table_has_columns_without_lines_around_them() {
        let rows = [vec!["1".to_owned(), "yes".to_owned()], vec!["200".to_owned(), String::new()]];
        assert_eq!(table_text(&["ID", "IT IS"], rows), "ID   IT IS\n1    yes\n200\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hexadecimal() {
        assert_eq!(text_or_hex("é".as_bytes()), (true, "é".to_owned()));
        assert_eq!(text_or_hex(&[0, 0xff]), (false, "00ff".to_owned()));
    }
}
