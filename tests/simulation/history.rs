//! The smallest history that still goes wrong: faults are left out one at a time, and payments end earlier.

use std::collections::BTreeSet;

/// What is left out of a life.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    skipped: BTreeSet<u64>,
    /// Until when payments are made, in milliseconds.
    pub pays_until: Option<u64>,
    part: u64,
    struck: u64,
}

impl Limits {
    /// The same for a part, whose faults are counted apart.
    pub fn part(&self, number: usize) -> Limits {
        Limits { part: number as u64, struck: 0, ..self.clone() }
    }

    /// Whether the next fault happens.
    pub fn allows(&mut self) -> bool {
        self.struck += 1;
        !self.skipped.contains(&(self.part * 1_000 + self.struck))
    }

    /// The faults that were allowed.
    pub fn allowed(&self) -> impl Iterator<Item = u64> {
        let all = (1..=self.struck).map(|number| self.part * 1_000 + number);
        all.filter(|fault| !self.skipped.contains(fault))
    }
}

/// How a life ended, and the faults in it.
pub struct Lived {
    pub story: Vec<String>,
    pub end: Result<(), String>,
    pub faults: Vec<u64>,
    /// What the logs and the databases held at the end.
    pub held: Vec<String>,
}

/// The smallest limits under which a life still goes wrong.
pub fn shrink(live: impl Fn(&Limits) -> Lived) -> Limits {
    let mut smallest = Limits::default();
    for until in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000] {
        let fewer = Limits { pays_until: Some(until), ..Limits::default() };
        if live(&fewer).end.is_err() {
            smallest = fewer;
            break;
        }
    }
    loop {
        let faults = live(&smallest).faults;
        let mut without = faults.into_iter().map(|fault| {
            let mut fewer = smallest.clone();
            fewer.skipped.insert(fault);
            fewer
        });
        match without.find(|fewer| live(fewer).end.is_err()) {
            Some(fewer) => smallest = fewer,
            None => return smallest,
        }
    }
}

/// What of a story tells of the payment that a violation names: its own lines, and what went wrong.
pub fn told(story: &[String], violation: &str) -> Vec<String> {
    let number = violation.split("payment ").nth(1).and_then(|rest| rest.split(' ').next());
    let names = |line: &&String| {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric()).skip_while(|w| *w != "ms");
        let is_fault =
            ["BROKEN", "FAULT", "gets the mapping", "clock is"].iter().any(|w| line.contains(w));
        let of_payments = line.contains("payment");
        is_fault || of_payments && number.is_some_and(|number| words.any(|word| word == number))
    };
    let mut told: Vec<String> = Vec::new();
    for line in story.iter().filter(names) {
        let what = |line: &str| line.split_once("ms  ").map(|(_, what)| what.to_owned());
        match told.last() {
            // What is done time and again is told once.
            Some(last) if what(last) == what(line) => {}
            _ => told.push(line.clone()),
        }
    }
    told
}
