//! Numbers and times for people.

use std::time::Duration;

use jiff::Timestamp;

use crate::overview::age;
use rules::health::{self, Verdict};
use rules::numfmt::grouped;

/// A moment: how long ago, and exactly when.
#[derive(Clone, Debug)]
pub struct MomentView {
    /// For machines.
    pub stamp: String,
    /// For people who want to know exactly.
    pub exact: String,
    /// How many seconds ago; the browser counts on.
    pub seconds: u64,
    /// How long ago, in words.
    pub ago: String,
}

impl MomentView {
    pub fn new(at: Timestamp, now: Timestamp) -> MomentView {
        let ago = age(now, at);
        MomentView {
            stamp: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            exact: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            seconds: ago.as_secs(),
            ago: health::age(ago),
        }
    }
}

/// How bad it is, as the name of a style.
pub fn tone(word: Verdict) -> &'static str {
    match word {
        Verdict::Ok | Verdict::Behind => "ok",
        Verdict::Unknown => "bad",
        word if word < Verdict::Unknown => "warn",
        _ => "bad",
    }
}

/// A sentence in parts, each a command or not: what stands between backquotes is a command.
pub fn parts(sentence: &str) -> Vec<(bool, String)> {
    let parts = sentence.split('`').enumerate();
    parts.map(|(place, part)| (place % 2 == 1, part.to_owned())).collect()
}

/// A word of the verdict, as people write it.
pub fn plain(word: Verdict) -> String {
    word.as_str().replace('_', " ")
}

/// What is known, in words.
pub fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

/// `12,345`
pub fn number(number: i64) -> String {
    let text = grouped(&number.unsigned_abs().to_string());
    if number < 0 { format!("−{text}") } else { text }
}

/// The same of a number that is only nearly known.
pub fn about(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "rounded, and far below 2^53")]
    let whole = value.round() as i64;
    if value >= 10.0 || value.fract() == 0.0 { number(whole) } else { format!("{value:.1}") }
}

/// A rate given per second, per second or per minute.
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r <= 0.0 => "0/s".to_owned(),
        r if r < 0.1 => format!("{}/min", about((r * 60.0).max(0.1))),
        r => format!("{}/s", about(r)),
    }
}

/// A length of time given in seconds.
pub fn length(seconds: f64) -> String {
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if seconds > 0.0 && seconds < 1.0 { "<1 s".to_owned() } else { health::age(length) }
}

/// A short time.
pub fn millis(took: Duration) -> String {
    match took.as_millis() {
        0 => "<1 ms".to_owned(),
        ms if ms < 10_000 => format!("{} ms", number(i64::try_from(ms).unwrap_or(i64::MAX))),
        _ => health::age(took),
    }
}

/// A size in bytes.
pub fn size(bytes: i64) -> String {
    match bytes {
        b if b < 10_000 => format!("{} B", number(b)),
        b if b < 10_000_000 => format!("{} kB", number(b / 1000)),
        b => format!("{} MB", number(b / 1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_whole() {
        assert_eq!(
            [0, 999, 1000, 1_234_567, -1000].map(number),
            ["0", "999", "1,000", "1,234,567", "−1,000"]
        );
        assert_eq!(
            [0.0, 0.001, 0.05, 0.5, 12.34].map(rate),
            ["0/s", "0.1/min", "3/min", "0.5/s", "12/s"]
        );
        assert_eq!([0.0, 0.4, 59.0, 180.0].map(length), ["0 s", "<1 s", "59 s", "3 min"]);
        assert_eq!([500, 20_000, 50_000_000].map(size), ["500 B", "20 kB", "50 MB"]);
    }
}
