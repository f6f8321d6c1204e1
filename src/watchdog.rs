//! The watchdog: looks at every route from a thread of its own, says what keeps it from moving, and
//! mends what nothing else would.
//!
//! # States of a route
//!
//! * **Well**: everything that may be read is read, or moves. Left when nothing has moved for two thirds
//!   of `patience` though something waits, when given partitions have no position for as long, or when
//!   the Kafka client's thread gives no sign of life.
//! * **Kept from outside**: the database, a lock, a hold, the broker, an open transaction. It is said,
//!   and waited for.
//! * **Stuck**: nothing explains it. Said, then claimed again after `patience`, then read through a new
//!   client after a third more, and through another ever more rarely; after some ten times `patience`
//!   the process ends with code 75, for its supervisor to start another.
//!
//! The rules are in [`rules::stall`]. Here is the thread, what it asks, and what it does. It has
//! a runtime of its own, because the daemon's may be what is stuck, and Kafka handles of its own, because
//! the member's may be.

mod ask;
mod route;
pub mod supervisor;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config;
use crate::progress::{self, Progress, Remedy};
use ask::WatchdogConnection;
use route::Patient;
use rules::problem::{Code, Problem};

/// How long the loops may take to end after the watchdog gave up, before it ends the process itself.
const LAST_PATIENCE: Duration = Duration::from_secs(25);
/// How long the log may take to write its last line.
const LOG_PATIENCE: Duration = Duration::from_millis(200);

/// A route to look after.
pub struct Watch {
    /// Its name.
    pub route: String,
    /// Its topic.
    pub topic: String,
    /// Its consumer group.
    pub group: String,
    /// Where its loop shows itself.
    pub vitals: Arc<Progress>,
    /// Where its loop hears what to do.
    pub remedies: mpsc::UnboundedSender<Remedy>,
}

/// Watches the routes until `stop`. Returns early with a problem when only a new process can help; if
/// the process does not end then, it is ended.
pub async fn run(
    patience: Duration,
    postgres: config::Postgres,
    kafka: config::Kafka,
    watches: Vec<Watch>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let (give_up, given_up) = oneshot::channel();
    let stopped = stop.clone();
    let thread = thread::Builder::new().name("watchdog".to_owned());
    thread
        .spawn(move || match watch(patience, &postgres, &kafka, watches, &stopped) {
            Ok(()) => {}
            Err(problem) => {
                error!(code = problem.code.as_str(), "{}", problem.reason);
                let _ = give_up.send(problem);
                thread::sleep(LAST_PATIENCE);
                error!("the loops did not end; the process does");
                // The log has a thread of its own.
                thread::sleep(LOG_PATIENCE);
                std::process::exit(i32::from(Code::GaveUp.exit()));
            }
        })
        .map_err(|e| Problem::new(Code::System, format!("cannot start the watchdog: {e}")))?;
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        Ok(problem) = given_up => Err(problem),
        else => Ok(()),
    }
}

fn watch(
    patience: Duration,
    postgres: &config::Postgres,
    kafka: &config::Kafka,
    watches: Vec<Watch>,
    stop: &CancellationToken,
) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Problem::new(Code::System, format!("cannot start the watchdog: {e}")))?;
    let mut patients = Vec::new();
    for watch in watches {
        patients.push(Patient::new(watch, kafka, patience)?);
    }
    let mut database = WatchdogConnection::new(postgres, &runtime);
    let every = (patience / 10).clamp(Duration::from_millis(100), Duration::from_secs(3));
    let mut awake = progress::now();
    while !stop.is_cancelled() {
        let mut doing = Vec::new();
        for patient in &mut patients {
            doing.push(patient.look(awake, &mut database)?);
        }
        supervisor::tell(&doing);
        let slept = progress::now();
        let _ = runtime.block_on(async { tokio::time::timeout(every, stop.cancelled()).await });
        // Nobody can be late while nobody runs: a process that was stopped, a machine that slept.
        if progress::now().saturating_sub(slept) > every * 2 + Duration::from_secs(2) {
            warn!("the process was stopped for a while; all clocks start again");
            awake = progress::now();
        }
    }
    Ok(())
}
