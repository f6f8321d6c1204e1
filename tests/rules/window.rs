//! Laws of the rows on their way: whatever a client loses, the log gets every row, first occurrences in order,
//! and the cursor follows behind.

use proptest::collection::vec;
use proptest::prelude::*;
use rules::window::{End, Window};

use super::law;

/// What may happen to a window and its client.
#[derive(Clone, Debug)]
enum Event {
    /// So many rows are read.
    Read(usize),
    /// So many rows are handed to the client.
    HandOver(usize),
    /// The broker writes so many more of those.
    Write(usize),
    /// The client hears of so many more of what was written.
    Acknowledge(usize),
    /// The row after so many that are open is parked.
    Parked(usize),
    /// The client is replaced by a new one; what it had and was not written never will be.
    Replace,
    /// The cursor follows.
    Step,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1usize..6).prop_map(Event::Read),
        4 => (1usize..6).prop_map(Event::HandOver),
        3 => (1usize..6).prop_map(Event::Write),
        3 => (1usize..6).prop_map(Event::Acknowledge),
        1 => (0usize..6).prop_map(Event::Parked),
        1 => Just(Event::Replace),
        2 => Just(Event::Step),
    ]
}

/// A window, a client, a broker's log; rows are numbers from 0 on.
#[derive(Default)]
struct World {
    window: Window<usize, ()>,
    read: usize,
    /// What this client was given, and how much of it was written and acknowledged.
    given: Vec<(u64, usize)>,
    written: usize,
    acknowledged: usize,
    log: Vec<usize>,
    aside: Vec<usize>,
    /// Rows that the cursor has passed.
    passed: usize,
}

impl World {
    fn play(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Read(rows) => {
                for _ in 0..*rows {
                    self.window.push(self.read);
                    self.read += 1;
                }
            }
            Event::HandOver(rows) => {
                for _ in 0..*rows {
                    let Some((token, row)) = self.window.next_waiting().map(|(t, row)| (t, *row))
                    else {
                        break;
                    };
                    let before = self.given.last().map(|(_, row)| *row);
                    prop_assert!(before < Some(row), "{row} after {before:?} to one client");
                    self.window.sent(token);
                    self.given.push((token, row));
                }
            }
            Event::Write(rows) => {
                let to = self.given.len().min(self.written + rows);
                self.log.extend(self.given[self.written..to].iter().map(|(_, row)| row));
                self.written = to;
            }
            Event::Acknowledge(rows) => {
                let to = self.written.min(self.acknowledged + rows);
                for (token, _) in &self.given[self.acknowledged..to] {
                    self.window.settle(*token, End::Delivered);
                }
                self.acknowledged = to;
            }
            Event::Parked(after) => {
                let chosen = self.window.all_open().nth(*after).map(|(token, row)| (token, *row));
                if let Some((token, row)) = chosen {
                    self.window.settle(token, End::Parked(None));
                    self.aside.push(row);
                }
            }
            Event::Replace => {
                self.window.resend();
                self.given.clear();
                (self.written, self.acknowledged) = (0, 0);
                prop_assert_eq!(self.window.in_flight(), 0);
            }
            Event::Step => {
                let can_move = self.window.can_move();
                let taken = self.window.take_settled();
                prop_assert_eq!(can_move, !taken.is_empty());
                for (row, end) in taken {
                    prop_assert_eq!(row, self.passed, "the cursor jumped");
                    let is_aside = self.aside.contains(&row);
                    prop_assert!(
                        is_aside || self.log.contains(&row),
                        "{row} passed and not in the log"
                    );
                    prop_assert_eq!(end != End::Delivered, is_aside);
                    self.passed += 1;
                }
            }
        }
        prop_assert_eq!(self.window.len(), self.read - self.passed);
        prop_assert_eq!(self.window.is_empty(), self.read == self.passed);
        Ok(())
    }

    /// The first occurrences in the log.
    fn firsts(&self) -> Vec<usize> {
        let mut firsts: Vec<usize> = Vec::new();
        for row in &self.log {
            if !firsts.contains(row) {
                firsts.push(*row);
            }
        }
        firsts
    }
}

#[test]
fn whatever_clients_lose_the_log_gets_every_row_in_order_and_the_cursor_follows() {
    law(vec(event(), 0..120), |events| {
        let mut world = World::default();
        for event in &events {
            world.play(event)?;
        }
        // At last all goes well.
        let all = world.read;
        for event in [
            Event::Replace,
            Event::HandOver(all),
            Event::Write(all),
            Event::Acknowledge(all),
            Event::Step,
        ] {
            world.play(&event)?;
        }
        prop_assert_eq!(world.passed, world.read, "something was lost");
        prop_assert!(world.window.is_empty() && world.window.in_flight() == 0);
        // Rows parked may be in the log as well, where the broker had them already; all else is there.
        let firsts: Vec<usize> =
            world.firsts().into_iter().filter(|row| !world.aside.contains(row)).collect();
        let expected: Vec<usize> =
            (0..world.read).filter(|row| !world.aside.contains(row)).collect();
        prop_assert_eq!(firsts, expected);
        Ok(())
    });
}
