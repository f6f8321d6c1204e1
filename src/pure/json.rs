//! One pass over a JSON text: is it an object that `jsonb` takes, and what stands at these pointers?
//!
//! The parser is `serde_json`; nothing is built from the text, and texts without escapes are
//! borrowed. What `jsonb` refuses beyond the grammar: U+0000 (PostgreSQL docs, 8.14 JSON Types),
//! lone surrogates (same), and numbers that `numeric` cannot hold, see [`numeric`](super::numeric).

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::numeric;
use super::rejection::{Reason, Rejection};

/// A JSON pointer (RFC 6901) and, after [`check`], the text or number that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'p, 'a> {
    /// The pointer, beginning with `/`.
    pub pointer: &'p str,
    /// A string's text or a number as written; `None` for everything else.
    pub found: Option<Cow<'a, str>>,
}

/// Checks a text and fills `wanted`.
///
/// `Err`: no object, or one that readers could understand differently; what was found must not be
/// used. `Ok(Some(_))`: an object that `jsonb` would refuse. `Ok(None)`: one that it takes.
/// Besides, numbers beyond an IEEE double (`1e309`) are refused, though `numeric` has room for them.
pub fn check<'a>(
    text: &'a str,
    wanted: &mut [Wanted<'_, 'a>],
) -> Result<Option<Rejection>, Rejection> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Rejection::new(Reason::NotAnObject, "the top level is no object"),
            Err(error) => syntax(&error),
        });
    }
    let roots: Vec<Open> = (wanted.iter().enumerate())
        .map(|(index, wanted)| Open { index, rest: wanted.pointer })
        .collect();
    let mut walk = Walk {
        text,
        wanted,
        keys: Vec::with_capacity(16),
        has_nul: false,
        numbers: Numbers::Plain,
        twice: None,
    };
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = Value { walk: &mut walk, open: &roots, at: None }
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
        (Ok(()), _) => Ok(walk.refused_by_jsonb()),
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
struct Walk<'w, 'p, 'a> {
    text: &'a str,
    wanted: &'w mut [Wanted<'p, 'a>],
    /// The keys of all objects now open; each object's are at the end while it is innermost.
    keys: Vec<Cow<'a, str>>,
    has_nul: bool,
    numbers: Numbers,
    /// The key that ended the pass because it came before: where it ends, if known.
    twice: Option<Option<usize>>,
}

#[derive(PartialEq)]
enum Numbers {
    Plain,
    /// Only an exact look tells whether `numeric` has room for all of them.
    Suspicious,
}

impl<'a> Walk<'_, '_, 'a> {
    fn refused_by_jsonb(&self) -> Option<Rejection> {
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
        let text = self.text;
        let keys = &mut self.keys[first..];
        self.twice = if keys.len() <= 16 {
            (1..keys.len()).find_map(|n| {
                let earlier = keys[..n].iter().rev().find(|key| **key == keys[n])?;
                (!same_value(text, earlier, &keys[n])).then(|| key_end(text, &keys[n]))
            })
        } else {
            keys.sort_unstable();
            keys.windows(2)
                .find(|pair| pair[0] == pair[1] && !same_value(text, &pair[0], &pair[1]))
                .map(|pair| key_end(text, &pair[1]))
        };
        self.keys.truncate(first);
        self.twice.is_none()
    }

    fn found(&mut self, open: &[Open<'_>], text: impl FnOnce() -> Cow<'a, str>) {
        let mut here = open.iter().filter(|open| open.rest.is_empty()).peekable();
        if here.peek().is_some() {
            let text = text();
            here.for_each(|open| self.wanted[open.index].found = Some(text.clone()));
        }
    }
}

/// Where a key's closing quote ends; `None` when it was written with escapes and thus copied.
fn key_end(text: &str, key: &Cow<'_, str>) -> Option<usize> {
    match key {
        Cow::Borrowed(key) => {
            Some((key.as_ptr() as usize - text.as_ptr() as usize) + key.len() + 1)
        }
        Cow::Owned(_) => None,
    }
}

/// The value as written that follows a key.
fn value_after(text: &str, key_end: usize) -> Option<&str> {
    let rest = text.get(key_end..)?.trim_ascii_start().strip_prefix(':')?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
    Some(values.next()?.ok()?.get())
}

/// Whether two equal keys have values written alike. A key written with escapes counts as different,
/// because its place is not known; both spellings of one key in one object is odd enough.
fn same_value(text: &str, one: &Cow<'_, str>, other: &Cow<'_, str>) -> bool {
    let value = |key| key_end(text, key).and_then(|end| value_after(text, end));
    value(one).is_some_and(|one| value(other) == Some(one))
}

/// A pointer that leads to or through the value at hand.
struct Open<'p> {
    index: usize,
    rest: &'p str,
}

impl<'p> Open<'p> {
    /// The pointers that go on at `token`, an object's key or an array's index.
    fn step(open: &[Open<'p>], token: &str) -> Vec<Open<'p>> {
        let step = |open: &Open<'p>| {
            let path = open.rest.strip_prefix('/')?;
            let end = path.find('/').unwrap_or(path.len());
            let (head, rest) = path.split_at(end);
            let same = match head.contains('~') {
                false => head == token,
                true => head.replace("~1", "/").replace("~0", "~") == token,
            };
            same.then_some(Open { index: open.index, rest })
        };
        open.iter().filter_map(step).collect()
    }
}

/// Walks one value; `at` is where the key before it ends, if known.
struct Value<'v, 'w, 'p, 'a> {
    walk: &'v mut Walk<'w, 'p, 'a>,
    open: &'v [Open<'p>],
    at: Option<usize>,
}

impl<'a> Value<'_, '_, '_, 'a> {
    fn number(self, shown: impl fmt::Display) {
        let (text, at) = (self.walk.text, self.at);
        let written = || at.and_then(|at| value_after(text, at)).map(Cow::Borrowed);
        self.walk.found(self.open, || written().unwrap_or_else(|| shown.to_string().into()));
    }
}

impl<'a> DeserializeSeed<'a> for Value<'_, '_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, '_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
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
        self.walk.found(self.open, || Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.walk.has_nul |= text.as_bytes().contains(&0);
        self.walk.found(self.open, || Cow::Owned(text.into()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0usize.. {
            let open = match self.open {
                [] => Vec::new(),
                open => Open::step(open, &index.to_string()),
            };
            let item = Value { walk: &mut *self.walk, open: &open, at: None };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut entries: A) -> Result<(), A::Error> {
        let Value { walk, open, .. } = self;
        let first = walk.keys.len();
        while let Some(key) = entries.next_key_seed(Key)? {
            if let Cow::Owned(key) = &key {
                walk.has_nul |= key.as_bytes().contains(&0);
            }
            let (open, at) = (Open::step(open, &key), key_end(walk.text, &key));
            walk.keys.push(key);
            entries.next_value_seed(Value { walk: &mut *walk, open: &open, at })?;
        }
        if walk.unambiguous(first) { Ok(()) } else { Err(A::Error::custom("duplicate key")) }
    }
}

/// Reads a key, borrowed where it has no escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<Cow<'a, str>, D::Error> {
        parser.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Owned(key.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<Reason> {
        check(text, &mut []).err().map(|rejection| rejection.reason)
    }

    fn find(text: &str, pointer: &str) -> Option<String> {
        let mut wanted = [Wanted { pointer, found: None }];
        assert_eq!(check(text, &mut wanted), Ok(None), "{text}");
        let [wanted] = wanted;
        wanted.found.map(Cow::into_owned)
    }

    #[test]
    fn pointers_find_texts_and_numbers_as_written() {
        for (text, pointer, found) in [
            (r#"{"id":"x"}"#, "/id", Some("x")),
            (r#"{"\u0069d":"\u0078"}"#, "/id", Some("x")),
            (r#"{"a":{"b":[7,{"c":"x"}]},"b":1}"#, "/a/b/1/c", Some("x")),
            (r#"{"a":[7]}"#, "/a/0", Some("7")),
            (r#"{"a/b":{"~":"x"}}"#, "/a~1b/~0", Some("x")),
            (r#"{"":"x"}"#, "/", Some("x")),
            (
                r#"{"id" : 12345678901234567890123456789012345678901 }"#,
                "/id",
                Some("12345678901234567890123456789012345678901"),
            ),
            (r#"{"id":-0.10}"#, "/id", Some("-0.10")),
            (r#"{"id":-3}"#, "/id", Some("-3")),
            (r#"{"id":null}"#, "/id", None),
            (r#"{"id":true}"#, "/id", None),
            (r#"{"id":{"id":"x"}}"#, "/id", None),
            (r#"{"x":{"id":"x"}}"#, "/id", None),
            (r#"{"ids":"x"}"#, "/id", None),
        ] {
            assert_eq!(find(text, pointer).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let mut wanted = [Wanted { pointer: "/id", found: None }];
        assert_eq!(check(r#"{"id":"x"}"#, &mut wanted), Ok(None));
        assert!(matches!(wanted[0].found, Some(Cow::Borrowed("x"))));
    }

    #[test]
    fn what_is_no_single_object_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "{} {}",
            "{}x",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":1 /* */}",
            "{\"a\":007}",
            "{\"a\":+5}",
            "{\"a\":.5}",
            "{\"a\":5.}",
            "{\"a\":0x10}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "[1,",
            "tru",
        ] {
            assert_eq!(reason(text), Some(Reason::NotJson), "{text}");
        }
        for text in ["[]", "null", "true", "-1", " \"a\"", "[{}]"] {
            assert_eq!(reason(text), Some(Reason::NotAnObject), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_without_exhausting_the_stack() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(reason(&nested(126)), None);
        assert_eq!(reason(&nested(127)), Some(Reason::TooDeep));
        assert_eq!(reason(&nested(1_000_000)), Some(Reason::TooDeep));
        assert_eq!(reason(&"{\"a\":".repeat(1_000_000)), Some(Reason::TooDeep));
    }

    #[test]
    fn a_key_may_come_twice_only_with_the_same_value() {
        let many = |last: &str| {
            let keys: String = (0..40).map(|n| format!("\"k{n}\":{n},")).collect();
            format!("{{{keys}\"k7\":{last}}}")
        };
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":[1]}, "a" : {"b":[1]} }"#,
            r#"{"a":1,"b":{"a":2}}"#,
            r#"{"x":[{"a":1},{"a":2}]}"#,
            &many("7"),
        ] {
            assert_eq!(reason(text), None, "{text}");
        }
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"a":1,"a":2}"#,
            r#"{"a":2,"a":1,"a":2}"#,
            r#"{"x":[{"a":1,"a":"1"}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            &many("8"),
            r#"{"a":9007199254740993,"a":9007199254740992}"#,
        ] {
            assert_eq!(reason(text), Some(Reason::DuplicateKey), "{text}");
        }
    }

    #[test]
    fn characters_that_jsonb_refuses_are_refused() {
        for text in [
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\udc00\ud800"}"#,
            r#"{"\udfff":1}"#,
            r#"{"a":["\ud800\u0041"]}"#,
            r#"{"a":"\ud800\n"}"#,
        ] {
            assert_eq!(reason(text), Some(Reason::BadText), "{text}");
        }
        for text in [r#"{"a":"x\u0000"}"#, r#"{"\u0000":1}"#, r#"{"a":[{"b":"\u0000"}]}"#] {
            let refused = check(text, &mut []).expect("well-formed").map(|r| r.reason);
            assert_eq!(refused, Some(Reason::NulInText), "{text}");
        }
        assert_eq!(check(r#"{"a":"\ud83d\ude00 \\u0000 \uffff"}"#, &mut []), Ok(None));
    }

    #[test]
    fn numbers_are_refused_only_when_they_cannot_be_held() {
        for number in [
            "0",
            "-0",
            "1e2",
            "1e308",
            "1e-400",
            "9007199254740993",
            "18446744073709551616",
            &"9".repeat(300),
        ] {
            assert_eq!(check(&format!("{{\"a\":{number}}}"), &mut []), Ok(None), "{number}");
        }
        for number in ["1E+400", "1e99999999999999999999", &"9".repeat(131_073)] {
            let text = format!("{{\"a\":{number}}}");
            assert_eq!(reason(&text), Some(Reason::NumberOutOfRange), "{number}");
        }
        let small = check("{\"a\":1e-16384}", &mut []).expect("well-formed");
        assert_eq!(small.map(|r| r.reason), Some(Reason::NumberOutOfRange));
    }
}
