//! The ids of events, and the digests that tell two events of one id apart.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::record::Record;

/// The namespace of ids made from texts that are no UUIDs; never changes, for the ids would too.
pub const ID_NAMESPACE: Uuid = Uuid::from_u128(0x1b9c_5f0e_6d2a_5c47_9f38_c2e4_70a1_d853);

/// The id under which the inbox keeps an event, from the id as a person has it.
pub fn id_as_given(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or_else(|_| Uuid::new_v5(&ID_NAMESPACE, text.as_bytes()))
}

/// The id a text stands for; `None` for the nil UUID, which stands for no id.
pub(super) fn id_of_text(text: &[u8]) -> Option<Uuid> {
    let id = Uuid::try_parse_ascii(text).unwrap_or_else(|_| Uuid::new_v5(&ID_NAMESPACE, text));
    (!id.is_nil()).then_some(id)
}

/// The id of a record that brings none: the UUIDv5 of `PARTITION/OFFSET` in the topic's id.
pub fn id_of_place(record: &Record, topic_id: Uuid) -> Uuid {
    Uuid::new_v5(&topic_id, format!("{}/{}", record.partition, record.offset).as_bytes())
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
