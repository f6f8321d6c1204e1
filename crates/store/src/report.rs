//! Reading for people: what the commands and dashboards show. What people ask for goes through the same
//! functions as in SQL; nothing else here changes anything.

pub mod decisions;
pub mod inbox;
pub mod mapping;
pub mod quarantine;
pub mod reconcile;

use jiff::Timestamp;
use rules::outcome::Counter;
use rules::states::{Phase, WorkerState};
use tokio_postgres::Row;
use uuid::Uuid;

use super::ignored_types::{self, IgnoredType};
use super::{Fault, Store, Tx, gaps};
use crate::when::Times;
use rules::ids::{Epoch, Offset, RouteId, RunId};

/// Everything the database knows of its routes, read in one transaction.
#[derive(Clone, Debug)]
pub struct Report {
    /// The database's clock; ages are counted from here, whatever this machine's clock says.
    pub now: Timestamp,
    /// The routes by name.
    pub routes: Vec<RouteStatus>,
    /// Their partitions, of the newest topic id only.
    pub positions: Vec<PositionStatus>,
    /// Their daemons, also those that died without a word within the last day.
    pub workers: Vec<Worker>,
    /// Open quarantine: route, reason, records, and when the newest came.
    pub quarantine: Vec<(String, String, i64, Timestamp)>,
    /// The types of records that were ignored, by route, the most frequent first.
    pub ignored: Vec<IgnoredType>,
    /// Refused records that wait for a verdict, by route.
    pub suspects: Vec<Suspects>,
    /// Offsets that were never read and that no sweep has covered yet.
    pub gaps: Vec<gaps::OpenGap>,
    /// The reconciliation jobs by name.
    pub jobs: Vec<JobStatus>,
}

impl Report {
    /// What is known while the database says nothing.
    pub fn nothing(now: Timestamp) -> Report {
        let (routes, positions, workers) = (Vec::new(), Vec::new(), Vec::new());
        Report {
            now,
            routes,
            positions,
            workers,
            quarantine: Vec::new(),
            ignored: Vec::new(),
            suspects: Vec::new(),
            gaps: Vec::new(),
            jobs: Vec::new(),
        }
    }
}

/// Refused records of one route that wait for a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspects {
    /// The route.
    pub route: String,
    /// How many there are.
    pub records: i64,
    /// When the oldest was refused.
    pub since: Timestamp,
    /// What for.
    pub detail: String,
    /// What would mend that.
    pub advice: String,
}

/// One reconciliation job.
#[derive(Clone, Debug)]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// The route that it makes good through.
    pub route: String,
    /// When recent payments were last looked at.
    pub looked_at: Option<Timestamp>,
    /// What hinders it, or is to be said of it.
    pub notice: Option<String>,
    /// What is wrong with the words in the payments' status.
    pub statuses: Option<String>,
    /// When its last run that was not a dry one ended well, if one has yet.
    pub succeeded_at: Option<Timestamp>,
    /// How long that run took, in seconds.
    pub took: Option<f64>,
    /// Why the newest run that has ended failed, if it did.
    pub failed: Option<String>,
    /// Runs that wait for an approval.
    pub held_runs: i64,
    /// The run at hand.
    pub run: Option<Running>,
    /// When the oldest run was asked for that has not begun.
    pub asked_at: Option<Timestamp>,
    /// Open findings by kind.
    pub findings: Vec<(String, i64)>,
}

/// A run that is being taken step by step.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the columns' of makegood.reconcile_runs")]
pub struct Running {
    pub run: RunId,
    pub phase: Phase,
    pub compared: i64,
    pub missing: i64,
    pub made_good: i64,
    pub place_at: Option<Timestamp>,
    pub moved_at: Option<Timestamp>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub held: Option<String>,
}

/// One route.
#[derive(Clone, Debug)]
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// Its consumer group.
    pub group: String,
    /// When a daemon last wrote anything for it.
    pub seen_at: Option<Timestamp>,
    /// Payments that succeeded and have no purchase.
    pub unpurchased: i64,
    /// When the oldest of them became paid.
    pub unpurchased_since: Option<Timestamp>,
    /// What its records came to.
    pub counts: Vec<(Counter, i64)>,
    /// Why its events are believed without a look at their payments, if they are.
    pub believes: Option<String>,
}

/// One partition.
#[derive(Clone, Debug)]
pub struct PositionStatus {
    /// Its route.
    pub route: String,
    /// Its number.
    pub partition: i32,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The next offset to read.
    pub next_offset: Offset,
    /// The log's first offset, when a daemon last looked.
    pub log_start: Option<Offset>,
    /// One past the log's last offset, when a daemon last looked.
    pub log_end: Option<Offset>,
    /// Records waiting, when a daemon last looked.
    pub lag: Option<i64>,
    /// When a daemon last looked.
    pub log_seen_at: Option<Timestamp>,
    /// When it last moved on.
    pub progress_at: Option<Timestamp>,
    /// How often it was claimed.
    pub epoch: Epoch,
}

/// One daemon on one route.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are the columns' of makegood.workers")]
pub struct Worker {
    pub route: String,
    pub host: String,
    pub pid: i32,
    pub version: String,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    pub state: WorkerState,
    pub state_since: Timestamp,
    pub reason: Option<String>,
    pub advice: Option<String>,
    pub partitions: Vec<i32>,
    /// Seen within the last thirty seconds.
    pub alive: bool,
}

/// Reads the report.
pub async fn read(store: &Store) -> Result<Report, Fault> {
    let tx = store.begin("status").await?;
    let report = read_in(&tx).await;
    tx.rollback().await;
    report
}

async fn read_in(tx: &Tx) -> Result<Report, Fault> {
    tx.batch("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let routes = tx.query(include_str!("../../../sql/core/status_routes.sql"), &[]).await?;
    let positions = tx.query(include_str!("../../../sql/core/status_positions.sql"), &[]).await?;
    let workers = tx.query(include_str!("../../../sql/core/status_workers.sql"), &[]).await?;
    let waiting = tx.query(include_str!("../../../sql/core/status_quarantine.sql"), &[]).await?;
    let ignored = tx.query(include_str!("../../../sql/core/status_ignored.sql"), &[]).await?;
    let suspects = tx.query(include_str!("../../../sql/core/status_suspects.sql"), &[]).await?;
    let jobs = tx.query(include_str!("../../../sql/core/status_jobs.sql"), &[]).await?;
    let findings = tx.query(include_str!("../../../sql/core/status_findings.sql"), &[]).await?;
    let now = tx.query("SELECT now()", &[]).await?;
    let gaps = tx.query(include_str!("../../../sql/core/gap_list.sql"), &[]).await?;
    Ok(Report {
        now: now.first().map_or_else(Timestamp::default, |row| row.moment("now")),
        routes: routes.iter().map(route).collect(),
        positions: positions.iter().map(position).collect(),
        workers: workers.iter().map(worker).collect::<Result<_, _>>()?,
        quarantine: waiting
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.moment("newest_at")))
            .collect(),
        ignored: ignored.iter().map(ignored_types::read).collect(),
        suspects: suspects.iter().map(suspected).collect(),
        gaps: gaps.iter().map(gaps::read).collect(),
        jobs: jobs.iter().map(|row| job(row, &findings)).collect::<Result<_, _>>()?,
    })
}

fn suspected(row: &Row) -> Suspects {
    Suspects {
        route: row.get("route"),
        records: row.get("records"),
        since: row.moment("since"),
        detail: row.get::<_, Option<String>>("detail").unwrap_or_default(),
        advice: row.get::<_, Option<String>>("advice").unwrap_or_default(),
    }
}

fn job(row: &Row, findings: &[Row]) -> Result<JobStatus, Fault> {
    let name: String = row.get("job");
    let own = findings.iter().filter(|finding| finding.get::<_, &str>("job") == name);
    let run: Option<RunId> = row.get("run");
    Ok(JobStatus {
        route: row.get("route"),
        looked_at: row.time("looked_at"),
        notice: row.get("notice"),
        statuses: row.get("statuses_say"),
        succeeded_at: row.time("succeeded_at"),
        failed: row.get("failed"),
        took: row.get("took"),
        held_runs: row.get("held_runs"),
        run: run.map(|run| running(run, row)).transpose()?,
        asked_at: row.time("asked_at"),
        findings: own.map(|finding| (finding.get("kind"), finding.get("findings"))).collect(),
        name,
    })
}

fn running(run: RunId, row: &Row) -> Result<Running, Fault> {
    Ok(Running {
        run,
        phase: row.try_get("phase")?,
        compared: row.get("compared"),
        missing: row.get("missing"),
        made_good: row.get("made_good"),
        place_at: row.time("place_at"),
        moved_at: row.time("moved_at"),
        since: row.time("since"),
        until: row.time("until"),
        held: row.get("waits"),
    })
}

fn route(row: &Row) -> RouteStatus {
    RouteStatus {
        name: row.get("route"),
        topic: row.get("topic"),
        group: row.get("consumer_group"),
        seen_at: row.time("seen_at"),
        unpurchased: row.get("paid_not_purchased"),
        unpurchased_since: row.time("oldest_not_purchased_at"),
        counts: Counter::shown().map(|one| (one, row.get(one.as_str()))).collect(),
        believes: row.get("believes"),
    }
}

fn position(row: &Row) -> PositionStatus {
    PositionStatus {
        route: row.get("route"),
        partition: row.get("partition"),
        topic_id: row.get("topic_id"),
        next_offset: row.get("next_offset"),
        log_start: row.get("log_start"),
        log_end: row.get("log_end"),
        lag: row.get("lag"),
        log_seen_at: row.time("log_seen_at"),
        progress_at: row.time("progress_at"),
        epoch: row.get("epoch"),
    }
}

fn worker(row: &Row) -> Result<Worker, Fault> {
    Ok(Worker {
        route: row.get("route"),
        host: row.get("host"),
        pid: row.get("pid"),
        version: row.get("version"),
        started_at: row.moment("started_at"),
        seen_at: row.moment("seen_at"),
        state: row.try_get("state")?,
        state_since: row.moment("state_since"),
        reason: row.get("reason"),
        advice: row.get("advice"),
        partitions: row.get("partitions"),
        alive: row.get("alive"),
    })
}

/// The key and the topic under which daemons have registered a route; `None` if none ever ran it.
pub async fn route_key(store: &Store, name: &str) -> Result<Option<(RouteId, String)>, Fault> {
    let rows = store.query(include_str!("../../../sql/core/route_key.sql"), &[&name]).await?;
    Ok(rows.first().map(|row| (row.get(0), row.get(1))))
}
