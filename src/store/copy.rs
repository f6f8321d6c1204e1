//! Rows for COPY in its binary form, and their way to the server.

use std::pin::pin;

use futures_util::SinkExt;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::{Client, Error, ToStatement};

/// Microseconds from 1970 to 2000, where PostgreSQL's clock begins.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// Bytes of one message to the server.
const CHUNK: usize = 64 * 1024;

/// Rows in COPY's binary form (PostgreSQL docs, COPY, "Binary Format"). Each row is begun by
/// [`Rows::row`] and then takes its fields, each in the binary form of its column's type.
pub struct Rows {
    bytes: BytesMut,
}

impl Rows {
    /// No rows, with room for so many bytes of them.
    pub fn with_capacity(bytes: usize) -> Rows {
        let mut rows = Rows { bytes: BytesMut::with_capacity(bytes) };
        // The signature, no flags, no extension.
        rows.bytes.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        rows.bytes.extend_from_slice(&[0; 8]);
        rows
    }

    /// Begins a row of so many fields.
    pub fn row(&mut self, fields: i16) {
        self.bytes.extend_from_slice(&fields.to_be_bytes());
    }

    /// A field; `None` is NULL. Text and bytes are their own binary form, integers are big-endian.
    pub fn field(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(-1, |value| value.len() as i32);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    /// A `timestamptz`, given in microseconds since 1970.
    pub fn time(&mut self, micros: i64) {
        self.field(Some(&micros.saturating_sub(POSTGRES_EPOCH).to_be_bytes()));
    }

    /// Sends the rows to a `COPY … FROM STDIN (FORMAT binary)`; returns how many the server took.
    pub async fn send<T>(mut self, client: &Client, statement: &T) -> Result<u64, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.bytes.extend_from_slice(&(-1i16).to_be_bytes());
        send(client, statement, self.bytes).await
    }
}

/// Sends bytes to a `COPY … FROM STDIN` in the form that it asks for; returns how many rows the server took.
pub async fn send<T>(client: &Client, statement: &T, mut bytes: BytesMut) -> Result<u64, Error>
where
    T: ?Sized + ToStatement,
{
    let mut sink = pin!(client.copy_in(statement).await?);
    while !bytes.is_empty() {
        let chunk = bytes.split_to(bytes.len().min(CHUNK));
        sink.send(chunk.freeze()).await?;
    }
    sink.finish().await
}
