//! The first thing to read: one sentence, since when, and what to do.

use jiff::{SignedDuration, Timestamp};

use super::MomentView;
use super::waiting::safe;
use super::words::{parts, plain, tone};
use crate::overview::{Overview, Snapshot, start};
use rules::advice::{runnable, without_statements};
use rules::health::{self, Health, Verdict};

/// A sentence that is longer is shown smaller.
const LONG: usize = 160;

/// A sentence, its commands set apart.
type Parts = Vec<(bool, String)>;

/// The verdict.
pub struct Banner {
    pub tone: &'static str,
    pub word: String,
    /// What is wrong, in a short sentence.
    pub sentence: Parts,
    /// Whether that is a lot to read.
    pub is_long: bool,
    /// Since when the word has been this.
    pub since: MomentView,
    /// When the servers were last asked.
    pub taken: MomentView,
    /// What is in the way.
    pub cause: Option<Parts>,
    /// What is to be done about it, beside what can be copied.
    pub advice: Option<Parts>,
    /// The statements and commands that mend it.
    pub mends: Vec<String>,
    /// Where there are none: the command that shows more.
    pub next: Option<String>,
    /// That nothing is lost, and how much waits.
    pub safe: Option<String>,
    /// When what is shown was read, if the database is away.
    pub stale: Option<MomentView>,
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

impl Banner {
    pub(super) fn new(snapshot: &Snapshot) -> Banner {
        let now = Timestamp::now();
        let failing = snapshot.readiness().into_iter().filter(|check| !check.ok);
        let mut verdict = Banner {
            // Nothing is known to be wrong yet, and nothing to be well.
            tone: "idle",
            word: "starting".to_owned(),
            sentence: parts("The databases and Kafka have not been asked yet."),
            is_long: false,
            since: MomentView::new(snapshot.since, now),
            taken: MomentView::new(snapshot.taken_at, now),
            cause: None,
            advice: None,
            mends: Vec::new(),
            next: None,
            safe: None,
            stale: None,
            others: Vec::new(),
            failing: failing
                .map(|check| failed(check.name, &check.detail, told_by(snapshot)))
                .collect(),
            draining: snapshot.liveness.is_draining(),
        };
        if let Some(overview) = &snapshot.overview {
            let age = subject(overview).and_then(|(_, health)| health.age);
            let age = age.and_then(|age| SignedDuration::try_from(age).ok());
            let since = age.and_then(|age| now.checked_sub(age).ok()).unwrap_or(snapshot.since);
            verdict.since = MomentView::new(since, now);
            verdict.judge(overview, since);
        }
        verdict
    }

    fn judge(&mut self, overview: &Overview, since: Timestamp) {
        let Some((name, health)) = subject(overview) else {
            (self.tone, self.word) = (tone(Verdict::Down), plain(Verdict::Down));
            self.sentence = parts(&without(Verdict::Down, &overview.headline()));
            return;
        };
        let word = health.verdict;
        (self.tone, self.word) = (tone(word), plain(word));
        let kafka = away(overview, name).filter(|_| word == Verdict::Unknown);
        let (cause, advice) = kafka.unwrap_or((&health.cause, &health.advice));
        let (said, cause) = match short(word, name == "outbox") {
            Some(said) if !cause.is_empty() => {
                (format!("{said} since {}.", moment(since)), cause.to_owned())
            }
            _ => halves(&without(word, &health.sentence)),
        };
        let is_one_of_many = overview.routes.len() > 1 && word != Verdict::Ok;
        let said = if is_one_of_many { format!("{name}: {said}") } else { said };
        self.is_long = said.len() > LONG;
        self.sentence = parts(&said);
        self.mends = runnable(advice).into_iter().map(str::to_owned).collect();
        let advice = without_statements(advice);
        let told = |text: &str| (!text.is_empty()).then(|| parts(&end(begun(text))));
        (self.cause, self.advice) = (told(&cause), told(&advice));
        if self.mends.is_empty() {
            self.next = next(overview, word, name);
        }
        self.safe = safe(overview, word);
        let trouble = &overview.trouble;
        let is_old = trouble.is_some() && !overview.is_blank();
        self.stale = is_old.then(|| MomentView::new(overview.now, overview.present()));
        self.others = others(overview, name, health);
    }
}

/// What the verdict is about: the worst of all routes and the outbox. Of several that are equally bad the last counts.
fn subject(overview: &Overview) -> Option<(&str, &Health)> {
    all(overview).max_by_key(|(_, health)| health.verdict)
}

fn all(overview: &Overview) -> impl Iterator<Item = (&str, &Health)> {
    let routes = overview.routes.iter().map(|r| (r.name.as_str(), &r.health));
    overview.outbox.iter().map(|o| ("outbox", &o.health)).chain(routes)
}

fn told_by(snapshot: &Snapshot) -> &str {
    snapshot.overview.as_ref().map_or("", told)
}

/// A check that fails; not with the words of the verdict.
fn failed(name: &str, detail: &str, told: &str) -> String {
    let is_told = !told.is_empty() && detail.contains(told);
    if is_told { format!("{name}: as said above") } else { format!("{name}: {detail}") }
}

/// The cause that the verdict tells, so that nothing else tells it again.
pub(super) fn told(overview: &Overview) -> &str {
    let Some((name, health)) = subject(overview) else { return "" };
    let kafka = away(overview, name).filter(|_| health.verdict == Verdict::Unknown);
    kafka.map_or(&health.cause, |(cause, _)| cause)
}

/// What is wrong, where the cause is told apart from it.
fn short(word: Verdict, is_outbox: bool) -> Option<&'static str> {
    Some(match word {
        Verdict::Held if is_outbox => "No event has been sent to Kafka",
        Verdict::Held => "No purchase has been made",
        Verdict::Suspect => "Records are refused, and no purchase has been made",
        Verdict::Stalled => "Records wait, and nothing has moved",
        Verdict::Unreachable => "PostgreSQL has not answered",
        Verdict::Unknown => "Kafka has not answered",
        _ => return None,
    })
}

/// Why Kafka does not answer this process, and what to do about it.
fn away<'o>(overview: &'o Overview, name: &str) -> Option<(&'o str, &'o str)> {
    let route = overview.routes.iter().find(|route| route.name == name)?;
    let problem = route.look.as_ref().err()?;
    Some((&problem.reason, &problem.advice))
}

/// A time of today by its hour.
fn moment(at: Timestamp) -> String {
    let is_old = Timestamp::now().duration_since(at) > SignedDuration::from_hours(12);
    at.strftime(if is_old { "%Y-%m-%d %H:%M UTC" } else { "%H:%M UTC" }).to_string()
}

/// As a sentence begins; the name of a file stays as it is.
fn begun(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    if first.contains(['.', '_']) { text.to_owned() } else { capital(text) }
}

/// The first part of a sentence, and the rest.
fn halves(sentence: &str) -> (String, String) {
    match sentence.split_once("; ") {
        Some((first, rest)) => (end(first.to_owned()), rest.to_owned()),
        None => (sentence.to_owned(), String::new()),
    }
}

/// The command that shows more, where nothing that mends it is known. While a run waits for an approval, another one
/// would wait as well.
fn next(overview: &Overview, word: Verdict, name: &str) -> Option<String> {
    let is_held = overview.jobs.iter().any(|job| job.held_runs > 0);
    let route = overview.routes.iter().find(|route| route.name == name);
    let kafka = |tool: &str, rest: String| {
        Some(format!("{tool} --bootstrap-server {} {rest}", overview.brokers))
    };
    match (word, route) {
        (Verdict::Gap | Verdict::Unpurchased, _) if is_held => {
            Some("makegood reconcile list".to_owned())
        }
        (Verdict::Held, Some(route)) => {
            Some(format!("makegood mapping check --route {}", route.name))
        }
        (Verdict::Joining | Verdict::Unread, Some(route)) => {
            kafka("kafka-consumer-groups", format!("--describe --members --group {}", route.group))
        }
        (Verdict::NoTopic, Some(route)) => {
            kafka("kafka-topics", format!("--create --topic {}", route.topic))
        }
        _ => health::next(word, start()).map(str::to_owned),
    }
}

/// Everything that is not well but what the verdict is about; the same error is not told again.
fn others(overview: &Overview, told: &str, health: &Health) -> Vec<Other> {
    let others = all(overview).filter(|(name, other)| *name != told && !other.verdict.is_fine());
    others
        .map(|(name, other)| {
            let sentence = match is_same(&health.cause, &other.cause) {
                true => "for the same reason.".to_owned(),
                false => without(other.verdict, &other.sentence),
            };
            let (name, sentence) = (name.to_owned(), parts(&sentence));
            Other { name, tone: tone(other.verdict), word: plain(other.verdict), sentence }
        })
        .collect()
}

/// Whether two causes are the same, whatever it was that could not be done.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let reason =
        |text: &str| text.split_once(": ").map_or(text.to_owned(), |(_, rest)| rest.to_owned());
    !one.is_empty() && !other.is_empty() && (one == other || reason(one) == reason(other))
}

/// The sentence without the word, which is shown beside it.
pub(super) fn without(word: Verdict, sentence: &str) -> String {
    let word = format!("{}: ", word.as_str());
    let text = match sentence.strip_prefix(&word) {
        Some(rest) => capital(rest),
        // It begins with a name, which stays as it is.
        None => sentence.replacen(&word, "", 1),
    };
    end(text)
}

/// With the end of a sentence.
fn end(text: String) -> String {
    let ends = text.ends_with(|last: char| last.is_alphanumeric() || ")`\"".contains(last));
    text.trim_end_matches(';').to_owned() + if ends { "." } else { "" }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}
