//! The outbox in PostgreSQL, as far as it matters: what is visible since when, the newest step, rows that are parked.

use std::collections::{BTreeMap, HashSet};

use rules::diagnosis::{Code, Diagnosis};
use rules::relay::{Aside, CursorStep, RelayRow, WaitingTopic};

use super::Mutant;

const LEASE: u64 = 6_000;
/// How many rows one reading returns.
const MOST: usize = 5;

const NAMES: [&str; 6] = ["0", "1", "2", "3", "4", "5"];

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub seq: i64,
    pub topic: usize,
    pub key: u64,
    /// Names the row whatever database it is in.
    pub number: u64,
    /// Kafka refuses it for its own sake.
    pub is_bad: bool,
    /// When its transaction began.
    pub begun: u64,
    /// Whether its payment was paid without an event.
    pub is_silent: bool,
    /// The server and its commit that made it visible.
    pub at: (u64, u64),
}

impl RelayRow for Message {
    fn seq(&self) -> i64 {
        self.seq
    }

    fn topic(&self) -> &str {
        NAMES[self.topic]
    }

    fn key(&self) -> Option<&str> {
        Some(NAMES[self.key as usize])
    }

    fn bytes(&self) -> usize {
        100
    }
}

/// Everything up to the commit `from` is done, and of what came up to `to`, everything up to `last_seq`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    server: u64,
    from: u64,
    to: u64,
    last_seq: i64,
}

#[derive(Clone, Debug)]
pub struct Newest {
    pub step: i64,
    holder: u64,
    until: u64,
    pub cursor: Cursor,
}

/// A row that is parked: refused, or behind such a row, or for its topic.
#[derive(Clone, Copy, Debug)]
pub struct Parked {
    by_topic: bool,
    /// Somebody asked for it.
    retry: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Database {
    pub server: u64,
    pub commits: u64,
    pub last_seq: i64,
    pub rows: BTreeMap<i64, Message>,
    /// Payments without an event, by their numbers.
    pub silent: BTreeMap<u64, Message>,
    pub newest: Option<Newest>,
    pub parked: BTreeMap<i64, Parked>,
}

impl Database {
    pub fn next_seq(&mut self) -> i64 {
        self.last_seq += 1;
        self.last_seq
    }

    pub fn commit(&mut self, rows: Vec<Message>) {
        self.commits += 1;
        let at = (self.server, self.commits);
        let (silent, rows): (Vec<Message>, Vec<Message>) =
            rows.into_iter().partition(|row| row.is_silent);
        self.silent.extend(silent.into_iter().map(|row| (row.number, row)));
        self.rows.extend(rows.into_iter().map(|row| (row.seq, Message { at, ..row })));
    }

    /// A row as it is now, unless it was lost.
    pub fn present(&self, row: &Message) -> Option<&Message> {
        self.rows.get(&row.seq).filter(|present| present.number == row.number)
    }

    /// Gets the shard for `holder`, or nothing. A cursor of another server says nothing here: all rows get numbers of this
    /// server, and all is sent again.
    pub fn claim(&mut self, holder: u64, now: u64, mutant: Mutant) -> Option<(i64, Cursor)> {
        let fresh = Cursor { server: self.server, ..Cursor::default() };
        let (step, mut cursor) = match &self.newest {
            Some(newest) if newest.holder != holder && newest.until > now => return None,
            Some(newest) => (newest.step + 1, newest.cursor),
            None => (1, fresh),
        };
        if mutant != Mutant::KeepsForeignCursor {
            if cursor.server != self.server {
                cursor = fresh;
            }
            let server = self.server;
            let is_stray = |row: &&mut Message| row.at.0 != server;
            let strays: Vec<&mut Message> = self.rows.values_mut().filter(is_stray).collect();
            if !strays.is_empty() {
                self.commits += 1;
                strays.into_iter().for_each(|row| row.at = (server, self.commits));
            }
        }
        let until = now + LEASE;
        self.newest = Some(Newest { step, holder, until, cursor });
        Some((step, cursor))
    }

    /// The next rows after a cursor, each with the cursor that has passed it, and whether there are more.
    pub fn read(&self, cursor: Cursor, mutant: Mutant) -> (Vec<(Message, Cursor)>, Cursor, bool) {
        let to = if cursor.from == cursor.to { self.commits } else { cursor.to };
        let is_new = |row: &&Message| match mutant {
            Mutant::ReadsByNumber => row.seq > cursor.last_seq,
            _ => row.at.1 > cursor.from && row.at.1 <= to && row.seq > cursor.last_seq,
        };
        let found: Vec<Message> = self.rows.values().filter(is_new).copied().collect();
        let more = found.len() > MOST;
        let last_seq = match mutant {
            Mutant::ReadsByNumber => found.last().map_or(cursor.last_seq, |row| row.seq),
            _ => 0,
        };
        let within = |last_seq| Cursor { to, last_seq, ..cursor };
        let all = Cursor { from: to, to, last_seq, ..cursor };
        let mut rows: Vec<(Message, Cursor)> =
            found.into_iter().take(MOST).map(|row| (row, within(row.seq))).collect();
        let read_to = match rows.last_mut() {
            Some((_, passed)) if more => *passed,
            Some((_, passed)) => {
                *passed = all;
                all
            }
            None => all,
        };
        (rows, read_to, more)
    }

    /// Writes the step after `step`, or returns `None` where another one is there.
    pub fn step(
        &mut self,
        step: i64,
        said: &CursorStep<Cursor>,
        now: u64,
        mutant: Mutant,
    ) -> Option<i64> {
        let newest = self.newest.as_mut()?;
        if newest.step != step && mutant != Mutant::Unfenced {
            return None;
        }
        (newest.step, newest.until, newest.cursor) = (newest.step + 1, now + LEASE, said.cursor);
        let written = newest.step;
        self.park(&said.aside);
        Some(written)
    }

    /// As `outbox_park.sql`, `outbox_refuse_again.sql` and `outbox_unpark.sql` have it.
    fn park(&mut self, aside: &Aside) {
        for row in aside.parking.iter().chain(&aside.refused_again) {
            self.parked.insert(row.seq, Parked { by_topic: row.by_topic, retry: false });
        }
        for sent in &aside.sent_again {
            self.parked.remove(sent);
            let key = self.rows[sent].key;
            let behind = self.parked.iter_mut().filter(|(seq, _)| self.rows[seq].key == key);
            behind.filter(|(_, row)| !row.by_topic).for_each(|(_, row)| row.retry = true);
        }
    }

    /// Topic and key of the rows that wait behind one that Kafka refused.
    pub fn blocked(&self) -> HashSet<(String, String)> {
        let way = |(seq, _): (&i64, &Parked)| {
            let row = &self.rows[seq];
            (row.topic().to_owned(), NAMES[row.key as usize].to_owned())
        };
        self.parked.iter().filter(|(_, parked)| !parked.by_topic).map(way).collect()
    }

    pub fn waiting(&self) -> Vec<WaitingTopic> {
        let mut topics: BTreeMap<usize, bool> = BTreeMap::new();
        for (seq, parked) in self.parked.iter().filter(|(_, parked)| parked.by_topic) {
            *topics.entry(self.rows[seq].topic).or_default() |= parked.retry;
        }
        let waiting = |(topic, asked): (usize, bool)| WaitingTopic {
            topic: NAMES[topic].to_owned(),
            diagnosis: Diagnosis::new(Code::Kafka, "refused"),
            asked,
        };
        topics.into_iter().map(waiting).collect()
    }

    /// Whether a row waits for an earlier one of its key that nobody asked for.
    fn is_behind(&self, row: &Message) -> bool {
        let mut before = self.parked.range(..row.seq);
        before.any(|(seq, p)| self.rows[seq].key == row.key && !p.by_topic && !p.retry)
    }

    /// Rows that were parked and may go, as `outbox_retry_next.sql` has it.
    pub fn retries(&self, topics: &[String], mutant: Mutant) -> Vec<Message> {
        let may_go = |(seq, parked): (&i64, &Parked)| {
            let row = self.rows[seq];
            let drains = topics.iter().any(|topic| topic == row.topic());
            let is_asked = if parked.by_topic { drains } else { parked.retry };
            let mut before = self.parked.range(..seq);
            let is_mixed = before
                .any(|(seq, p)| self.rows[seq].key == row.key && p.by_topic != parked.by_topic);
            let waits = is_mixed && mutant != Mutant::LetsRetriesOvertake;
            (is_asked && !waits && !self.is_behind(&row)).then_some(row)
        };
        self.parked.iter().filter_map(may_go).take(MOST).collect()
    }

    /// The oldest row that waits for a topic, as `outbox_topic_behind.sql` and `outbox_topic_oldest.sql` have it.
    pub fn oldest_of(&mut self, topic: &str, mutant: Mutant) -> Option<Message> {
        let seqs: Vec<i64> = self.parked.keys().copied().collect();
        for seq in seqs {
            let row = self.rows[&seq];
            let mut before = self.parked.range(..seq);
            let waits = |p: &Parked| !(p.by_topic || p.retry && mutant == Mutant::TriesBehindAsked);
            let is_behind = before.any(|(seq, p)| self.rows[seq].key == row.key && waits(p));
            if let Some(parked) = self.parked.get_mut(&seq).filter(|parked| parked.by_topic)
                && row.topic() == topic
            {
                *parked = Parked { by_topic: !is_behind, retry: false };
            }
        }
        let is_first =
            |(seq, parked): &(&i64, &Parked)| parked.by_topic && self.rows[seq].topic() == topic;
        self.parked.iter().find(is_first).map(|(seq, _)| self.rows[seq])
    }

    pub fn ask_for_all(&mut self) {
        self.parked.values_mut().for_each(|parked| parked.retry = true);
    }

    pub fn mend(&mut self) {
        self.rows.values_mut().for_each(|row| row.is_bad = false);
        self.ask_for_all();
    }
}
