//! Where the relay reads: ahead of the cursor, delta by delta.

use crate::store::Fault;
use crate::store::outbox::{Cursor, Delta, OutboxSession, Row};
use rules::problem::Problem;

/// Rows read at once.
const ROWS: usize = 2000;
/// Bytes read at once, about.
const BYTES: usize = 4 << 20;

/// The place up to which rows have been read.
pub(super) struct Reading {
    cursor: Cursor,
    delta: Option<Delta>,
}

impl Reading {
    pub(super) fn from(cursor: Cursor) -> Reading {
        Reading { cursor, delta: None }
    }

    /// Whether the delta at hand has more rows.
    pub(super) fn has_more(&self) -> bool {
        self.delta.is_some()
    }

    /// The next rows, each with the cursor that has passed it; none if there is nothing new, or if a large delta takes
    /// more than one call to look through.
    pub(super) async fn next(
        &mut self,
        session: &OutboxSession,
    ) -> Result<Vec<(Row, Cursor)>, Problem> {
        self.try_next(session).await.map_err(|fault| fault.problem("cannot read the outbox"))
    }

    async fn try_next(&mut self, session: &OutboxSession) -> Result<Vec<(Row, Cursor)>, Fault> {
        let last_seq = self.cursor.last_seq;
        let delta = match self.delta.take() {
            None => session.delta(&self.cursor).await?,
            Some(delta) if delta.is_measured() => delta,
            Some(delta) => session.measure(delta, last_seq).await?,
        };
        if !delta.is_measured() {
            self.delta = Some(delta);
            return Ok(Vec::new());
        }
        let (rows, end) = match delta.rows {
            0 => (Vec::new(), delta.last_seq),
            _ => session.read(&delta, last_seq, ROWS, BYTES).await?,
        };
        let done = end >= delta.last_seq;
        let (from, to) = (delta.from.clone(), delta.to.clone());
        let within = |last_seq| Cursor { from: from.clone(), to: to.clone(), last_seq };
        self.cursor = match done {
            true => Cursor { from: to.clone(), to: to.clone(), last_seq: 0 },
            false => within(end),
        };
        let mut passed: Vec<(Row, Cursor)> = rows
            .into_iter()
            .map(|row| {
                let cursor = within(row.seq);
                (row, cursor)
            })
            .collect();
        if let Some((_, cursor)) = passed.last_mut() {
            *cursor = self.cursor.clone();
        }
        self.delta = (!done).then_some(delta);
        Ok(passed)
    }

    /// The place itself, which the cursor may take once everything read is settled.
    pub(super) fn cursor(&self) -> &Cursor {
        &self.cursor
    }
}
