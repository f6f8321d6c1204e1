//! A stall in words, and what to do about it.

use super::{Cause, Stall};
use crate::diagnosis::{Code, Diagnosis};
use crate::health::age;

/// What stands still and why, and what to do about it.
pub fn sentence(finding: &Stall) -> Diagnosis {
    let for_ = age(finding.age);
    let numbers: Vec<String> = finding.partitions.iter().map(ToString::to_string).collect();
    let what = match numbers.as_slice() {
        [] => format!("nothing has moved for {for_}"),
        [one] => format!("partition {one} has not moved for {for_}"),
        list => format!("partitions {} have not moved for {for_}", list.join(", ")),
    };
    let (why, advice) = why(&finding.cause);
    let code = match finding.cause {
        Cause::Database(_) | Cause::Locked(..) | Cause::Isolating | Cause::Applying(_) => {
            Code::Postgres
        }
        Cause::Trouble(ref why) => why.code,
        Cause::Unknown { .. } | Cause::Unpositioned | Cause::Held(_) => Code::TimedOut,
        _ => Code::Kafka,
    };
    Diagnosis::new(code, format!("{what}: {why}")).advice(advice)
}

fn why(cause: &Cause) -> (String, String) {
    let by_itself = "nothing need be done; if it lasts, look at the daemon's log";
    let (why, advice) = match cause {
        Cause::Database(why) => {
            return (
                format!("the database does not answer ({why})"),
                "is PostgreSQL running and reachable? makegood goes on by itself once it is".into(),
            );
        }
        Cause::Locked(who, pid) => {
            return (
                format!("a table is locked by pid {pid} ({who})"),
                format!("let it finish, or end it: `SELECT pg_terminate_backend({pid});`"),
            );
        }
        Cause::Held(why) => (format!("held: {why}"), ""),
        Cause::Isolating => ("a record that PostgreSQL refuses is being looked for".into(), ""),
        Cause::Applying(for_) => (
            format!("the database has not finished a batch for {}", age(*for_)),
            "look for it in pg_stat_activity; apply.sql or a trigger may be slow",
        ),
        Cause::OpenTransaction => (
            "records wait behind a transaction that their producer has not ended".into(),
            "see kafka-transactions --find-hanging and the producer; it is Kafka that withholds them",
        ),
        Cause::Kafka(why) => (
            format!("Kafka does not answer ({why})"),
            "is Kafka running and reachable? makegood goes on by itself once it is",
        ),
        Cause::Unseen(why) => (
            format!("Kafka does not tell where its log ends ({why})"),
            "see kafka-topics --describe --unavailable-partitions; makegood goes on by itself once a broker leads it",
        ),
        Cause::Trouble(why) => return (why.reason.clone(), why.advice.clone()),
        Cause::Joining => (
            "the group gives no partitions".into(),
            "see who else is in it: kafka-consumer-groups --describe --members",
        ),
        Cause::Silent => ("the Kafka client's thread gives no sign of life".into(), by_itself),
        Cause::Unpositioned => ("the partitions' positions are not claimed".into(), by_itself),
        Cause::Unknown { in_hand: true } => {
            ("records are in hand and are not applied, for no known reason".into(), by_itself)
        }
        Cause::Unknown { in_hand: false } => {
            ("the Kafka client delivers nothing, for no known reason".into(), by_itself)
        }
    };
    (why, advice.into())
}
