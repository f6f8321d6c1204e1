//! What the reconciler found, open until it heals, is made good or is dismissed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use tokio_postgres::Row;

use super::json::JsonText;
use super::payments::{Conflict, Missing, Place};
use super::when::{Sent, Times};
use super::{Fault, Tx};
use rules::ids::{CaseId, RouteId, RunId};
use rules::states::{FindingEnd, FindingKind};

/// A finding to record.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// The payment.
    pub key: &'a str,
    /// `missing`, `gone`, or the mapping's own word.
    pub kind: &'a str,
    /// When the payment became paid.
    pub at: Option<Timestamp>,
    /// What the payment says, as JSON text.
    pub expected: Option<&'a str>,
    /// What the purchase says, as JSON text.
    pub found: Option<&'a str>,
}

impl<'a> New<'a> {
    /// A payment without a purchase.
    pub fn missing(kind: FindingKind, missing: &'a Missing) -> New<'a> {
        New {
            key: &missing.key,
            kind: kind.as_str(),
            at: Some(missing.paid_at),
            expected: Some(&missing.event),
            found: None,
        }
    }
}

impl<'a> From<&'a Conflict> for New<'a> {
    fn from(c: &'a Conflict) -> New<'a> {
        let (expected, found) = (c.expected.as_deref(), c.found.as_deref());
        New { key: &c.key, kind: &c.kind, at: c.at, expected, found }
    }
}

/// Records findings; those open already are only brought up to date.
pub async fn open(tx: &Tx, job: &str, run: Option<RunId>, news: &[New<'_>]) -> Result<(), Fault> {
    if news.is_empty() {
        return Ok(());
    }
    let mut sorted = news.to_vec();
    sorted.sort_by_key(|n| (n.key, n.kind));
    sorted.dedup_by_key(|n| (n.key, n.kind));
    let keys: Vec<&str> = sorted.iter().map(|n| n.key).collect();
    let kinds: Vec<&str> = sorted.iter().map(|n| n.kind).collect();
    let times: Vec<_> = sorted.iter().map(|n| n.at.sent()).collect();
    let expected: Vec<_> = sorted.iter().map(|n| n.expected.map(JsonText)).collect();
    let found: Vec<_> = sorted.iter().map(|n| n.found.map(JsonText)).collect();
    let sql = include_str!("../../../sql/core/finding_open.sql");
    tx.execute(sql, &[&job, &run, &keys, &kinds, &times, &expected, &found]).await?;
    Ok(())
}

/// Leaves out contradictions that a person has dismissed as they are, for whichever job of the route.
pub async fn undismissed(
    tx: &Tx,
    route: RouteId,
    conflicts: Vec<Conflict>,
) -> Result<Vec<Conflict>, Fault> {
    if conflicts.is_empty() {
        return Ok(conflicts);
    }
    let keys: Vec<&str> = conflicts.iter().map(|c| c.key.as_str()).collect();
    let kinds: Vec<&str> = conflicts.iter().map(|c| c.kind.as_str()).collect();
    let expected: Vec<_> = conflicts.iter().map(|c| c.expected.as_deref().map(JsonText)).collect();
    let found: Vec<_> = conflicts.iter().map(|c| c.found.as_deref().map(JsonText)).collect();
    let sql = include_str!("../../../sql/core/finding_known.sql");
    let rows = tx.query(sql, &[&route, &keys, &kinds, &expected, &found]).await?;
    let known: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let numbered = (1_i64..).zip(conflicts);
    Ok(numbered.filter(|(place, _)| !known.contains(place)).map(|(_, c)| c).collect())
}

/// Closes open findings of some kinds and payments.
pub async fn close(
    tx: &Tx,
    job: &str,
    kinds: &[&str],
    end: FindingEnd,
    run: Option<RunId>,
    keys: &[String],
) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    let sql = include_str!("../../../sql/core/finding_close.sql");
    tx.execute(sql, &[&job, &kinds, &end, &run, &keys]).await?;
    Ok(())
}

/// Notes that a payment's event is in quarantine.
pub async fn refused(
    tx: &Tx,
    job: &str,
    key: &str,
    quarantine: CaseId,
    why: &str,
) -> Result<(), Fault> {
    let sql = include_str!("../../../sql/core/finding_refused.sql");
    tx.execute(sql, &[&job, &key, &quarantine, &why]).await?;
    Ok(())
}

/// Notes why a payment could not be made good; its finding stays open, and linked to its case if it has one.
pub async fn tell(tx: &Tx, job: &str, key: &str, why: &str) -> Result<(), Fault> {
    let none = None::<CaseId>;
    tx.execute(include_str!("../../../sql/core/finding_refused.sql"), &[&job, &key, &none, &why])
        .await?;
    Ok(())
}

/// What is known of a payment without a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It had one once.
    Gone,
    /// Its event is in quarantine.
    Refused,
    /// There is nothing to be done, says the mapping or a person.
    Settled,
}

/// What is known of some payments without a purchase; those that nothing is known of are not in it.
pub async fn standing(
    tx: &Tx,
    route: RouteId,
    job: &str,
    keys: &[String],
) -> Result<BTreeMap<String, Standing>, Fault> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = tx
        .query(include_str!("../../../sql/core/missing_sort.sql"), &[&route, &job, &keys])
        .await?;
    let standing = |word: &str| match word {
        "gone" => Standing::Gone,
        "refused" => Standing::Refused,
        _ => Standing::Settled,
    };
    Ok(rows.iter().map(|row| (row.get(0), standing(row.get(1)))).collect())
}

/// Which findings of a run to make good next.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Payments that became paid from then on.
    pub since: Option<Timestamp>,
    /// And before then.
    pub until: Timestamp,
    /// After this place.
    pub after: &'a Place,
    /// At most so many.
    pub limit: i64,
    /// Also those that were refused before.
    pub retry: bool,
}

/// A payment to make good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Its business key.
    pub key: String,
    /// When it became paid.
    pub at: Timestamp,
    /// Whether it was refused before, and is in quarantine.
    pub refused: bool,
}

/// The next open findings to make good, in the order of time and key.
pub async fn to_make_good(tx: &Tx, job: &str, wanted: &Wanted<'_>) -> Result<Vec<Paid>, Fault> {
    let sql = include_str!("../../../sql/core/finding_to_make_good.sql");
    let Wanted { since, until, after, limit, retry } = wanted;
    let (since, until, at) = (since.sent(), until.sent(), after.at.sent());
    let rows = tx.query(sql, &[&job, &since, &until, &at, &after.key, limit, retry]).await?;
    let paid = |row: &Row| Paid { key: row.get(0), at: row.moment("paid_at"), refused: row.get(2) };
    Ok(rows.iter().map(paid).collect())
}

/// An open finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFinding {
    /// Its number.
    pub id: i64,
    /// The payment.
    pub key: String,
    /// Its kind.
    pub kind: String,
}

/// Open findings after a number: of payments without a purchase, or all others.
pub async fn open_after(
    tx: &Tx,
    job: &str,
    unpurchased: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<OpenFinding>, Fault> {
    let sql = include_str!("../../../sql/core/finding_open_keys.sql");
    let rows = tx.query(sql, &[&job, &unpurchased, &after, &limit]).await?;
    Ok(rows
        .iter()
        .map(|row| OpenFinding { id: row.get(0), key: row.get(1), kind: row.get(2) })
        .collect())
}
