//! The records that could not be applied.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Fault, Store};
use crate::quarantine::record;
use crate::when::Times;
use rules::ids::{CaseId, Offset};
use rules::record::Record;

/// Which records to list; what is `None` does not narrow.
#[derive(Clone, Debug)]
pub struct CaseFilter {
    /// The route's name.
    pub route: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// Put away not longer ago than this.
    pub since: Option<Duration>,
    /// At most so many, the newest first.
    pub limit: i64,
    /// Also those that have been dealt with.
    pub resolved: bool,
    /// These.
    pub ids: Option<Vec<CaseId>>,
    /// Put away longer ago than this.
    pub until: Option<Duration>,
}

/// One record, without its contents.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the table's columns")]
pub struct Case {
    pub id: CaseId,
    pub route: String,
    pub reason: String,
    pub sqlstate: Option<String>,
    pub detail: Option<String>,
    pub topic: String,
    pub business_key: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<Offset>,
    pub event_id: Uuid,
    pub value_bytes: Option<i32>,
    pub record_at: Option<Timestamp>,
    pub quarantined_at: Timestamp,
    pub attempts: i32,
    pub resolved_at: Option<Timestamp>,
    pub resolution: Option<String>,
}

/// Cases, the newest first.
pub async fn list(store: &Store, filter: &CaseFilter) -> Result<Vec<Case>, Fault> {
    let since = filter.since.map(|age| age.as_secs_f64());
    let until = filter.until.map(|age| age.as_secs_f64());
    let rows = store
        .query(
            include_str!("../../../../sql/core/quarantine_list.sql"),
            &[
                &since,
                &filter.route,
                &filter.reason,
                &filter.limit,
                &filter.resolved,
                &filter.ids,
                &until,
            ],
        )
        .await?;
    Ok(rows.iter().map(case).collect())
}

/// One case with its record, byte for byte, and the topic's id. An event that makegood made from a
/// payment has no topic id, and its record no place.
pub async fn show(
    store: &Store,
    id: CaseId,
) -> Result<Option<(Case, Option<Uuid>, Record)>, Fault> {
    let sql = include_str!("../../../../sql/core/quarantine_show.sql");
    let rows = store.query(sql, &[&vec![id]]).await?;
    Ok(rows.first().map(|row| {
        let case = case(row);
        let record = record(row);
        (case, row.get("topic_id"), record)
    }))
}

fn case(row: &Row) -> Case {
    Case {
        id: row.get("id"),
        route: row.get("route"),
        reason: row.get("reason"),
        sqlstate: row.get("sqlstate"),
        detail: row.get("detail"),
        topic: row.get("topic"),
        business_key: row.get("business_key"),
        partition: row.get("partition"),
        offset: row.get("offset"),
        event_id: row.get("event_id"),
        value_bytes: row.get("value_bytes"),
        record_at: row.time("record_at"),
        quarantined_at: row.moment("quarantined_at"),
        attempts: row.get("attempts"),
        resolved_at: row.time("resolved_at"),
        resolution: row.get("resolution"),
    }
}
