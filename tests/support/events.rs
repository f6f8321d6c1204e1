//! Payments and the events that confirm them.

use rules::record::{Header, Record};
use uuid::Uuid;

/// One payment that succeeded, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub id: Uuid,
    pub student: Uuid,
    pub course: Uuid,
    pub amount: String,
    pub currency: String,
    pub event: Uuid,
}

impl Payment {
    /// A payment of its own; `number` gives the amount, so that mix-ups show.
    pub fn new(number: usize) -> Payment {
        Payment {
            id: Uuid::new_v4(),
            student: Uuid::new_v4(),
            course: Uuid::new_v4(),
            amount: format!("{}.{:02}", number / 100 + 1, number % 100),
            currency: "INR".to_owned(),
            event: Uuid::new_v4(),
        }
    }

    /// Its event in the topic's shape.
    pub fn json(&self) -> String {
        format!(
            r#"{{"eventId":"{}","eventType":"PURCHASE_CONFIRMED","occurredAt":"2026-01-07T16:55:09Z","data":{{"paymentId":"{}","studentId":"{}","courseId":"{}","amount":"{}","currency":"{}"}}}}"#,
            self.event, self.id, self.student, self.course, self.amount, self.currency
        )
    }

    /// Its event as a record, keyed by student.
    pub fn record(&self) -> Record {
        raw(Some(self.student.to_string().as_bytes()), Some(self.json().as_bytes()))
    }
}

/// `count` payments.
pub fn payments(count: usize) -> Vec<Payment> {
    (0..count).map(Payment::new).collect()
}

/// A record of any bytes.
pub fn raw(key: Option<&[u8]>, value: Option<&[u8]>) -> Record {
    Record { key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), ..Record::default() }
}

/// The same record with one more header.
pub fn with_header(mut record: Record, name: &str, value: &str) -> Record {
    record
        .headers
        .push(Header { name: name.as_bytes().to_vec(), value: Some(value.as_bytes().to_vec()) });
    record
}
