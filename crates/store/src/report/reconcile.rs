//! Runs, findings and jobs for people, and what people ask of the reconciler.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use crate::by_keys::{ByKeys, LastFound, by_keys};
use crate::json::JsonText;
use crate::payments_query::{PaymentsQuery, Scope, cell};
use crate::when::{Sent, Times, When};
use crate::{Fault, Store};
use rules::ids::{CaseId, RunId};
use rules::states::{Phase, RunState};

/// A request.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The job; `None` for the only one.
    pub job: Option<String>,
    /// Payments that became paid from then on.
    pub since: Option<Timestamp>,
    /// And before then.
    pub until: Option<Timestamp>,
    /// Whether to change nothing.
    pub dry_run: bool,
}

/// One run.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the columns' of makegood.reconcile_runs")]
pub struct RunSummary {
    pub run: RunId,
    pub job: Option<String>,
    pub requested_by: String,
    pub requested_via: String,
    pub requested_at: Timestamp,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub dry_run: bool,
    pub state: RunState,
    pub phase: Phase,
    pub compared: i64,
    pub missing: i64,
    pub made_good: i64,
    pub gone: i64,
    pub quarantined: i64,
    pub conflicts: i64,
    pub held: Option<String>,
    pub approved_by: Option<String>,
    pub place_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub error: Option<String>,
    pub sample: Option<Value>,
    pub reason: Option<String>,
}

/// One finding.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the columns' of makegood.reconcile_findings")]
pub struct Finding {
    pub finding: i64,
    pub job: String,
    pub payment: String,
    pub kind: String,
    pub paid_at: Option<Timestamp>,
    pub expected: Option<Value>,
    pub found: Option<Value>,
    pub detail: Option<String>,
    pub run: Option<RunId>,
    pub first_seen_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub resolution: Option<String>,
    pub resolved_by: Option<String>,
    pub note: Option<String>,
    pub quarantine_id: Option<CaseId>,
}

/// How far a job has come.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the columns' of makegood.jobs")]
pub struct JobProgress {
    pub job: String,
    pub route: String,
    pub cursor_at: Option<Timestamp>,
    pub swept_at: Option<Timestamp>,
    pub looked_at: Option<Timestamp>,
    pub notice: Option<String>,
    pub paid_not_purchased: i64,
    pub oldest_at: Option<Timestamp>,
}

/// Which findings to show.
#[derive(Clone, Debug)]
pub struct FindingFilter {
    /// Those a run found or resolved; without a run those that are open.
    pub run: Option<RunId>,
    /// At most so many.
    pub limit: i64,
}

/// One event in the life of a payment.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the columns' of makegood.explain")]
pub struct Trace {
    pub at: Option<Timestamp>,
    pub part: String,
    pub what: String,
    pub business_key: Option<String>,
    pub contents: Value,
}

/// The database's clock.
pub async fn now(store: &Store) -> Result<Timestamp, Fault> {
    let rows = store.query("SELECT clock_timestamp() AS now", &[]).await?;
    Ok(rows.first().map_or_else(Timestamp::default, |row| row.moment("now")))
}

/// Asks for a run; returns its number.
pub async fn ask(store: &Store, ask: &RunRequest) -> Result<RunId, Fault> {
    let sql = include_str!("../../../../sql/core/run_ask.sql");
    let rows =
        store.query(sql, &[&ask.job, &ask.since.sent(), &ask.until.sent(), &ask.dry_run]).await?;
    Ok(rows.first().map_or(RunId::default(), |row| row.get(0)))
}

/// Lets a held run go on.
pub async fn approve(store: &Store, run: RunId) -> Result<(), Fault> {
    store.query("SELECT makegood.approve($1)", &[&run]).await?;
    Ok(())
}

/// One run.
pub async fn run(store: &Store, run: RunId) -> Result<Option<RunSummary>, Fault> {
    let sql = include_str!("../../../../sql/core/run_show.sql");
    store.query(sql, &[&run]).await?.first().map(read_run).transpose()
}

/// Runs, the newest first.
pub async fn runs(store: &Store, limit: i64) -> Result<Vec<RunSummary>, Fault> {
    let sql = include_str!("../../../../sql/core/run_list.sql");
    store.query(sql, &[&limit]).await?.iter().map(read_run).collect()
}

/// Findings in the order of their numbers.
pub async fn findings(store: &Store, filter: &FindingFilter) -> Result<Vec<Finding>, Fault> {
    let sql = include_str!("../../../../sql/core/finding_list.sql");
    let rows = store.query(sql, &[&filter.run, &filter.limit]).await?;
    Ok(rows.iter().map(read_finding).collect())
}

/// The jobs by name.
pub async fn jobs(store: &Store) -> Result<Vec<JobProgress>, Fault> {
    let rows = store.query(include_str!("../../../../sql/core/job_list.sql"), &[]).await?;
    let job = |row: &Row| JobProgress {
        job: row.get("job"),
        route: row.get("route"),
        cursor_at: row.time("cursor_at"),
        swept_at: row.time("swept_at"),
        looked_at: row.time("looked_at"),
        notice: row.get("notice"),
        paid_not_purchased: row.get("paid_not_purchased"),
        oldest_at: row.time("oldest_at"),
    };
    Ok(rows.iter().map(job).collect())
}

/// What makegood's own tables know of a payment or an event.
pub async fn explain(store: &Store, id: &str) -> Result<Vec<Trace>, Fault> {
    let rows = look(store, include_str!("../../../../sql/core/explain.sql"), false, &[&id]).await?;
    Ok(rows.iter().map(read_trace).collect())
}

/// What the outbox knows: of events by their own ids, of payments where their ids are the keys.
pub async fn explain_outbox(
    store: &Store,
    payments: &[String],
    events: &[String],
) -> Result<Vec<Trace>, Fault> {
    let events: Vec<uuid::Uuid> = events.iter().filter_map(|id| id.parse().ok()).collect();
    let sql = include_str!("../../../../sql/core/explain_outbox.sql");
    Ok(look(store, sql, false, &[&payments, &events]).await?.iter().map(read_trace).collect())
}

/// How many rows of the host's are kept of one look.
pub const MOST_ROWS: usize = 1000;

/// What the host's tables have of a payment or a purchase with this id, or of whatever the mapping's `lookup.sql` finds
/// payments by: at most [`MOST_ROWS`].
pub async fn lookup(store: &Store, sql: &str, id: &str) -> Result<Vec<Trace>, Fault> {
    let rows = look(store, sql, true, &[&id]).await?;
    let part = |row: &Row| cell(row, "part").unwrap_or_default();
    Ok(rows.iter().map(|row| host_row(row, part(row), "contents")).collect())
}

/// The same of one part by its payments' ids alone: by `payments.sql`, which tells their state too, or `purchases.sql`. A
/// text that cannot be a payment's id is none.
pub async fn of_part(
    store: &Store,
    ask: PaymentsQuery<'_>,
    part: &str,
    ids: &[String],
) -> Result<Vec<Trace>, Fault> {
    let last = LastFound::default();
    let found = Box::pin(by_keys(ids, &Alone { store, ask }, &last)).await?.rows;
    let trace = |row: &Row| Trace {
        what: cell(row, "state").unwrap_or_default(),
        ..host_row(row, part.to_owned(), "terms")
    };
    Ok(found.iter().map(trace).collect())
}

/// A statement of the mapping in transactions of its own.
struct Alone<'a> {
    store: &'a Store,
    ask: PaymentsQuery<'a>,
}

impl ByKeys for Alone<'_> {
    async fn ask(&self, scope: Scope<'_>) -> Result<Vec<Row>, Fault> {
        let params = scope.params();
        look(self.store, self.ask.sql, true, &params.each(self.ask)).await
    }
}

/// The server looks whether somebody still waits for the answer, from PostgreSQL 14 on, and ends the statement if not.
const LOOK: &str = "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '10s'; SET LOCAL row_security = off; \
    SELECT pg_catalog.set_config(name, '250', true) FROM pg_catalog.pg_settings \
    WHERE name = 'client_connection_check_interval'";

/// One statement that can change nothing, whoever wrote it, and that ends soon. `is_host`: it is the mapping's.
async fn look(
    store: &Store,
    sql: &str,
    is_host: bool,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<Row>, Fault> {
    let tx = store.begin("explain").await?;
    tx.batch(LOOK).await?;
    let rows = match is_host {
        true => tx.query_host_few(sql, params, MOST_ROWS).await,
        false => tx.query(sql, params).await,
    };
    tx.rollback().await;
    rows
}

fn host_row(row: &Row, part: String, contents: &str) -> Trace {
    Trace {
        at: cell(row, "at").map(|When(at)| at),
        part,
        what: String::new(),
        business_key: cell(row, "business_key"),
        contents: json(row, contents).unwrap_or_default(),
    }
}

/// What people should see of a row; JSON that serde_json does not take, such as `1e999`, as its text.
fn json(row: &Row, name: &str) -> Option<Value> {
    let JsonText(text) = cell(row, name)?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}

fn read_trace(row: &Row) -> Trace {
    Trace {
        at: row.time("at"),
        part: row.get("part"),
        what: row.get::<_, Option<String>>("what").unwrap_or_default(),
        business_key: row.get("business_key"),
        contents: json(row, "contents").unwrap_or_default(),
    }
}

fn read_run(row: &Row) -> Result<RunSummary, Fault> {
    Ok(RunSummary {
        run: row.get("run"),
        job: row.get("job"),
        requested_by: row.get("requested_by"),
        requested_via: row.get("requested_via"),
        requested_at: row.moment("requested_at"),
        since: row.time("since"),
        until: row.time("until"),
        dry_run: row.get("dry_run"),
        state: row.try_get("state")?,
        phase: row.try_get("phase")?,
        compared: row.get("compared"),
        missing: row.get("missing"),
        made_good: row.get("made_good"),
        gone: row.get("gone"),
        quarantined: row.get("quarantined"),
        conflicts: row.get("conflicts"),
        held: row.get("held"),
        approved_by: row.get("approved_by"),
        place_at: row.time("place_at"),
        started_at: row.time("started_at"),
        finished_at: row.time("finished_at"),
        error: row.get("error"),
        sample: json(row, "sample"),
        reason: row.get("reason"),
    })
}

fn read_finding(row: &Row) -> Finding {
    Finding {
        finding: row.get("finding"),
        job: row.get("job"),
        payment: row.get("payment"),
        kind: row.get("kind"),
        paid_at: row.time("paid_at"),
        expected: json(row, "expected"),
        found: json(row, "found"),
        detail: row.get("detail"),
        run: row.get("run"),
        first_seen_at: row.moment("first_seen_at"),
        resolved_at: row.time("resolved_at"),
        resolution: row.get("resolution"),
        resolved_by: row.get("resolved_by"),
        note: row.get("note"),
        quarantine_id: row.get("quarantine_id"),
    }
}
