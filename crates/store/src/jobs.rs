//! The reconciler's jobs: how far each has looked, and who runs it.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::json::JsonText;
use super::statuses::UnnamedStatuses;
use super::when::{Sent, Times};
use super::{Fault, Store, Tx, workers};
use rules::ids::{Epoch, RouteId};
use telemetry::start_gate::Admission;

/// How long a runner that says nothing keeps its job.
const LEASE_SECONDS: f64 = 15.0;

/// A job as its runner knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job's name.
    pub job: String,
    /// Who runs it.
    pub owner: Uuid,
    /// Counts its owners; a transaction of an older one cannot commit.
    pub epoch: Epoch,
    /// Every payment that became paid before has been compared.
    pub cursor: Option<Timestamp>,
    /// When the last sweep over everything began.
    pub swept: Option<Timestamp>,
    /// When the schedule last asked for a run.
    pub scheduled: Option<Timestamp>,
    /// How far the look at recent payments has come.
    pub look: Option<Timestamp>,
    /// When it last looked.
    pub looked: Option<Timestamp>,
    /// What hinders the job, as it was last said.
    pub notice: Option<String>,
    /// The words of the payments' status that nobody named, as far as they were seen.
    pub statuses: UnnamedStatuses,
    /// What is wrong with those words, as it was last said.
    pub statuses_say: Option<String>,
    /// The database's clock.
    pub now: Timestamp,
}

/// Makes sure that the job has its row.
pub async fn register(store: &Store, job: &str, route: RouteId) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/job_register.sql"), &[&job, &route]).await?;
    Ok(())
}

/// Takes or keeps the lease of a job; `None` while somebody else has it.
pub async fn lease(store: &Store, job: &str, owner: Uuid) -> Result<Option<Lease>, Fault> {
    #[cfg(feature = "failpoints")]
    super::failing::at("lease.take").await?;
    let sql = include_str!("../../../sql/core/job_lease.sql");
    let rows = store.query(sql, &[&job, &owner, &LEASE_SECONDS]).await?;
    Ok(rows.first().map(|row| Lease {
        job: job.to_owned(),
        owner,
        epoch: row.get("lease_epoch"),
        cursor: row.time("cursor_at"),
        swept: row.time("swept_at"),
        scheduled: row.time("scheduled_at"),
        look: row.time("look_at"),
        looked: row.time("looked_at"),
        notice: row.get("notice"),
        statuses: UnnamedStatuses::of(row.get("statuses")),
        statuses_say: row.get("statuses_say"),
        now: row.moment("now"),
    }))
}

/// Makes sure, as the last statement of a transaction, that the lease is still the runner's.
pub async fn hold(tx: &Tx, lease: &Lease) -> Result<bool, Fault> {
    let sql = include_str!("../../../sql/core/job_hold.sql");
    let held = tx.query(sql, &[&lease.job, &lease.owner, &lease.epoch, &LEASE_SECONDS]).await?;
    Ok(!held.is_empty())
}

/// Keeps every lease of this runner, while a step takes its time.
pub async fn beat(store: &Store, owner: Uuid) -> Result<(), Fault> {
    #[cfg(feature = "failpoints")]
    super::failing::at("lease.renew").await?;
    store.query(include_str!("../../../sql/core/job_beat.sql"), &[&owner, &LEASE_SECONDS]).await?;
    Ok(())
}

/// Gives up every lease of this runner.
pub async fn release(store: &Store, owner: Uuid) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/job_release.sql"), &[&owner]).await?;
    Ok(())
}

/// Says what hinders the job; `None` for nothing.
pub async fn notice(store: &Store, job: &str, what: Option<&str>) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/job_notice.sql"), &[&job, &what]).await?;
    Ok(())
}

/// Notes which words of the payments' status were seen that nobody named, and what is wrong with them.
pub async fn statuses(
    tx: &Tx,
    job: &str,
    seen: &UnnamedStatuses,
    say: Option<&str>,
) -> Result<(), Fault> {
    let sql = include_str!("../../../sql/core/job_statuses.sql");
    tx.execute(sql, &[&job, &JsonText(&seen.text()), &say]).await?;
    Ok(())
}

/// Notes that a run begun at `started` has compared everything from `since` to `until`.
pub async fn compared(
    tx: &Tx,
    job: &str,
    started: Timestamp,
    since: Option<Timestamp>,
    until: Timestamp,
) -> Result<(), Fault> {
    let sql = include_str!("../../../sql/core/job_compared.sql");
    tx.execute(sql, &[&job, &started.sent(), &since.sent(), &until.sent()]).await?;
    Ok(())
}

/// Notes that the look at recent payments has come to `until`, at `now`.
pub async fn looked(tx: &Tx, job: &str, until: Timestamp, now: Timestamp) -> Result<(), Fault> {
    let sql = include_str!("../../../sql/core/job_looked.sql");
    tx.execute(sql, &[&job, &until.sent(), &now.sent()]).await?;
    Ok(())
}

/// Has the next run of a route's jobs look at everything.
pub async fn sweep_again(tx: &Tx, route: RouteId) -> Result<(), Fault> {
    tx.execute(include_str!("../../../sql/core/job_sweep_again.sql"), &[&route]).await?;
    Ok(())
}

/// What the route's consumer has come to, while records wait for it on partitions that have moved within
/// `patience`.
pub async fn consumed(
    store: &Store,
    route: RouteId,
    patience: Duration,
) -> Result<Option<Timestamp>, Fault> {
    let sql = include_str!("../../../sql/core/job_consumed.sql");
    let rows = store.query(sql, &[&route, &patience.as_secs_f64()]).await?;
    Ok(rows.first().and_then(|row| row.time("consumed_at")))
}

/// Whether this daemon leaves a route's runs and replays to another one: it may not apply anything yet, and
/// that one applies the route's records.
pub async fn are_left_to_another(
    store: &Store,
    route: RouteId,
    admission: &Admission,
) -> Result<bool, Fault> {
    Ok(admission.held().is_some()
        && workers::is_run_elsewhere(store, route, Duration::ZERO).await?)
}

/// Why a route is held, if it is: not admitted in this process, or held by what a daemon met that reads it.
pub async fn route_held(
    store: &Store,
    route: RouteId,
    admission: &Admission,
) -> Result<Option<String>, Fault> {
    if let Some(why) = admission.held() {
        return Ok(Some(why.reason));
    }
    let rows = store.query(include_str!("../../../sql/core/job_route_held.sql"), &[&route]).await?;
    let reason = |row: &tokio_postgres::Row| {
        row.get::<_, Option<String>>(0).unwrap_or_else(|| "no reason was given".to_owned())
    };
    Ok(rows.first().map(reason))
}

/// The time between two times, for ages; zero for one that is still to come.
pub fn age(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}
