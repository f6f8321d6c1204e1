//! The first thing to read: one sentence, since when, and what to do.

use super::When;
use super::words::{parts, plain, tone};
use crate::overview::{Overview, Snapshot, start};
use crate::pure::standing::{self, Word};

/// A sentence that is longer is shown smaller.
const LONG: usize = 160;

/// A sentence, its commands set apart.
type Parts = Vec<(bool, String)>;

/// The verdict.
pub struct Verdict {
    pub tone: &'static str,
    pub word: String,
    pub sentence: Parts,
    /// Whether that is a lot to read.
    pub is_long: bool,
    /// Since when the word has been this.
    pub since: When,
    /// When the servers were last asked.
    pub taken: When,
    /// The command to type next.
    pub next: Option<&'static str>,
    /// When what is shown was read, if the database is away.
    pub stale: Option<When>,
    /// What else is not well: the name, its word and tone, and the sentence.
    pub others: Vec<Other>,
    /// The checks of `/readyz` that fail.
    pub failing: Vec<String>,
    pub draining: bool,
}

/// A route or the outbox that is not well, beside the worst.
pub struct Other {
    pub name: String,
    pub tone: &'static str,
    pub word: String,
    pub sentence: Parts,
}

impl Verdict {
    pub(super) fn new(snapshot: &Snapshot) -> Verdict {
        let now = jiff::Timestamp::now();
        let worst = snapshot.overview.as_ref().map(|o| (o, o.worst().unwrap_or(Word::Down)));
        let failing = snapshot.readiness().into_iter().filter(|check| !check.ok);
        let sentence = worst.map_or_else(
            || "The databases and Kafka have not been asked yet.".to_owned(),
            |(overview, word)| without(word, &overview.headline()),
        );
        Verdict {
            tone: worst.map_or("idle", |(_, word)| tone(word)),
            word: worst.map_or_else(|| "starting".to_owned(), |(_, word)| plain(word)),
            sentence: parts(&sentence),
            is_long: sentence.len() > LONG,
            since: When::new(snapshot.since, now),
            taken: When::new(snapshot.taken_at, now),
            next: worst.and_then(|(overview, word)| next(overview, word)),
            stale: worst
                .filter(|(overview, _)| overview.trouble.is_some())
                .map(|(overview, _)| When::new(overview.now, overview.present())),
            others: worst.map_or_else(Vec::new, |(overview, word)| others(overview, word)),
            failing: failing.map(|check| format!("{}: {}", check.name, check.detail)).collect(),
            draining: snapshot.liveness.is_draining(),
        }
    }
}

/// The next command. While a run waits for an approval, another one would wait as well.
fn next(overview: &Overview, word: Word) -> Option<&'static str> {
    let is_held = overview.jobs.iter().any(|job| job.held_runs > 0);
    match word {
        Word::Gap | Word::Unpurchased if is_held => Some("makegood reconcile list"),
        word => standing::next(word, start()),
    }
}

/// Everything that is not well but the first of the worst, which the sentence is about.
fn others(overview: &Overview, worst: Word) -> Vec<Other> {
    let routes = overview.routes.iter().map(|r| (r.name.as_str(), &r.standing));
    let outbox = overview.outbox.iter().map(|o| ("outbox", &o.standing));
    let all: Vec<_> = outbox.chain(routes).collect();
    let told = all.iter().rposition(|(_, standing)| standing.word == worst);
    let other = all
        .iter()
        .enumerate()
        .filter(|(place, (_, standing))| Some(*place) != told && !standing.word.is_fine());
    other
        .map(|(_, (name, standing))| Other {
            name: (*name).to_owned(),
            tone: tone(standing.word),
            word: plain(standing.word),
            sentence: parts(&without(standing.word, &standing.sentence)),
        })
        .collect()
}

/// The sentence without the word, which is shown beside it.
pub(super) fn without(word: Word, sentence: &str) -> String {
    let word = format!("{}: ", word.as_str());
    let text = match sentence.strip_prefix(&word) {
        Some(rest) => capital(rest),
        // It begins with a name, which stays as it is.
        None => sentence.replacen(&word, "", 1),
    };
    let ends = text.ends_with(|last: char| last.is_alphanumeric() || ")`\"".contains(last));
    text.trim_end_matches(';').to_owned() + if ends { "." } else { "" }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}
