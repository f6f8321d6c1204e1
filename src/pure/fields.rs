//! The fields that a mapping names: found in an event's JSON and read as the types of their columns.
//!
//! Read here they cost PostgreSQL no parsing, which is what bounds the rate of a backlog; and a value
//! that is none of its type is a fault to reject one event for, not an error that fails its batch.

mod numeric;
mod time;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::json::{self, Found, Wanted};
use super::place;

/// A field of an event: what it is read as, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its type.
    pub kind: Kind,
    /// A JSON pointer (RFC 6901), beginning with `/`.
    pub pointer: String,
}

/// What a field is read as, named as PostgreSQL names the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text as it is, or a number as written.
    Text,
    /// A UUID, with or without hyphens or braces.
    Uuid,
    /// A date and time with a zone, as RFC 3339 writes them.
    Timestamptz,
    /// Plain digits, as text or number: no exponent, no sign but a minus, no more digits than fit.
    Numeric {
        /// How many digits at most, at most 28.
        precision: u32,
        /// How many of them after the point.
        scale: u32,
    },
}

/// The most digits that [`Decimal`] holds whatever they are.
const DIGITS: u32 = 28;

impl FromStr for Field {
    type Err = String;

    /// Reads `TYPE /POINTER`. The error says what would be right.
    fn from_str(text: &str) -> Result<Field, String> {
        let (kind, pointer) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let pointer = pointer.trim();
        if !place::is_pointer(pointer) {
            return Err(format!("`{pointer}` is no JSON pointer; write `uuid /data/paymentId`"));
        }
        Ok(Field { kind: kind.parse()?, pointer: pointer.to_owned() })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let numeric = || {
            let (precision, scale) =
                text.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
            let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
            let fits = scale <= precision && (1..=DIGITS).contains(&precision);
            fits.then_some(Kind::Numeric { precision, scale })
        };
        match text {
            "text" => Ok(Kind::Text),
            "uuid" => Ok(Kind::Uuid),
            "timestamptz" => Ok(Kind::Timestamptz),
            _ => numeric().ok_or_else(|| {
                format!("`{text}` is no type of a field; there are text, uuid, timestamptz and numeric(12,2), with {DIGITS} digits at most")
            }),
        }
    }
}

impl fmt::Display for Field {
    /// As people write it in a path: `data.paymentId`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.pointer.split('/').skip(1);
        let steps: Vec<String> =
            steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        f.write_str(&steps.join("."))
    }
}

/// The values of one field over some events, each `None` where the event has none.
#[derive(Clone, Debug, PartialEq)]
pub enum Column<'a> {
    /// Of a [`Kind::Text`].
    Text(Vec<Option<Cow<'a, str>>>),
    /// Of a [`Kind::Uuid`].
    Uuid(Vec<Option<Uuid>>),
    /// Of a [`Kind::Timestamptz`]: microseconds since 1970.
    Timestamptz(Vec<Option<i64>>),
    /// Of a [`Kind::Numeric`].
    Numeric(Vec<Option<Decimal>>),
}

impl<'a> Column<'a> {
    fn of(kind: Kind, rows: usize) -> Column<'a> {
        match kind {
            Kind::Text => Column::Text(Vec::with_capacity(rows)),
            Kind::Uuid => Column::Uuid(Vec::with_capacity(rows)),
            Kind::Timestamptz => Column::Timestamptz(Vec::with_capacity(rows)),
            Kind::Numeric { .. } => Column::Numeric(Vec::with_capacity(rows)),
        }
    }

    /// Adds a value; `false` if it is none of the type, and then adds `None`.
    fn push(&mut self, kind: Kind, found: Option<Found<'a>>) -> bool {
        let is_there = found.is_some();
        let text = match found {
            Some(Found::Text(text)) => Some(text),
            Some(Found::Other) | None => None,
        };
        let is_read = match (self, kind) {
            (Column::Text(values), _) => push(values, text),
            (Column::Uuid(values), _) => push(values, text.and_then(|text| uuid(&text))),
            (Column::Timestamptz(values), _) => {
                push(values, text.and_then(|text| time::read(&text)))
            }
            (Column::Numeric(values), Kind::Numeric { precision, scale }) => {
                push(values, text.and_then(|text| numeric::read(&text, precision, scale)))
            }
            (Column::Numeric(values), _) => push(values, None),
        };
        is_read || !is_there
    }
}

fn push<T>(values: &mut Vec<Option<T>>, value: Option<T>) -> bool {
    values.push(value);
    values.last().is_some_and(Option::is_some)
}

/// As PostgreSQL takes it; a URN it does not.
fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| !text.starts_with("urn:"))
}

/// The fields of some events.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns<'a> {
    /// What is wrong with the first field of each event that is none of its type.
    pub faults: Vec<Option<String>>,
    /// One a field, in their order.
    pub columns: Vec<Column<'a>>,
}

/// Reads the fields out of events that were decoded before, each the JSON text of an object.
pub fn read<'a>(fields: &[Field], payloads: impl ExactSizeIterator<Item = &'a str>) -> Columns<'a> {
    let rows = payloads.len();
    let mut faults = Vec::with_capacity(rows);
    let mut columns: Vec<Column<'a>> = fields.iter().map(|f| Column::of(f.kind, rows)).collect();
    let mut wanted: Vec<Wanted<'_, 'a>> =
        fields.iter().map(|f| Wanted { pointer: &f.pointer, found: None }).collect();
    for payload in payloads {
        // Only what could not be decoded has no fields, and that never comes here.
        let mut fault = json::check(payload, &mut wanted).err().map(|no| no.detail);
        for ((field, wanted), column) in fields.iter().zip(&mut wanted).zip(&mut columns) {
            if !column.push(field.kind, wanted.found.take()) && fault.is_none() {
                fault = Some(field.fault());
            }
        }
        faults.push(fault);
    }
    Columns { faults, columns }
}

impl Field {
    fn fault(&self) -> String {
        match self.kind {
            Kind::Text => format!("{self} is not a text"),
            Kind::Uuid => format!("{self} is not a UUID"),
            Kind::Timestamptz => format!("{self} is not a time with a zone"),
            Kind::Numeric { precision, scale } => {
                format!("{self} is not plain digits that fit numeric({precision},{scale})")
            }
        }
    }
}

#[cfg(test)]
mod tests;
