//! What a key may hold: how its value is read, how it is shown, and what is said when it cannot be used.

mod special;

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use special::{
    Program, address, hosts, level, program, region, share, start, token, url, webhook,
};

use super::layers::Raw;
use super::units;

/// How a value is read; the error says what would be right.
type Read<T> = Box<dyn Fn(&Raw) -> Result<T, String>>;

/// One kind of value.
pub struct ValueKind<T> {
    /// What may be given, for the reference.
    pub takes: String,
    /// Reads it.
    pub read: Read<T>,
    /// Shows it as one would write it, with every secret masked.
    pub show: Box<dyn Fn(&T) -> String>,
    /// Whether it is a secret.
    pub is_secret: bool,
    /// See [`ValueKind::example`].
    pub example: Option<&'static str>,
    /// See [`ValueKind::of_the_default_table`].
    pub is_of_default_table: bool,
}

impl<T> ValueKind<T> {
    pub(super) fn new(
        takes: impl Into<String>,
        read: impl Fn(&Raw) -> Result<T, String> + 'static,
        show: impl Fn(&T) -> String + 'static,
    ) -> ValueKind<T> {
        ValueKind {
            takes: takes.into(),
            read: Box::new(read),
            show: Box::new(show),
            is_secret: false,
            example: None,
            is_of_default_table: false,
        }
    }

    /// What the shipped file shows in place of the default, in TOML.
    pub fn example(self, toml: &'static str) -> Self {
        ValueKind { example: Some(toml), ..self }
    }

    /// The default is that of the table that is there while nobody gives one. In a table that is given, the key is empty
    /// where it is left out; so one that must not be empty is required.
    pub fn of_the_default_table(self) -> Self {
        ValueKind { is_of_default_table: true, ..self }
    }

    pub(super) fn secret(self) -> Self {
        ValueKind { is_secret: true, ..self }
    }
}

/// The value as text; anything else is refused.
pub(super) fn written(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) => Ok(text),
        _ => Err("write a text in quotes".to_owned()),
    }
}

/// A text that is not empty.
pub fn text() -> ValueKind<String> {
    let read = |raw: &Raw| match written(raw)? {
        blank if blank.trim().is_empty() => Err("it must not be empty".to_owned()),
        text => Ok(text.to_owned()),
    };
    ValueKind::new("a text", read, String::clone)
}

/// A text, where an empty one means none.
pub fn maybe() -> ValueKind<Option<String>> {
    let read = |raw: &Raw| written(raw).map(|text| Some(text.to_owned()).filter(|t| !t.is_empty()));
    ValueKind::new("a text", read, |text| text.clone().unwrap_or_default())
}

/// A folder, where an empty text means none.
pub fn folder() -> ValueKind<Option<PathBuf>> {
    let read = |raw: &Raw| written(raw).map(|text| (!text.is_empty()).then(|| text.into()));
    let show = |path: &Option<PathBuf>| {
        path.as_ref().map_or_else(String::new, |p| p.display().to_string())
    };
    ValueKind::new("a folder", read, show)
}

/// True or false.
pub fn truth() -> ValueKind<bool> {
    let read = |raw: &Raw| match raw {
        Raw::Truth(truth) => Ok(*truth),
        Raw::Text(text) => text.parse().map_err(|_| "write true or false".to_owned()),
        _ => Err("write true or false".to_owned()),
    };
    ValueKind::new("true or false", read, bool::to_string)
}

/// A whole number from 1 on.
pub fn count<T: TryFrom<u64> + Display + 'static>(most: u64) -> ValueKind<T> {
    let read = move |raw: &Raw| {
        let number = match raw {
            Raw::Number(number) => u64::try_from(*number).ok(),
            Raw::Text(text) => text.parse().ok(),
            _ => None,
        };
        let fits = number.filter(|number| (1..=most).contains(number));
        let fits = fits.and_then(|number| T::try_from(number).ok());
        fits.ok_or_else(|| format!("write a whole number from 1 to {most}"))
    };
    ValueKind::new(format!("1 to {most}"), read, T::to_string)
}

fn with_unit<T>(raw: &Raw, parse: fn(&str) -> Result<T, String>) -> Result<T, String> {
    match raw {
        Raw::Text(text) => parse(text),
        Raw::Number(number) => parse(&number.to_string()),
        _ => Err("write a number with its unit in quotes, such as \"5m\" or \"1MiB\"".to_owned()),
    }
}

/// A duration within these two.
pub fn within(least: Duration, most: Duration) -> ValueKind<Duration> {
    let (from, to) = (units::show_duration(least), units::show_duration(most));
    let takes = format!("{from} to {to}");
    let read = move |raw: &Raw| match with_unit(raw, units::duration)? {
        short if short < least => Err(format!("at least {from} is needed")),
        long if long > most => Err(format!("{to} is the most")),
        value => Ok(value),
    };
    ValueKind::new(takes, read, |value| units::show_duration(*value))
}

/// A size in bytes, at least 1.
pub fn size<T: TryFrom<u64> + TryInto<u64> + Copy + 'static>(most: u64) -> ValueKind<T> {
    let limit = units::show_size(most);
    let takes = format!("1B to {limit}");
    let read = move |raw: &Raw| match with_unit(raw, units::size)? {
        0 => Err("at least 1B is needed".to_owned()),
        bytes if bytes > most => Err(format!("{limit} is the most")),
        bytes => T::try_from(bytes).map_err(|_| format!("{limit} is the most")),
    };
    ValueKind::new(takes, read, |bytes| units::show_size((*bytes).try_into().unwrap_or(u64::MAX)))
}

/// One of a few words.
pub fn one_of<T: Copy + PartialEq + 'static>(words: &'static [(&'static str, T)]) -> ValueKind<T> {
    let list = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let takes = format!("one of: {list}");
    let read = move |raw: &Raw| {
        let text = written(raw)?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| format!("write one of: {list}"))
    };
    let show = move |value: &T| {
        let found = words.iter().find(|(_, known)| known == value);
        found.map_or_else(String::new, |(word, _)| (*word).to_owned())
    };
    ValueKind::new(takes, read, show)
}

/// A list; as one text its parts are separated by commas.
pub fn list<T: FromStr<Err: Display> + ToString + 'static>(
    such_as: &'static str,
) -> ValueKind<Vec<T>> {
    let parse = |text: &str| text.trim().parse().map_err(|fix: T::Err| fix.to_string());
    let read = move |raw: &Raw| match raw {
        Raw::List(list) => list.iter().map(|text| parse(text)).collect(),
        Raw::Text(text) => text.split(',').map(parse).collect(),
        _ => Err(format!("write a list such as {such_as}")),
    };
    let show = |list: &Vec<T>| list.iter().map(T::to_string).collect::<Vec<_>>().join(",");
    ValueKind::new("a list", read, show)
}
