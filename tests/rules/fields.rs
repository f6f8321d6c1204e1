//! Fields of any content: what is taken is exactly what was written, and nothing panics.

use jiff::civil::date;
use jiff::tz::Offset;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rules::fields::{Body, Field, FieldValues, columns};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::law;

fn field(text: &str) -> Field {
    text.parse().expect("a field")
}

/// Reads one field of an event that has this value there; the column, and what is wrong.
fn with_column<T>(
    kind: &str,
    value: &Value,
    look: impl FnOnce(&FieldValues<'_>, Option<&str>) -> T,
) -> T {
    let fields = [field(&format!("{kind} /a"))];
    let text = json!({ "a": value }).to_string();
    let body = Body::read(&text, &fields);
    let read = columns(&fields, &[&body]);
    look(&read.columns[0], read.faults[0].as_deref())
}

/// What a text is in hundredths, if it is plain digits that fit `numeric(12,2)`: told by its letters alone.
fn hundredths(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, part) = match digits.find('.') {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, "0"),
    };
    let are_digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let is_plain =
        are_digits(whole) && are_digits(part) && (whole == "0" || !whole.starts_with('0'));
    let significant = part.trim_end_matches('0');
    if !is_plain || whole.len() > 10 || significant.len() > 2 || part.len() > 28 {
        return None;
    }
    let number = format!("{whole}{significant:0<2}").parse::<i128>().ok()?;
    (number != 0 || sign == 1).then_some(sign * number)
}

#[test]
fn an_amount_is_taken_exactly_or_not_at_all() {
    let written = prop_oneof![
        "-?[0-9]{1,12}(\\.[0-9]{0,4})?",
        "-?0{0,2}[0-9]{0,3}\\.?0{0,30}",
        "[-+]?[0-9]{1,3}[eE.,x_ ][0-9]{0,3}",
        "(NaN|-?Infinity|[\\u{661}-\\u{669}]{1,3}|\\PC{0,6})",
    ];
    law(written, |text| {
        let value = Value::from(text.clone());
        with_column("numeric(12,2)", &value, |column, fault| {
            let FieldValues::Numeric(cells) = column else {
                return Err(TestCaseError::fail("a kind"));
            };
            let taken = cells[0]
                .map(|amount| (amount * rust_decimal::Decimal::ONE_HUNDRED).normalize().mantissa());
            prop_assert_eq!(taken, hundredths(&text), "{}", text);
            prop_assert_eq!(fault.is_some(), taken.is_none());
            Ok(())
        })
    });
}

#[test]
fn a_time_is_the_moment_that_it_names() {
    let moment = (1..=9999i16, 1..=12i8, 1..=28i8, 0..24i8, 0..60i8, 0..60i8, 0..1_000_000i32);
    law(
        (moment, -15..=15i8, 0..60i8),
        |((year, month, day, hour, minute, second, micros), east, more)| {
            let sign = if east < 0 { '-' } else { '+' };
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}{sign}{:02}:{more:02}",
                east.unsigned_abs()
            );
            let seconds = (i32::from(east.unsigned_abs()) * 60 + i32::from(more)) * 60;
            let offset = Offset::from_seconds(if east < 0 { -seconds } else { seconds });
            let civil = date(year, month, day).at(hour, minute, second, micros * 1000);
            let Ok(there) = offset.and_then(|offset| offset.to_timestamp(civil)) else {
                return Ok(());
            };
            with_column("timestamptz", &Value::from(text.clone()), |column, _| {
                prop_assert_eq!(
                    column,
                    &FieldValues::Timestamptz(vec![Some(there.as_microsecond())]),
                    "{}",
                    text
                );
                Ok(())
            })
        },
    );
}

#[test]
fn a_uuid_in_any_spelling_is_the_same() {
    law(any::<u128>(), |number| {
        let id = Uuid::from_u128(number);
        for text in [
            id.to_string(),
            id.to_string().to_uppercase(),
            id.simple().to_string(),
            id.braced().to_string(),
        ] {
            with_column("uuid", &Value::from(text), |column, _| -> TestCaseResult {
                prop_assert_eq!(column, &FieldValues::Uuid(vec![Some(id)]));
                Ok(())
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_value_of_any_kind_is_a_fault_or_itself_and_never_panics() {
    let value = prop_oneof![
        any::<String>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[-0-9TZ:. +]{0,32}".prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!({ "b": ["c"] })),
        Just(json!(["\u{0}"])),
    ];
    law(value, |value| {
        for kind in ["uuid", "timestamptz", "numeric(28,28)", "numeric(1,0)"] {
            with_column(kind, &value, |_, _| ());
        }
        with_column("text", &value, |column, fault| {
            let FieldValues::Text(cells) = column else {
                return Err(TestCaseError::fail("a kind"));
            };
            if let Value::String(text) = &value {
                prop_assert_eq!(
                    cells[0].as_deref(),
                    (!text.contains('\0')).then_some(text.as_str())
                );
            }
            prop_assert_eq!(fault.is_some(), cells[0].is_none());
            Ok(())
        })
    });
}
