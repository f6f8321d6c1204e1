//! One pass over a JSON text: is it an object that `jsonb` takes, and what stands at these pointers?
//!
//! The parser is `serde_json`; nothing is built from the text, and texts without escapes are
//! borrowed. What `jsonb` refuses beyond the grammar: U+0000 (PostgreSQL docs, 8.14 JSON Types),
//! lone surrogates (same), and numbers that `numeric` cannot hold, see [`numeric`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use self::keys::{JsonKey, ReadKey, value_after};
use self::pointer::Node;
pub use self::pointer::Pointers;
use super::decode_error::{Reason, Rejection};
use super::numeric;

mod keys;
mod lenient;
pub(super) mod pointer;

/// What stands at a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtPointer<'a> {
    /// A string's text, or a number as written.
    Text(Cow<'a, str>),
    /// A boolean, an array or an object.
    Other,
}

impl<'a> AtPointer<'a> {
    /// The text or number.
    pub fn text(&self) -> Option<&Cow<'a, str>> {
        match self {
            AtPointer::Text(text) => Some(text),
            AtPointer::Other => None,
        }
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> AtPointer<'static> {
        match self {
            AtPointer::Text(text) => AtPointer::Text(Cow::Owned(text.into_owned())),
            AtPointer::Other => AtPointer::Other,
        }
    }
}

/// An object that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// What stands at each pointer, in their order; `None` if nothing does, or `null`.
    pub found: Vec<Option<AtPointer<'a>>>,
    /// Why `jsonb` would refuse it, if it would.
    pub refused_by_jsonb: Option<Rejection>,
}

/// Reads a text, and what stands in it at `pointers`.
///
/// `Err`: no object, or one that readers could understand differently. Besides, numbers beyond an IEEE
/// double (`1e309`) are refused, though `numeric` has room for them. Where nobody reads more than what stands at the
/// pointers ([`Pointers::alone`]), nothing else is held against the text: half a surrogate, NaN, such a number, a key twice.
pub fn read<'a>(text: &'a str, pointers: &Pointers) -> Result<Object<'a>, Rejection> {
    let refused = match parse(text, pointers) {
        Err(refused) if lenient::may_be_mended(refused.reason) => refused,
        read => return read,
    };
    let Some(mended) = lenient::mended(text) else { return Err(refused) };
    if !pointers.alone {
        return Err(match mended.has_nan {
            true => Rejection::new(
                refused.reason,
                "NaN and Infinity are no JSON, though some libraries write them",
            ),
            false => refused,
        });
    }
    let object = parse(&mended.text, pointers)?;
    let found = object.found.into_iter().map(|found| found.map(lenient::owned)).collect();
    Ok(Object { found, refused_by_jsonb: None })
}

fn parse<'a>(text: &'a str, pointers: &Pointers) -> Result<Object<'a>, Rejection> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Rejection::new(Reason::NotAnObject, "the top level is no object"),
            Err(error) => syntax(&error),
        });
    }
    let mut walk = Walk {
        text,
        found: vec![None; pointers.count],
        keys: Vec::with_capacity(16),
        has_nul: false,
        numbers: Numbers::Plain,
        twice: None,
        alone: pointers.alone,
    };
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = Value { walk: &mut walk, node: Some(&pointers.root), at: None }
        .deserialize(&mut parser)
        .and_then(|()| parser.end());
    match (parsed, walk.twice) {
        (Err(_), Some(at)) => Err(Rejection::new(
            Reason::DuplicateKey,
            match at {
                Some(at) => {
                    format!("the key that ends at byte {at} came before with another value")
                }
                None => "a key written with escapes occurs twice".into(),
            },
        )),
        (Err(error), None) => Err(syntax(&error)),
        (Ok(()), _) => {
            let refused_by_jsonb = walk.refused_by_jsonb();
            Ok(Object { found: walk.found, refused_by_jsonb })
        }
    }
}

/// Sorts `serde_json`'s message for an error of syntax, which never quotes the text. The error type
/// tells no more than this; the tests pin the wordings.
fn syntax(error: &serde_json::Error) -> Rejection {
    let message = error.to_string();
    let reason = if message.starts_with("recursion limit") {
        Reason::TooDeep
    } else if message.starts_with("lone leading surrogate")
        || message.starts_with("unexpected end of hex escape")
    {
        Reason::BadText
    } else if message.starts_with("number out of range") {
        Reason::NumberOutOfRange
    } else {
        Reason::NotJson
    };
    Rejection::new(reason, message)
}

/// What the pass remembers.
struct Walk<'a> {
    text: &'a str,
    found: Vec<Option<AtPointer<'a>>>,
    /// The keys of all objects now open; each object's are at the end while it is innermost.
    keys: Vec<JsonKey<'a>>,
    has_nul: bool,
    numbers: Numbers,
    /// The key that ended the pass because it came before: where it ends, if known.
    twice: Option<Option<usize>>,
    /// Whether only what stands at the pointers matters.
    alone: bool,
}

#[derive(PartialEq)]
enum Numbers {
    Plain,
    /// Only an exact look tells whether `numeric` has room for all of them.
    Suspicious,
}

impl<'a> Walk<'a> {
    fn refused_by_jsonb(&self) -> Option<Rejection> {
        if self.alone {
            return None;
        }
        if self.has_nul {
            return Some(Rejection::new(Reason::NulInText, "a text contains U+0000"));
        }
        if self.numbers == Numbers::Suspicious && !numeric::all_fit(self.text) {
            return Some(Rejection::new(
                Reason::NumberOutOfRange,
                "a number has more digits after the point than numeric holds",
            ));
        }
        None
    }

    /// Whether the object whose keys begin at `first` has no key twice with different values.
    fn unambiguous(&mut self, first: usize) -> bool {
        self.twice = keys::conflict(self.text, &mut self.keys[first..]).map(|key| key.end);
        self.keys.truncate(first);
        self.twice.is_none()
    }

    fn note(&mut self, node: Option<&Node>, what: impl FnOnce() -> AtPointer<'a>) {
        if let Some((last, others)) = node.and_then(|node| node.here.split_last()) {
            let what = what();
            for place in others {
                self.found[*place] = Some(what.clone());
            }
            self.found[*last] = Some(what);
        }
    }
}

/// Walks one value; `at` is where the key before it ends, if known.
struct Value<'v, 'a> {
    walk: &'v mut Walk<'a>,
    /// Where this is among the places looked for, if it is on the way to one.
    node: Option<&'v Node>,
    at: Option<usize>,
}

impl<'a> Value<'_, 'a> {
    fn number(self, shown: impl fmt::Display) {
        let (text, at) = (self.walk.text, self.at);
        let written = || at.and_then(|at| value_after(text, at)).map(Cow::Borrowed);
        let number = || AtPointer::Text(written().unwrap_or_else(|| shown.to_string().into()));
        self.walk.note(self.node, number);
    }
}

impl<'a> DeserializeSeed<'a> for Value<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.walk.note(self.node, || AtPointer::Other);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.number(number);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.number(number);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        if numeric::suspicious(number, self.walk.text.len()) {
            self.walk.numbers = Numbers::Suspicious;
        }
        self.number(number);
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.walk.note(self.node, || AtPointer::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.walk.has_nul |= text.contains('\0');
        self.walk.note(self.node, || AtPointer::Text(Cow::Owned(text.into())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        self.walk.note(self.node, || AtPointer::Other);
        let node = self.node.filter(|node| !node.is_leaf());
        for index in 0usize.. {
            let node = node.and_then(|node| node.step(&index.to_string()));
            let item = Value { walk: &mut *self.walk, node, at: None };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut entries: A) -> Result<(), A::Error> {
        let Value { walk, node, .. } = self;
        walk.note(node, || AtPointer::Other);
        let first = walk.keys.len();
        while let Some(key) = entries.next_key_seed(ReadKey(walk.text))? {
            walk.has_nul |= key.end.is_none() && key.text.contains('\0');
            let (node, at) = (node.and_then(|node| node.step(&key.text)), key.end);
            if node.is_some() || !walk.alone {
                walk.keys.push(key);
            }
            entries.next_value_seed(Value { walk: &mut *walk, node, at })?;
        }
        if walk.unambiguous(first) { Ok(()) } else { Err(A::Error::custom("duplicate key")) }
    }
}

#[cfg(test)]
mod tests;
