//! What the process is told by signals.

use std::time::Duration;
use std::{io, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::kafka::login;
use crate::store::connect;
use crate::watchdog::supervisor;
use rules::problem::{Code, Problem};

/// How long a drain may take before the process ends anyway; what was not committed is read again.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// How long the log may take to write its last line.
const LOG_PATIENCE: Duration = Duration::from_millis(200);

/// Signals that ask for work, counted for everybody who wants to hear of them.
#[derive(Clone)]
pub(super) struct Signals {
    /// SIGHUP: read the mapping again, and what logs in to PostgreSQL and Kafka.
    pub reload: watch::Receiver<u64>,
    /// SIGUSR1: reconcile now.
    pub reconcile: watch::Receiver<u64>,
}

impl Signals {
    /// Listens from now on, so that none of them ends the process; SIGTERM and SIGINT cancel `stop`.
    pub(super) fn listen(stop: &CancellationToken) -> Result<Signals, Problem> {
        listen_for_stop(stop)?;
        Ok(Signals {
            reload: broadcast(SignalKind::hangup())?,
            reconcile: broadcast(SignalKind::user_defined1())?,
        })
    }
}

fn signals_of(kind: SignalKind) -> Result<Signal, Problem> {
    signal(kind).map_err(|e| Problem::new(Code::System, format!("cannot listen for signals: {e}")))
}

/// On a thread of its own: a call into a library that does not come back must not keep the process from ending.
fn listen_for_stop(stop: &CancellationToken) -> Result<(), Problem> {
    let system = |e: io::Error| Problem::new(Code::System, format!("cannot await signals: {e}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(system)?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signals_of(SignalKind::terminate())?, signals_of(SignalKind::interrupt())?)
    };
    let stop = stop.clone();
    let work = async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
        supervisor::stopping();
        stop.cancel();
        tokio::time::sleep(DRAIN_DEADLINE).await;
        warn!("the drain took too long; what was not committed will be read again");
        // The log has a thread of its own.
        tokio::time::sleep(LOG_PATIENCE).await;
        std::process::exit(i32::from(Code::GaveUp.exit()));
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || runtime.block_on(work)).map(drop).map_err(system)
}

/// Counts the signals of a kind for everybody who wants to hear of them.
fn broadcast(kind: SignalKind) -> Result<watch::Receiver<u64>, Problem> {
    let mut signals = signals_of(kind)?;
    let (counter, count) = watch::channel(0);
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            if kind == SignalKind::hangup() {
                connect::read_again();
                // Of files, which may be slow to answer.
                tokio::task::spawn_blocking(login::read_again);
            }
            counter.send_modify(|count| *count += 1);
        }
    });
    Ok(count)
}
