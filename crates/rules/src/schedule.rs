//! The reconciler's arithmetic: how far it may look, when a run is due, when too much is missing.

use std::time::Duration;

use jiff::Timestamp;

/// How far back a run looks again behind the cursor: a payment whose transaction took so long to commit, or
/// whose clock is so far behind, has an older time than those that were there to be seen.
pub const OVERLAP: Duration = Duration::from_secs(60 * 60);

/// What a run may make good without anybody's approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brake {
    /// At most so many payments.
    pub rows: u64,
    /// At most this share of the payments looked at, in percent.
    pub share: u8,
    /// The share counts only from so many payments on.
    pub share_from: u64,
}

impl Brake {
    /// Why a run that is still looking must stop, if it must: `missing` is what it has found so far.
    pub fn so_far(&self, missing: u64) -> Option<String> {
        (missing > self.rows).then(|| {
            format!(
                "{missing} payments are missing a purchase, more than {} (max_backfill.rows)",
                self.rows
            )
        })
    }

    /// Why a run that has looked at everything must not go on, if it must not.
    pub fn in_all(&self, compared: u64, missing: u64) -> Option<String> {
        self.so_far(missing).or_else(|| {
            let is_large = compared >= self.share_from
                && u128::from(missing) * 100 > u128::from(compared) * u128::from(self.share);
            is_large.then(|| {
                format!(
                    "{missing} of {compared} payments are missing a purchase, more than {}% (max_backfill.share)",
                    self.share
                )
            })
        })
    }
}

/// What decides about the next run of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The database's clock.
    pub now: Timestamp,
    /// Every payment that became paid before has been compared; `None` before the first sweep.
    pub cursor: Option<Timestamp>,
    /// When the last sweep over everything began.
    pub swept: Option<Timestamp>,
    /// When the schedule last asked for a run.
    pub scheduled: Option<Timestamp>,
    /// The time between two runs.
    pub every: Duration,
    /// The time between two sweeps over everything.
    pub sweep: Duration,
    /// How old a payment must be to count.
    pub grace: Duration,
    /// What the consumer has come to, while records wait for it.
    pub consumed: Option<Timestamp>,
    /// When the newest open gap was found: offsets that were never read.
    pub gap: Option<Timestamp>,
}

/// The payments a run looks at, by the time they became paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment; `None` for everything.
    pub since: Option<Timestamp>,
    /// The moment after the last.
    pub until: Timestamp,
    /// Why this range.
    pub reason: DueReason,
}

/// Why a run is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueReason {
    /// Time has passed since the last one.
    Time,
    /// The first sweep, or the last one is old.
    Sweep,
    /// There are offsets that were never read, and what they said can only be seen in the payments.
    Gap,
}

impl DueReason {
    /// In words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            DueReason::Time => "what became paid since the last run",
            DueReason::Sweep => "a sweep over everything, as now and then",
            DueReason::Gap => {
                "a sweep over everything, for offsets were never read (makegood.gaps)"
            }
        }
    }
}

impl Schedule {
    /// The run that is due, if one is. It stays behind the consumer, whose backlog is not missing.
    pub fn due(&self) -> Option<TimeRange> {
        let is_past =
            |at: Option<Timestamp>, every| at.is_none_or(|at| self.now >= later(at, every));
        let reached = self.consumed.map_or(self.now, |consumed| consumed.min(self.now));
        let until = earlier(reached, self.grace);
        let is_time = is_past(self.scheduled, self.every);
        let sweep = |reason| TimeRange { since: None, until, reason };
        // A sweep covers a gap if it looks at everything that had been paid when the gap was found. The
        // first one that can is due at once; should it fail, the next one in its time.
        if let Some(found) = self.gap.filter(|found| *found <= until) {
            let is_first = self.scheduled.is_none_or(|at| at < later(found, self.grace));
            return (is_time || is_first).then_some(sweep(DueReason::Gap));
        }
        match self.cursor.filter(|_| !is_past(self.swept, self.sweep)) {
            _ if !is_time => None,
            // A consumer of which nothing is known yet is given time to begin.
            None => (until > Timestamp::UNIX_EPOCH).then_some(sweep(DueReason::Sweep)),
            Some(cursor) => {
                let since = Some(earlier(cursor, OVERLAP));
                (until > cursor).then_some(TimeRange { since, until, reason: DueReason::Time })
            }
        }
    }
}

/// A time moved back; the earliest there is where it would be earlier still.
pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
    }

    fn schedule() -> Schedule {
        Schedule {
            now: at(1000),
            cursor: Some(at(990)),
            swept: Some(at(500)),
            scheduled: Some(at(990)),
            every: 5 * MINUTE,
            sweep: 600 * MINUTE,
            grace: 2 * MINUTE,
            consumed: None,
            gap: None,
        }
    }

    #[test]
    fn a_run_goes_on_a_little_behind_the_cursor_and_stays_behind_now() {
        let range = schedule().due().unwrap();
        assert_eq!(
            range,
            TimeRange { since: Some(at(930)), until: at(998), reason: DueReason::Time }
        );
    }

    #[test]
    fn a_run_stays_behind_the_consumer() {
        let lagging = Schedule { consumed: Some(at(995)), ..schedule() };
        assert_eq!(lagging.due().unwrap().until, at(993));
        assert_eq!(Schedule { consumed: Some(at(900)), ..schedule() }.due(), None);
        let ahead = Schedule { consumed: Some(at(1001)), ..schedule() };
        assert_eq!(ahead.due(), schedule().due());
        let unknown =
            Schedule { consumed: Some(Timestamp::UNIX_EPOCH), cursor: None, ..schedule() };
        assert_eq!(unknown.due(), None);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        assert_eq!(Schedule { scheduled: Some(at(996)), ..schedule() }.due(), None);
    }

    #[test]
    fn everything_is_looked_at_first_and_again_when_the_last_sweep_is_old() {
        for due in [
            Schedule { cursor: None, ..schedule() },
            Schedule { swept: None, ..schedule() },
            Schedule { swept: Some(at(400)), ..schedule() },
        ] {
            let all = TimeRange { since: None, until: at(998), reason: DueReason::Sweep };
            assert_eq!(due.due(), Some(all));
        }
    }

    #[test]
    fn a_gap_asks_for_one_sweep_as_soon_as_that_can_cover_it() {
        let found =
            |minute| Schedule { gap: Some(at(minute)), scheduled: Some(at(996)), ..schedule() };
        assert_eq!(found(999).due(), None, "within the grace a payment may not be seen yet");
        let all = TimeRange { since: None, until: at(998), reason: DueReason::Gap };
        assert_eq!(found(998).due(), Some(all), "before its time");
        assert_eq!(found(995).due(), Some(all), "the run of then was too early for it");
        assert_eq!(found(994).due(), None, "one that could cover it was asked for");
        assert_eq!(Schedule { scheduled: Some(at(990)), ..found(900) }.due(), Some(all));
        let lagging = Schedule { consumed: Some(at(997)), ..found(998) };
        assert_eq!(lagging.due(), None, "the consumer's backlog is not missing");
    }

    #[test]
    fn too_many_missing_stop_a_run_by_number_at_once_and_by_share_at_the_end() {
        let brake = Brake { rows: 100, share: 50, share_from: 60 };
        assert_eq!(brake.so_far(100), None);
        assert!(brake.so_far(101).is_some());
        assert_eq!(brake.in_all(59, 59), None);
        assert_eq!(brake.in_all(60, 30), None);
        assert!(brake.in_all(60, 31).unwrap().contains("50%"));
        assert_eq!(Brake { share: 100, ..brake }.in_all(60, 60), None);
        assert!(brake.in_all(u64::MAX, u64::MAX).is_some());
    }
}
