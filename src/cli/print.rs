//! How data looks on standard output: a table, one JSON document, or one JSON object a line.

mod layout;

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::progress;
pub use layout::{folded, sheet, table_text};
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
    progress::clear();
    let _ = writeln!(io::stderr().lock(), "{}", visible(&words.to_string(), true));
}

/// Says how far something is, in the place of what was said last.
pub fn progress(line: &str, is_over: bool) {
    progress::own();
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
    progress::clear();
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
