//! Records that could not be applied, byte for byte.

pub mod doubted;
mod look;
pub mod suspects;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::Log;
use super::mapping::Mapping;
use super::payments::Missing;
use super::when::{Sent, Times};
use super::{CommitFault, Fault, Store, Tx, purchased};
pub use look::{OffsetRange, QuarantineSnapshot};
use rules::envelope;
use rules::ids::{CaseId, Offset, RouteId};
use rules::record::{Header, Record, Whole};
use rules::states::CaseEnd;

/// Why a record is put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word, stable.
    pub reason: String,
    /// PostgreSQL's error code, if it refused the record.
    pub sqlstate: Option<String>,
    /// One sentence, without the record's contents.
    pub detail: String,
    /// What would mend it, if the world is at fault.
    pub advice: Option<String>,
    /// The payment, if it is known.
    pub business_key: Option<String>,
    /// Whether it is not known yet who is at fault, the record or the world.
    pub is_suspect: bool,
}

/// A text that is longer names no payment, and would not fit an index.
const KEY_BYTES: usize = 200;

impl Refusal {
    /// The record's own fault beyond doubt: nobody has to be asked.
    pub fn own(reason: &str, detail: String) -> Refusal {
        Refusal {
            reason: reason.to_owned(),
            sqlstate: None,
            detail,
            advice: None,
            business_key: None,
            is_suspect: false,
        }
    }

    /// Whether its payment does not bear it out. It may only be late, so the event is held against it again.
    pub fn is_doubted(&self) -> bool {
        matches!(self.reason.as_str(), "no_payment" | "mismatch")
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.business_key.as_deref().filter(|key| key.len() <= KEY_BYTES)
    }

    /// PostgreSQL's text has no NUL; a mapping's own words could still carry one.
    pub(super) fn detail(&self) -> String {
        self.detail.replace('\0', "")
    }
}

/// A quarantined record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoredCase {
    pub id: CaseId,
    /// `None` for an event that makegood made from a payment.
    pub topic_id: Option<Uuid>,
    pub record: Record,
    pub event_id: Uuid,
    pub business_key: Option<String>,
    /// Whether it was the record's own fault once.
    pub is_judged: bool,
    end: Option<CaseEnd>,
}

impl StoredCase {
    /// Its partition and offset, if it came from Kafka.
    pub fn place(&self) -> Option<(i32, Offset)> {
        self.topic_id.map(|_| (self.record.partition, self.record.offset))
    }

    /// Whether it was dealt with. One that was discarded can be taken back.
    pub fn is_settled(&self) -> bool {
        self.end.is_some_and(|end| end != CaseEnd::Discarded)
    }

    /// Whether a person has given it up.
    pub fn is_discarded(&self) -> bool {
        self.end == Some(CaseEnd::Discarded)
    }
}

/// Reads records by their numbers.
pub(super) async fn read(tx: &Tx, ids: &[CaseId]) -> Result<Vec<StoredCase>, Fault> {
    let rows = tx.query(include_str!("../../../sql/core/quarantine_show.sql"), &[&ids]).await?;
    let case = |row: &Row| {
        Ok(StoredCase {
            id: row.get("id"),
            topic_id: row.get("topic_id"),
            record: record(row),
            event_id: row.get("event_id"),
            business_key: row.get("business_key"),
            is_judged: row.get("is_judged"),
            end: row.try_get("resolution")?,
        })
    };
    rows.iter().map(case).collect()
}

/// The record of a row, byte for byte. An event made from a payment has no place.
pub(super) fn record(row: &Row) -> Record {
    let names: Vec<Vec<u8>> = row.get("header_names");
    let values: Vec<Option<Vec<u8>>> = row.get("header_values");
    let whole = |bytes: i32| Whole {
        bytes: usize::try_from(bytes).unwrap_or_default(),
        digest: row.get::<_, Vec<u8>>("digest").try_into().unwrap_or_default(),
    };
    let headers = names.into_iter().zip(values).map(|(name, value)| Header { name, value });
    Record {
        partition: row.get::<_, Option<i32>>("partition").unwrap_or_default(),
        offset: row.get::<_, Option<Offset>>("offset").unwrap_or_default(),
        timestamp_ms: row.time("record_at").map(Timestamp::as_millisecond),
        key: row.get("key"),
        value: row.get("value"),
        headers: headers.collect(),
        cut: row.get::<_, Option<i32>>("whole_bytes").map(whole),
    }
}

/// A record to put away.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its event's id.
    pub event_id: Uuid,
    /// The digest of its value.
    pub digest: &'a [u8; 16],
    /// Why.
    pub refusal: &'a Refusal,
    /// The mapping that refused it; none if no mapping has seen it.
    pub fingerprint: Option<&'a str>,
}

/// Puts a record into quarantine; returns false when it, or the same event, is there already.
pub async fn put(tx: &Tx, route: RouteId, log: &Log, put: Put<'_>) -> Result<bool, Fault> {
    let Put { record, event_id, digest, refusal, fingerprint } = put;
    let at = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let names: Vec<&[u8]> = record.headers.iter().map(|h| h.name.as_slice()).collect();
    let values: Vec<Option<&[u8]>> = record.headers.iter().map(|h| h.value.as_deref()).collect();
    let written = tx
        .execute(
            include_str!("../../../sql/core/quarantine_put.sql"),
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
                &refusal.detail(),
                &refusal.key(),
                &refusal.is_suspect,
                &fingerprint,
                &refusal.advice,
                &record.cut.map(|whole| i32::try_from(whole.bytes).unwrap_or(i32::MAX)),
            ],
        )
        .await?;
    Ok(written == 1)
}

/// How much the quarantine takes on the disk.
pub async fn bytes(tx: &Tx) -> Result<u64, Fault> {
    let rows = tx.query(include_str!("../../../sql/core/quarantine_bytes.sql"), &[]).await?;
    let bytes = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    Ok(u64::try_from(bytes).unwrap_or_default())
}

/// Puts away the event made from a payment that cannot be made good; returns its number.
pub async fn put_payment(
    tx: &Tx,
    route: RouteId,
    topic: &str,
    payment: &Missing,
    event_id: Uuid,
    (refusal, fingerprint): (&Refusal, &str),
) -> Result<CaseId, Fault> {
    let digest = envelope::digest(payment.event.as_bytes());
    let rows = tx
        .query(
            include_str!("../../../sql/core/quarantine_put_payment.sql"),
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
                &refusal.detail(),
                &refusal.is_suspect,
                &fingerprint,
                &refusal.advice,
            ],
        )
        .await?;
    rows.first().map(|row| row.get(0)).ok_or_else(|| Fault::Lost {
        cause: "the quarantined event's row did not come back".to_owned(),
    })
}

/// Closes the cases of payments that have their purchase after all.
pub async fn made_good(tx: &Tx, route: RouteId, keys: &[String]) -> Result<(), Fault> {
    if !keys.is_empty() {
        tx.execute(include_str!("../../../sql/core/quarantine_made_good.sql"), &[&route, &keys])
            .await?;
    }
    Ok(())
}

/// Locks cases until the transaction ends; those that somebody else has at hand are left out.
pub(super) async fn take(tx: &Tx, ids: &[CaseId]) -> Result<Vec<CaseId>, Fault> {
    let rows = tx.query(include_str!("../../../sql/core/quarantine_take.sql"), &[&ids]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Judged records that may get through by now, after a number: at most `limit`, and no more once they have `bytes`.
pub async fn retry(
    store: &Store,
    route: RouteId,
    fingerprint: &str,
    after: CaseId,
    (limit, bytes): (i64, i64),
) -> Result<Vec<CaseId>, Fault> {
    let sql = include_str!("../../../sql/core/quarantine_retry.sql");
    let rows = store.query(sql, &[&route, &fingerprint, &after, &limit, &bytes]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Closes the cases, after a number and at most `limit`, whose payment has its purchase by now, whoever made it; returns
/// the last number looked at.
pub async fn heal(
    store: &Store,
    route: RouteId,
    mapping: &Mapping,
    after: CaseId,
    limit: i64,
) -> Result<Option<CaseId>, Fault> {
    let tx = store.begin("heal").await?;
    let sql = include_str!("../../../sql/core/quarantine_keys.sql");
    let rows = tx.query(sql, &[&route, &after, &limit]).await?;
    let keys: Vec<&str> = rows.iter().map(|row| row.get(1)).collect();
    if !keys.is_empty() {
        let purchased = purchased::which(&tx, mapping, &keys).await?;
        made_good(&tx, route, &purchased).await?;
    }
    tx.commit().await.map_err(CommitFault::into_fault)?;
    Ok(rows.last().map(|row| row.get(0)))
}

/// Notes that records were tried with a mapping in vain.
pub async fn seen_by(store: &Store, ids: &[CaseId], fingerprint: &str) -> Result<(), Fault> {
    store
        .query(include_str!("../../../sql/core/quarantine_seen_by.sql"), &[&ids, &fingerprint])
        .await?;
    Ok(())
}
