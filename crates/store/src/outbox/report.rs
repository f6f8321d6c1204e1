//! What people ask of the outbox, and the one thing they can ask for: to send again what was parked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::when::Times;
use crate::{Fault, Store};
use rules::ids::Epoch;

/// Held topics that are named.
const TOPICS: i64 = 10;

/// Whether events get from the outbox to Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// How many shards there are.
    pub shards: i64,
    /// Those that a living daemon relays.
    pub relays: Vec<RelayStatus>,
    /// Why nothing is sent, and what to do about it.
    pub trouble: Option<(String, String)>,
    /// Events that Kafka has not acknowledged.
    pub pending: i64,
    /// Their size in bytes.
    pub pending_bytes: i64,
    /// The age of the oldest of them, in seconds.
    pub oldest_age: Option<f64>,
    /// Events handed to Kafka and not acknowledged when the relay last wrote.
    pub in_flight: i64,
    /// Events parked: refused by Kafka, or behind such a one of their key.
    pub parked: i64,
    /// Those of them that Kafka refused.
    pub refused: i64,
    /// Events acknowledged so far.
    pub published: i64,
    /// Topics that take nothing while others do, those with the most events first.
    pub held: Vec<HeldTopic>,
    /// Why published rows stay longer than they should.
    pub remark: Option<String>,
    /// How full the server's queue of notifications is, from 0 to 1.
    pub notify_queue: f64,
    /// Whether a relay ever had it.
    pub was_relayed: bool,
    /// Where not every shard is relayed though daemons are here: why they may not do it, if this role may not either.
    pub unclaimed: Option<Unclaimed>,
    /// When a relay last wrote; `None` if none ever did.
    pub seen_at: Option<Timestamp>,
    /// How long ago that was, in seconds.
    pub seen_age: Option<f64>,
}

/// A topic that takes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldTopic {
    /// Its name.
    pub topic: String,
    /// How many events wait for it.
    pub events: i64,
    /// Why, as Kafka last said.
    pub reason: String,
    /// What to do about it.
    pub advice: String,
    /// How long it has been so, in seconds.
    pub held_for: f64,
}

/// Relays are connected, and do not relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclaimed {
    /// How many.
    pub sessions: i64,
    /// What this role is told when it tries what they do.
    pub refusal: Option<(String, String)>,
}

/// A daemon that relays a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayStatus {
    /// The shard.
    pub shard: i16,
    /// The daemon's machine.
    pub host: String,
    /// Its process there.
    pub pid: i32,
    /// Counts the claims of this shard.
    pub epoch: Epoch,
}

/// An event of the outbox, without its contents.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the views' columns")]
pub struct Event {
    pub event_id: Uuid,
    pub topic: String,
    pub key: Option<String>,
    pub event_type: String,
    /// Where it is: `pending`, `held` by its topic, `refused`, `behind` a refused one of its key, `discarded`, or
    /// `published`.
    pub state: String,
    pub reason: Option<String>,
    pub advice: Option<String>,
    /// In seconds, by the database's clock.
    pub age: f64,
    pub created_at: Timestamp,
    pub parked_at: Option<Timestamp>,
    pub retry_at: Option<Timestamp>,
}

/// An event with all there is of it.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeEvent {
    /// The event.
    pub event: Event,
    /// The headers that its publisher gave it.
    pub headers: BTreeMap<String, String>,
    /// The JSON text that becomes the record's value.
    pub payload: String,
    /// The first event of its key that was parked, if there is one before it.
    pub waits_for: Option<Uuid>,
}

/// The state of the outbox.
pub async fn status(store: &Store) -> Result<Status, Fault> {
    let rows = store.query(include_str!("../../../../sql/core/outbox_status.sql"), &[]).await?;
    let row =
        rows.first().ok_or_else(|| Fault::Lost { cause: "outbox_status has no row".into() })?;
    let relays = store.query(include_str!("../../../../sql/core/outbox_relays.sql"), &[]).await?;
    let reason: Option<String> = row.get("reason");
    let advice: Option<String> = row.get("advice");
    let held =
        store.query(include_str!("../../../../sql/core/outbox_held.sql"), &[&TOPICS]).await?;
    let sessions: i64 = row.get("sessions");
    let unclaimed = (relays.len() as i64) < row.get("shards") && sessions > 0;
    let unclaimed = match unclaimed {
        true => Some(Unclaimed { sessions, refusal: rehearse(store).await?.err() }),
        false => None,
    };
    Ok(Status {
        held: held.iter().map(held_topic).collect(),
        remark: row.get("remark"),
        notify_queue: row.get("notify_queue"),
        was_relayed: row.get("was_relayed"),
        unclaimed,
        shards: row.get("shards"),
        relays: relays.iter().map(relay).collect(),
        trouble: reason.map(|reason| (reason, advice.unwrap_or_default())),
        pending: row.get("pending"),
        pending_bytes: row.get("pending_bytes"),
        oldest_age: row.get("oldest_age"),
        in_flight: row.get("in_flight"),
        parked: row.get("parked"),
        refused: row.get("refused"),
        published: row.get("published"),
        seen_at: row.time("seen_at"),
        seen_age: row.get("seen_age"),
    })
}

/// Events parked, of one key or of all, at most `limit`; those of one key in the order in which they go.
pub async fn parked(
    store: &Store,
    key: Option<&str>,
    topic: Option<&str>,
    limit: i64,
) -> Result<Vec<Event>, Fault> {
    let sql = include_str!("../../../../sql/core/outbox_list_parked.sql");
    Ok(store.query(sql, &[&key, &limit, &topic]).await?.iter().map(event).collect())
}

/// Events that Kafka has not acknowledged, of one key or of all, at most `limit`, in the order in which they go.
pub async fn pending(
    store: &Store,
    key: Option<&str>,
    topic: Option<&str>,
    limit: i64,
) -> Result<Vec<Event>, Fault> {
    let sql = include_str!("../../../../sql/core/outbox_list_pending.sql");
    Ok(store.query(sql, &[&key, &limit, &topic]).await?.iter().map(event).collect())
}

/// The events with this id, wherever they are on their way; an id given twice by its publisher has two.
pub async fn show(store: &Store, id: Uuid) -> Result<Vec<WholeEvent>, Fault> {
    let sql = include_str!("../../../../sql/core/outbox_show.sql");
    let whole = |row: &Row| {
        let Json(headers) = row.get("headers");
        WholeEvent {
            event: event(row),
            headers,
            payload: row.get("payload"),
            waits_for: row.get("waits_for"),
        }
    };
    Ok(store.query(sql, &[&id]).await?.iter().map(whole).collect())
}

/// What was parked or waits for its topic, for a key or an event's id, for a topic, or all of it, in the order in which
/// it goes: each event with its number. An event stands for its whole key, because one of a key can only go after those
/// before it.
pub async fn retryable(
    store: &Store,
    of: Option<&str>,
    topic: Option<&str>,
) -> Result<Vec<(i64, Event)>, Fault> {
    let sql = include_str!("../../../../sql/core/outbox_retry_plan.sql");
    let id = of.and_then(|text| Uuid::try_parse(text).ok());
    let rows = store.query(sql, &[&of, &id, &topic]).await?;
    Ok(rows.iter().map(|row| (row.get("seq"), event(row))).collect())
}

/// Asks the relay to send these again, by their numbers, to another topic if one is given, and wakes it. Returns how many
/// there still were.
pub async fn retry(store: &Store, numbers: &[i64], to: Option<&str>) -> Result<i64, Fault> {
    let sql = include_str!("../../../../sql/core/outbox_retry.sql");
    let rows = store.query(sql, &[&numbers, &to]).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

/// Gives these up, by their numbers, and says why. Returns how many there still were.
pub async fn discard(store: &Store, numbers: &[i64], why: &str) -> Result<i64, Fault> {
    let sql = include_str!("../../../../sql/core/outbox_discard.sql");
    let rows = store.query(sql, &[&numbers, &why]).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

/// Does what a relay does to its tables, and takes it back: `Err` has why that is refused, and what to do about it.
pub async fn rehearse(store: &Store) -> Result<Result<(), (String, String)>, Fault> {
    let tx = store.begin("outbox_rehearse").await?;
    let done = tx.query(include_str!("../../../../sql/core/outbox_rehearse.sql"), &[]).await;
    tx.rollback().await;
    match done {
        Ok(_) => Ok(Ok(())),
        Err(fault @ Fault::Refused { .. }) => {
            let problem = fault.problem("the outbox cannot be relayed");
            Ok(Err((problem.reason, problem.advice)))
        }
        Err(fault) => Err(fault),
    }
}

fn held_topic(row: &Row) -> HeldTopic {
    HeldTopic {
        topic: row.get("topic"),
        events: row.get("events"),
        reason: row.get::<_, Option<String>>("reason").unwrap_or_default(),
        advice: row.get::<_, Option<String>>("advice").unwrap_or_default(),
        held_for: row.get("held_for"),
    }
}

fn relay(row: &Row) -> RelayStatus {
    RelayStatus {
        shard: row.get("shard"),
        host: row.get("host"),
        pid: row.get("pid"),
        epoch: row.get("epoch"),
    }
}

fn event(row: &Row) -> Event {
    Event {
        event_id: row.get("event_id"),
        topic: row.get("topic"),
        key: row.get("key"),
        event_type: row.get("event_type"),
        state: row.get("state"),
        reason: row.get("reason"),
        advice: row.get("advice"),
        age: row.get("age"),
        created_at: row.moment("created_at"),
        parked_at: row.time("parked_at"),
        retry_at: row.time("retry_at"),
    }
}

/// Roles that may publish to every topic.
pub async fn free_publishers(store: &Store) -> Result<Vec<String>, Fault> {
    let rows = store.query(include_str!("../../../../sql/core/doctor_publishers.sql"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
