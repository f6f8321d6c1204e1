//! The rows on their way to Kafka, in the order they have to go: which is next, which are settled, and
//! how far the cursor may move. The cursor never passes a row that is not settled.

use std::collections::VecDeque;

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<R> {
    /// Kafka has it.
    Delivered,
    /// It is parked: with the reason why Kafka refused it, or without one behind such a row.
    Parked(Option<R>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State<R> {
    Waiting,
    Sent,
    Settled(End<R>),
}

#[derive(Clone, Debug)]
struct Slot<T, R> {
    row: T,
    state: State<R>,
}

/// A window over rows `T`, refused for reasons `R`. Each row has a token: its number since the window
/// was made.
#[derive(Clone, Debug)]
pub struct Window<T, R> {
    slots: VecDeque<Slot<T, R>>,
    /// The token of the first slot.
    first: u64,
    /// No row before this token is waiting.
    unsent: u64,
    in_flight: usize,
}

impl<T, R> Default for Window<T, R> {
    fn default() -> Self {
        Window { slots: VecDeque::new(), first: 0, unsent: 0, in_flight: 0 }
    }
}

impl<T, R> Window<T, R> {
    /// Adds a row at the end and returns its token.
    pub fn push(&mut self, row: T) -> u64 {
        self.slots.push_back(Slot { row, state: State::Waiting });
        self.first + self.slots.len() as u64 - 1
    }

    /// The first row that waits to be sent.
    pub fn next_waiting(&mut self) -> Option<(u64, &T)> {
        self.next_waiting_from(0)
    }

    /// The first row from `token` on that waits to be sent.
    pub fn next_waiting_from(&mut self, token: u64) -> Option<(u64, &T)> {
        self.unsent = self.skip_others(self.unsent);
        let token = self.skip_others(self.unsent.max(token));
        self.slot(token).map(|slot| (token, &slot.row))
    }

    fn skip_others(&self, mut token: u64) -> u64 {
        while self.slot(token).is_some_and(|slot| !matches!(slot.state, State::Waiting)) {
            token += 1;
        }
        token
    }

    /// A row, unless it is settled.
    pub fn open(&self, token: u64) -> Option<&T> {
        let slot = self.slot(token)?;
        (!matches!(slot.state, State::Settled(_))).then_some(&slot.row)
    }

    /// A row, whatever became of it.
    pub fn any(&self, token: u64) -> Option<&T> {
        self.slot(token).map(|slot| &slot.row)
    }

    /// The rows that are not settled, in order.
    pub fn all_open(&self) -> impl Iterator<Item = (u64, &T)> {
        let tokens = self.first..;
        let open = |slot: &Slot<T, R>| !matches!(slot.state, State::Settled(_));
        tokens.zip(&self.slots).filter(move |(_, slot)| open(slot)).map(|(t, slot)| (t, &slot.row))
    }

    /// The rows that are settled and not taken yet, in order.
    pub fn all_settled(&self) -> impl Iterator<Item = (&T, &End<R>)> {
        self.slots.iter().filter_map(|slot| match &slot.state {
            State::Settled(end) => Some((&slot.row, end)),
            State::Waiting | State::Sent => None,
        })
    }

    /// Notes that a row was handed over.
    pub fn sent(&mut self, token: u64) {
        if let Some(slot) = self.slot_mut(token)
            && matches!(slot.state, State::Waiting)
        {
            slot.state = State::Sent;
            self.in_flight += 1;
        }
    }

    /// Notes what became of a row. The first word counts.
    pub fn settle(&mut self, token: u64, end: End<R>) {
        let Some(slot) = self.slot_mut(token) else { return };
        let was_sent = matches!(slot.state, State::Sent);
        if !matches!(slot.state, State::Settled(_)) {
            slot.state = State::Settled(end);
            self.in_flight -= usize::from(was_sent);
        }
    }

    /// Everything that was sent and not settled waits again: the client that had it is gone.
    pub fn resend(&mut self) {
        for slot in &mut self.slots {
            if matches!(slot.state, State::Sent) {
                slot.state = State::Waiting;
            }
        }
        self.unsent = self.first;
        self.in_flight = 0;
    }

    /// Takes the settled rows from the front.
    pub fn take_settled(&mut self) -> Vec<(T, End<R>)> {
        let mut taken = Vec::new();
        while let Some(Slot { state: State::Settled(_), .. }) = self.slots.front() {
            if let Some(Slot { row, state: State::Settled(end) }) = self.slots.pop_front() {
                taken.push((row, end));
                self.first += 1;
            }
        }
        self.unsent = self.unsent.max(self.first);
        taken
    }

    /// Whether the first row is settled, so that the cursor could move.
    pub fn can_move(&self) -> bool {
        matches!(self.slots.front(), Some(Slot { state: State::Settled(_), .. }))
    }

    /// Rows in the window, settled ones included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no row at all.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Rows that were sent and not settled.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn index(&self, token: u64) -> Option<usize> {
        usize::try_from(token.checked_sub(self.first)?).ok()
    }

    fn slot(&self, token: u64) -> Option<&Slot<T, R>> {
        self.slots.get(self.index(token)?)
    }

    fn slot_mut(&mut self, token: u64) -> Option<&mut Slot<T, R>> {
        let index = self.index(token)?;
        self.slots.get_mut(index)
    }
}
