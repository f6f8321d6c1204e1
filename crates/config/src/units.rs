//! Durations and sizes as people write them: a number and its unit.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `5m`, `1h30m`, `250ms`; units are d, h, m, s and ms. The error says what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{text}` has no unit; write \"{text}s\" or \"{text}m\""));
    }
    let days = SpanRelativeTo::days_are_24_hours();
    let read = text.parse::<Span>().and_then(|span| span.to_duration(days)).ok();
    let whole = read.and_then(|read| Duration::try_from(read).ok());
    let whole = whole.filter(|read| read.subsec_nanos().is_multiple_of(1_000_000));
    whole.ok_or_else(|| {
        format!("`{text}` is no duration; write one such as \"30s\", \"5m\" or \"7d\"")
    })
}

/// Reads `1MiB`, `512KiB`, `100B`. The error says what would be right.
pub fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if unit.is_empty() && !number.is_empty() {
        return Err(format!("`{text}` has no unit; write \"{number}B\", or use KiB or MiB"));
    }
    let factor = SIZES.iter().find(|(name, _)| *name == unit.trim());
    let bytes = factor.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
    bytes.ok_or_else(|| format!("`{text}` is no size; write one such as \"512KiB\" or \"1MiB\""))
}

/// Writes a duration so that `load` reads it back, to the millisecond.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in TIMES {
        if rest >= factor {
            text += &format!("{}{unit}", rest / factor);
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// Writes a size so that `load` reads it back, in the largest unit that divides it.
pub fn show_size(bytes: u64) -> String {
    let exact = SIZES.iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    let (unit, factor) = exact.unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_are_written() {
        for text in ["5ms", "5m", "2m", "30d", "1h30m", "1s500ms"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1.5h").unwrap(), Duration::from_secs(5400));
        assert_eq!(duration("0s").unwrap(), Duration::ZERO);
    }

    #[test]
    fn sizes_read_back_as_they_are_written() {
        for text in ["1MiB", "512KiB", "3B", "0B"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        assert_eq!(size("1MiB").unwrap(), 1_048_576);
    }

    #[test]
    fn a_number_without_its_unit_is_refused_with_the_fix() {
        assert!(duration("300").unwrap_err().contains("\"300s\""));
        assert!(size("1024").unwrap_err().contains("\"1024B\""));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "m", "5x", "-5m", "5us", "1mo", "5m3", "99999999999999999999d", "5M", "٣m"]
        {
            assert!(duration(text).is_err(), "{text:?} was taken");
            assert!(size(text).is_err(), "{text:?} was taken");
        }
    }
}
