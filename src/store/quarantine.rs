//! Broken records, byte for byte.

use jiff::Timestamp;
use uuid::Uuid;

use super::payments::Missing;
use super::positions::Log;
use super::{Fault, Tx};
use crate::pure::envelope;
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

/// Puts away the event made from a payment that cannot be made good; returns its number.
pub async fn put_payment(
    tx: &Tx,
    route: i16,
    topic: &str,
    payment: &Missing,
    event_id: Uuid,
    refusal: &Refusal,
) -> Result<i64, Fault> {
    let digest = envelope::digest(payment.event.as_bytes());
    let detail = refusal.detail.replace('\0', "");
    let rows = tx
        .query(
            include_str!("../../sql/core/quarantine_put_payment.sql"),
            &[
                &route,
                &topic,
                &payment.key,
                &payment.paid_at,
                &payment.event.as_bytes(),
                &event_id,
                &digest.as_slice(),
                &refusal.reason,
                &refusal.sqlstate,
                &detail,
            ],
        )
        .await?;
    rows.first().map(|row| row.get(0)).ok_or_else(|| Fault::Lost {
        cause: "the quarantined event's row did not come back".to_owned(),
    })
}

/// Closes the cases of payments that have their purchase after all.
pub async fn made_good(tx: &Tx, route: i16, keys: &[String]) -> Result<(), Fault> {
    if !keys.is_empty() {
        tx.execute(include_str!("../../sql/core/quarantine_made_good.sql"), &[&route, &keys])
            .await?;
    }
    Ok(())
}
