//! Texts that are no JSON, or that readers refuse, for the sake of something that nobody reads.

use super::AtPointer;
use crate::decode_error::Reason;

/// Stands for half a surrogate: a code point that is no character.
const HALF: char = '\u{fdd1}';

/// A text in which every such thing is replaced by something harmless.
pub(super) struct Mended {
    pub text: String,
    /// Whether NaN or Infinity was among them.
    pub has_nan: bool,
}

/// Whether a text may be refused for no more than that.
pub(super) fn may_be_mended(reason: Reason) -> bool {
    matches!(reason, Reason::BadText | Reason::NumberOutOfRange | Reason::NotJson)
}

/// What was found in a mended text. What was replaced itself is no text and no number.
pub(super) fn owned(found: AtPointer<'_>) -> AtPointer<'static> {
    match found {
        AtPointer::Text(text) if text.contains(HALF) => AtPointer::Other,
        whole => whole.into_owned(),
    }
}

/// The text mended; `None` if there is nothing to mend. A number that no double holds, NaN and Infinity become `true`,
/// which no field takes.
pub(super) fn mended(text: &str) -> Option<Mended> {
    let mut mended = Mended { text: String::with_capacity(text.len()), has_nan: false };
    let (mut rest, mut is_changed) = (text, false);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_end(rest),
            '-' | '0'..='9' | 'N' | 'I' => word_end(rest),
            other => other.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        match first {
            '"' => is_changed |= mend_string(token, &mut mended.text),
            '-' | '0'..='9' | 'N' | 'I' if is_beyond(token) => {
                mended.has_nan |= token.ends_with(['N', 'y']);
                mended.text.push_str("true");
                is_changed = true;
            }
            _ => mended.text.push_str(token),
        }
        rest = behind;
    }
    is_changed.then_some(mended)
}

/// The length of the string, quotes included, that the text begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let close = text.bytes().skip(1).position(|byte| {
        let close = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        close
    });
    close.map_or(text.len(), |at| at + 2)
}

/// The length of the number or word that the text begins with.
fn word_end(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-');
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Whether that is NaN, an infinity, or a number that no double holds.
fn is_beyond(token: &str) -> bool {
    let is_number = token.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    matches!(token, "NaN" | "Infinity" | "-Infinity")
        || is_number && token.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// Copies a string, each half of a surrogate replaced; returns whether there was one.
fn mend_string(string: &str, to: &mut String) -> bool {
    let (mut rest, mut is_changed) = (string, false);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        to.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                to.push(HALF);
                is_changed = true;
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            // A backslash and what it escapes, whatever that is.
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (kept, behind) = escape.split_at(length);
        to.push_str(kept);
        rest = behind;
    }
    to.push_str(rest);
    is_changed
}

/// The UTF-16 unit of an escape like `\\ud83d` that the text begins with.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}
