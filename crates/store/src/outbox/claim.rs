//! Who relays: a claim is a step with a new epoch, written when the lease before it has run out.

use std::time::Duration;

use tokio_postgres::Row;
use tracing::warn;
use uuid::Uuid;

use super::{Cursor, LEASE, OutboxSession, Shard};
use crate::Fault;
use crate::workers;
use rules::ids::{Epoch, StepNumber};

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The shard is ours.
    Won {
        /// The step that was written.
        step: StepNumber,
        /// Counts the claims of this shard.
        epoch: Epoch,
        /// Where to go on.
        cursor: Cursor,
    },
    /// Somebody else has it for that long, unless they renew it.
    Taken(Duration),
}

/// How soon to try again where somebody else was faster, or will be.
const SOON: Duration = Duration::from_millis(200);
/// Rows that get new numbers in one statement: few enough for a slow disk.
const RESTAMPED: i64 = 10_000;
/// Rows of another server that get numbers of this one in one statement.
const STRAYS: i64 = 1000;
/// The advisory lock of whoever sets all shards to a new beginning, which may take long: the others need not try.
const RESTARTING: i64 = 0x6d67_7265_6c61_7973; // "mgrelays"

impl OutboxSession {
    /// Tries to get the shard for `holder`.
    pub async fn claim(&self, holder: Uuid) -> Result<ClaimOutcome, Fault> {
        let sql = include_str!("../../../../sql/core/outbox_newest.sql");
        let newest = self.query(sql, &[&self.shard.number]).await?;
        let Some(newest) = newest.first().map(Newest::read) else {
            return self.restart(holder).await;
        };
        if newest.holder != Some(holder) && !newest.left.is_zero() {
            return Ok(ClaimOutcome::Taken(newest.left));
        }
        if newest.is_foreign || newest.shards != self.shard.of {
            return self.restart(holder).await;
        }
        self.adopt().await?;
        self.take(holder, &newest).await
    }

    /// Gives rows of another server, which came without its cursor, numbers of this one: no snapshot would see them
    /// until its transactions have got there.
    pub async fn adopt(&self) -> Result<(), Fault> {
        let sql = include_str!("../../../../sql/core/outbox_strays.sql");
        while self.one(sql, &[&STRAYS]).await?.get::<_, i64>(0) == STRAYS {}
        Ok(())
    }

    async fn take(&self, holder: Uuid, newest: &Newest) -> Result<ClaimOutcome, Fault> {
        #[cfg(feature = "failpoints")]
        crate::failing::at("relay.claim.before").await?;
        let sql = include_str!("../../../../sql/core/outbox_claim.sql");
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let Cursor { from, to, last_seq } = &newest.cursor;
        let written = self
            .query(
                sql,
                &[
                    &self.shard.number,
                    &newest.step,
                    &holder,
                    &workers::host(),
                    &pid,
                    &&**from,
                    &&**to,
                    last_seq,
                    &LEASE.as_secs_f64(),
                ],
            )
            .await?;
        #[cfg(feature = "failpoints")]
        crate::failing::at("relay.claim.after").await?;
        Ok(match written.first() {
            Some(row) => ClaimOutcome::Won {
                step: row.get(0),
                epoch: row.get(1),
                cursor: newest.cursor.clone(),
            },
            None => ClaimOutcome::Taken(SOON),
        })
    }

    /// Sets all shards to a new beginning: where their number has changed, at the oldest of their cursors, which
    /// sends some rows again; where this server cannot have written a cursor, after giving the rows numbers
    /// that mean something there. The claim itself comes with the next attempt.
    async fn restart(&self, holder: Uuid) -> Result<ClaimOutcome, Fault> {
        match self.try_restart(holder).await {
            // Somebody else was faster.
            Err(fault) if fault.sqlstate() == Some("40001") => {
                self.batch("ROLLBACK").await?;
                Ok(ClaimOutcome::Taken(SOON))
            }
            ended => ended,
        }
    }

    async fn try_restart(&self, holder: Uuid) -> Result<ClaimOutcome, Fault> {
        // One snapshot for the rows and for the cursor that is set to it: what is published meanwhile is in neither.
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        let sql = include_str!("../../../../sql/core/outbox_restart_from.sql");
        let known = self.one(sql, &[&holder, &i64::from(self.shard.of), &RESTARTING]).await?;
        let (relayed, steps, mine): (bool, i64, bool) = (known.get(1), known.get(2), known.get(5));
        if relayed || !mine {
            self.batch("ROLLBACK").await?;
            return Ok(ClaimOutcome::Taken(SOON));
        }
        // Asked of all shards: one that is new has no step of its own to tell.
        let begin: String = if known.get(4) {
            warn!(
                "the outbox was written by another PostgreSQL server and restored into this one: what was not sent is sent now, what is in doubt again"
            );
            self.restamp().await?;
            known.get(3)
        } else {
            known.get(0)
        };
        let sql = include_str!("../../../../sql/core/outbox_restart.sql");
        let written = self.query(sql, &[&self.shard.of, &begin]).await?;
        let end = if written.len() as i64 == steps { "COMMIT" } else { "ROLLBACK" };
        self.batch(end).await?;
        Ok(ClaimOutcome::Taken(Duration::ZERO))
    }

    /// Writes every row that is kept: as long as it takes, but piece by piece, so that each statement has an end.
    async fn restamp(&self) -> Result<(), Fault> {
        let sql = include_str!("../../../../sql/core/outbox_restamp.sql");
        let mut last = Some(i64::MIN);
        while let Some(after) = last {
            last = self.one(sql, &[&after, &RESTAMPED]).await?.get(0);
        }
        Ok(())
    }
}

/// The newest step of a shard.
struct Newest {
    step: StepNumber,
    shards: i16,
    cursor: Cursor,
    holder: Option<Uuid>,
    left: Duration,
    /// Whether this server cannot have written it.
    is_foreign: bool,
}

impl Newest {
    fn read(row: &Row) -> Newest {
        Newest {
            step: row.get(0),
            shards: row.get(1),
            cursor: Cursor {
                from: row.get::<_, String>(2).into(),
                to: row.get::<_, String>(3).into(),
                last_seq: row.get(4),
            },
            holder: row.get(5),
            left: Duration::try_from_secs_f64(row.get(6)).unwrap_or_default(),
            is_foreign: row.get(7),
        }
    }
}

impl Shard {
    /// The only one.
    pub const ONLY: Shard = Shard { number: 0, of: 1 };
}
