//! What daemons say of the routes and the outbox, for those who read SQL.

use uuid::Uuid;

use super::{Fault, Store};
use rules::health::Health;

/// The verdict on one route.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The route's name.
    pub route: &'a str,
    /// The verdict in a word.
    pub verdict: &'static str,
    /// How bad that is; of several daemons the worst is shown.
    pub rank: i16,
    /// The verdict in a sentence.
    pub sentence: &'a str,
}

/// Writes what this process says; a route that the database does not know is left out.
pub async fn write(store: &Store, writer: Uuid, said: &[Judged<'_>]) -> Result<(), Fault> {
    let routes: Vec<&str> = said.iter().map(|one| one.route).collect();
    let words: Vec<&str> = said.iter().map(|one| one.verdict).collect();
    let ranks: Vec<i16> = said.iter().map(|one| one.rank).collect();
    // PostgreSQL takes no NUL, and an error's words may have one.
    let sentences: Vec<String> = said.iter().map(|one| one.sentence.replace('\0', "")).collect();
    let sql = include_str!("../../../sql/core/verdict_write.sql");
    store.query(sql, &[&writer, &routes, &words, &ranks, &sentences]).await?;
    Ok(())
}

/// Writes what this process says of the outbox.
pub async fn write_outbox(store: &Store, writer: Uuid, said: &Health) -> Result<(), Fault> {
    let (word, rank) = (said.verdict.as_str(), said.verdict.rank());
    let sentence = said.sentence.replace('\0', "");
    let sql = include_str!("../../../sql/core/outbox_verdict_write.sql");
    store.query(sql, &[&writer, &word, &rank, &sentence]).await.map(drop)
}
