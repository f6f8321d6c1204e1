//! Times with a zone, as RFC 3339 writes them.

use jiff::civil::Date;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Microseconds from 1970 to a time like `2026-01-07T16:55:09.123Z`, rounded. `t` and `z` may be small, and a space may
/// stand for the `T`, as RFC 3339 has it. Like PostgreSQL, and unlike most libraries, it takes `24:00:00` and a second 60,
/// and adds them up. What `timestamptz` would take besides is none: words like `now`, a missing zone.
pub(super) fn read(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(at);
    Some(days(date)? * DAY + micros(time)? - offset(zone)? * 60_000_000)
}

/// Days from 1970 to a date like `2026-01-07`; the year 0 there is not.
fn days(date: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let date = Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    let since = date.duration_since(Date::constant(1970, 1, 1));
    (year > 0).then_some(since.as_secs() / 86_400)
}

/// Microseconds of a time of day like `16:55:09` or `16:55:09.25`.
fn micros(time: &str) -> Option<i64> {
    let (time, part) = time.split_once('.').map_or((time, None), |(t, p)| (t, Some(p)));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?.map(i64::from);
    let part = match part {
        None => 0,
        Some("") => return None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // As PostgreSQL does it (`ParseFractionalSecond`), so that both round alike.
            let seconds: f64 = format!("0.{digits}").parse().ok()?;
            (seconds * 1e6).round_ties_even() as i64
        }
        Some(_) => return None,
    };
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + part;
    (minute < 60 && second <= 60 && micros <= DAY).then_some(micros)
}

/// Minutes east of Greenwich: `Z`, `+05:30` or `+0530`. PostgreSQL takes less than 16 hours.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let [hours, minutes] = match digits.len() {
        4 => numbers(&format!("{}:{}", digits.get(..2)?, digits.get(2..)?), ':', [2, 2])?,
        _ => numbers(digits, ':', [2, 2])?,
    };
    let minutes = (hours < 16 && minutes < 60).then_some(i64::from(hours * 60 + minutes))?;
    Some(if sign == "-" { -minutes } else { minutes })
}

/// Numbers of exactly so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i16; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = is_number.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}
