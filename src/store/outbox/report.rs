//! What people ask of the outbox.

use jiff::Timestamp;
use uuid::Uuid;

use crate::store::{Fault, Store};

/// Whether events get from the outbox to Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// One word: ok, behind, set_aside, held or down.
    pub verdict: String,
    /// Shards that a living daemon relays, and how many there are.
    pub relays: (i64, i64),
    /// Why nothing is sent, and what to do about it.
    pub trouble: Option<(String, String)>,
    /// Events that Kafka has not acknowledged, and their size in bytes.
    pub pending: (i64, i64),
    /// The age of the oldest of them, in seconds.
    pub oldest_age: Option<f64>,
    /// Events handed to Kafka and not acknowledged when the relay last wrote.
    pub in_flight: i64,
    /// Events set aside, and those of them that Kafka refused.
    pub set_aside: (i64, i64),
    /// Events acknowledged so far.
    pub published: i64,
    /// When a relay last wrote.
    pub seen_at: Option<Timestamp>,
}

/// One event that is not with Kafka yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's id.
    pub id: Uuid,
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: Option<String>,
    /// The type.
    pub event_type: String,
    /// When it was published.
    pub created_at: Timestamp,
    /// Set aside: when, and when somebody asked to send it again.
    pub aside: Option<(Timestamp, Option<Timestamp>)>,
    /// Why Kafka refused it, and what to do about it.
    pub refusal: Option<(String, String)>,
}

/// The state of the outbox in one row.
pub async fn status(store: &Store) -> Result<Status, Fault> {
    let rows = store.query(include_str!("../../../sql/core/outbox_status.sql"), &[]).await?;
    let row =
        rows.first().ok_or_else(|| Fault::Lost { cause: "outbox_status has no row".into() })?;
    let reason: Option<String> = row.get(3);
    let advice: Option<String> = row.get(4);
    Ok(Status {
        verdict: row.get(0),
        relays: (row.get(1), row.get(2)),
        trouble: reason.map(|reason| (reason, advice.unwrap_or_default())),
        pending: (row.get(5), row.get(6)),
        oldest_age: row.get(7),
        in_flight: row.get(8),
        set_aside: (row.get(9), row.get(10)),
        published: row.get(11),
        seen_at: row.get(12),
    })
}
