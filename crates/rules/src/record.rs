//! A record as Kafka delivered it: bytes, untouched.

use super::envelope::digest;
use super::ids::Offset;

/// One header; names are bytes because no broker checks that they are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: Vec<u8>,
    /// The header's value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
}

impl Header {
    /// The bytes of its name and value.
    pub fn size(&self) -> usize {
        self.name.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// One record of a partition, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
    /// Its timestamp in milliseconds since 1970; `None` when the broker gave none.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in order, duplicates included.
    pub headers: Vec<Header>,
    /// What the whole value was, where only the beginning of the record is kept.
    pub cut: Option<Whole>,
}

/// A value that is not kept as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// How many bytes it had.
    pub bytes: usize,
    /// Its [`digest`].
    pub digest: [u8; 16],
}

impl Record {
    /// Keeps the first `kept` bytes of the key, of the headers and of `value`, which is the whole value.
    #[must_use]
    pub fn cut(mut self, value: Option<&[u8]>, kept: usize) -> Record {
        let head = |bytes: &[u8]| bytes[..bytes.len().min(kept)].to_vec();
        self.cut = value.map(|value| Whole { bytes: value.len(), digest: digest(value) });
        self.value = value.map(head);
        self.key = self.key.as_deref().map(head);
        let mut sum = 0;
        self.headers.retain(|header| {
            sum += header.size();
            sum <= kept
        });
        self
    }

    /// The digest of its value, also where that is not kept as a whole.
    pub fn digest(&self) -> [u8; 16] {
        let whole = || digest(self.value.as_deref().unwrap_or_default());
        self.cut.map_or_else(whole, |cut| cut.digest)
    }

    /// The bytes this record holds in memory, for limits on buffers.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(Header::size).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }
}
