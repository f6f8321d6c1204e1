//! What the comparison says, for people and for programs. Nothing is well by default: where nothing was compared yet, that is
//! what is said.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Inbox;
use rules::shadow::{Difference, Tally};

/// How many examples of each difference are told.
const EXAMPLES: usize = 5;

/// What is known of one route.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the JSON")]
pub struct Comparison {
    pub route: String,
    pub topic: String,
    pub group: String,
    pub records: u64,
    pub judged: u64,
    pub waiting: usize,
    pub other_types: u64,
    pub purchases: u64,
    pub since: Option<Timestamp>,
    pub has_read: bool,
    pub trouble: Option<String>,
    pub at: Option<Timestamp>,
    differing: usize,
    beyond: u64,
    differences: BTreeMap<Difference, (usize, Vec<(String, String)>)>,
    not_compared: BTreeSet<String>,
    pub(super) is_cut: Option<String>,
    pub(super) away: BTreeMap<i32, String>,
    pub(super) unfit: Option<String>,
}

impl Comparison {
    pub(super) fn of(route: &Inbox) -> Comparison {
        Comparison {
            route: route.name.clone(),
            topic: route.topic.clone(),
            group: route.group.clone(),
            ..Comparison::default()
        }
    }

    /// Says what is left out, once.
    pub(super) fn not_compared(&mut self, what: &str) {
        self.not_compared.insert(what.to_owned());
    }

    /// Forgets what was left out, but for where the last search ended early.
    pub(super) fn may_be_compared(&mut self) {
        self.not_compared = self.is_cut.iter().cloned().collect();
    }

    pub(super) fn tell(&mut self, tally: &Tally, at: Timestamp) {
        self.at = Some(at);
        (self.differing, self.beyond) = tally.count();
        self.differences.clear();
        for (key, how, detail) in tally.open() {
            let (count, examples) = self.differences.entry(how).or_default();
            *count += 1;
            if examples.len() < EXAMPLES {
                examples.push((key.to_owned(), detail.to_owned()));
            }
        }
    }

    /// Whether the log was read to its end once.
    pub fn is_read(&self) -> bool {
        self.has_read
    }

    /// Whether something was compared, all of it, and nothing differs.
    pub fn is_ok(&self) -> bool {
        self.trouble.is_none()
            && self.has_read
            && self.judged > 0
            && self.differing == 0
            && self.beyond == 0
            && self.not_compared.is_empty()
            && self.away.is_empty()
            && self.unfit.is_none()
    }

    /// Why something is not compared.
    fn left_out(&self) -> String {
        self.not_compared.iter().cloned().collect::<Vec<_>>().join("; ")
    }

    /// In one sentence.
    pub fn sentence(&self) -> String {
        let mut sentence = self.compared();
        for (partition, why) in &self.away {
            sentence += &format!("; partition {partition} is not read, the others are: {why}");
        }
        if let Some(unfit) = &self.unfit {
            sentence += &format!("; makegood could not make a purchase now: {unfit}");
        }
        sentence
    }

    fn compared(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return format!("shadow: nothing can be compared now: {trouble}");
        }
        if self.judged == 0 || !self.has_read {
            let waits = match self.waiting {
                0 if !self.not_compared.is_empty() => self.left_out(),
                0 => "no event was read that is old enough".to_owned(),
                some => format!("{some} events are younger than the grace"),
            };
            return format!("shadow: nothing was compared yet: {waits}");
        }
        let beyond = if self.beyond > 0 { "at least " } else { "" };
        let left_out = match self.not_compared.len() {
            0 => String::new(),
            _ => format!("; not compared: {}", self.left_out()),
        };
        format!(
            "shadow: {} events and {} purchases compared, {beyond}{} would have differed{left_out}",
            self.judged, self.purchases, self.differing
        )
    }

    /// As lines for people.
    pub fn text(&self) -> String {
        let mut text = format!("{} (topic {}): {}\n", self.route, self.topic, self.sentence());
        for (how, (count, examples)) in &self.differences {
            let example = |(key, detail): &(String, String)| match detail.is_empty() {
                true => key.clone(),
                false => format!("{key} ({detail})"),
            };
            let examples = examples.iter().map(example).collect::<Vec<_>>().join(", ");
            text += &format!("  {how} {count}. {}: {examples}\n", how.about());
        }
        text
    }

    fn document(&self) -> Value {
        let example = |(key, detail): &(String, String)| json!({ "key": key, "detail": detail });
        let difference = |(how, (count, examples)): (&Difference, &(usize, Vec<_>))| {
            let examples: Vec<Value> = examples.iter().map(example).collect();
            (how.to_string(), json!({ "count": count, "examples": examples }))
        };
        let differences: serde_json::Map<String, Value> =
            self.differences.iter().map(difference).collect();
        json!({
            "route": self.route, "topic": self.topic, "group": self.group, "ok": self.is_ok(),
            "sentence": self.sentence(), "records": self.records, "events": self.judged,
            "waiting": self.waiting, "other_types": self.other_types, "purchases": self.purchases,
            "purchases_since": self.since, "read_to_end": self.has_read, "trouble": self.trouble, "at": self.at,
            "differing": self.differing, "beyond": self.beyond, "differences": differences,
            "not_compared": self.not_compared, "partitions_away": self.away, "apply_unfit": self.unfit,
        })
    }
}

/// What is known of all routes.
#[derive(Clone, Debug, Default)]
pub struct Comparisons(BTreeMap<String, Comparison>);

impl Comparisons {
    /// Of these routes, before anything was looked at.
    pub fn of(routes: &[Inbox]) -> Comparisons {
        Comparisons(
            routes.iter().map(|route| (route.name.clone(), Comparison::of(route))).collect(),
        )
    }

    pub(super) fn put(&mut self, report: Comparison) {
        self.0.insert(report.route.clone(), report);
    }

    /// Each route's.
    pub fn each(&self) -> impl Iterator<Item = &Comparison> {
        self.0.values()
    }

    /// Whether all that is to be compared was, and nothing differs.
    pub fn is_ok(&self) -> bool {
        !self.0.is_empty() && self.each().all(Comparison::is_ok)
    }

    /// As lines for people.
    pub fn text(&self) -> String {
        self.each().map(Comparison::text).collect()
    }

    /// As JSON.
    pub fn document(&self) -> Value {
        let sentence = self.each().map(|r| format!("{}: {}", r.route, r.sentence()));
        json!({
            "schema_version": 1, "mode": "shadow", "ok": self.is_ok(),
            "sentence": sentence.collect::<Vec<_>>().join("; "),
            "routes": self.each().map(Comparison::document).collect::<Vec<_>>(),
        })
    }
}
