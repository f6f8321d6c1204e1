//! What is due about a stall: say it, claim again, replace the client, end the process. Each step only
//! after the one before has been given time, and ever more of it.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use super::{Cause, Stall};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Say it.
    Say,
    /// Read the positions in PostgreSQL and claim again.
    Reclaim,
    /// Replace the Kafka client.
    Rebuild,
    /// End the process, for its supervisor to start another.
    GiveUp,
}

/// How far one stall has come.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    said: Option<Discriminant<Cause>>,
    reclaimed: bool,
    rebuilds: u32,
    rebuilt_at: Option<Duration>,
    /// When anything was first done about it.
    since: Option<Duration>,
}

impl Ladder {
    /// What is due at `now`. `settled` is whether the route is beyond doubt: only that ends a stall for
    /// good, because a client that was just made has not had the time to look stuck.
    pub fn climb(
        &mut self,
        now: Duration,
        patience: Duration,
        finding: Option<&Stall>,
        settled: bool,
    ) -> Option<Rung> {
        let Some(finding) = finding else {
            self.said = None;
            if settled {
                *self = Ladder::default();
            }
            return None;
        };
        if self.said.replace(discriminant(&finding.cause)) != Some(discriminant(&finding.cause)) {
            return Some(Rung::Say);
        }
        if finding.cause.is_outside() {
            *self = Ladder { said: self.said, ..Ladder::default() };
            // The database answers others and has kept this transaction for minutes: the
            // connection may lead nowhere.
            let is_lost = matches!(finding.cause, Cause::Applying(age) if age >= patience * 10);
            return is_lost.then_some(Rung::GiveUp);
        }
        let rung = self.due(now, patience, finding)?;
        if finding.cause != Cause::Joining {
            self.since.get_or_insert(now);
        }
        Some(rung)
    }

    fn due(&mut self, now: Duration, patience: Duration, finding: &Stall) -> Option<Rung> {
        let Stall { cause, blamed, .. } = finding;
        let tried = self.rebuilds > 1;
        if tried && self.since.is_some_and(|since| now.saturating_sub(since) >= patience * 8) {
            return Some(Rung::GiveUp);
        }
        // A thread that does not listen cannot claim again.
        let listens = matches!(cause, Cause::Unknown { .. } | Cause::Unpositioned);
        if listens && !self.reclaimed && *blamed >= patience {
            self.reclaimed = true;
            return Some(Rung::Reclaim);
        }
        let wait = if listens { patience * 4 / 3 } else { patience };
        let pause = patience.saturating_mul(2_u32.saturating_pow(self.rebuilds));
        let rested = self.rebuilt_at.is_none_or(|at| now.saturating_sub(at) >= pause);
        if *blamed >= wait && rested {
            self.rebuilds = self.rebuilds.saturating_add(1);
            self.rebuilt_at = Some(now);
            return Some(Rung::Rebuild);
        }
        None
    }
}
