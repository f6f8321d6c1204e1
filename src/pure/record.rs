//! A record as Kafka delivered it: bytes, untouched.

/// One header; names are bytes because no broker checks that they are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: Vec<u8>,
    /// The header's value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
}

/// One record of a partition, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970; `None` when the broker gave none.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in order, duplicates included.
    pub headers: Vec<Header>,
}

impl Record {
    /// The bytes this record holds in memory, for limits on buffers.
    pub fn size(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|h| h.name.len() + h.value.as_ref().map_or(0, Vec::len)).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }
}
