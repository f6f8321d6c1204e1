//! Payments asked for by keys that anybody may have made up. What is refused is a key's own fault only if it is refused
//! alone while the same statement finds a payment that is there, before and after; everything else is the world's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio_postgres::Row;

use super::Fault;
use super::payments_query::{Place, Scope, cell};
use rules::error_policy::{Disposition, disposition};

/// How many of the keys at hand are tried for one that is found, where no other payment shows what works.
const PROBES: usize = 32;

/// The statement, with the contract of `payments.sql`.
pub(super) trait ByKeys: Sync {
    /// Runs it. A refusal leaves nothing behind that would keep it from being run again.
    fn ask(&self, scope: Scope<'_>) -> impl Future<Output = Result<Vec<Row>, Fault>> + Send;
}

/// What came of it.
#[derive(Default)]
pub(super) struct KeysAnswer {
    /// What was found.
    pub rows: Vec<Row>,
    /// The keys that are refused for their own sake, or for that of their payment's row.
    pub refused: BTreeMap<String, Fault>,
}

/// The key of the payment that was found last.
#[derive(Clone, Debug, Default)]
pub struct LastFound(Arc<Mutex<Option<String>>>);

impl PartialEq for LastFound {
    /// It is no part of what a mapping says.
    fn eq(&self, _: &LastFound) -> bool {
        true
    }
}

impl Eq for LastFound {}

impl LastFound {
    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, rows: &[Row]) {
        if let Some(key) = key(rows) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        }
    }
}

/// Asks for the payments of some keys; fails if they cannot be asked for.
pub(super) async fn by_keys(
    keys: &[String],
    payments: &impl ByKeys,
    last: &LastFound,
) -> Result<KeysAnswer, Fault> {
    let why = match tried(keys, payments).await? {
        Ok(rows) => {
            last.note(&rows);
            return Ok(KeysAnswer { rows, ..KeysAnswer::default() });
        }
        Err(why) => why,
    };
    let Some(control) = control(keys, payments, last).await? else { return Err(why) };
    let mut asked = KeysAnswer::default();
    let (first, second) = keys.split_at(keys.len() / 2);
    let mut open = vec![second, first];
    while let Some(part) = open.pop() {
        match tried(part, payments).await? {
            Ok(rows) => asked.rows.extend(rows),
            Err(fault) => match part {
                [alone] => {
                    asked.refused.insert(alone.clone(), fault);
                }
                part => {
                    let (first, second) = part.split_at(part.len() / 2);
                    open.extend([second, first]);
                }
            },
        }
    }
    let still_works = asked.refused.is_empty() || shows(&control, payments).await?;
    last.note(&asked.rows);
    if still_works { Ok(asked) } else { Err(why) }
}

/// What some keys are answered, or refused if one of them can be why. Fails with what surely is no key's doing; a
/// statement that is ended from outside says nothing of its keys either.
async fn tried(keys: &[String], payments: &impl ByKeys) -> Result<Result<Vec<Row>, Fault>, Fault> {
    if keys.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    match payments.ask(Scope::Keys(keys)).await {
        Ok(rows) => Ok(Ok(rows)),
        Err(fault) if may_be_a_keys(&fault) => Ok(Err(fault)),
        Err(fault) => Err(fault),
    }
}

fn may_be_a_keys(fault: &Fault) -> bool {
    disposition(fault.sqlstate()) == Disposition::Isolate && fault.sqlstate() != Some("57014")
}

/// The key of a payment that is found: of the last one, of the oldest, or one of the keys at hand. None, but proven,
/// where there is no payment at all, whose row the statement could stumble over. `None` if nothing is shown.
async fn control(
    keys: &[String],
    payments: &impl ByKeys,
    last: &LastFound,
) -> Result<Option<Vec<String>>, Fault> {
    let known: Vec<String> = last.get().into_iter().collect();
    if !known.is_empty() && shows(&known, payments).await? {
        return Ok(Some(known));
    }
    let after = Place::default();
    let oldest = Scope::Window { after: &after, until: Timestamp::MAX, rows: 1 };
    match payments.ask(oldest).await {
        Ok(rows) => {
            let known: Vec<String> = key(&rows).into_iter().collect();
            if shows(&known, payments).await? {
                return Ok(Some(known));
            }
        }
        Err(fault) if may_be_a_keys(&fault) => {}
        Err(fault) => return Err(fault),
    }
    for alone in keys.iter().take(PROBES).map(std::slice::from_ref) {
        if shows(alone, payments).await? {
            return Ok(Some(alone.to_vec()));
        }
    }
    Ok(None)
}

/// Whether the payment of a key is found now; without a key, whether the statement gets through.
async fn shows(known: &[String], payments: &impl ByKeys) -> Result<bool, Fault> {
    match payments.ask(Scope::Keys(known)).await {
        Ok(rows) => Ok(key(&rows).as_ref() == known.first()),
        Err(fault) if may_be_a_keys(&fault) => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn key(rows: &[Row]) -> Option<String> {
    rows.iter().find_map(|row| cell(row, "business_key"))
}
