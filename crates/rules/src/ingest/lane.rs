//! The machine of one lane: takes the records of its partitions in order, gathers them into batches, has them applied.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::batch::{Batcher, Limits};
use crate::ids::Offset;

/// Pauses between attempts at a batch.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), max: Duration::from_secs(5) };
/// A passing failure is shown as a hold from this attempt on; the first ones usually mend by then.
const SHOWN_FROM: u32 = 3;
/// From so many failures on an error that should pass, or is the server's, has not: a trigger can raise it for one
/// record as well, which is looked for then.
const IMPATIENT_FROM: u32 = 6;

/// What a lane is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is at hand.
    Idle,
    /// Records wait for more, up to the batch's limits or its linger.
    Gathering,
    /// A batch is in a transaction.
    Applying,
    /// The batch, or what is left of it, is tried again later, together with what has come since.
    Waiting,
}

impl State {
    /// All of them.
    pub const ALL: [State; 4] = [State::Idle, State::Gathering, State::Applying, State::Waiting];
}

/// What happens to a lane. `R` is a record as it is delivered, `H` why a batch is not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<R, H> {
    /// Records of this fetch are taken from now on.
    Adopted {
        /// Its number.
        generation: u64,
        /// Where each partition begins.
        from: BTreeMap<i32, Offset>,
    },
    /// Nothing is to be held any more: somebody else may read these records by now.
    Dropped,
    /// A record was delivered.
    Arrived(Arrival<R>),
    /// The time of [`Lane::due`] has come.
    Due,
    /// The attempt ended; what was applied of the batch is gone from [`Lane::pending`].
    Ended(Ending<H>),
}

/// A record as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival<R> {
    /// The fetch it belongs to.
    pub generation: u64,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// Where its partition's delivery before it ended, or where the fetch began.
    pub follows: Offset,
    /// Its bytes.
    pub bytes: usize,
    /// Of what is read before the position only to prove the log: whether it is what was there when it was looked at.
    pub is_anchor: Option<bool>,
    /// The record.
    pub record: R,
}

/// How an attempt at a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending<H> {
    /// Everything is applied or put away.
    Done,
    /// Something got through: the rest can be tried at once.
    More,
    /// It will pass: try again soon.
    Again(H),
    /// Nothing moves until the world is mended.
    Hold(H),
    /// Somebody else moved one of the partitions.
    Collided,
}

/// What the lane does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<H> {
    /// Tries [`Lane::pending`].
    Attempt,
    /// Tells the loop that positions must be read and claimed again, and why.
    Restart(&'static str),
    /// Tells the loop that the batch cannot be applied for now.
    Held(H),
    /// Tells the loop that it was applied after all, or is no longer this lane's.
    Resumed,
}

/// The machine.
#[derive(Debug)]
pub struct Lane<R, H> {
    state: State,
    rows: usize,
    gathering: Batcher<R>,
    pending: VecDeque<R>,
    /// The fetch whose records are taken, if any are.
    generation: Option<u64>,
    /// Where each partition's last delivery ended, at first where it begins.
    ends: BTreeMap<i32, Offset>,
    /// Attempts at the batch that failed in a row.
    failures: u32,
    /// When a waiting batch is tried again.
    until: Option<Instant>,
    shown: Option<H>,
}

impl<R, H: Clone + PartialEq> Lane<R, H> {
    /// A lane that has adopted nothing.
    pub fn new(limits: Limits) -> Self {
        Lane {
            state: State::Idle,
            rows: limits.rows,
            gathering: Batcher::new(limits),
            pending: VecDeque::new(),
            generation: None,
            ends: BTreeMap::new(),
            failures: 0,
            until: None,
            shown: None,
        }
    }

    /// What it is in.
    pub fn state(&self) -> State {
        self.state
    }

    /// The batch at hand, what is left of it.
    pub fn pending(&mut self) -> &mut VecDeque<R> {
        &mut self.pending
    }

    /// The fetch whose records are taken, if any are.
    pub fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// Whether no more records are to be given to it for now.
    pub fn is_full(&self) -> bool {
        self.gathering.is_full()
    }

    /// Whether an error that passes, or is the server's, is waited for; it did not pass if not.
    pub fn is_patient(&self) -> bool {
        self.failures < IMPATIENT_FROM
    }

    /// When [`Event::Due`] is to come; a time in the past means now.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Idle | State::Applying => None,
            State::Gathering => self.gathering.deadline(),
            State::Waiting => self.until,
        }
    }

    /// What an event leads to, at `now`. `chance` in `0..1` spreads the pauses of many lanes.
    pub fn on(&mut self, event: Event<R, H>, now: Instant, chance: f64) -> Vec<Action<H>> {
        use State::{Applying, Gathering, Idle, Waiting};
        match (self.state, event) {
            (Idle | Gathering | Applying | Waiting, Event::Adopted { generation, from }) => {
                let actions = self.forget();
                (self.generation, self.ends) = (Some(generation), from);
                actions
            }
            (Idle | Gathering | Applying | Waiting, Event::Dropped) => self.forget(),
            (Idle | Gathering | Applying | Waiting, Event::Arrived(arrival)) => {
                self.take(arrival, now)
            }
            (Gathering | Waiting, Event::Due) => {
                if self.pending.is_empty() || self.failures > 0 && self.pending.len() < self.rows {
                    // After a failure the batch takes in what came since: another record may get through.
                    self.pending.extend(self.gathering.take());
                }
                (self.state, self.until) = (Applying, None);
                vec![Action::Attempt]
            }
            (Idle | Applying, Event::Due) => Vec::new(),
            (Applying, Event::Ended(ending)) => self.ended(ending, now, chance),
            // Of a batch that was let go of meanwhile.
            (Idle | Gathering | Waiting, Event::Ended(_)) => Vec::new(),
        }
    }

    /// Takes what belongs to the fetch. A record that does not follow the one before it would take the position past
    /// those between: then nothing is kept, and all is read again.
    fn take(&mut self, arrival: Arrival<R>, now: Instant) -> Vec<Action<H>> {
        let Arrival { generation, partition, offset, follows, bytes, is_anchor, record } = arrival;
        if self.generation != Some(generation) {
            return Vec::new();
        }
        if self.ends.insert(partition, offset.next()) != Some(follows) {
            let mut actions = self.forget();
            actions.push(Action::Restart("records got lost on their way here"));
            return actions;
        }
        match is_anchor {
            // It is applied already, and the log is the one that it was applied from.
            Some(true) => return Vec::new(),
            Some(false) => {
                let mut actions = self.forget();
                actions.push(Action::Restart("the log has another record before the position"));
                return actions;
            }
            None => {}
        }
        self.gathering.push(record, bytes, now);
        if self.state == State::Idle {
            self.state = State::Gathering;
        }
        Vec::new()
    }

    fn ended(&mut self, ending: Ending<H>, now: Instant, chance: f64) -> Vec<Action<H>> {
        match ending {
            Ending::Done => {
                self.pending.clear();
                self.state = if self.gathering.is_empty() { State::Idle } else { State::Gathering };
                self.went_well()
            }
            Ending::More => {
                (self.state, self.until) = (State::Waiting, Some(now));
                self.went_well()
            }
            Ending::Again(why) => self.went_wrong(why, SHOWN_FROM, now, chance),
            Ending::Hold(why) => self.went_wrong(why, 1, now, chance),
            Ending::Collided => {
                let mut actions = self.forget();
                actions.push(Action::Restart("another daemon moved a partition of ours"));
                actions
            }
        }
    }

    /// Lets go of everything. What is still in the queue goes by its generation when it is taken out: some of it may
    /// belong to the claim that is adopted next.
    fn forget(&mut self) -> Vec<Action<H>> {
        self.state = State::Idle;
        self.generation = None;
        self.ends.clear();
        self.gathering.clear();
        self.pending.clear();
        self.until = None;
        self.went_well()
    }

    fn went_well(&mut self) -> Vec<Action<H>> {
        self.failures = 0;
        self.shown.take().map(|_| Action::Resumed).into_iter().collect()
    }

    fn went_wrong(&mut self, why: H, shown_from: u32, now: Instant, chance: f64) -> Vec<Action<H>> {
        self.state = State::Waiting;
        self.until = Some(now + BACKOFF.delay(self.failures, chance));
        self.failures = self.failures.saturating_add(1);
        if self.failures < shown_from || self.shown.as_ref() == Some(&why) {
            return Vec::new();
        }
        self.shown = Some(why.clone());
        vec![Action::Held(why)]
    }
}
