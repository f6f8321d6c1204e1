//! Turns raw values into typed ones, remembering what each key came to.

use super::declare::{Key, join};
use super::kinds::ValueKind;
use super::layers::{Layers, Origin, Raw};
use super::libpq::Libpq;

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
#[derive(Default)]
pub struct ConfigReader {
    /// What is left to take, and the mistakes and notes.
    pub layers: Layers,
    /// What has been taken.
    pub settings: Vec<Setting>,
    /// What fills in the parts a connection URL leaves out.
    pub libpq: Libpq,
}

impl ConfigReader {
    /// Takes one key of the section at `at`: the value found, or the default. One that cannot be read becomes a mistake,
    /// and something stands in for it, for nothing is started then.
    pub fn take<T: Default>(
        &mut self,
        at: &str,
        name: &str,
        default: &str,
        kind: &ValueKind<T>,
    ) -> T {
        let key = join(at, name);
        let given = table_of(at).filter(|(list, _)| self.layers.found.contains_key(*list));
        let is_left_empty = given.is_some() && kind.is_of_default_table;
        let (raw, origin) = match self.layers.found.remove(&key) {
            Some(found) => (found.raw, found.origin),
            None if is_left_empty => (Raw::Text(String::new()), Origin::Default),
            None => (Key::default_of(default), Origin::Default),
        };
        let value = (kind.read)(&raw).unwrap_or_else(|fix| {
            match (&origin, given) {
                (Origin::Default, Some((list, number))) => {
                    let table = self.layers.found.get(list).map(|table| table.origin.to_string());
                    let what = format!("[[{list}]] number {number} has no `{name}`");
                    let fix = format!("add {name} = \"…\"");
                    self.layers.mistake(table.unwrap_or_default(), what, fix);
                }
                _ => self.layers.mistake(&origin, format!("`{key}` cannot be used"), fix),
            }
            T::default()
        });
        self.show(&key, (kind.show)(&value), origin);
        value
    }

    /// Remembers what a key came to.
    pub fn show(&mut self, key: &str, value: impl Into<String>, origin: Origin) {
        self.settings.push(Setting { key: key.to_owned(), value: value.into(), origin });
    }

    /// Where a key's value came from, for messages about what has been taken.
    pub fn origin(&self, key: &str) -> Origin {
        let setting = self.settings.iter().find(|setting| setting.key == key);
        setting.map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// Notes a mistake where a key's value came from.
    pub fn wrong(&mut self, key: &str, what: impl Into<String>, fix: impl Into<String>) {
        let origin = self.origin(key);
        self.layers.mistake(origin, what, fix);
    }

    /// The keys found that start so.
    pub fn found(&self, prefix: &str) -> Vec<String> {
        self.layers.found.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }
}

/// The list and the number of a table in it: `inbox[0].batch` is in the first one of `inbox`.
fn table_of(at: &str) -> Option<(&str, usize)> {
    let (list, rest) = at.split_once('[')?;
    let index: usize = rest.split_once(']')?.0.parse().ok()?;
    Some((list, index + 1))
}
