//! A field line of a mapping: a type and a pointer.

use std::fmt;
use std::str::FromStr;

use crate::field_path;
use crate::json::pointer::unescaped;

/// A field of an event: what it is read as, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its type.
    pub kind: FieldKind,
    /// A JSON pointer (RFC 6901), beginning with `/`.
    pub pointer: String,
}

/// What a field is read as, named as PostgreSQL names the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
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

/// The most digits that a [`rust_decimal::Decimal`] holds whatever they are.
const DIGITS: u32 = 28;

impl FromStr for Field {
    type Err = String;

    /// Reads `TYPE /POINTER`. The error says what would be right.
    fn from_str(text: &str) -> Result<Field, String> {
        let (kind, pointer) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let pointer = pointer.trim();
        if !field_path::is_pointer(pointer) {
            return Err(format!("`{pointer}` is no JSON pointer; write `uuid /data/paymentId`"));
        }
        Ok(Field { kind: kind.parse()?, pointer: pointer.to_owned() })
    }
}

impl FromStr for FieldKind {
    type Err = String;

    fn from_str(text: &str) -> Result<FieldKind, String> {
        let numeric = || {
            let (precision, scale) =
                text.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
            let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
            let fits = scale <= precision && (1..=DIGITS).contains(&precision);
            fits.then_some(FieldKind::Numeric { precision, scale })
        };
        match text {
            "text" => Ok(FieldKind::Text),
            "uuid" => Ok(FieldKind::Uuid),
            "timestamptz" => Ok(FieldKind::Timestamptz),
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
        let steps: Vec<String> = steps.map(unescaped).collect();
        f.write_str(&steps.join("."))
    }
}

impl Field {
    /// What is wrong with an event that has something else there.
    pub(super) fn fault(&self) -> String {
        match self.kind {
            FieldKind::Text => format!("{self} is not a text"),
            FieldKind::Uuid => format!("{self} is not a UUID"),
            FieldKind::Timestamptz => format!("{self} is not a time with a zone"),
            FieldKind::Numeric { precision, scale } => {
                format!("{self} is not plain digits that fit numeric({precision},{scale})")
            }
        }
    }
}
