//! Laws of the watch over a route: whatever the world does to a client that works, nothing is held
//! against it; and a client that stops working is noticed and replaced in time.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rules::stall::{
    Database, Debts, Ladder, PartitionSeen, Rung, Stall, StallFacts, ask_after, is_excused,
    is_settled, judge,
};

use super::law;
use rules::ids::Offset;

const PATIENCE: Duration = Duration::from_secs(30);
/// The watchdog looks every so many seconds.
const EVERY: u64 = 3;
/// A client that works is done so many seconds after the world lets it, at most: a reconnection, a
/// back-off, which are as long as the trouble was. A short trouble during one does not begin it anew.
const RECOVERY: u64 = 12;

/// What may happen. What has a length ends by itself.
#[derive(Clone, Debug)]
enum Event {
    /// So many records come.
    Records(i64),
    /// So many offsets are used up by what nobody is given: marks, aborted records, compaction.
    Marks(i64),
    /// Records come in a transaction that ends after so many seconds.
    Transaction(u64),
    /// Each for so many seconds: the database is away, the broker is, the loop holds.
    NoDatabase(u64),
    NoBroker(u64),
    Hold(u64),
    /// The group settles for so many seconds.
    Rebalance(u64),
    /// The process stands still.
    Stopped(u64),
    /// Nothing happens.
    Quiet(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1i64..50).prop_map(Event::Records),
        2 => (1i64..5).prop_map(Event::Marks),
        1 => (1u64..200).prop_map(Event::Transaction),
        1 => (1u64..400).prop_map(Event::NoDatabase),
        1 => (1u64..400).prop_map(Event::NoBroker),
        1 => (1u64..400).prop_map(Event::Hold),
        1 => (1u64..290).prop_map(Event::Rebalance),
        1 => (1u64..400).prop_map(Event::Stopped),
        4 => (1u64..60).prop_map(Event::Quiet),
    ]
}

/// How a client stops working.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wedge {
    /// It polls and gets nothing.
    Deaf,
    /// Its thread stands still.
    Silent,
    /// What it delivers is not applied.
    Lost,
}

#[derive(Default)]
struct World {
    now: u64,
    // The log: what is a record, where what may be read ends, where the log ends.
    records: Vec<bool>,
    readable: i64,
    // Until when each is the case.
    transaction: u64,
    no_database: u64,
    no_broker: u64,
    held: u64,
    rebalance: u64,
    // The client and the lane.
    position: i64,
    delivered: i64,
    ended: i64,
    polled: u64,
    /// When the world last kept the client and the lane from working, and for how long.
    unable_at: u64,
    unable_for: u64,
    /// Until when they may take to recover.
    recovers: u64,
    wedge: Option<Wedge>,
    // The watchdog.
    debts: Debts,
    ladder: Ladder,
    awake: u64,
    away_since: Option<u64>,
    excused: u64,
    looked: Vec<(u64, Option<Stall>, Option<Rung>)>,
}

impl World {
    fn end(&self) -> i64 {
        self.records.len() as i64
    }

    fn play(&mut self, event: &Event) {
        let now = self.now;
        match *event {
            Event::Records(n) => self.append(n, true),
            Event::Marks(n) => self.append(n, false),
            Event::Transaction(length) => {
                self.transaction = self.transaction.max(now + length);
                self.append(3, true);
            }
            Event::NoDatabase(length) => self.no_database = now + length,
            Event::NoBroker(length) => self.no_broker = now + length,
            Event::Hold(length) => self.held = now + length,
            Event::Rebalance(length) => self.rebalance = now + length,
            Event::Stopped(length) => {
                self.now += length;
                self.awake = self.now;
                self.unable(length);
            }
            Event::Quiet(length) => (0..length).for_each(|_| self.second()),
        }
        self.second();
    }

    fn append(&mut self, n: i64, is_record: bool) {
        self.records.extend((0..n).map(|_| is_record));
    }

    fn second(&mut self) {
        self.now += 1;
        let now = self.now;
        if now >= self.transaction && now >= self.no_broker {
            self.readable = self.end();
        }
        let is_able = now >= self.no_database
            && now >= self.no_broker
            && now >= self.held
            && now >= self.rebalance;
        if !is_able {
            self.unable(1);
        }
        if self.wedge != Some(Wedge::Silent) {
            self.polled = now;
        }
        // As late as it may be: everything at once, at the end of the time it has.
        if now >= self.recovers {
            self.work();
        }
        if now.is_multiple_of(EVERY) {
            self.look();
        }
    }

    /// The world has kept them from working for so many seconds more, until now.
    fn unable(&mut self, seconds: u64) {
        let lasts = self.unable_at + seconds >= self.now;
        self.unable_for = if lasts { self.unable_for + seconds } else { seconds };
        self.unable_at = self.now;
        self.recovers = self.recovers.max(self.now + RECOVERY.min(2 + self.unable_for));
    }

    fn work(&mut self) {
        if matches!(self.wedge, Some(Wedge::Deaf | Wedge::Silent)) {
            return;
        }
        let last = (self.position..self.readable).rev().find(|at| self.records[*at as usize]);
        if let Some(last) = last {
            self.delivered = last + 1;
            self.ended = 0;
        }
        if self.wedge == Some(Wedge::Lost) && self.delivered > self.position {
            return;
        }
        self.position = self.position.max(self.delivered);
        self.ended = self.end();
    }

    fn look(&mut self) {
        let (now, awake) = (Duration::from_secs(self.now), Duration::from_secs(self.awake));
        let age = |since: u64| Duration::from_secs(self.now - since.max(self.awake).min(self.now));
        let joining = self.now < self.rebalance;
        let answers = self.now >= self.no_broker;
        let in_hand = self.delivered > self.position;
        let seen = PartitionSeen {
            partition: 0,
            covered: Offset(if in_hand { self.position } else { self.position.max(self.ended) }),
            in_hand,
            end: answers.then_some(Offset(self.readable)),
            high: answers.then_some(Offset(self.end())),
        };
        let (ours, seen): (&[i32], &[PartitionSeen]) =
            if joining { (&[], &[]) } else { (&[0], std::slice::from_ref(&seen)) };
        self.debts.look(now, ours, seen);
        self.away_since = (!answers).then_some(self.away_since.unwrap_or(self.now));
        let mut facts = StallFacts {
            patience: PATIENCE,
            assigned: (!joining).then_some(1),
            assigned_for: age(if joining { self.rebalance.saturating_sub(290) } else { 0 }),
            unread_for: None,
            owed: self.debts.owed(now, awake),
            silent: None,
            open_transaction: self.debts.open(now, awake),
            silent_for: age(self.polled),
            database: Database::Unasked,
            held: (self.now < self.held).then(|| "held".to_owned()),
            isolating: false,
            applying_for: None,
            kafka_away: self.away_since.map(|since| ("away".to_owned(), age(since))),
            trouble: None,
            unexcused_for: Duration::ZERO,
        };
        if facts.owed.iter().any(|owed| owed.age >= ask_after(PATIENCE)) {
            let is_up = self.now >= self.no_database;
            facts.database = if is_up { Database::Up } else { Database::Away("away".into()) };
        }
        if is_excused(&facts) {
            self.excused = self.now;
        }
        facts.unexcused_for = age(self.excused);
        let finding = judge(&facts);
        let settled = is_settled(&facts);
        let rung = self.ladder.climb(now, PATIENCE, finding.as_ref(), settled);
        self.looked.push((self.now, finding, rung));
    }
}

#[test]
fn nothing_is_held_against_a_client_that_works() {
    law(vec(event(), 1..60), |events| {
        let mut world = World::default();
        for event in &events {
            world.play(event);
            let blamed = world.looked.iter().find(|(_, finding, rung)| {
                finding.as_ref().is_some_and(|found| !found.cause.is_outside())
                    || !matches!(rung, None | Some(Rung::Say))
            });
            prop_assert_eq!(blamed, None);
        }
        // Once the world is well again and all is read, nothing is said at all.
        (0..600).for_each(|_| world.second());
        prop_assert!(world.looked.iter().rev().take(10).all(|(_, found, _)| found.is_none()));
        Ok(())
    });
}

#[test]
fn a_client_that_stops_working_is_noticed_and_replaced_in_time() {
    let wedges = prop_oneof![Just(Wedge::Deaf), Just(Wedge::Silent), Just(Wedge::Lost)];
    let records = (1i64..50, 1u64..10);
    law((vec(event(), 0..30), wedges, records), |(events, wedge, (records, pace))| {
        let mut world = World::default();
        events.iter().for_each(|event| world.play(event));
        // The world is well.
        (0..600).for_each(|_| world.second());
        world.looked.clear();
        world.wedge = Some(wedge);
        let since = world.now;
        // Records keep coming: that the end moves is no progress.
        for second in 0..62 {
            if second % pace == 0 {
                world.append(records, true);
            }
            world.second();
        }
        let first =
            |rung| world.looked.iter().find(|look| look.2 == Some(rung)).map(|l| l.0 - since);
        let (said, rebuilt) = (first(Rung::Say), first(Rung::Rebuild));
        prop_assert!(said.is_some_and(|after| after <= 30), "said after {said:?}");
        prop_assert!(rebuilt.is_some_and(|after| after <= 50), "rebuilt after {rebuilt:?}");
        prop_assert_eq!(first(Rung::GiveUp), None);
        Ok(())
    });
}
