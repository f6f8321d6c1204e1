//! The machine of the loop from Kafka to PostgreSQL, one per route: what it is in, what may happen, what it does then.
//!
//! Everything that interrupts the reading ends in the same claim, the one way to begin. None of the states is durable: what
//! is, is the position in PostgreSQL. The loop carries the actions out, in their order.

/// One lane of it.
pub mod lane;
/// What its member reads.
pub mod outlets;
/// Whether the log is the one that was looked at.
pub mod proof;
/// Whether the database still has what was committed.
pub mod steps;

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::backoff::Backoff;

/// Pauses between attempts to claim; the first is long enough for a replaced owner to learn its fate.
pub const CLAIM_BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
/// Pauses between looks at partitions that could not be claimed.
pub const LOOK_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) };

/// What the loop is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The group has given no partitions.
    Joining,
    /// The positions of its partitions are being claimed, or will be after a pause.
    Claiming,
    /// They are claimed, and nothing may be applied yet: the place is kept and nothing is read.
    Pinned,
    /// Records flow to the lanes.
    Reading,
}

impl State {
    /// All of them.
    pub const ALL: [State; 4] = [State::Joining, State::Claiming, State::Pinned, State::Reading];
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The group gave the member these partitions.
    Assigned {
        /// The assignment's number, as the member counts.
        assignment: u64,
        /// All the partitions it now has.
        partitions: Vec<i32>,
    },
    /// The group takes all partitions back and waits for an answer.
    Revoked,
    /// The member stopped fetching by itself.
    Stopped {
        /// Whether a position has moved since the last pause.
        moved: bool,
        /// Whether a record could not be read.
        unreadable: bool,
    },
    /// The positions have to be read again: another owner's step was met, records were lost on their way, the topic or
    /// the database is another than it was.
    Outdated {
        /// Whether a position has moved since the last pause.
        moved: bool,
        /// Whether the next record may be one that cannot be read.
        suspicious: bool,
    },
    /// A claim was written.
    Claimed {
        /// Which attempt it was.
        attempt: u64,
        /// The log it is of.
        log: Uuid,
        /// Whether the log is another one than it was.
        replaced: bool,
        /// The partitions that could not be claimed.
        left_out: BTreeSet<i32>,
        /// Whether events may be applied.
        admitted: bool,
    },
    /// A claim failed.
    Unclaimed {
        /// Which attempt it was.
        attempt: u64,
        /// Whether a position has moved since the last pause.
        moved: bool,
    },
    /// Partitions that were left out were looked at: those that still cannot be claimed, `None` if the look failed.
    Looked {
        /// After which attempt.
        attempt: u64,
        /// The partitions that still cannot be claimed.
        still: Option<BTreeSet<i32>>,
    },
    /// Events may be applied from now on.
    Admitted,
    /// The member is another one from now on, or none: the partitions are no longer ours.
    Left,
}

/// What the loop does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ends a claim that is under way, and looks; an outdated one must not come into effect.
    EndAttempts,
    /// Tells the member to read nothing.
    Unfetch,
    /// Has the lanes drop what they hold; a batch in flight is waited for.
    Drop,
    /// Answers the group's revoke.
    Release,
    /// Claims all partitions.
    Claim {
        /// Its number.
        attempt: u64,
        /// After so long.
        pause: Duration,
        /// Only once the lanes hold nothing any more.
        settled: bool,
        /// Whether a partition whose next record cannot be read is to be left out, or led past it.
        careful: bool,
    },
    /// Keeps the place and reads nothing.
    Pin,
    /// Has the lanes adopt the claim and the member read from it.
    Fetch {
        /// The assignment that the partitions are of.
        assignment: u64,
        /// The number of this fetch.
        generation: u64,
    },
    /// Looks at the partitions that were left out.
    Look {
        /// The attempt that left them out.
        attempt: u64,
        /// After so long.
        pause: Duration,
        /// These.
        partitions: BTreeSet<i32>,
    },
    /// Joins as a new member: this one would take nothing of the new log for as long as the leaders' epochs are lower
    /// than those it remembers.
    Rejoin,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingest {
    state: State,
    /// The partitions the group gave.
    partitions: Vec<i32>,
    assignment: u64,
    /// Counts claims, so that the end of an outdated one is known as such.
    attempt: u64,
    /// Counts fetches.
    generation: u64,
    /// Claims that failed, or led to nothing that moved, in a row.
    failures: u32,
    /// Whether a record could not be read since the last claim that left no partition out.
    careful: bool,
    left_out: BTreeSet<i32>,
    looks: u32,
    /// The log that was claimed last.
    log: Option<Uuid>,
}

impl Default for Ingest {
    fn default() -> Self {
        Ingest {
            state: State::Joining,
            partitions: Vec::new(),
            assignment: 0,
            attempt: 0,
            generation: 0,
            failures: 0,
            careful: false,
            left_out: BTreeSet::new(),
            looks: 0,
            log: None,
        }
    }
}

impl Ingest {
    /// What it is in.
    pub fn state(&self) -> State {
        self.state
    }

    /// The partitions the group gave.
    pub fn partitions(&self) -> &[i32] {
        &self.partitions
    }

    /// Whether an attempt is the newest one; the ends of others are dropped.
    pub fn is_newest(&self, attempt: u64) -> bool {
        attempt == self.attempt
    }

    /// Whether some partitions are read although others could not be claimed.
    pub fn reads_others(&self) -> bool {
        self.left_out.len() < self.partitions.len()
    }

    /// What an event leads to. `chance` in `0..1` spreads the pauses of many loops.
    pub fn on(&mut self, event: Event, chance: f64) -> Vec<Action> {
        use State::{Claiming, Joining, Pinned, Reading};
        match (self.state, event) {
            (Joining | Claiming | Pinned | Reading, Event::Assigned { assignment, partitions }) => {
                (self.assignment, self.partitions) = (assignment, partitions);
                self.failures = 0;
                vec![self.claim(Duration::ZERO, false)]
            }
            (Joining | Claiming | Pinned | Reading, Event::Revoked) => {
                let mut actions = self.leave();
                actions.push(Action::Release);
                actions
            }
            (Joining | Claiming | Pinned | Reading, Event::Left) => self.leave(),
            // What a member says whose partitions went meanwhile, or before they were claimed.
            (Joining, Event::Stopped { unreadable, .. }) => {
                self.careful |= unreadable;
                Vec::new()
            }
            (Claiming | Pinned | Reading, Event::Stopped { moved, unreadable }) => {
                self.careful |= unreadable;
                let pause = self.pause(moved, chance);
                vec![self.claim(pause, true)]
            }
            (Joining, Event::Outdated { suspicious, .. }) => {
                self.careful |= suspicious;
                Vec::new()
            }
            (Claiming | Pinned | Reading, Event::Outdated { moved, suspicious }) => {
                self.careful |= suspicious;
                let pause = self.pause(moved, chance);
                vec![Action::Unfetch, Action::Drop, self.claim(pause, false)]
            }
            (Claiming, Event::Claimed { attempt, log, replaced, left_out, admitted })
                if attempt == self.attempt =>
            {
                self.claimed(log, replaced, left_out, admitted, chance)
            }
            (Claiming, Event::Unclaimed { attempt, moved }) if attempt == self.attempt => {
                let pause = self.pause(moved, chance);
                vec![self.claim(pause, false)]
            }
            (Pinned | Reading, Event::Looked { attempt, still }) if attempt == self.attempt => {
                self.looked(still, chance)
            }
            // The end of an attempt that another one has replaced.
            (
                Joining | Claiming | Pinned | Reading,
                Event::Claimed { .. } | Event::Unclaimed { .. } | Event::Looked { .. },
            ) => Vec::new(),
            (Pinned | Reading, Event::Admitted) => vec![self.claim(Duration::ZERO, false)],
            // The claim under way finds it out.
            (Joining | Claiming, Event::Admitted) => Vec::new(),
        }
    }

    /// The partitions are no longer ours.
    fn leave(&mut self) -> Vec<Action> {
        self.state = State::Joining;
        self.partitions.clear();
        self.attempt += 1;
        self.forget_left_out();
        vec![Action::EndAttempts, Action::Drop]
    }

    fn claimed(
        &mut self,
        log: Uuid,
        replaced: bool,
        left_out: BTreeSet<i32>,
        admitted: bool,
        chance: f64,
    ) -> Vec<Action> {
        self.careful = !left_out.is_empty();
        let known = self.log.replace(log);
        if known.is_some_and(|known| replaced || known != log) {
            let mut actions = self.leave();
            actions.push(Action::Rejoin);
            return actions;
        }
        let mut actions = Vec::new();
        if left_out.is_empty() {
            self.forget_left_out();
        } else {
            self.left_out = left_out;
            actions.push(self.look(chance));
        }
        if admitted {
            self.state = State::Reading;
            self.generation += 1;
            let (assignment, generation) = (self.assignment, self.generation);
            actions.push(Action::Fetch { assignment, generation });
        } else {
            self.state = State::Pinned;
            actions.push(Action::Pin);
        }
        actions
    }

    fn looked(&mut self, still: Option<BTreeSet<i32>>, chance: f64) -> Vec<Action> {
        match still {
            Some(still) if still.len() < self.left_out.len() => {
                vec![Action::Unfetch, Action::Drop, self.claim(Duration::ZERO, false)]
            }
            Some(still) => {
                self.left_out = still;
                vec![self.look(chance)]
            }
            None => vec![self.look(chance)],
        }
    }

    fn claim(&mut self, pause: Duration, settled: bool) -> Action {
        self.state = State::Claiming;
        self.attempt += 1;
        Action::Claim { attempt: self.attempt, pause, settled, careful: self.careful }
    }

    fn look(&mut self, chance: f64) -> Action {
        let pause = LOOK_BACKOFF.delay(self.looks, chance);
        self.looks = self.looks.saturating_add(1);
        Action::Look { attempt: self.attempt, pause, partitions: self.left_out.clone() }
    }

    /// How long to wait before claiming again: longer each time, until a position moves.
    fn pause(&mut self, moved: bool, chance: f64) -> Duration {
        if moved {
            self.failures = 0;
        }
        let pause = CLAIM_BACKOFF.delay(self.failures, chance);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    fn forget_left_out(&mut self) {
        self.left_out.clear();
        self.looks = 0;
    }
}

#[cfg(test)]
mod tests;
