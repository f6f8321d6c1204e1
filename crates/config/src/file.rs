//! The TOML file: its keys become layers, its unknown keys mistakes.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::declare::join;
use super::keys;
use super::layers::{Layers, Origin, Raw};
use super::mistake::did_you_mean;

/// Reads the file's text. `path` is only named, not opened.
pub fn read(text: &str, path: &Path, layers: &mut Layers) {
    let mut walk = Walk { text, path, layers };
    match DeTable::parse(text) {
        Ok(table) => walk.table("", "", table.get_ref()),
        Err(error) => {
            let what = broken(text, &error);
            walk.layers.mistake(path.display(), what, "mend the TOML at the place shown");
        }
    }
}

/// Where it breaks and why. Toml's own rendering has the line, and what stands there may be a password.
fn broken(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let number = line_of(text, start);
    let before = text.get(..start).unwrap_or(text);
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("TOML parse error at line {number}, column {column}: {}", error.message())
}

/// The line of a byte, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

struct Walk<'a> {
    text: &'a str,
    path: &'a Path,
    layers: &'a mut Layers,
}

impl Walk<'_> {
    /// `pattern` is the declared path, `key` the same with indexes and names.
    fn table(&mut self, pattern: &str, key: &str, table: &DeTable<'_>) {
        let known = below(pattern);
        for (name, value) in table {
            let at = self.at(name.span().start);
            let name = name.get_ref().as_ref();
            let listed = format!("{name}[]");
            let part = match known.as_slice() {
                ["*"] => "*",
                _ => match known.iter().find(|part| **part == name || **part == listed) {
                    Some(part) => part,
                    None => {
                        self.unknown(at, pattern, key, name, &known);
                        continue;
                    }
                },
            };
            let pattern = join(pattern, part);
            self.value(&pattern, &join(key, name), value, at);
        }
    }

    fn value(&mut self, pattern: &str, key: &str, value: &Spanned<DeValue<'_>>, at: Origin) {
        match value.get_ref() {
            DeValue::Table(table) if pattern == "kafka.properties.*" => {
                // Unquoted, `sasl.password` is a table in TOML; what is meant is one dotted name.
                for (name, value) in table {
                    let at = self.at(name.span().start);
                    self.value(pattern, &join(key, name.get_ref()), value, at);
                }
            }
            DeValue::Table(table) if !pattern.ends_with("[]") && !below(pattern).is_empty() => {
                self.table(pattern, key, table);
            }
            DeValue::Array(list) if pattern.ends_with("[]") => {
                for (index, item) in list.iter().enumerate() {
                    match item.get_ref().as_table() {
                        Some(table) => self.table(pattern, &format!("{key}[{index}]"), table),
                        None => self.shape(&at, key, "is a list of tables", &format!("[[{key}]]")),
                    }
                }
                self.layers.lay(key, Raw::Tables(list.iter().count()), at);
            }
            _ if pattern.ends_with("[]") => {
                self.shape(&at, key, "is a list of tables", &format!("[[{key}]]"));
            }
            _ if !below(pattern).is_empty() => {
                self.shape(&at, key, "is a table", &format!("[{key}]"));
            }
            plain => self.layers.lay(key, raw(plain), at),
        }
    }

    fn unknown(&mut self, at: Origin, pattern: &str, key: &str, name: &str, known: &[&str]) {
        let place = if key.is_empty() { String::new() } else { format!(" in [{key}]") };
        let known: Vec<&str> = known.iter().map(|part| part.trim_end_matches("[]")).collect();
        let fix = match elsewhere(name, pattern) {
            Some(whole) => format!("`{name}` belongs elsewhere: {whole}"),
            None => did_you_mean(name, &known),
        };
        self.layers.mistake(at, format!("unknown key `{name}`{place}"), fix);
    }

    fn shape(&mut self, at: &Origin, key: &str, what: &str, write: &str) {
        self.layers.mistake(at, format!("`{key}` {what}"), format!("write {write}"));
    }

    fn at(&self, offset: usize) -> Origin {
        let line = line_of(self.text, offset);
        Origin::File { path: self.path.to_owned(), line }
    }
}

/// A value by itself, such as a default.
pub fn value(text: &str) -> Option<Raw> {
    DeValue::parse(text).ok().map(|value| raw(value.get_ref()))
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Datetime(time) => Raw::Text(time.to_string()),
        DeValue::Float(number) => Raw::Text(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Raw::Truth(*truth),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Raw::Text(number.as_str().to_owned()), Raw::Number),
        DeValue::Array(list) => {
            let texts: Option<Vec<String>> =
                list.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            texts.map_or(Raw::Tables(0), Raw::List)
        }
        DeValue::Table(_) => Raw::Tables(0),
    }
}

/// What may stand below a path (empty for the top): the next part of each key that starts so.
fn below(path: &str) -> Vec<&'static str> {
    let prefix = join(path, "");
    let rest = keys().filter_map(|key| key.path.strip_prefix(&prefix));
    let mut parts: Vec<&str> = rest.map(|rest| rest.split('.').next().unwrap_or(rest)).collect();
    parts.dedup();
    parts
}

/// The key that ends in this very name and stands in another section, if it is the only one.
fn elsewhere(name: &str, pattern: &str) -> Option<&'static str> {
    let ending = format!(".{name}");
    let near = !below(pattern).is_empty() && !pattern.is_empty();
    let mut found =
        keys().map(|key| key.path.as_str()).filter(|key| near && key.ends_with(&ending));
    match (found.next(), found.next()) {
        (Some(key), None) => Some(key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_key_is_known_below_the_one_before() {
        assert_eq!(below("inbox[].batch"), ["rows", "bytes", "linger"]);
        assert_eq!(below("databases"), ["*"]);
        assert_eq!(below("http.listen"), [""; 0]);
        assert!(below("").contains(&"inbox[]"));
    }
}
