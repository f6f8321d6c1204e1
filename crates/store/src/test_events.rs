//! Records of send-test: registered before they are sent, answered when they were seen.

use uuid::Uuid;

use super::{Fault, Store, Tx};
use rules::ids::RouteId;
use rules::record::Record;

/// The header that marks a test record; its value is the registered id.
pub const HEADER: &str = "makegood-test";

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestVerdict {
    /// `test` when the mapping ran, `failed` otherwise.
    pub outcome: &'static str,
    /// The outcome the mapping gave before it was rolled back.
    pub mapping_outcome: Option<String>,
    /// What there is to say about it.
    pub detail: Option<String>,
}

/// Registers a test; only then does its marked record count as one.
pub async fn register(store: &Store, id: Uuid, route: RouteId) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/test_event_register.sql"), &[&id, &route]).await?;
    Ok(())
}

/// Whether the id was registered for this route and not answered yet.
pub async fn is_open(store: &Store, id: Uuid, route: RouteId) -> Result<bool, Fault> {
    let rows =
        store.query(include_str!("../../../sql/core/test_event_open.sql"), &[&id, &route]).await?;
    Ok(!rows.is_empty())
}

/// Answers a test, in the transaction that moves the position past its record.
pub async fn answer(
    tx: &Tx,
    id: Uuid,
    record: &Record,
    verdict: &TestVerdict,
) -> Result<(), Fault> {
    tx.execute(
        include_str!("../../../sql/core/test_event_answer.sql"),
        &[
            &id,
            &verdict.outcome,
            &verdict.mapping_outcome,
            &verdict.detail,
            &record.partition,
            &record.offset,
        ],
    )
    .await?;
    Ok(())
}

/// The id in a record's test header, if it has one that is a UUID.
pub fn marked(record: &Record) -> Option<Uuid> {
    let header = record.headers.iter().find(|h| h.name == HEADER.as_bytes())?;
    Uuid::try_parse_ascii(header.value.as_deref()?).ok()
}

/// An answered test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredTest {
    /// See [`TestVerdict::outcome`].
    pub outcome: String,
    /// See [`TestVerdict::mapping_outcome`].
    pub mapping_outcome: Option<String>,
    /// See [`TestVerdict::detail`].
    pub detail: Option<String>,
}

/// The answer to a test, once there is one.
pub async fn answered(store: &Store, id: Uuid) -> Result<Option<AnsweredTest>, Fault> {
    let rows = store.query(include_str!("../../../sql/core/test_event_read.sql"), &[&id]).await?;
    Ok(rows.first().map(|row| AnsweredTest {
        outcome: row.get(0),
        mapping_outcome: row.get(1),
        detail: row.get(2),
    }))
}
