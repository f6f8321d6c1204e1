//! Turns raw values into typed ones, remembering what each key came to.

use std::str::FromStr;
use std::time::Duration;

use super::layers::{Layers, Origin, Raw};
use super::redact;
use super::units;
use rules::field_path::Place;
use rules::framing::Framing;

/// One effective value, fit to be shown: secrets are already masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, such as `http.listen` or `inbox[0].topic`.
    pub key: String,
    /// The value as one would write it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Takes values out of the layers, key by key.
pub struct Reader {
    /// What is left to take, and the mistakes and notes.
    pub layers: Layers,
    /// What has been taken.
    pub settings: Vec<Setting>,
}

impl Reader {
    /// Takes one key: parsed, or the default; a value that cannot be parsed becomes a mistake.
    pub fn take<T>(
        &mut self,
        key: &str,
        default: T,
        parse: impl Fn(&Raw) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> T {
        let (value, origin) = match self.layers.found.remove(key) {
            None => (default, Origin::Default),
            Some(found) => match parse(&found.raw) {
                Ok(value) => (value, found.origin),
                Err(fix) => {
                    self.layers.mistake(&found.origin, format!("`{key}` cannot be used"), fix);
                    (default, found.origin)
                }
            },
        };
        self.show(key, show(&value), origin);
        value
    }

    /// Remembers what a key came to.
    pub fn show(&mut self, key: &str, value: impl Into<String>, origin: Origin) {
        let value = redact::value(key, value.into());
        self.settings.push(Setting { key: key.to_owned(), value, origin });
    }

    /// Where a key's value came from, for messages about what has been taken.
    pub fn origin(&self, key: &str) -> Origin {
        let setting = self.settings.iter().find(|setting| setting.key == key);
        setting.map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// A text that is not empty.
    pub fn text(&mut self, key: &str, default: &str) -> String {
        self.take(key, default.to_owned(), some_text, String::clone)
    }

    /// A text, where an empty one means none.
    pub fn maybe(&mut self, key: &str, default: Option<String>) -> Option<String> {
        let parse = |raw: &Raw| text(raw).map(|text| Some(text).filter(|text| !text.is_empty()));
        self.take(key, default, parse, |value| value.clone().unwrap_or_default())
    }

    /// True or false.
    pub fn truth(&mut self, key: &str, default: bool) -> bool {
        self.take(key, default, truth, bool::to_string)
    }

    /// A whole number from 1 to `most`.
    pub fn count(&mut self, key: &str, default: u64, most: u64) -> u64 {
        self.take(key, default, |raw| count(raw, most), u64::to_string)
    }

    /// A duration of at least `least` and at most `most`.
    pub fn duration(
        &mut self,
        key: &str,
        default: Duration,
        (least, most): (Duration, Duration),
    ) -> Duration {
        let parse = |raw: &Raw| match with_unit(raw, units::duration)? {
            short if short < least => {
                Err(format!("at least {} is needed", units::show_duration(least)))
            }
            long if long > most => Err(format!("{} is the most", units::show_duration(most))),
            value => Ok(value),
        };
        self.take(key, default, parse, |value| units::show_duration(*value))
    }

    /// A size in bytes from 1 to `most`.
    pub fn size(&mut self, key: &str, default: usize, most: usize) -> usize {
        let parse = |raw: &Raw| match with_unit(raw, units::size)? {
            0 => Err("at least 1B is needed".to_owned()),
            large if large > most => Err(format!("{} is the most", units::show_size(most))),
            value => Ok(value),
        };
        self.take(key, default, parse, |value| units::show_size(*value))
    }

    /// A list of texts; as one text they are separated by commas.
    pub fn texts(&mut self, key: &str, default: &[String]) -> Vec<String> {
        self.take(key, default.to_vec(), texts, |list| list.join(","))
    }

    /// A list of places; as one text they are separated by commas.
    pub fn places(&mut self, key: &str, default: &[Place]) -> Vec<Place> {
        self.list(key, default, "[\"header:id\", \"json:/eventId\"]")
    }

    /// A list of envelopes; as one text they are separated by commas.
    pub fn envelopes(&mut self, key: &str, default: &[Framing]) -> Vec<Framing> {
        self.list(key, default, "[\"gzip\", \"json_text\"]")
    }

    fn list<T>(&mut self, key: &str, default: &[T], such_as: &str) -> Vec<T>
    where
        T: Clone + FromStr<Err = String> + ToString,
    {
        self.take(
            key,
            default.to_vec(),
            |raw| list(raw, such_as),
            |list| list.iter().map(T::to_string).collect::<Vec<_>>().join(","),
        )
    }
}

/// The value as text; anything else is refused.
pub fn text(raw: &Raw) -> Result<String, String> {
    match raw {
        Raw::Text(text) => Ok(text.clone()),
        _ => Err("write a text in quotes".to_owned()),
    }
}

/// The value as a text that is not empty.
pub fn some_text(raw: &Raw) -> Result<String, String> {
    text(raw).and_then(|text| match text.trim() {
        "" => Err("it must not be empty".to_owned()),
        _ => Ok(text),
    })
}

fn truth(raw: &Raw) -> Result<bool, String> {
    match raw {
        Raw::Truth(truth) => Ok(*truth),
        Raw::Text(text) if text == "true" => Ok(true),
        Raw::Text(text) if text == "false" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

fn count(raw: &Raw, most: u64) -> Result<u64, String> {
    let number = match raw {
        Raw::Number(number) => u64::try_from(*number).ok(),
        Raw::Text(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| format!("write a whole number from 1 to {most}"))
}

fn with_unit<T>(raw: &Raw, parse: fn(&str) -> Result<T, String>) -> Result<T, String> {
    match raw {
        Raw::Text(text) => parse(text),
        Raw::Number(number) => parse(&number.to_string()),
        _ => Err("write a number with its unit in quotes, such as \"5m\" or \"1MiB\"".to_owned()),
    }
}

fn texts(raw: &Raw) -> Result<Vec<String>, String> {
    match raw {
        Raw::List(list) => Ok(list.clone()),
        Raw::Text(text) => Ok(text.split(',').map(|text| text.trim().to_owned()).collect()),
        _ => Err("write a list such as [\"REFUND_CONFIRMED\"]".to_owned()),
    }
}

fn list<T: FromStr<Err = String>>(raw: &Raw, such_as: &str) -> Result<Vec<T>, String> {
    match raw {
        Raw::List(list) => list.iter().map(|text| text.trim().parse()).collect(),
        Raw::Text(text) => text.split(',').map(|text| text.trim().parse()).collect(),
        _ => Err(format!("write a list such as {such_as}")),
    }
}
