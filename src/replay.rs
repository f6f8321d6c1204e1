//! The loop that applies records that were put away again, one per route: replays that people ask for, suspects, and
//! judged records that may get through by now.
//!
//! # States
//!
//! * **Idle**: nothing is due. Left by a row in `makegood.decisions` or a suspect; a notification only makes it
//!   quicker.
//! * **Replaying**: what is due is applied in chunks, each a transaction that also writes what came of it. What is
//!   refused alone is a suspect; one that is proven and refused once more is judged.
//! * **Waiting**: some are refused, and nothing has proven yet whether that is their own fault. They are tried again
//!   after a pause; a replay says what it waits for. While another daemon applies the route's records, one that may
//!   not yet leaves them to it.
//!
//! None of the states is in memory. Several daemons share the work: a row locked by one is passed over by
//! the others.

mod case_work;
mod doubted;
mod rehearse;
mod replayer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::control::Control;
use crate::heartbeats::Sign;
use crate::start_gate::Admission;
use crate::stop::unless_stopped;
use crate::store::Store;
pub use rehearse::rehearse;
pub use replayer::Replayer;
use rules::backoff::Backoff;
use rules::envelope::Rules;
use rules::ids::RouteId;
use rules::problem::Problem;

/// How long a notification that was lost delays a replay.
const POLL: Duration = Duration::from_secs(3);
/// Pauses while replays wait for something.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), max: Duration::from_secs(10) };

/// The route whose records are replayed.
#[derive(Clone)]
pub struct ReplayRoute {
    /// Its key in the database.
    pub id: RouteId,
    /// Its name.
    pub name: String,
    /// How its records are decoded.
    pub rules: Rules,
    /// The payments' database, if it is not the one with the purchases.
    pub source: Option<Store>,
    /// Whether anything may be applied yet.
    pub admission: Admission,
    /// An event that the route's loops know to be sound.
    pub control: Control,
    /// Where the loop shows signs of life.
    pub sign: Arc<Sign>,
}

/// What one turn of the loop came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayTurn {
    /// Nothing is left to do.
    Idle,
    /// Something waits until this is over.
    Waits(String),
}

/// Replays what people ask for until `stop`. `heard` changes with every notification; a mended mapping is
/// tried at once too.
pub async fn run(
    mut replayer: Replayer,
    mut heard: watch::Receiver<u64>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let mut failures = 0;
    let news = replayer.route.control.clone();
    loop {
        replayer.route.sign.tick();
        let Some(report) = unless_stopped(&stop, Box::pin(replayer.run_once(&stop))).await else {
            return Ok(());
        };
        let pause = match report {
            ReplayTurn::Idle => {
                failures = 0;
                POLL
            }
            ReplayTurn::Waits(_) => {
                failures += 1;
                BACKOFF.delay(failures - 1, fastrand::f64())
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Ok(()) = heard.changed() => {}
            Ok(()) = replayer.mapping.changed() => {}
            () = news.news() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
