//! Rows for COPY in its binary form, and their way to the server.

use std::pin::pin;

use bytes::BytesMut;
use futures_util::SinkExt;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, ToStatement};

/// Microseconds from 1970 to 2000, where PostgreSQL's clock begins.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// Bytes before the first row: the signature, no flags, no extension.
const HEAD: usize = 19;
/// Bytes of one message to the server.
const CHUNK: usize = 64 * 1024;

/// Rows in COPY's binary form (PostgreSQL docs, COPY, "Binary Format"). Each row is begun by
/// [`CopyRows::row`] and then takes its fields, each in the binary form of its column's type.
pub struct CopyRows {
    bytes: BytesMut,
}

impl CopyRows {
    /// No rows, with room for so many bytes of them.
    pub fn with_capacity(bytes: usize) -> CopyRows {
        let mut rows = CopyRows { bytes: BytesMut::with_capacity(bytes) };
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

    /// The same rows by column, each of which can be sent as an array of its type: what COPY takes for
    /// a field is what an array takes for an element.
    pub(super) fn columns(self) -> Vec<ColumnParam> {
        let mut bytes = self.bytes;
        let _ = bytes.split_to(HEAD);
        let mut columns: Vec<ColumnParam> = Vec::new();
        while bytes.len() >= 2 {
            let fields = i16::from_be_bytes([bytes[0], bytes[1]]);
            let _ = bytes.split_to(2);
            columns.resize_with(usize::try_from(fields).unwrap_or_default(), ColumnParam::default);
            for column in &mut columns {
                let length = bytes.split_to(4);
                let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
                column.0.push(usize::try_from(length).ok().map(|length| bytes.split_to(length)));
            }
        }
        columns
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

/// Sends what a `COPY … FROM STDIN` takes; returns how many rows that was to the server.
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

/// One column of some rows, as an array parameter.
#[derive(Debug, Default)]
pub(super) struct ColumnParam(Vec<Option<BytesMut>>);

impl ToSql for ColumnParam {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Kind::Array(element) = ty.kind() else { return Err("a column is an array".into()) };
        // Dimensions, whether there are nulls, the elements' type, how many, the first one's number
        // (PostgreSQL, `array_recv`).
        let has_null = self.0.iter().any(Option::is_none);
        for number in [1, i32::from(has_null), element.oid() as i32, self.0.len() as i32, 1] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for field in &self.0 {
            let length = field.as_ref().map_or(-1, |field| field.len() as i32);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(field.as_deref().unwrap_or_default());
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}
