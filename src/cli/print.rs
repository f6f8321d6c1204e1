//! How data looks on standard output: a table, one JSON document, or one JSON object a line.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use rules::health;
use rules::problem::{Code, Problem};
pub use rules::visible::visible;
use rules::visible::{self};

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

/// Prints rows under headings; see [`table_text`].
pub fn table(
    headings: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), Problem> {
    data(&table_text(headings, rows))
}

/// Rows under headings, without lines around them, ended by a line feed. On a terminal that is too narrow for them
/// each row is a sheet: nothing is cut, for ids are there to be copied.
pub fn table_text(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let columns = terminal().map(|(columns, _)| columns);
    laid_out(headings, rows.into_iter().collect(), columns)
}

fn laid_out(headings: &[&str], rows: Vec<Vec<String>>, columns: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.to_vec());
    for row in &rows {
        table.add_row(row.iter().map(|cell| visible(cell, false)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.trim_fmt() + "\n";
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    if columns.is_none_or(|columns| widest <= columns) {
        return text;
    }
    let one = |row: &Vec<String>| {
        let filled = headings.iter().copied().zip(row.iter().cloned());
        let filled: Vec<(&str, String)> =
            filled.filter(|(_, cell)| !cell.is_empty() && cell != "-").collect();
        sheet(&filled)
    };
    rows.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The columns and rows of the terminal that standard output is, if it is one.
pub fn terminal() -> Option<(usize, usize)> {
    let out = io::stdout();
    let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| out.is_terminal())?;
    (size.ws_col > 0).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// The lines that a text takes on a terminal.
pub fn height(text: &str, columns: usize) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(columns).max(1)).sum()
}

/// How a word looks that says how bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Green.
    Good,
    /// Yellow.
    Warning,
    /// Red.
    Bad,
}

/// Prints text whose first word says how bad it is, on a terminal in colour, unless NO_COLOR is set.
pub fn toned(tone: Tone, text: &str) -> Result<(), Problem> {
    let text = visible(text, true);
    bytes(in_colour(tone, &text, is_coloured()).as_bytes())
}

/// Whether colours are wanted where standard output goes.
pub fn is_coloured() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdout().is_terminal() && !set("NO_COLOR") && !is_dumb
}

/// The text with its first word in colour.
pub fn in_colour(tone: Tone, text: &str, is_coloured: bool) -> String {
    if !is_coloured {
        return text.to_owned();
    }
    let start = text.len() - text.trim_start().len();
    let end = text[start..].find([' ', ':', '\n']).map_or(text.len(), |end| start + end);
    let (word, rest) = text.split_at(end);
    let code = match tone {
        Tone::Good => 32,
        Tone::Warning => 33,
        Tone::Bad => 31,
    };
    format!("\x1b[1;{code}m{word}\x1b[0m{rest}")
}

/// Prints one document: the schema's version and a list.
pub fn json(name: &str, items: Vec<Value>) -> Result<(), Problem> {
    document(json!({ name: items }))
}

/// Prints one document; an object gets the schema's version.
pub fn document(value: Value) -> Result<(), Problem> {
    exact(&format!("{:#}\n", versioned(value)))
}

/// Prints one object a line, each with the schema's version.
pub fn lines(items: impl Iterator<Item = Value>) -> Result<(), Problem> {
    exact(&items.map(|item| format!("{}\n", versioned(item))).collect::<String>())
}

fn versioned(mut value: Value) -> Value {
    value["schema_version"] = json!(1);
    value
}

/// A time for a table: UTC, to the second.
pub fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An age in seconds, in its largest unit.
pub fn seconds(age: f64) -> String {
    health::age(Duration::try_from_secs_f64(age).unwrap_or_default())
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
    fn what_is_too_wide_for_a_terminal_is_a_sheet_a_row_and_nothing_is_cut() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let row = |n: &str| vec![n.to_owned(), id.to_owned(), "-".to_owned(), "a".repeat(40)];
        let rows = vec![row("1"), row("2")];
        let headings = ["ID", "EVENT", "NONE", "DETAIL"];
        let wide = laid_out(&headings, rows.clone(), None);
        assert_eq!(wide.lines().count(), 3);
        assert_eq!(laid_out(&headings, rows.clone(), Some(200)), wide);
        let narrow = laid_out(&headings, rows, Some(80));
        assert!(narrow.lines().all(|line| line.len() <= 80), "{narrow}");
        assert_eq!(narrow.matches(id).count(), 2);
        assert!(!narrow.contains("NONE"), "{narrow}");
    }

    #[test]
    fn only_the_first_word_is_in_colour_and_only_where_that_is_wanted() {
        assert_eq!(in_colour(Tone::Bad, "held: no", true), "\x1b[1;31mheld\x1b[0m: no");
        assert_eq!(in_colour(Tone::Bad, "held: no", false), "held: no");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hexadecimal() {
        assert_eq!(text_or_hex("é".as_bytes()), (true, "é".to_owned()));
        assert_eq!(text_or_hex(&[0, 0xff]), (false, "00ff".to_owned()));
    }
}
