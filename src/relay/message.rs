//! A row of the outbox as a Kafka message: the payload's bytes, and the event in CloudEvents' binary form
//! (CloudEvents 1.0.2, Kafka Protocol Binding, section 3.2), beside the plain `id` and `type` that Debezium's
//! outbox router and kafkajs users know.

use uuid::fmt::Hyphenated;

use crate::store::outbox::Row;

/// Says where events come from; CloudEvents wants it, and id and source together name an event.
const SOURCE: &[u8] = b"/makegood/outbox";

/// The parts of a row's headers that have to be written down first.
pub(super) struct Texts {
    id: [u8; Hyphenated::LENGTH],
    time: String,
}

impl Texts {
    pub(super) fn of(row: &Row) -> Texts {
        let mut id = [0; Hyphenated::LENGTH];
        row.id.hyphenated().encode_lower(&mut id);
        Texts { id, time: row.created_at.to_string() }
    }

    /// The headers, the same on every sending. The row's own come last.
    pub(super) fn headers<'a>(&'a self, row: &'a Row) -> Vec<(&'a str, &'a [u8])> {
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("id", &self.id),
            ("type", row.event_type.as_bytes()),
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_id", &self.id),
            ("ce_source", SOURCE),
            ("ce_type", row.event_type.as_bytes()),
            ("ce_time", self.time.as_bytes()),
        ];
        headers.extend(row.key.as_deref().map(|key| ("ce_subject", key.as_bytes())));
        headers.extend(row.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        headers
    }
}
