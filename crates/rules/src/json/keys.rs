//! An object's keys, and whether one comes twice with different values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Visitor};
use serde_json::value::RawValue;

/// A key as read.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JsonKey<'a> {
    pub text: Cow<'a, str>,
    /// Where its closing quote ends in the whole text; unknown for a key written with escapes.
    pub end: Option<usize>,
}

/// Among the keys of one object, one that came before with another value.
pub(super) fn conflict<'k, 'a>(json: &str, keys: &'k mut [JsonKey<'a>]) -> Option<&'k JsonKey<'a>> {
    if keys.len() <= 16 {
        // Comparing a few keys with each other is faster than sorting them.
        return (1..keys.len()).find_map(|n| {
            let earlier = keys[..n].iter().rev().find(|key| key.text == keys[n].text)?;
            (!same_value(json, earlier, &keys[n])).then_some(&keys[n])
        });
    }
    keys.sort_unstable();
    let mut pairs = keys.windows(2);
    pairs
        .find(|pair| pair[0].text == pair[1].text && !same_value(json, &pair[0], &pair[1]))
        .map(|pair| &pair[1])
}

/// Whether two equal keys have values written alike. Where a key was written with escapes they count
/// as different: its place is not known, and a key twice in two spellings is odd enough.
fn same_value(json: &str, one: &JsonKey<'_>, other: &JsonKey<'_>) -> bool {
    let value = |key: &JsonKey<'_>| key.end.and_then(|end| value_after(json, end));
    value(one).is_some_and(|one| value(other) == Some(one))
}

/// The value as written that follows the key ending at this byte.
pub(super) fn value_after(json: &str, key_end: usize) -> Option<&str> {
    let rest = json.get(key_end..)?.trim_ascii_start().strip_prefix(':')?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
    Some(values.next()?.ok()?.get())
}

/// Reads a key of this text, borrowed where it has no escapes.
pub(super) struct ReadKey<'a>(pub &'a str);

impl<'a> DeserializeSeed<'a> for ReadKey<'a> {
    type Value = JsonKey<'a>;

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<JsonKey<'a>, D::Error> {
        parser.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for ReadKey<'a> {
    type Value = JsonKey<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'a str) -> Result<JsonKey<'a>, E> {
        // A borrowed key lies within the text, so the distance of their addresses is its place.
        let start = (key.as_ptr() as usize).checked_sub(self.0.as_ptr() as usize);
        let end = start.map(|start| start + key.len() + 1);
        Ok(JsonKey { text: Cow::Borrowed(key), end })
    }

    fn visit_str<E>(self, key: &str) -> Result<JsonKey<'a>, E> {
        Ok(JsonKey { text: Cow::Owned(key.into()), end: None })
    }
}
