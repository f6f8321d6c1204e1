//! What a running daemon says of itself in the database, for status and dashboards.

use rules::diagnosis::Diagnosis;
use rules::states::WorkerState;
use std::time::Duration;

use uuid::Uuid;

use super::log::Log;
use super::{Fault, Store};
use rules::ids::{Offset, RouteId};

/// What a daemon is doing on a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting for partitions or their positions.
    Joining,
    /// Applying what comes.
    Running,
    /// Records wait and nothing moves; the watchdog says why.
    Stalled(Diagnosis),
    /// Stopped on purpose until the world is mended.
    Held(Diagnosis),
}

/// The row of one daemon and route.
#[derive(Clone, Debug)]
pub struct Beat {
    /// The daemon's own id.
    pub worker: Uuid,
    /// The route's key.
    pub route: RouteId,
    /// The machine's name.
    pub host: String,
    /// What it is doing.
    pub state: State,
    /// The partitions it reads.
    pub partitions: Vec<i32>,
}

/// Writes the daemon's row.
pub async fn beat(store: &Store, beat: &Beat) -> Result<(), Fault> {
    let (state, reason, advice) = match &beat.state {
        State::Joining => (WorkerState::Joining, None, None),
        State::Running => (WorkerState::Running, None, None),
        State::Stalled(Diagnosis { reason, advice, .. }) => {
            (WorkerState::Stalled, Some(reason), Some(advice))
        }
        State::Held(Diagnosis { reason, advice, .. }) => {
            (WorkerState::Held, Some(reason), Some(advice))
        }
    };
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    store
        .query(
            include_str!("../../../sql/core/worker_beat.sql"),
            &[
                &beat.worker,
                &beat.route,
                &beat.host,
                &pid,
                &env!("CARGO_PKG_VERSION"),
                &state,
                &reason,
                &advice,
                &beat.partitions,
            ],
        )
        .await?;
    Ok(())
}

/// Whether another daemon is alive that would apply the route's records, and has been for so long; the asking one is
/// held.
pub async fn is_run_elsewhere(store: &Store, route: RouteId, age: Duration) -> Result<bool, Fault> {
    let sql = include_str!("../../../sql/core/worker_elsewhere.sql");
    let rows = store.query(sql, &[&route, &age.as_secs_f64()]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Removes the daemon's rows.
pub async fn leave(store: &Store, worker: Uuid) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/worker_leave.sql"), &[&worker]).await?;
    Ok(())
}

/// Where one partition's log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The partition.
    pub partition: i32,
    /// The first offset still in the log.
    pub low: Offset,
    /// One past the last offset.
    pub high: Offset,
    /// From here to the end there is nothing that a consumer is given; `None` where a record waits, where the
    /// position has reached the end, and where nobody knows.
    pub all_read_from: Option<Offset>,
}

/// Records where each partition's log begins and ends.
pub async fn watermarks(store: &Store, log: &Log, seen: &[LogEnds]) -> Result<(), Fault> {
    let partitions: Vec<i32> = seen.iter().map(|s| s.partition).collect();
    let lows: Vec<Offset> = seen.iter().map(|s| s.low).collect();
    let highs: Vec<Offset> = seen.iter().map(|s| s.high).collect();
    let all_read: Vec<Option<Offset>> = seen.iter().map(|s| s.all_read_from).collect();
    let sql = include_str!("../../../sql/core/watermark_put.sql");
    store.query(sql, &[&log.group, &log.topic_id, &partitions, &lows, &highs, &all_read]).await?;
    Ok(())
}

/// The machine's name, for people who look for the daemon.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
