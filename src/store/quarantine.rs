//! Broken records, byte for byte.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::inbox::Replayed;
use super::payments::Missing;
use super::positions::Log;
use super::when::{Sent, Times};
use super::{Fault, Tx};
use crate::pure::envelope;
use crate::pure::record::{Header, Record};

/// Why a record is put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word, stable.
    pub reason: String,
    /// PostgreSQL's error code, if it refused the record.
    pub sqlstate: Option<String>,
    /// One sentence, without the record's contents.
    pub detail: String,
    /// The payment, if the mapping named it.
    pub business_key: Option<String>,
}

/// A text that is longer names no payment, and would not fit an index.
const KEY_BYTES: usize = 200;

impl Refusal {
    fn key(&self) -> Option<&str> {
        self.business_key.as_deref().filter(|key| key.len() <= KEY_BYTES)
    }
}

/// A quarantined record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Case {
    pub id: i64,
    /// `None` for an event that makegood made from a payment.
    pub topic_id: Option<Uuid>,
    pub record: Record,
    pub event_id: Uuid,
    pub business_key: Option<String>,
    resolution: Option<String>,
}

impl Case {
    /// Its partition and offset, if it came from Kafka.
    pub fn place(&self) -> Option<(i32, i64)> {
        self.topic_id.map(|_| (self.record.partition, self.record.offset))
    }

    /// Whether it was dealt with. One that was discarded can be taken back.
    pub fn is_settled(&self) -> bool {
        self.resolution.as_ref().is_some_and(|how| how != "discarded")
    }
}

/// Reads records by their numbers.
pub(super) async fn read(tx: &Tx, ids: &[i64]) -> Result<Vec<Case>, Fault> {
    let rows = tx.query(include_str!("../../sql/core/quarantine_show.sql"), &[&ids]).await?;
    let case = |row: &Row| Case {
        id: row.get("id"),
        topic_id: row.get("topic_id"),
        record: record(row),
        event_id: row.get("event_id"),
        business_key: row.get("business_key"),
        resolution: row.get("resolution"),
    };
    Ok(rows.iter().map(case).collect())
}

/// The record of a row, byte for byte. An event made from a payment has no place.
pub(super) fn record(row: &Row) -> Record {
    let names: Vec<Vec<u8>> = row.get("header_names");
    let values: Vec<Option<Vec<u8>>> = row.get("header_values");
    let headers = names.into_iter().zip(values).map(|(name, value)| Header { name, value });
    Record {
        partition: row.get::<_, Option<i32>>("partition").unwrap_or_default(),
        offset: row.get::<_, Option<i64>>("offset").unwrap_or_default(),
        timestamp_ms: row.time("record_at").map(Timestamp::as_millisecond),
        key: row.get("key"),
        value: row.get("value"),
        headers: headers.collect(),
    }
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
                &at.sent(),
                &record.key,
                &record.value,
                &names,
                &values,
                &event_id,
                &digest.as_slice(),
                &refusal.reason,
                &refusal.sqlstate,
                &detail,
                &refusal.key(),
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
                &payment.paid_at.sent(),
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

/// Brings cases, and the findings about their payments, up to what a replay came to.
pub(super) async fn replayed(tx: &Tx, route: i16, replayed: &[Replayed]) -> Result<(), Fault> {
    for one in replayed {
        let Some(refusal) = &one.refusal else { continue };
        let detail = refusal.detail.replace('\0', "");
        let sql = include_str!("../../sql/core/quarantine_failed_again.sql");
        let key = refusal.key();
        tx.execute(sql, &[&one.id, &refusal.reason, &refusal.sqlstate, &detail, &key]).await?;
    }
    let done: Vec<&Replayed> =
        replayed.iter().filter(|r| !r.failed() && r.outcome != "settled").collect();
    if done.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = done.iter().map(|r| r.id).collect();
    let events: Vec<Uuid> = done.iter().map(|r| r.event_id).collect();
    let keys: Vec<Option<&str>> = done.iter().map(|r| r.business_key.as_deref()).collect();
    let outcomes: Vec<&str> = done.iter().map(|r| r.outcome).collect();
    let sql = include_str!("../../sql/core/quarantine_replayed.sql");
    tx.execute(sql, &[&ids, &events, &keys]).await?;
    let sql = include_str!("../../sql/core/finding_replayed.sql");
    tx.execute(sql, &[&ids, &outcomes]).await?;
    // The payment may have other cases, from the reconciler for example.
    let keys: Vec<String> = (done.iter())
        .filter(|r| matches!(r.outcome, "applied" | "already" | "conflict" | "healed"))
        .filter_map(|r| r.business_key.clone())
        .collect();
    made_good(tx, route, &keys).await
}
