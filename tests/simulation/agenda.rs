//! What is to happen next, and when: the earliest first, and of one moment what was put down first.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

struct Entry<T> {
    at: u64,
    number: u64,
    task: T,
}

impl<T> Entry<T> {
    fn place(&self) -> (u64, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.place() == other.place()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        self.place().cmp(&other.place())
    }
}

pub struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    last: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Agenda<T> {
        Agenda { entries: BinaryHeap::new(), last: 0 }
    }
}

impl<T> Agenda<T> {
    pub fn put(&mut self, at: u64, task: T) {
        self.last += 1;
        self.entries.push(Reverse(Entry { at, number: self.last, task }));
    }

    /// When the next one is due.
    pub fn due(&self) -> Option<u64> {
        self.entries.peek().map(|Reverse(entry)| entry.at)
    }

    pub fn next(&mut self) -> Option<(u64, T)> {
        self.entries.pop().map(|Reverse(entry)| (entry.at, entry.task))
    }
}
