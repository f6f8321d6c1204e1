//! Decimal numbers in plain digits.

use rust_decimal::Decimal;

/// The most digits after the point that are looked at.
const DIGITS: usize = 28;

/// A number of at most `precision` digits, `scale` of them after the point, written as `499`, `499.00`
/// or `-1`; zeros may follow, as a wider column writes them. What `numeric` would take besides, or round, is none:
/// exponents, NaN, spaces, leading zeros, a minus before zero, more decimals.
pub(super) fn read(text: &str, precision: u32, scale: u32) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(w, p)| (w, Some(p)));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let whole_fits = match whole {
        "" => false,
        "0" => true,
        _ => !whole.starts_with('0') && whole.len() <= (precision - scale) as usize,
    };
    let part_fits = part.is_none_or(|part| {
        let is_short = part.len() <= DIGITS && !part.is_empty();
        is_short && part.trim_end_matches('0').len() <= scale as usize
    });
    if !(whole_fits && part_fits && is_number(whole) && part.is_none_or(is_number)) {
        return None;
    }
    let zeros = part.map_or(0, |part| part.len().saturating_sub(scale as usize));
    let text = text.get(..text.len() - zeros)?.trim_end_matches('.');
    Decimal::from_str_exact(text).ok().filter(|n| !(n.is_zero() && text.starts_with('-')))
}
