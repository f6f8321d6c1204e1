//! Which numbers of a JSON text fit PostgreSQL's `numeric`, in which `jsonb` keeps them.
//!
//! `numeric` holds up to 131072 digits before and 16383 after the point (PostgreSQL docs, 8.1.2).
//! `jsonb` counts the digits as written, so that `0.0e-16383` is refused though it is zero, and takes
//! no exponent of 1073741823 or beyond (tried on PostgreSQL 15).

/// The most digits after the point.
const SCALE: i64 = 16_383;
/// The smallest exponent, either way, that is refused whatever the digits.
const EXPONENT: i64 = 1_073_741_823;

/// Whether a number that reads as this double, in a text of so many bytes, needs an exact look.
///
/// Too many digits after the point take either a long text or an exponent that makes the double all
/// but zero. Too many before it do not come here: they are beyond a double.
pub fn suspicious(double: f64, text_bytes: usize) -> bool {
    double.abs() < 1e-290 || text_bytes > 16_000
}

/// Whether every number fits. The text must be JSON.
pub fn all_fit(json: &str) -> bool {
    let mut rest = json;
    while let Some(start) = rest.find(|c: char| c == '"' || c.is_ascii_digit()) {
        rest = &rest[start..];
        let end = if rest.starts_with('"') { string_end(rest) } else { number_end(rest) };
        let (token, behind) = rest.split_at(end);
        if !token.starts_with('"') && !fits(token) {
            return false;
        }
        rest = behind;
    }
    true
}

/// The length of the string, quotes included, that the text begins with.
fn string_end(json: &str) -> usize {
    let mut escaped = false;
    let close = json.bytes().skip(1).position(|byte| {
        let close = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        close
    });
    close.map_or(json.len(), |at| at + 2)
}

/// The length of the number that the text begins with.
fn number_end(json: &str) -> usize {
    json.find(|c: char| !matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-')).unwrap_or(json.len())
}

fn fits(number: &str) -> bool {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let Ok(exponent) = exponent.parse::<i64>() else { return false };
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    exponent.saturating_abs() < EXPONENT && fraction - exponent <= SCALE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was given to `jsonb` of PostgreSQL 15.
    #[test]
    fn numbers_fit_exactly_where_postgresql_takes_them() {
        for number in ["0", "-0.0", "1e-400", "1e-16383", "0e999999", "0.0E+200000", "499.00"] {
            assert!(all_fit(number), "{number}");
        }
        for number in ["1e-16384", "0.0e-16383", "0E-20000", "1.5e-16383", "0e1073741823"] {
            assert!(!all_fit(number), "{number}");
            assert!(suspicious(number.parse().expect("a double"), number.len()), "{number}");
        }
        let endless = format!("0e{}", "9".repeat(40));
        assert!(!all_fit(&endless));
    }

    #[test]
    fn digits_after_the_point_count_without_an_exponent_too() {
        assert!(all_fit(&format!("{{\"a\":0.{}}}", "1".repeat(16_383))));
        assert!(!all_fit(&format!("{{\"a\":0.{}}}", "1".repeat(16_384))));
    }

    #[test]
    fn texts_that_look_like_numbers_do_not_count() {
        assert!(all_fit(r#"{"1e-99999": "1e-99999", "é\\": "\"1e-99999\\\"1e-99999", "b": [1]}"#));
        assert!(!all_fit(r#"{"a\\":1e-99999}"#));
    }
}
