//! How the inbox ends: three tables filled in turn, and the next one is emptied as a whole when its turn comes. Before
//! that it is noted of its rows what has to be known for ever, and proved that Kafka has none of their records any more.

use std::time::Duration;

use crate::tx::CommitFault;
use crate::{Fault, Store, Tx};
use rules::health::age;
use rules::ids::Offset;

/// The tables, by turn modulo three.
const TABLES: [&str; 3] = ["makegood.inbox_0", "makegood.inbox_1", "makegood.inbox_2"];

/// How long a table's rows may take to be noted: a few seconds a million.
const NOTING: Duration = Duration::from_hours(1);

/// What became of the inbox's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxTurn {
    /// It is not time yet.
    Early,
    /// The next table is in use by a transaction.
    Busy,
    /// The next table has rows that must stay, for a person to know why.
    Held(String),
    /// The next table was emptied and is filled from now on.
    Begun,
}

/// The turn at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtHand {
    /// For how long it has lasted.
    pub lasted: Duration,
    /// Why the next one does not begin although it is time.
    pub held: Option<String>,
}

/// The inbox's turn at hand, by the database's clock; `None` if somebody removed all turns.
pub async fn turn_at_hand(store: &Store) -> Result<Option<AtHand>, Fault> {
    let rows = store.query(include_str!("../../../../sql/core/inbox_turn.sql"), &[]).await?;
    Ok(rows.first().map(|row| AtHand {
        lasted: Duration::try_from_secs_f64(row.get(1)).unwrap_or_default(),
        held: row.get(3),
    }))
}

/// Begins the inbox's next turn if it is time. A turn lasts half of `retention`, so that the youngest row of the table
/// that is emptied has been there for all of it. Waits for batches in hand for `patience` at most, in which no other one
/// begins.
pub async fn next_turn(
    store: &Store,
    retention: Duration,
    patience: Duration,
) -> Result<InboxTurn, Fault> {
    let rows = store.query(include_str!("../../../../sql/core/inbox_turn.sql"), &[]).await?;
    // Where somebody removed all turns, they begin anew.
    let Some(row) = rows.first() else {
        let begin = include_str!("../../../../sql/core/inbox_turn_begin.sql");
        return store.query(begin, &[&0_i64]).await.map(|_| InboxTurn::Early);
    };
    let (turn, lasted): (i64, f64) = (row.get(0), row.get(1));
    if lasted < 0.0 {
        store.query(include_str!("../../../../sql/core/inbox_turn_again.sql"), &[&turn]).await?;
    }
    if lasted < retention.as_secs_f64() / 2.0 {
        return Ok(InboxTurn::Early);
    }
    if row.get::<_, Option<bool>>(2) == Some(false) {
        note(store, turn - 2).await?;
    }
    let ending = match still_there(store, turn - 2, retention).await? {
        Some(why) => InboxTurn::Held(why),
        None => begin(store, turn + 1, patience).await?,
    };
    let held = match &ending {
        InboxTurn::Held(why) => Some(why.as_str()),
        _ => None,
    };
    let sql = include_str!("../../../../sql/core/inbox_turn_held.sql");
    store.query(sql, &[&turn, &held]).await?;
    Ok(ending)
}

fn slot(turn: i64) -> usize {
    usize::try_from(turn.rem_euclid(3)).unwrap_or_default()
}

/// Notes what has to be known of a turn's rows.
async fn note(store: &Store, turn: i64) -> Result<(), Fault> {
    let slot = slot(turn) as i16;
    let tx = store.begin("inbox_note").await?;
    let begin = include_str!("../../../../sql/core/inbox_note_begin.sql");
    if !tx.query(begin, &[&turn, &slot]).await?.is_empty() {
        let reach = include_str!("../../../../sql/core/inbox_note_reach.sql");
        tx.query_slow(reach, &[&turn, &slot], NOTING).await?;
        let keys = include_str!("../../../../sql/core/inbox_note_keys.sql");
        tx.query_slow(keys, &[&turn, &slot], NOTING).await?;
    }
    tx.commit().await.map_err(CommitFault::into_fault)
}

/// Where Kafka may still have a record of a turn's rows, in words for people.
async fn still_there(
    store: &Store,
    turn: i64,
    retention: Duration,
) -> Result<Option<String>, Fault> {
    let sql = include_str!("../../../../sql/core/inbox_reached.sql");
    let rows = store.query(sql, &[&turn, &retention.as_secs_f64()]).await?;
    Ok(rows.first().map(|row| {
        let (route, topic, partition): (&str, &str, i32) = (row.get(0), row.get(1), row.get(2));
        let (last, low): (Offset, Option<Offset>) = (row.get(3), row.get(4));
        let Some(low) = low.filter(|low| *low <= last) else {
            let unseen: Option<f64> = row.get(5);
            let unseen = unseen.and_then(|unseen| Duration::try_from_secs_f64(unseen).ok());
            let since = unseen.map_or("at all".to_owned(), |unseen| format!("for {}", age(unseen)));
            return format!("nobody has looked at the log of route {route} {since}: run its daemon");
        };
        format!(
            "Kafka still has records of inbox rows that are older than retention.inbox: {topic} begins at offset {low} \
             of partition {partition}, and offset {last} is among them. Keep events for less than \
             retention.inbox (kafka-configs --alter --entity-type topics --entity-name {topic} --add-config \
             retention.ms=604800000), or set retention.inbox higher"
        )
    }))
}

/// What to say of rows that were written by hand, or whose turn was removed.
fn of_no_turn(table: &str, turn: i64) -> String {
    format!(
        "{table} has rows of no turn: `INSERT INTO makegood.inbox_turns (turn) VALUES ({turn});` has them noted and \
         removed, `TRUNCATE {table};` removes them"
    )
}

/// Empties the next turn's table and begins the turn.
async fn begin(store: &Store, turn: i64, patience: Duration) -> Result<InboxTurn, Fault> {
    let tx = store.begin("inbox_turn").await?;
    match empty(&tx, turn, patience).await {
        Ok(ending) => tx.commit().await.map(|()| ending).map_err(CommitFault::into_fault),
        Err(fault) if fault.sqlstate() == Some("55P03") => {
            tx.rollback().await;
            Ok(InboxTurn::Busy)
        }
        Err(fault) => {
            tx.rollback().await;
            Err(fault)
        }
    }
}

async fn empty(tx: &Tx, turn: i64, patience: Duration) -> Result<InboxTurn, Fault> {
    let (slot, table) = (slot(turn) as i16, TABLES[slot(turn)]);
    // The first lock waits for the batches in hand, the second one for those who read; whoever comes waits meanwhile.
    tx.batch(&format!(
        "SET LOCAL lock_timeout = '{}ms'; \
         LOCK TABLE makegood.inbox_turns IN SHARE ROW EXCLUSIVE MODE; \
         LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
        patience.as_millis().max(1)
    ))
    .await?;
    // A new statement sees what was committed while the locks were waited for.
    let whole = include_str!("../../../../sql/core/inbox_note_is_whole.sql");
    let old = turn - 3;
    let is_whole = tx.query(whole, &[&old, &slot]).await?.first().is_some_and(|row| row.get(0));
    let undo = include_str!("../../../../sql/core/inbox_note_undo.sql");
    let begin = include_str!("../../../../sql/core/inbox_turn_begin.sql");
    if !is_whole {
        let is_known = !tx.query(undo, &[&old]).await?.is_empty();
        return Ok(if is_known {
            InboxTurn::Early
        } else {
            InboxTurn::Held(of_no_turn(table, old))
        });
    }
    tx.batch(&format!("TRUNCATE {table}")).await?;
    let begun = tx.query(begin, &[&turn]).await?;
    Ok(if begun.is_empty() { InboxTurn::Early } else { InboxTurn::Begun })
}
