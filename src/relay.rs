//! The loop from the outbox to Kafka, one per shard.
//!
//! # States
//!
//! * **Following**: another daemon has the lease. Left when it runs out or is given up.
//! * **Leading**: rows are read ahead, sent in order, and the cursor follows what Kafka acknowledged. Left
//!   for Following when another daemon wrote a step (ours is then refused), and on any trouble with the
//!   database: the session ends, and all that was read ahead goes with it.
//!
//! What a leading daemon does with messages that do not go through is the machine's in `crates/rules/src/relay.rs`, and drawn
//! in `docs/architecture.md`.
//!
//! None of the states is durable: what is, is the newest step in PostgreSQL.

mod client;
mod housekeeping;
mod log_lines;
mod message;
mod outbox_reader;
mod term;
mod trial;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::config;
use crate::heartbeats::Sign;
use crate::stop::unless_stopped;
use crate::store::outbox::{ClaimOutcome, OutboxSession, Saying, Shard};
use client::ProducerClient;
use rules::backoff::Backoff;
use rules::problem::{Code, Problem};
use rules::relay::{CursorStep, Pace};
use term::{Leader, TermEnding};

/// Pauses between attempts to reach the database.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
/// How often a follower looks whether the lease is free. It may be given up before it runs out, which a follower
/// is told.
const LOOK: Duration = Duration::from_secs(1);
/// A term that lasted so long was in order, and the next failure is a new one.
const GOOD_TERM: Duration = Duration::from_secs(10);

/// What a relay works with.
pub struct Relay {
    /// The database with the outbox.
    pub postgres: config::Postgres,
    /// The brokers.
    pub kafka: config::Kafka,
    /// How long published rows stay.
    pub retention: Duration,
    /// Which part of the outbox.
    pub shard: Shard,
    /// Where the loop shows signs of life.
    pub sign: Arc<Sign>,
}

/// Relays until `stop`, then gives the lease up. The database's absence is waited for; the end is only early
/// with a problem that a person has to mend.
pub async fn run(relay: Arc<Relay>, stop: CancellationToken) -> Result<(), Problem> {
    // One holder a term would do; one a process makes a short absence of the database a renewal.
    let holder = Uuid::new_v4();
    let mut failures = 0;
    loop {
        relay.sign.tick();
        let began = Instant::now();
        let ended = relay.term(holder, &stop).await;
        if began.elapsed() >= GOOD_TERM {
            failures = 0;
        }
        match ended {
            Ok(TermEnding::Stopped | TermEnding::GivenUp) => return Ok(()),
            Ok(TermEnding::Lost) => {
                info!(shard = relay.shard.number, "another daemon relays the outbox now")
            }
            Err(problem) => {
                // The database may not take it, or not be there: this process tells it all the same.
                relay.sign.shows(Some(&problem));
                if failures == 0 {
                    warn!(hint = problem.advice, "the relay begins anew: {}", problem.reason);
                } else {
                    debug!("the relay cannot begin: {}", problem.reason);
                }
            }
        }
        let pause = BACKOFF.delay(failures, fastrand::f64());
        failures = failures.saturating_add(1);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Relay {
    /// One session: follow until the lease is free, then lead.
    async fn term(&self, holder: Uuid, stop: &CancellationToken) -> Result<TermEnding, Problem> {
        let session = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(TermEnding::Stopped),
            opened = OutboxSession::open(&self.postgres, self.shard) => opened?,
        };
        let mut refusals = 0;
        loop {
            let claim = match self.claim(&session, holder, stop).await {
                Ok(Some(claim)) => claim,
                Ok(None) => return Ok(TermEnding::Stopped),
                Err(problem) if problem.code == Code::Postgres => {
                    self.refused(&mut refusals, &problem);
                    let pause = BACKOFF.delay(refusals, fastrand::f64());
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(TermEnding::Stopped),
                        () = tokio::time::sleep(pause) => continue,
                    }
                }
                Err(problem) => return Err(problem),
            };
            match claim {
                ClaimOutcome::Won { step, epoch, cursor } => {
                    self.sign.shows(None);
                    info!(
                        shard = self.shard.number,
                        epoch = epoch.0,
                        "this daemon relays the outbox"
                    );
                    let opening = ProducerClient::open(&self.kafka, Pace::Pipelined);
                    let client = match unless_stopped(stop, opening).await {
                        None => return Ok(TermEnding::Stopped),
                        Some(Ok(client)) => client,
                        Some(Err(problem)) => {
                            let trouble = Some(problem.clone());
                            let saying = CursorStep { trouble, ..CursorStep::at(cursor) };
                            let _ = session.step(step, &Saying::from(saying)).await;
                            return Err(problem);
                        }
                    };
                    return Leader::begin(self, session, client, step, cursor).run(stop).await;
                }
                ClaimOutcome::Taken(left) => {
                    self.sign.shows(None);
                    tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(TermEnding::Stopped),
                    () = session.woken.notified() => {}
                    () = tokio::time::sleep(left.min(LOOK)) => {}
                    }
                }
            }
        }
    }

    /// The database is there and refuses the claim: it is asked again in the same session, so that everybody sees a
    /// daemon that is here, and this process tells why it does not relay.
    fn refused(&self, refusals: &mut u32, problem: &Problem) {
        self.sign.shows(Some(problem));
        match refusals {
            0 => warn!(hint = problem.advice, "{}", problem.reason),
            _ => debug!("{}", problem.reason),
        }
        *refusals = refusals.saturating_add(1);
    }

    /// Tries to get the shard and shows life meanwhile: after a restore this writes every row. None if told to stop.
    async fn claim(
        &self,
        session: &OutboxSession,
        holder: Uuid,
        stop: &CancellationToken,
    ) -> Result<Option<ClaimOutcome>, Problem> {
        let mut claiming = std::pin::pin!(session.claim(holder));
        loop {
            self.sign.tick();
            let claimed = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                claimed = &mut claiming => claimed,
                () = tokio::time::sleep(LOOK) => continue,
            };
            return claimed.map(Some).map_err(|f| f.problem("cannot claim the outbox"));
        }
    }
}
