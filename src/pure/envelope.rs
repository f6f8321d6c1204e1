//! From a record's bytes to what is to be done with it: apply, ignore, count or quarantine.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::place::Place;
use super::record::Record;
pub use super::rejection::{Reason, Rejection};

/// How a route reads its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where the event id may be; the first place that has one counts.
    pub id_from: Vec<Place>,
    /// Where the event type may be; the first place that has one counts.
    pub type_from: Vec<Place>,
    /// The type this route takes, compared exactly; `None` takes every record.
    pub event_type: Option<String>,
    /// The longest value taken, in bytes.
    pub max_bytes: usize,
}

/// What a record is to a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// An event to apply.
    Event(Event<'a>),
    /// A record of another type: ignored and counted.
    Foreign,
    /// A null value, which says nothing of a payment: ignored and counted.
    Tombstone,
    /// Not readable as an event: quarantined with its exact bytes.
    Rejected(Rejection),
}

/// An event that PostgreSQL will take as `uuid` and `jsonb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's id, see [`decode`].
    pub id: Uuid,
    /// The value's text as it came, without a byte order mark.
    pub payload: &'a str,
    /// [`digest`] of the value's bytes.
    pub digest: [u8; 16],
}

/// Reads one record.
pub fn decode<'a>(record: &'a Record, topic_id: Uuid, rules: &Rules) -> Envelope<'a> {
    let _ = (topic_id, rules);
    match &record.value {
        None => Envelope::Tombstone,
        Some(_) => Envelope::Foreign,
    }
}

/// The first 16 bytes of the SHA-256 of a value: tells whether two events of one id are the same.
pub fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(bytes)[..16]);
    first
}

/// The id of an event that came under an id already used for other bytes: the UUIDv5 of both, so
/// that it is an event of its own, and the same one whenever it comes again.
pub fn reused_id(id: Uuid, digest: &[u8; 16]) -> Uuid {
    Uuid::new_v5(&id, digest)
}
