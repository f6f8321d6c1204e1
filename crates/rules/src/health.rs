//! Is a route, or the outbox, working? One word, one sentence, and what to do about it.
//!
//! Progress decides, not connection: a daemon that runs and reads nothing is not ok.

use crate::ids::Offset;
use std::time::Duration;

pub mod duty;
mod next;
pub mod outbox;
mod sentence;

pub use next::next;
pub use sentence::{age, headline, holds, unasked};

/// A partition that has neither moved nor emptied for so long is stalled; batches take seconds.
pub const STALL: Duration = Duration::from_secs(60);
/// The database's knowledge of the log's end is too old after this; daemons look every three seconds.
pub const STALE_LOOK: Duration = Duration::from_secs(5);
/// What daemons that have written nothing for so long once said is not the present; they write every three seconds.
pub const SILENT: Duration = Duration::from_secs(8);

/// What is known of a route. Ages count back from one moment, taken from the database's clock.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The topic it reads.
    pub topic: &'a str,
    /// The consumer group it reads in.
    pub group: &'a str,
    /// How many daemons have been seen within thirty seconds.
    pub alive: usize,
    /// How long ago a daemon last wrote anything; `None` if none ever did.
    pub seen: Option<Duration>,
    /// Set when a daemon that is alive holds the route.
    pub held: Option<Held<'a>>,
    /// Set when the watchdog of a daemon that is alive has found the route stuck.
    pub stalled: Option<Held<'a>>,
    /// How long all daemons that are alive have been waiting for partitions.
    pub joining: Option<Duration>,
    /// What a look at Kafka gave.
    pub kafka: Kafka,
    /// The partitions that have a position.
    pub partitions: &'a [Partition],
    /// Partitions that Kafka has and no living daemon reads.
    pub unread: &'a [i32],
    /// A partition of which Kafka did not tell where its log ends, and why.
    pub unseen: Option<(i32, &'a str)>,
    /// Events of the route's own type that were dealt with in any way.
    pub taken: i64,
    /// Records of another type.
    pub other_type: i64,
    /// Of the types that it ignores without being told to: the most frequent one, and the records of all of them.
    pub unknown_type: Option<(&'a str, i64)>,
    /// Records in quarantine that wait for a decision.
    pub quarantined: i64,
    /// Refused records that wait for a verdict: how many, and since when and why the oldest does.
    pub suspects: Option<(i64, Held<'a>)>,
    /// Ranges of offsets that were never read and that nothing has covered yet, and the offsets in them.
    pub gaps: (usize, i64),
    /// The first of them: its partition, its first offset, one past its last, and why.
    pub gap: Option<(i32, Offset, Offset, &'a str)>,
    /// Why nobody is there to cover them, if nobody is.
    pub uncovered: Option<&'a str>,
    /// Payments that succeeded and have no purchase, and how long ago the oldest of them became paid.
    pub unpurchased: (i64, Option<Duration>),
    /// What its reconciliation jobs have not done in time, in words.
    pub late: Option<&'a str>,
    /// What is wrong with the words in the payments' status, in words.
    pub statuses: Option<&'a str>,
    /// Why the reconciler's last run failed, if it did.
    pub failed: Option<&'a str>,
    /// Purchases that contradict their payments.
    pub mismatches: i64,
    /// The command that starts a daemon here.
    pub start: &'a str,
}

/// Why a route is held or stalled.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// For how long.
    pub age: Duration,
    /// What is wrong.
    pub reason: &'a str,
    /// What to do about it.
    pub advice: &'a str,
}

/// A look at Kafka from where the question was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kafka {
    /// It answered, and the topic is the one that the positions belong to.
    Same,
    /// It answered, and the topic has another id than the positions: it was made anew.
    Recreated,
    /// It answered, and has no such topic.
    NoTopic,
    /// It did not answer; the age of what a daemon last saw of it, if one ever looked.
    Unreachable(Option<Duration>),
}

impl Kafka {
    /// Whether it is out of reach and the last look at it too old to count.
    pub fn is_unseen(self) -> bool {
        match self {
            Kafka::Unreachable(last) => last.is_none_or(|age| age > STALE_LOOK),
            Kafka::Same | Kafka::NoTopic | Kafka::Recreated => false,
        }
    }
}

/// One partition.
#[derive(Clone, Copy, Debug)]
pub struct Partition {
    /// Its number.
    pub number: i32,
    /// Records waiting; `None` when nobody has looked.
    pub lag: Option<i64>,
    /// How long the next record to read has been there; `None` when nobody can tell.
    pub waiting: Option<Duration>,
    /// How long ago the position moved; `None` if it never did.
    pub progress: Option<Duration>,
}

/// How a route or the outbox stands, the best first, so that the largest of several routes is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing waits.
    Ok,
    /// Records wait and it moves.
    Behind,
    /// Records in quarantine wait for a decision.
    Quarantine,
    /// Purchases contradict their payments.
    Mismatch,
    /// Events of the outbox that Kafka refused wait for a decision.
    Parked,
    /// Published events stay in the outbox longer than they should.
    Overdue,
    /// Offsets were never read, and no sweep has covered them yet.
    Gap,
    /// Payments have succeeded and have no purchase, or nobody can tell.
    Unpurchased,
    /// It ignores records of a type that may be its own under another name.
    Ignoring,
    /// The daemons wait for partitions.
    Joining,
    /// Nobody can say how far it is behind.
    Unknown,
    /// A partition that no daemon reads.
    Unread,
    /// The topic was made anew since the newest position.
    TopicRecreated,
    /// A partition that does not move though records wait.
    Stalled,
    /// The topic does not exist.
    NoTopic,
    /// Records were refused, and nobody knows yet whether they or the world are at fault.
    Suspect,
    /// Stopped on purpose until the world is mended.
    Held,
    /// No daemon runs, or none that is heard of.
    Down,
    /// The database that would tell is out of reach.
    Unreachable,
}

/// The verdict on a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The verdict in a word.
    pub verdict: Verdict,
    /// The same as a sentence that starts with the word, without the route's name.
    pub sentence: String,
    /// What is in the way, where that is known apart from the sentence; else empty.
    pub cause: String,
    /// What mends it; may be empty.
    pub advice: String,
    /// For how long, where that is known.
    pub age: Option<Duration>,
}

impl Health {
    /// A verdict that its sentence says all of.
    pub fn new(verdict: Verdict, sentence: impl Into<String>) -> Health {
        let (cause, advice) = Default::default();
        Health { verdict, sentence: sentence.into(), cause, advice, age: None }
    }

    /// The same with what is in the way, and what mends it.
    pub fn because(self, cause: &str, advice: &str) -> Health {
        Health { cause: cause.to_owned(), advice: advice.to_owned(), ..self }
    }

    /// The same, if it is known for how long.
    pub fn lasting(self, age: Option<Duration>) -> Health {
        Health { age, ..self }
    }
}

impl Verdict {
    /// Every word, the best first.
    pub const ALL: [Verdict; 19] = [
        Verdict::Ok,
        Verdict::Behind,
        Verdict::Quarantine,
        Verdict::Mismatch,
        Verdict::Parked,
        Verdict::Overdue,
        Verdict::Gap,
        Verdict::Unpurchased,
        Verdict::Ignoring,
        Verdict::Joining,
        Verdict::Unknown,
        Verdict::Unread,
        Verdict::TopicRecreated,
        Verdict::Stalled,
        Verdict::NoTopic,
        Verdict::Suspect,
        Verdict::Held,
        Verdict::Down,
        Verdict::Unreachable,
    ];

    /// As printed; stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Behind => "behind",
            Verdict::Quarantine => "quarantine",
            Verdict::Mismatch => "mismatch",
            Verdict::Parked => "parked",
            Verdict::Overdue => "overdue",
            Verdict::Gap => "gap",
            Verdict::Unpurchased => "unpurchased",
            Verdict::Ignoring => "ignoring",
            Verdict::Joining => "joining",
            Verdict::Unknown => "unknown",
            Verdict::Unread => "unread",
            Verdict::TopicRecreated => "topic_recreated",
            Verdict::Stalled => "stalled",
            Verdict::NoTopic => "no_topic",
            Verdict::Suspect => "suspect",
            Verdict::Held => "held",
            Verdict::Down => "down",
            Verdict::Unreachable => "unreachable",
        }
    }

    /// How bad it is: the larger the worse.
    pub fn rank(self) -> i16 {
        self as i16
    }

    /// Whether nobody needs to do anything. Being behind while moving is a busy moment, not a finding.
    pub fn is_fine(self) -> bool {
        matches!(self, Verdict::Ok | Verdict::Behind)
    }
}

/// The verdict. What explains the others comes first: without a daemon there is no progress, and
/// while held there is none on purpose.
pub fn judge(facts: &Facts<'_>) -> Health {
    let verdict = verdict(facts);
    let health = Health::new(verdict, sentence::write(verdict, facts));
    let why = match verdict {
        Verdict::Held => facts.held,
        Verdict::Stalled => facts.stalled,
        Verdict::Suspect => facts.suspects.map(|(_, why)| why),
        _ => None,
    };
    match why {
        Some(why) => health.because(why.reason, why.advice).lasting(Some(why.age)),
        None => health,
    }
}

fn verdict(facts: &Facts<'_>) -> Verdict {
    if facts.alive == 0 || silence(facts).is_some() {
        return Verdict::Down;
    }
    if facts.held.is_some() {
        return Verdict::Held;
    }
    if facts.suspects.is_some() {
        return Verdict::Suspect;
    }
    match facts.kafka {
        Kafka::NoTopic => return Verdict::NoTopic,
        Kafka::Recreated => return Verdict::TopicRecreated,
        Kafka::Same | Kafka::Unreachable(_) => {}
    }
    if facts.stalled.is_some() {
        return Verdict::Stalled;
    }
    if facts.joining.is_some() || facts.partitions.is_empty() {
        // Who else is in the group is no question while nobody can reach it.
        return if facts.kafka.is_unseen() { Verdict::Unknown } else { Verdict::Joining };
    }
    if stalled(facts).next().is_some() {
        return Verdict::Stalled;
    }
    if !facts.unread.is_empty() {
        return Verdict::Unread;
    }
    if facts.kafka.is_unseen() || facts.unseen.is_some() {
        return Verdict::Unknown;
    }
    if facts.taken == 0 && facts.other_type > 0 || facts.unknown_type.is_some() {
        return Verdict::Ignoring;
    }
    let is_uncounted = [facts.late, facts.statuses, facts.failed].iter().any(Option::is_some);
    if facts.unpurchased.0 > 0 || is_uncounted {
        return Verdict::Unpurchased;
    }
    if facts.gaps.0 > 0 {
        return Verdict::Gap;
    }
    if facts.mismatches > 0 {
        return Verdict::Mismatch;
    }
    if facts.quarantined > 0 {
        return Verdict::Quarantine;
    }
    if waiting(facts) > 0 { Verdict::Behind } else { Verdict::Ok }
}

/// For how long daemons that are taken for alive have written nothing, if for too long.
fn silence(facts: &Facts<'_>) -> Option<Duration> {
    facts.seen.filter(|age| facts.alive > 0 && *age > SILENT)
}

/// Partitions whose next record has been there for long, or for nobody knows how long, and which have not moved for
/// as long. The age of the record matters: an idle topic's position is old too.
fn stalled<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = &'f Partition> {
    facts.partitions.iter().filter(|p| {
        p.lag.is_some_and(|lag| lag > 0)
            && p.waiting.is_none_or(|age| age > STALL)
            && p.progress.is_none_or(|age| age > STALL)
    })
}

fn waiting(facts: &Facts<'_>) -> i64 {
    facts.partitions.iter().filter_map(|p| p.lag).sum()
}

#[cfg(test)]
mod tests;
