//! A record of a batch, decoded.

use uuid::Uuid;

use crate::mapping::Mapping;
use crate::quarantine::Refusal;
use crate::test_events::TestVerdict;
use rules::decode_error::Rejection;
use rules::envelope::{self, Envelope, Reader};
use rules::fields::Body;
use rules::framing;
use rules::record::Record;

/// How many bytes a record that could not be decoded may unpack to, for the sake of its key.
const UNPACKED: usize = 1 << 20;

/// What a record turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind<'a> {
    /// An event for the mapping.
    Event(Body<'a>),
    /// A record of another type, and that type's name.
    OtherType(String),
    /// A record without a value.
    Tombstone,
    /// A record that could not be decoded.
    Undecodable(Refusal),
    /// A record of send-test, with its registered id and what came of it.
    Test(Uuid, TestVerdict),
}

/// One record of a batch, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its event id; derived from its place where it has none.
    pub event_id: Uuid,
    /// The digest of its value.
    pub digest: [u8; 16],
    /// What it is.
    pub kind: Kind<'a>,
}

impl<'a> Entry<'a> {
    /// Reads a record of the topic with this id.
    pub fn decode(record: &'a Record, topic_id: Uuid, reader: &Reader<'_>) -> Entry<'a> {
        let (id_and_digest, kind) = match reader.decode(record, topic_id) {
            Envelope::Event(event) => (Some((event.id, event.digest)), Kind::Event(event.body)),
            Envelope::Foreign(name) => (None, Kind::OtherType(name)),
            Envelope::Tombstone => (None, Kind::Tombstone),
            Envelope::Rejected(rejection) => {
                let Rejection { reason, detail } = rejection;
                (None, Kind::Undecodable(Refusal::own(reason.as_str(), detail)))
            }
        };
        let (event_id, digest) = id_and_digest.unwrap_or_else(|| {
            let id = match kind {
                Kind::Undecodable(_) => reader.id_as_far_as_readable(record),
                _ => None,
            };
            (id.unwrap_or_else(|| envelope::id_of_place(record, topic_id)), record.digest())
        });
        Entry { record, event_id, digest, kind }
    }

    /// The bytes in memory that its text takes beside the record.
    pub fn unpacked(&self) -> usize {
        match &self.kind {
            Kind::Event(body) => body.unpacked(),
            _ => 0,
        }
    }

    /// The payment it is about, as far as it can be read, where the mapping says where that stands.
    pub fn business_key(&self, mapping: &Mapping) -> Option<String> {
        match &self.kind {
            Kind::Event(body) => mapping.key_of(body),
            Kind::Undecodable(_) => {
                let value = self.record.value.as_deref()?;
                let key = |value: &[u8]| mapping.key_in(str::from_utf8(value).ok()?);
                key(value).or_else(|| {
                    let layers = framing::layers(value, value.len().max(UNPACKED));
                    layers.iter().find_map(|(_, inside)| key(inside.value.as_deref()?))
                })
            }
            Kind::OtherType(_) | Kind::Tombstone | Kind::Test(..) => None,
        }
    }
}
