//! Broken records, byte for byte.

use jiff::Timestamp;
use uuid::Uuid;

use super::positions::Log;
use super::{Fault, Tx};
use crate::pure::record::Record;

/// Why a record is put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word, stable.
    pub reason: String,
    /// PostgreSQL's error code, if it refused the record.
    pub sqlstate: Option<String>,
    /// One sentence, without the record's contents.
    pub detail: String,
}

/// Puts a record into quarantine; returns false when it, or the same event, is there already.
pub async fn put(
    tx: &Tx,
    route: i16,
    log: &Log,
    record: &Record,
    event_id: Uuid,
    digest: &[u8; 16],
    refusal: &Refusal,
) -> Result<bool, Fault> {
    let at = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let names: Vec<&[u8]> = record.headers.iter().map(|h| h.name.as_slice()).collect();
    let values: Vec<Option<&[u8]>> = record.headers.iter().map(|h| h.value.as_deref()).collect();
    // PostgreSQL's text has no NUL; a mapping's own words could still carry one.
    let detail = refusal.detail.replace('\0', "");
    let written = tx
        .execute(
            include_str!("../../sql/core/quarantine_put.sql"),
            &[
                &route,
                &log.topic,
                &log.topic_id,
                &record.partition,
                &record.offset,
                &at,
                &record.key,
                &record.value,
                &names,
                &values,
                &event_id,
                &digest.as_slice(),
                &refusal.reason,
                &refusal.sqlstate,
                &detail,
            ],
        )
        .await?;
    Ok(written == 1)
}
