//! OpenPairs of faults: which can be together, which were, and rounds that bring the rest together, several pairs at once.

use std::collections::BTreeSet;

use fastrand::Rng;
use serde_json::Value;

use super::faults::{self, Fault};

/// Two faults by their places, the smaller one first.
type Pair = (usize, usize);
/// How many faults strike in one round.
const TOGETHER: usize = 4;

/// The pairs that are still to be brought together.
pub struct OpenPairs {
    faults: Vec<&'static Fault>,
    open: BTreeSet<Pair>,
}

impl OpenPairs {
    /// All that this machine can bring together, without those that struck in one of these rounds.
    pub fn without(rounds: &[Value]) -> OpenPairs {
        let faults: Vec<&Fault> = faults::all().filter(|fault| fault.cannot().is_none()).collect();
        let mut open = BTreeSet::new();
        for (b, second) in faults.iter().enumerate() {
            for (a, first) in faults[..b].iter().enumerate() {
                if first.excludes(second).is_none() {
                    open.insert((a, b));
                }
            }
        }
        let mut pairs = OpenPairs { faults, open };
        rounds.iter().for_each(|round| pairs.strike_out(round));
        pairs
    }

    /// The faults of a round: one open pair, and what adds the most open ones to it.
    pub fn next(&self, rng: &mut Rng) -> Option<Vec<&'static Fault>> {
        let (a, b) = *self.open.iter().nth(rng.usize(0..self.open.len().max(1)))?;
        let mut chosen = vec![a, b];
        while chosen.len() < TOGETHER {
            let fits = |at: &usize| {
                chosen
                    .iter()
                    .all(|c| c != at && self.faults[*c].excludes(self.faults[*at]).is_none())
            };
            let adds =
                |at: &usize| chosen.iter().filter(|c| self.open.contains(&pair(**c, *at))).count();
            let best = (0..self.faults.len()).filter(fits).max_by_key(adds);
            match best.filter(|at| adds(at) > 0) {
                Some(best) => chosen.push(best),
                None => break,
            }
        }
        Some(chosen.into_iter().map(|at| self.faults[at]).collect())
    }

    /// A round is over: what it drew is not drawn again, though a pair that did not strike stays open in the report.
    pub fn ran(&mut self, round: &Value) {
        self.strike_out(round);
        let drawn: Vec<usize> = (0..self.faults.len())
            .filter(|at| {
                let name = self.faults[*at].name;
                round["drawn"].as_array().into_iter().flatten().any(|drawn| drawn == name)
            })
            .collect();
        self.remove(&drawn);
    }

    fn strike_out(&mut self, round: &Value) {
        let struck: Vec<usize> = (0..self.faults.len())
            .filter(|at| round["faults"][self.faults[*at].name].is_u64())
            .collect();
        self.remove(&struck);
    }

    fn remove(&mut self, together: &[usize]) {
        for a in together {
            for b in together {
                self.open.remove(&(*a, *b));
            }
        }
    }
}

fn pair(a: usize, b: usize) -> Pair {
    (a.min(b), a.max(b))
}

/// What two faults that cannot be together both want, in words, by the word in their rows.
const REASONS: [(&str, &str); 9] = [
    (
        "daemon",
        "both take the first daemon for themselves: one process cannot be frozen, killed and led at once",
    ),
    ("postgres", "both hold the same locks or connections of PostgreSQL"),
    ("server", "both take the PostgreSQL server, or what lies under it, away"),
    ("postgres-wire", "both set the one proxy before PostgreSQL"),
    ("schema", "both change the purchases' table"),
    ("standby", "both want the one standby"),
    ("kafka", "both take the only broker"),
    ("kafka-wire", "both set the one proxy before Kafka, which three brokers are not behind"),
    ("cluster", "one needs three brokers, or both change the topic or the broker under it"),
];

/// The pairs as a document: a row and a column for each fault.
pub fn matrix(rounds: &[Value]) -> String {
    let all: Vec<&Fault> = faults::all().collect();
    let struck = |round: &Value, fault: &Fault| round["faults"][fault.name].is_u64();
    let (mut together, mut possible, mut apart) = (0, 0, BTreeSet::new());
    let mut rows = String::new();
    for (b, second) in all.iter().enumerate() {
        let mut cells = String::new();
        for first in &all[..b] {
            let cell = match first.excludes(second) {
                Some(word) => {
                    apart.insert(word);
                    "x".to_owned()
                }
                None => {
                    let with = rounds.iter().filter(|r| struck(r, first) && struck(r, second));
                    let (n, broken) = with.fold((0, 0), |(n, broken), round| {
                        let is_broken = round["found"].as_object().is_some_and(|f| !f.is_empty());
                        (n + 1, broken + usize::from(is_broken))
                    });
                    possible += 1;
                    together += usize::from(n > 0);
                    match (n, broken) {
                        (0, _) => String::new(),
                        (n, 0) => n.to_string(),
                        (n, _) => format!("{n}!"),
                    }
                }
            };
            cells.push_str(&format!(" {cell} |"));
        }
        cells.push_str(&" |".repeat(all.len() - b));
        rows.push_str(&format!("| {} {} |{cells}\n", b + 1, second.name));
    }
    let heads: String = (1..=all.len()).map(|n| format!(" {n} |")).collect();
    let mut text = format!(
        "{together} of {possible} pairs that can be together struck in one round. A number is the rounds, `!` with one that was \
         broken; empty was never done; `x` cannot be.\n\n| |{heads}\n|---|{}\n{rows}\nWhat could not be paired, and why:\n\n",
        "---:|".repeat(all.len())
    );
    for word in apart {
        let why = REASONS.iter().find(|(name, _)| *name == word).map_or(word, |(_, why)| *why);
        text.push_str(&format!("- `{word}`: {why}.\n"));
    }
    text
}
