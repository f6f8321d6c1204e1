//! The events taken in.

use std::time::Duration;

use jiff::Timestamp;
use rules::outcome::Outcome;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Fault, Store};
use crate::when::Times;
use rules::ids::Offset;

/// Which events to list; what is `None` does not narrow.
#[derive(Clone, Debug)]
pub struct EventFilter {
    /// The route's name.
    pub route: Option<String>,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// The business key.
    pub key: Option<String>,
    /// Not older than this. Without a key it bounds how much of the inbox is walked through.
    pub since: Option<Duration>,
    /// At most so many, the newest first.
    pub limit: i64,
}

/// One event, as the view `inbox_events` has it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the view's columns")]
pub struct Event {
    pub route: String,
    pub event_id: Uuid,
    pub outcome: String,
    pub business_key: Option<String>,
    pub detail: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<Offset>,
    pub event_at: Option<Timestamp>,
    pub applied_at: Timestamp,
    pub reused_id: Option<Uuid>,
    pub origin: String,
}

/// Events, the newest first.
pub async fn list(store: &Store, filter: &EventFilter) -> Result<Vec<Event>, Fault> {
    let since = filter.since.map(|age| age.as_secs_f64());
    let rows = match &filter.key {
        Some(key) => {
            let sql = include_str!("../../../../sql/core/inbox_by_key.sql");
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&since, &filter.route, &filter.outcome, &filter.limit, key];
            store.query(sql, &params).await?
        }
        None => {
            let sql = include_str!("../../../../sql/core/inbox_recent.sql");
            let since = since.unwrap_or(f64::from(u32::MAX));
            store.query(sql, &[&since, &filter.route, &filter.outcome, &filter.limit]).await?
        }
    };
    Ok(rows.iter().map(event).collect())
}

/// The rows of one event: one for each route that took it in.
pub async fn show(store: &Store, event_id: Uuid) -> Result<Vec<Event>, Fault> {
    let sql = include_str!("../../../../sql/core/inbox_show.sql");
    Ok(store.query(sql, &[&event_id]).await?.iter().map(event).collect())
}

fn event(row: &Row) -> Event {
    Event {
        route: row.get("route"),
        event_id: row.get("event_id"),
        outcome: row.get("outcome"),
        business_key: row.get("business_key"),
        detail: row.get("detail"),
        partition: row.get("partition"),
        offset: row.get("offset"),
        event_at: row.time("event_at"),
        applied_at: row.moment("applied_at"),
        reused_id: row.get("reused_id"),
        origin: row.get("origin"),
    }
}
