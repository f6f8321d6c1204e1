//! Runs of the reconciler: rows from the request to the end. A run's state is nowhere else, so that
//! another runner can go on with it.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::jobs::Lease;
use super::json::JsonText;
use super::payments::Place;
use super::statuses::UnnamedStatuses;
use super::when::{Sent, Times};
use super::{Fault, Store, Tx};
use rules::ids::RunId;
use rules::schedule::TimeRange;
use rules::states::Phase;

/// How many findings of a dry run are kept, as it leaves none elsewhere.
pub const SAMPLE: usize = 100;

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Payments that became paid from then on; `None` for all.
    pub since: Option<Timestamp>,
    /// And before then.
    pub until: Timestamp,
    /// Whether it only reports.
    pub dry_run: bool,
    /// Whether a person asked for it.
    pub by_person: bool,
    /// What it is at.
    pub phase: Phase,
    /// How far that has come.
    pub place: Place,
    /// Payments looked at so far.
    pub compared: i64,
    /// Payments missing a purchase so far.
    pub missing: i64,
    /// Whether a person let it go on without the brake.
    pub approved: bool,
    /// Why it waits, as it was last said.
    pub held: Option<String>,
    /// When it was first taken.
    pub started: Timestamp,
    /// How many findings of a dry run are kept already.
    pub sampled: usize,
    /// The words of the payments' status that nobody named, in the windows so far.
    pub statuses: UnnamedStatuses,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the columns', documented in the view")]
pub struct RunStep {
    pub phase: Phase,
    pub place: Place,
    pub compared: i64,
    pub missing: i64,
    pub made_good: i64,
    pub gone: i64,
    pub quarantined: i64,
    pub conflicts: i64,
    /// Findings of a dry run, as a JSON array.
    pub sample: Option<String>,
    /// The words that nobody named, of all windows so far, if one was looked at.
    pub statuses: Option<UnnamedStatuses>,
}

impl RunStep {
    /// A step that only moves on.
    pub fn to(phase: Phase, place: Place) -> RunStep {
        RunStep {
            phase,
            place,
            compared: 0,
            missing: 0,
            made_good: 0,
            gone: 0,
            quarantined: 0,
            conflicts: 0,
            sample: None,
            statuses: None,
        }
    }
}

/// The run to go on with, if there is one. One for which nobody named an end ends `grace` before now.
pub async fn take(store: &Store, lease: &Lease, grace: Duration) -> Result<Option<Run>, Fault> {
    let sql = include_str!("../../../sql/core/run_take.sql");
    let rows = store.query(sql, &[&lease.job, &lease.owner, &grace.as_secs_f64()]).await?;
    let run = |row: &Row| {
        Ok(Run {
            id: row.get("id"),
            since: row.time("since"),
            until: row.moment("until"),
            dry_run: row.get("dry_run"),
            by_person: row.get::<_, &str>("requested_via") != "schedule",
            phase: row.try_get("phase")?,
            place: Place { at: row.time("place_at"), key: row.get("place_key") },
            compared: row.get("compared"),
            missing: row.get("missing"),
            approved: row.get("approved"),
            held: row.get("held"),
            started: row.moment("started_at"),
            statuses: UnnamedStatuses::of(row.get("statuses")),
            sampled: usize::try_from(row.get::<_, i32>("sampled")).unwrap_or_default(),
        })
    };
    rows.first().map(run).transpose()
}

/// Writes a step of a run, in the transaction that did it.
pub async fn step(tx: &Tx, run: RunId, step: &RunStep) -> Result<(), Fault> {
    let sample = step.sample.as_deref().map(JsonText);
    let statuses = step.statuses.as_ref().map(UnnamedStatuses::text);
    tx.execute(
        include_str!("../../../sql/core/run_step.sql"),
        &[
            &run,
            &step.phase,
            &step.place.at.sent(),
            &step.place.key,
            &step.compared,
            &step.missing,
            &step.made_good,
            &step.gone,
            &step.quarantined,
            &step.conflicts,
            &sample,
            &statuses.as_deref().map(JsonText),
        ],
    )
    .await?;
    Ok(())
}

/// Has a run wait for a person.
pub async fn hold(tx: &Tx, run: RunId, why: &str) -> Result<(), Fault> {
    tx.execute(include_str!("../../../sql/core/run_hold.sql"), &[&run, &why]).await?;
    Ok(())
}

/// Ends a run; with an error it has failed. `held` is why a dry run would have been held.
pub async fn finish(
    tx: &Tx,
    run: RunId,
    error: Option<&str>,
    held: Option<&str>,
) -> Result<(), Fault> {
    tx.execute(include_str!("../../../sql/core/run_finish.sql"), &[&run, &error, &held]).await?;
    Ok(())
}

/// Says why a run waits, which goes on by itself.
pub async fn waits(store: &Store, run: RunId, why: &str) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/run_waits.sql"), &[&run, &why]).await?;
    Ok(())
}

/// Asks for the schedule's next run; returns false, and does nothing, while one of the job is open. What
/// the run's range was chosen from was known at the lease's `now`.
pub async fn schedule(
    store: &Store,
    lease: &Lease,
    range: TimeRange,
    by: &str,
) -> Result<bool, Fault> {
    let sql = include_str!("../../../sql/core/run_schedule.sql");
    let (TimeRange { since, until, reason }, job) = (range, &lease.job);
    let asked = store
        .query(sql, &[job, &since.sent(), &until.sent(), &by, &reason.as_str(), &lease.now.sent()])
        .await?;
    store.query(include_str!("../../../sql/core/run_trim.sql"), &[job]).await?;
    Ok(!asked.is_empty())
}

/// Ends the schedule's runs that the brake holds for payments which have their purchases by now; returns them.
pub async fn relieve(store: &Store, job: &str) -> Result<Vec<RunId>, Fault> {
    let rows = store.query(include_str!("../../../sql/core/run_relieve.sql"), &[&job]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Asks for a run because of a signal to the process `by`.
pub async fn signal(store: &Store, job: &str, by: &str) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/run_signal.sql"), &[&job, &by]).await?;
    Ok(())
}

/// The id of the event that a run makes from a payment: the same one however often the run tries.
pub fn event_id(run: RunId, key: &str) -> Uuid {
    let run = Uuid::new_v5(&rules::envelope::ID_NAMESPACE, format!("run {run}").as_bytes());
    Uuid::new_v5(&run, key.as_bytes())
}
