//! Is a route stuck, and whose doing is it? Progress decides: records that wait and do not move, a
//! partition without a position, a client's thread without a sign of life.
//!
//! What is known to come from outside is named and waited for; only what nothing else explains is put
//! down to the client, and [`Ladder`] says what is due then.

mod debt;
mod ladder;
mod sentence;

use std::time::Duration;

use crate::diagnosis::Diagnosis;

pub use debt::{Debts, Owed, PartitionSeen};
pub use ladder::{Ladder, Rung};
pub use sentence::sentence;

/// What is known of a route at one moment. Ages never reach back beyond the moment at which the
/// watchdog itself last woke from being stopped, for then everything stood still.
#[derive(Clone, Debug)]
pub struct StallFacts {
    /// The one measure from which all limits follow.
    pub patience: Duration,
    /// How many partitions the group gave us; `None` while it has not spoken.
    pub assigned: Option<usize>,
    /// For how long the group has not spoken, or since it last did.
    pub assigned_for: Duration,
    /// For how long given partitions have had no position to read from.
    pub unread_for: Option<Duration>,
    /// The partitions where records wait.
    pub owed: Vec<Owed>,
    /// The partitions of which Kafka does not tell where their log ends, why, and for how long. What waits there
    /// cannot be seen.
    pub silent: Option<(Vec<i32>, String, Duration)>,
    /// Records that nobody may read yet, because their transaction is open, and for how long.
    pub open_transaction: Option<(Vec<i32>, Duration)>,
    /// For how long the client's thread has given no sign of life.
    pub silent_for: Duration,
    /// The database, if it was asked.
    pub database: Database,
    /// Why the loop holds.
    pub held: Option<String>,
    /// Whether a lane is halving a batch to find a record that is to blame.
    pub isolating: bool,
    /// For how long a lane has been waiting for one transaction.
    pub applying_for: Option<Duration>,
    /// Why Kafka gave no answer, and for how long it has given none.
    pub kafka_away: Option<(String, Duration)>,
    /// What the client complained of lately that it cannot mend: what, and the advice.
    pub trouble: Option<Diagnosis>,
    /// How long ago anything from outside last kept the route, see [`is_excused`]. Only what comes
    /// after that can be the client's fault.
    pub unexcused_for: Duration,
}

/// What is known of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// Nobody had a reason to ask.
    Unasked,
    /// It answers.
    Up,
    /// It does not, in the client's words.
    Away(String),
    /// A statement of ours waits for somebody's lock; who that is, in words, and the process id.
    Locked(String, i32),
}

/// What keeps a route from moving, in the order in which it is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The database does not answer.
    Database(String),
    /// Somebody else's lock: who, and the process id.
    Locked(String, i32),
    /// The loop holds and has said why.
    Held(String),
    /// A record that is to blame is being looked for.
    Isolating,
    /// The database has not finished a transaction for so long.
    Applying(Duration),
    /// A producer has not ended its transaction.
    OpenTransaction,
    /// Kafka does not answer the second handle either.
    Kafka(String),
    /// Kafka does not tell of single partitions.
    Unseen(String),
    /// The client complains of what only a person can mend: what, and the advice.
    Trouble(Diagnosis),
    /// The group has not spoken for very long.
    Joining,
    /// The client's thread gives no sign of life.
    Silent,
    /// Partitions without a position to read from.
    Unpositioned,
    /// Nothing explains it: the client delivers nothing, or records are in hand and not applied.
    Unknown {
        /// Whether records are in hand.
        in_hand: bool,
    },
}

/// A stall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// What keeps it.
    pub cause: Cause,
    /// For how long.
    pub age: Duration,
    /// For how long nothing from outside has explained it.
    pub blamed: Duration,
    /// The partitions, if single ones are meant.
    pub partitions: Vec<i32>,
    /// How many records wait there.
    pub records: i64,
}

impl Cause {
    /// Whether it lies outside of the client, so that nothing but waiting helps.
    pub fn is_outside(&self) -> bool {
        !matches!(
            self,
            Cause::Joining | Cause::Silent | Cause::Unpositioned | Cause::Unknown { .. }
        )
    }

    /// Its name in logs and metrics; stable.
    pub fn as_str(&self) -> &'static str {
        match self {
            Cause::Database(_) => "database_down",
            Cause::Locked(..) => "locked",
            Cause::Held(_) => "held",
            Cause::Isolating => "isolating",
            Cause::Applying(_) => "applying",
            Cause::OpenTransaction => "open_transaction",
            Cause::Kafka(_) => "kafka_down",
            Cause::Unseen(_) => "partition_down",
            Cause::Trouble(..) => "kafka_refuses",
            Cause::Joining => "not_assigned",
            Cause::Silent => "poll_thread_silent",
            Cause::Unpositioned => "no_position",
            Cause::Unknown { .. } => "unknown",
        }
    }
}

/// A stall is said after this: early enough to be heard within `patience`.
pub fn say_after(patience: Duration) -> Duration {
    patience * 2 / 3
}

/// Nothing but its end helps against somebody's lock, and whoever can end it is told soon.
fn say_after_for(facts: &StallFacts) -> Duration {
    match facts.database {
        Database::Locked(..) => facts.patience / 10,
        _ => say_after(facts.patience),
    }
}

/// A group that settles takes as long as its slowest member may; five minutes is what most allow.
pub fn join_limit(patience: Duration) -> Duration {
    patience * 12
}

/// The stall, if there is one.
pub fn judge(facts: &StallFacts) -> Option<Stall> {
    let limit = say_after_for(facts);
    let is_due = |age: &Duration| *age >= limit;
    let owed: Vec<&Owed> = facts.owed.iter().filter(|owed| is_due(&owed.age)).collect();
    let unread = facts.unread_for.filter(is_due);
    let silent = Some(facts.silent_for).filter(is_due);
    let joining = facts.assigned.is_none().then_some(facts.assigned_for);
    let joining = joining.filter(|age| *age >= join_limit(facts.patience));
    let away = facts.kafka_away.as_ref().filter(|(_, age)| is_due(age));
    let stuck = owed.iter().map(|owed| owed.age).chain(unread).chain(silent).chain(joining).max();
    let find = |cause: Cause, age: Duration| Stall {
        cause,
        age,
        blamed: age.min(facts.unexcused_for),
        partitions: owed.iter().map(|owed| owed.partition).collect(),
        records: owed.iter().map(|owed| owed.records).sum(),
    };
    if let Some(age) = stuck {
        let found = find(cause(facts, &owed, silent, joining, unread), age);
        return Some(found).filter(|found| found.cause.is_outside() || found.blamed >= limit);
    }
    if let Some((why, age)) = away {
        return Some(find(Cause::Kafka(why.clone()), *age));
    }
    if let Some((partitions, why, age)) = facts.silent.as_ref().filter(|(.., age)| is_due(age)) {
        let found = find(Cause::Unseen(why.clone()), *age);
        return Some(Stall { partitions: partitions.clone(), ..found });
    }
    let (partitions, age) = facts.open_transaction.as_ref()?;
    (*age >= facts.patience)
        .then(|| Stall { partitions: partitions.clone(), ..find(Cause::OpenTransaction, *age) })
}

fn cause(
    facts: &StallFacts,
    owed: &[&Owed],
    silent: Option<Duration>,
    joining: Option<Duration>,
    unread: Option<Duration>,
) -> Cause {
    let limit = say_after(facts.patience);
    match &facts.database {
        Database::Away(why) => return Cause::Database(why.clone()),
        Database::Locked(who, pid) => return Cause::Locked(who.clone(), *pid),
        Database::Unasked | Database::Up => {}
    }
    if let Some(why) = &facts.held {
        return Cause::Held(why.clone());
    }
    if facts.isolating {
        return Cause::Isolating;
    }
    if let Some(age) = facts.applying_for.filter(|age| *age >= limit) {
        return Cause::Applying(age);
    }
    if let Some((why, _)) = &facts.kafka_away {
        return Cause::Kafka(why.clone());
    }
    if let Some(why) = &facts.trouble {
        return Cause::Trouble(why.clone());
    }
    if joining.is_some() {
        return Cause::Joining;
    }
    if silent.is_some() {
        return Cause::Silent;
    }
    if unread.is_some() {
        return Cause::Unpositioned;
    }
    Cause::Unknown { in_hand: owed.iter().any(|owed| owed.in_hand) }
}

/// Whether something from outside keeps the route from moving, or may.
pub fn is_excused(facts: &StallFacts) -> bool {
    matches!(facts.database, Database::Away(_) | Database::Locked(..))
        || facts.held.is_some()
        || facts.isolating
        || facts.applying_for.is_some_and(|age| age >= ask_after(facts.patience))
        || facts.kafka_away.is_some()
        || facts.trouble.is_some()
}

/// From this age on it is worth asking the database whether it is the cause: soon, so that a short
/// absence is noticed before it is over, and never while records flow.
pub fn ask_after(patience: Duration) -> Duration {
    patience / 10
}

/// Whether the route is beyond doubt: it reads what it was given, nothing waits, the thread lives.
pub fn is_settled(facts: &StallFacts) -> bool {
    facts.assigned.is_some()
        && facts.unread_for.is_none()
        && facts.owed.is_empty()
        && facts.silent_for < say_after(facts.patience) / 2
}

#[cfg(test)]
mod tests;
