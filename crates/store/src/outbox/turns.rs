//! Retention by rotation: three tables filled in turn, and the next one is emptied as a whole when its turn comes.

use std::time::Duration;

use super::OutboxSession;
use crate::Fault;
use rules::health::age;

/// The tables, by turn modulo three.
const TABLES: [&str; 3] = ["makegood.outbox_0", "makegood.outbox_1", "makegood.outbox_2"];

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is not time yet.
    Early,
    /// The next table is in use: by a writer whose transaction is open, a reader, or a row that was not sent. The turn
    /// has lasted so long.
    Busy(Duration),
    /// The next table was emptied and is filled from now on.
    Begun,
}

impl OutboxSession {
    /// Begins the next turn if it is time. A turn lasts half of `retention`, so that the youngest row of the table
    /// that is emptied has been there for all of it.
    pub async fn turn(&self, retention: Duration) -> Result<Turn, Fault> {
        let newest = self.one(include_str!("../../../../sql/core/outbox_turn.sql"), &[]).await?;
        let (turn, lasted): (i64, f64) = (newest.get(0), newest.get(1));
        if lasted < 0.0 {
            let sql = include_str!("../../../../sql/core/outbox_turn_again.sql");
            self.query(sql, &[&turn]).await?;
        }
        if lasted < retention.as_secs_f64() / 2.0 {
            return Ok(Turn::Early);
        }
        self.batch("BEGIN; SET LOCAL synchronous_commit = on").await?;
        let begun = self.empty(turn + 1).await;
        self.batch(if matches!(begun, Ok(true)) { "COMMIT" } else { "ROLLBACK" }).await?;
        let lasted = Duration::try_from_secs_f64(lasted).unwrap_or_default();
        begun.map(|begun| if begun { Turn::Begun } else { Turn::Busy(lasted) })
    }

    /// Who keeps the next table from being emptied, in words for people.
    pub async fn blocker(&self) -> Result<Option<String>, Fault> {
        let newest = self.one(include_str!("../../../../sql/core/outbox_turn.sql"), &[]).await?;
        let slot = (newest.get::<_, i64>(0) + 1).rem_euclid(3);
        let table = TABLES[usize::try_from(slot).unwrap_or_default()];
        let sql = include_str!("../../../../sql/core/outbox_blockers.sql");
        let rows = self.query(sql, &[&table]).await?;
        Ok(rows.first().map(|row| {
            let text = |at| row.get::<_, Option<String>>(at).filter(|text| !text.is_empty());
            let since =
                row.get::<_, Option<f64>>(4).and_then(|s| Duration::try_from_secs_f64(s).ok());
            let since = since.map(|since| format!("in a transaction for {}", age(since)));
            let known = [text(1), text(2), text(3), since];
            let known: Vec<String> = known.into_iter().flatten().collect();
            match row.get::<_, Option<i32>>(0) {
                Some(pid) => format!("pid {pid} ({})", known.join(", ")),
                None => "a prepared transaction (pg_prepared_xacts)".to_owned(),
            }
        }))
    }

    async fn empty(&self, turn: i64) -> Result<bool, Fault> {
        let slot = turn.rem_euclid(3);
        let table = TABLES[usize::try_from(slot).unwrap_or_default()];
        // Without waiting: who waits for this lock makes everybody else wait behind it.
        let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE NOWAIT");
        match self.batch(&lock).await {
            Err(fault) if fault.sqlstate() == Some("55P03") => return Ok(false),
            locked => locked?,
        }
        // A new statement sees what was committed while the lock was waited for.
        let sql = include_str!("../../../../sql/core/outbox_slot_unsent.sql");
        let slot = i16::try_from(slot).unwrap_or_default();
        if self.one(sql, &[&slot]).await?.get(0) {
            return Ok(false);
        }
        self.batch(&format!("TRUNCATE {table}")).await?;
        let sql = include_str!("../../../../sql/core/outbox_turn_begin.sql");
        Ok(!self.query(sql, &[&turn]).await?.is_empty())
    }
}
