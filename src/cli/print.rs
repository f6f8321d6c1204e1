//! How data looks on standard output: a table, one JSON document, or one JSON object a line.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pure::problem::{Code, Problem};
use crate::pure::standing;
pub use crate::pure::visible::visible;
use crate::pure::visible::{self};

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

/// Writes data. A reader that has seen enough (`| head`) is no failure. What could steer a terminal is escaped.
pub fn data(text: &str) -> Result<(), Problem> {
    bytes(visible(text, true).as_bytes())
}

/// Writes JSON, which stays exact.
fn exact(text: &str) -> Result<(), Problem> {
    bytes(visible::json(text).as_bytes())
}

/// Says something on standard error. Whoever does not listen misses it.
pub fn talk(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(&words.to_string(), true));
}

/// Says how far something is, in the place of what was said last.
pub fn progress(line: &str, is_over: bool) {
    let mut err = io::stderr().lock();
    let end = if is_over { "\n" } else { "" };
    let _ = write!(err, "\r\x1b[2K{}{end}", visible(line, false)).and_then(|()| err.flush());
}

/// Goes on below a line of [`progress`] that was not the last.
pub fn leave_progress() {
    if io::stderr().is_terminal() {
        let _ = writeln!(io::stderr().lock());
    }
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
    exact(&format!("{value:#}\n"))
}

/// Prints one object a line.
pub fn lines(items: impl Iterator<Item = Value>) -> Result<(), Problem> {
    exact(&items.map(|item| format!("{item}\n")).collect::<String>())
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
