//! The fields that a mapping names: found in an event's JSON and read as the types of their columns.
//!
//! Read here they cost PostgreSQL no parsing, which is what bounds the rate of a backlog; and a value
//! that is none of its type is a fault to reject one event for, not an error that fails its batch.

mod field;
mod key;
mod numeric;
mod time;

use std::borrow::Cow;

use rust_decimal::Decimal;
use uuid::Uuid;

pub use self::field::{Field, FieldKind};
pub use self::key::{key_of, text_of, with_key};
use super::json::{self, AtPointer, Pointers};

/// An event's JSON, and what of it a mapping's fields are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    /// The text of an object.
    pub text: Cow<'a, str>,
    /// What stands at the fields' places, in their order; or why nothing could be found.
    found: Result<Vec<Option<AtPointer<'a>>>, String>,
}

impl<'a> Body<'a> {
    /// Of an event that was made from a payment.
    pub fn read(text: &'a str, fields: &[Field]) -> Body<'a> {
        let pointers = Pointers::new(fields.iter().map(|field| field.pointer.as_str()));
        let pointers = pointers.alone(!fields.is_empty());
        let object = json::read(text, &pointers);
        let found = object.map(|object| object.found).map_err(|no| no.detail);
        Body { text: Cow::Borrowed(text), found }
    }

    /// The bytes of a text of its own, which is no part of the record.
    pub fn unpacked(&self) -> usize {
        match &self.text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.len(),
        }
    }

    /// The text or number at the place of the field with this number, if there is one.
    pub fn value(&self, number: usize) -> Option<&str> {
        let found = self.found.as_ref().ok()?.get(number)?.as_ref()?;
        found.text().map(|text| text.as_ref())
    }

    /// Of a record, whose fields were found as it was decoded.
    pub(super) fn found(text: Cow<'a, str>, found: Vec<Option<AtPointer<'a>>>) -> Body<'a> {
        Body { text, found: Ok(found) }
    }
}

/// The values of one field over some events, each `None` where the event has none.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValues<'e> {
    /// Of a [`FieldKind::Text`].
    Text(Vec<Option<Cow<'e, str>>>),
    /// Of a [`FieldKind::Uuid`].
    Uuid(Vec<Option<Uuid>>),
    /// Of a [`FieldKind::Timestamptz`]: microseconds since 1970.
    Timestamptz(Vec<Option<i64>>),
    /// Of a [`FieldKind::Numeric`].
    Numeric(Vec<Option<Decimal>>),
}

/// The fields of some events.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns<'e> {
    /// What is wrong with the first field of each event that is none of its type.
    pub faults: Vec<Option<String>>,
    /// One a field, in their order.
    pub columns: Vec<FieldValues<'e>>,
}

/// Reads the fields of events, whose bodies were read for the same fields.
pub fn columns<'e>(fields: &[Field], events: &[&'e Body<'e>]) -> Columns<'e> {
    let mut faults: Vec<Option<String>> =
        events.iter().map(|body| body.found.as_ref().err().cloned()).collect();
    let columns = fields.iter().enumerate().map(|(number, field)| {
        let mut cells = Cells { field, number, events, faults: &mut faults };
        match field.kind {
            // PostgreSQL's text has no NUL.
            FieldKind::Text => FieldValues::Text(
                cells.read(|text| (!text.contains('\0')).then_some(Cow::Borrowed(text))),
            ),
            FieldKind::Uuid => FieldValues::Uuid(cells.read(uuid)),
            FieldKind::Timestamptz => FieldValues::Timestamptz(cells.read(time::read)),
            FieldKind::Numeric { precision, scale } => {
                FieldValues::Numeric(cells.read(|text| numeric::read(text, precision, scale)))
            }
        }
    });
    let columns = columns.collect();
    Columns { faults, columns }
}

/// One field's places in some events.
struct Cells<'c, 'e> {
    field: &'c Field,
    number: usize,
    events: &'c [&'e Body<'e>],
    faults: &'c mut [Option<String>],
}

impl<'e> Cells<'_, 'e> {
    /// Reads each as a type, and notes the events where it is something else.
    fn read<T>(&mut self, read: impl Fn(&'e str) -> Option<T>) -> Vec<Option<T>> {
        let cells = self.events.iter().zip(&mut *self.faults).map(|(body, fault)| {
            let found = body.found.as_ref().ok()?.get(self.number)?.as_ref()?;
            let value = found.text().and_then(|text| read(text));
            // A paid event is not kept back for a time: the record has one as well.
            let is_time = self.field.kind == FieldKind::Timestamptz;
            if value.is_none() && fault.is_none() && !is_time {
                *fault = Some(self.field.fault());
            }
            value
        });
        cells.collect()
    }
}

/// Whether a text is a time with a zone.
pub fn is_time(text: &str) -> bool {
    time::read(text).is_some()
}

/// As PostgreSQL takes it; a URN it does not.
fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| !text.starts_with("urn:"))
}

#[cfg(test)]
mod tests;
