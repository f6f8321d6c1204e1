//! An event held against the payment that it tells of: whoever may write to the topic can claim anything.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::fields::{self, Body, Field, FieldKind};
use super::outcome::{Attempted, Outcome};

/// A payment as `payments.sql` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// `paid`, or one word for anything else.
    pub state: String,
    /// Its own event, if it is paid.
    pub event: Option<String>,
}

/// Why an event makes no purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It does not say whose it is where the mapping says that this stands.
    NoKey,
    /// There is no such payment.
    NoPayment,
    /// No payment can be asked for by its key, though others can: what PostgreSQL says.
    Refused(String),
    /// The payment is something else than paid: what.
    NotPaid(String),
    /// The payment says something else here.
    Mismatch(String),
}

impl Doubt {
    /// One word, stable.
    pub fn reason(&self) -> &'static str {
        Attempted::of(Some(self), Outcome::Rejected).as_str()
    }

    /// One sentence, without the event's contents.
    pub fn detail(&self) -> String {
        match self {
            Doubt::NoKey => {
                "it does not name its payment where the business-key line says".to_owned()
            }
            Doubt::NoPayment => "there is no such payment".to_owned(),
            Doubt::Refused(why) => {
                format!("its payment cannot be asked for, while another one can: {why}")
            }
            Doubt::NotPaid(state) => format!("its payment did not succeed ({state})"),
            Doubt::Mismatch(place) => format!("its payment says something else at {place}"),
        }
    }
}

/// Whether an event may make a purchase: its payment is paid, and wherever the payment's own event has a value that the
/// mapping takes, this one has the same. Times are not compared: an event tells when it happened, a payment when it was
/// last changed. A mapping without field lines may take anything, so all that the payment's event says is compared.
pub fn doubt(fields: &[Field], event: &Body<'_>, payment: Option<&Payment>) -> Option<Doubt> {
    let Some(payment) = payment else { return Some(Doubt::NoPayment) };
    let own = payment.event.as_deref().filter(|_| payment.state == "paid");
    let Some(own) = own else { return Some(Doubt::NotPaid(payment.state.clone())) };
    let place = match fields {
        [] => first_other_leaf(own, &event.text),
        fields => {
            let own = Body::read(own, fields);
            let others =
                fields.iter().enumerate().filter(|(_, f)| f.kind != FieldKind::Timestamptz);
            let differs = |(number, _): &(usize, &Field)| {
                own.value(*number)
                    .is_some_and(|own| !event.value(*number).is_some_and(|text| same(text, own)))
            };
            others.into_iter().find(differs).map(|(_, field)| field.to_string())
        }
    };
    place.map(Doubt::Mismatch)
}

/// The same value in two spellings: a UUID in capitals, a number with more zeros.
pub(super) fn same(one: &str, other: &str) -> bool {
    let number = |text: &str| Decimal::from_str_exact(text).ok();
    let id = |text: &str| Uuid::try_parse(text).ok();
    one == other
        || id(one).is_some_and(|one| id(other) == Some(one))
        || number(one).is_some_and(|one| number(other) == Some(one))
}

/// The first value of the payment's own event that the other one has not. An event may have its type in a header.
fn first_other_leaf(own: &str, event: &str) -> Option<String> {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(own), Some(event)) = (read(own), read(event)) else { return Some("/".to_owned()) };
    let mut expected = BTreeMap::new();
    leaves(&own, String::new(), &mut expected);
    let differs = |(pointer, own): &(String, String)| match event.pointer(pointer) {
        None => !["/eventType", "/type"].contains(&pointer.as_str()),
        Some(found) => leaf(found).is_none_or(|found| !same(&found, own)),
    };
    expected.into_iter().filter(|(_, own)| !fields::is_time(own)).find(differs).map(|(at, _)| at)
}

fn leaves(value: &Value, at: String, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let step = name.replace('~', "~0").replace('/', "~1");
                leaves(member, format!("{at}/{step}"), found);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                leaves(item, format!("{at}/{number}"), found);
            }
        }
        other => found.extend(leaf(other).map(|text| (at, text))),
    }
}

pub(super) fn leaf(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"{"eventType":"P","occurredAt":"2026-01-07T16:55:09Z","data":{"id":"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11","amount":"5.0000","currency":"INR"}}"#;

    fn paid() -> Payment {
        Payment { state: "paid".to_owned(), event: Some(OWN.to_owned()) }
    }

    /// What is doubted of an event with these data, by a mapping with field lines and by one without.
    fn doubts(data: &str) -> [Option<Doubt>; 2] {
        let text = format!(r#"{{"occurredAt":"2020-01-01T00:00:00Z","data":{data}}}"#);
        let lines = ["uuid /data/id", "numeric(12,2) /data/amount", "text /data/currency"];
        let mut fields: Vec<Field> = lines.iter().map(|line| line.parse().unwrap()).collect();
        fields.push("timestamptz /occurredAt".parse().unwrap());
        [fields, Vec::new()].map(|f| doubt(&f, &Body::read(&text, &f), Some(&paid())))
    }

    #[test]
    fn an_event_says_what_its_payment_says_in_whatever_spelling() {
        let same =
            r#"{"id":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","amount":5,"currency":"INR","more":1}"#;
        assert_eq!(doubts(same), [None, None]);
    }

    #[test]
    fn one_value_that_differs_or_is_not_there_is_a_mismatch() {
        let id = r#""id":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#;
        for (data, field, leaf) in [
            (
                format!(r#"{{{id},"amount":"0.01","currency":"INR"}}"#),
                "data.amount",
                "/data/amount",
            ),
            (
                format!(r#"{{{id},"amount":"5","currency":"inr"}}"#),
                "data.currency",
                "/data/currency",
            ),
            (format!(r#"{{{id},"amount":"5"}}"#), "data.currency", "/data/currency"),
            (format!(r#"{{{id},"amount":["5"],"currency":"INR"}}"#), "data.amount", "/data/amount"),
        ] {
            let mismatch = |place: &str| Some(Doubt::Mismatch(place.to_owned()));
            assert_eq!(doubts(&data), [mismatch(field), mismatch(leaf)], "{data}");
        }
    }

    #[test]
    fn a_payment_that_is_not_there_or_not_paid_makes_nothing() {
        let body = Body::read(OWN, &[]);
        let refunded = Payment { state: "refunded".to_owned(), event: Some(OWN.to_owned()) };
        assert_eq!(doubt(&[], &body, None), Some(Doubt::NoPayment));
        let not_paid = Some(Doubt::NotPaid("refunded".to_owned()));
        assert_eq!(doubt(&[], &body, Some(&refunded)), not_paid);
        assert_eq!(doubt(&[], &body, Some(&paid())), None);
    }
}
