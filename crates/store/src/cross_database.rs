//! Payments that live in another database than the purchases: windows are read there, the purchases of
//! the same keys here, and both are compared in memory, a window at a time. The payments cannot be
//! locked, nor seen in the snapshot of the purchases.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_postgres::Row;

use super::payments_query::{
    Conflict, LookFault, Missing, PaymentsFound, PaymentsQuery, Place, Scope, cell, json, run, time,
};
use super::{Store, Tx};
use rules::payment_diff::{contradiction, window};

/// From so far ahead on a purchase is dated in the future.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// Where both sides are, and the statements that read them.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    /// The payments' database.
    pub source: &'a Store,
    /// `payments.sql`, run there.
    pub payments: PaymentsQuery<'a>,
    /// `purchases.sql`, run in the transaction at hand.
    pub purchases: PaymentsQuery<'a>,
}

struct Payment {
    at: Timestamp,
    state: String,
    terms: String,
    event: Option<String>,
}

struct Purchase {
    at: Timestamp,
    terms: String,
}

type ByKey<T> = BTreeMap<String, T>;

/// As `missing.sql` finds them.
pub(super) async fn missing(
    sides: Sides<'_>,
    tx: &Tx,
    scope: Scope<'_>,
) -> Result<PaymentsFound<Missing>, LookFault> {
    let payments = sides.payments(scope).await?;
    let edge = payments.iter().max_by_key(|(key, p)| (p.at, *key));
    let edge = edge.map(|(key, p)| Place { at: Some(p.at), key: Some(key.clone()) });
    let read = payments.len();
    let paid: ByKey<Payment> = payments.into_iter().filter(|(_, p)| p.event.is_some()).collect();
    let keys: Vec<String> = paid.keys().cloned().collect();
    let purchased = sides.purchases(tx, Scope::Keys(&keys)).await?;
    let compared = count(paid.len());
    let missing = paid.into_iter().filter(|(key, _)| !purchased.contains_key(key));
    let items = missing
        .filter_map(|(key, p)| Some(Missing { key, paid_at: p.at, event: p.event? }))
        .collect();
    Ok(PaymentsFound { items, compared, edge, read: count(read) })
}

/// As `conflicts.sql` finds them.
pub(super) async fn conflicts(
    sides: Sides<'_>,
    tx: &Tx,
    scope: Scope<'_>,
) -> Result<PaymentsFound<Conflict>, LookFault> {
    let (keys, page) = match scope {
        Scope::Keys(keys) => (keys.to_vec(), None),
        Scope::Window { rows, .. } => {
            let payments = places(sides.payments(scope).await?, |p: &Payment| p.at);
            let purchases = places(sides.purchases(tx, scope).await?, |p: &Purchase| p.at);
            let page = window(&payments, &purchases, usize::try_from(rows).unwrap_or(usize::MAX));
            let keys: BTreeSet<String> = page.iter().map(|(_, key)| key.clone()).collect();
            (keys.into_iter().collect(), Some(page))
        }
    };
    let purchases = sides.purchases(tx, Scope::Keys(&keys)).await?;
    let payments = sides.payments(Scope::Keys(&keys)).await?;
    let ahead = Timestamp::now().saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    let mut items = Vec::new();
    for (key, purchase) in purchases {
        let payment = payments.get(&key);
        let at = payment.map_or(purchase.at, |p| p.at.max(purchase.at));
        // A pair is in the order twice; it is told where the later of both is.
        if page.as_ref().is_some_and(|page| !page.contains(&(at, key.clone()))) {
            continue;
        }
        let terms = payment.map(|p| value(&p.terms));
        let paid = payment.zip(terms.as_ref()).map(|(p, terms)| (p.state.as_str(), terms));
        let latest = payment.map_or(ahead, |p| p.at.max(ahead));
        let is_future = purchase.at > latest && purchase.at < Timestamp::MAX;
        let kind = contradiction(paid, &value(&purchase.terms));
        if let Some(kind) = kind.or(is_future.then(|| "future".to_owned())) {
            let (expected, found) = (payment.map(|p| p.terms.clone()), Some(purchase.terms));
            items.push(Conflict { key, at: Some(at), kind, expected, found });
        }
    }
    let edge = page.as_ref().and_then(BTreeSet::last);
    let edge = edge.map(|(at, key)| Place { at: Some(*at), key: Some(key.clone()) });
    let compared = count(page.map_or(keys.len(), |page| page.len()));
    Ok(PaymentsFound { items, compared, edge, read: compared })
}

impl Sides<'_> {
    async fn payments(&self, scope: Scope<'_>) -> Result<ByKey<Payment>, LookFault> {
        let tx = self.source.begin("source").await?;
        let rows = run(&tx, self.payments, scope).await?;
        tx.rollback().await;
        let payment = |row: &Row| {
            let (at, state) = (time(row, "at"), cell(row, "state")?);
            Some(Payment { at, state, terms: json(row, "terms")?, event: json(row, "event") })
        };
        by_key("payments.sql", &rows, payment)
    }

    async fn purchases(&self, tx: &Tx, scope: Scope<'_>) -> Result<ByKey<Purchase>, LookFault> {
        let rows = run(tx, self.purchases, scope).await?;
        let purchase =
            |row: &Row| Some(Purchase { at: time(row, "at"), terms: json(row, "terms")? });
        by_key("purchases.sql", &rows, purchase)
    }
}

fn by_key<T>(
    name: &str,
    rows: &[Row],
    read: impl Fn(&Row) -> Option<T>,
) -> Result<ByKey<T>, LookFault> {
    let mut found = BTreeMap::new();
    for row in rows {
        let pair = cell(row, "business_key").zip(read(row));
        let Some((key, item)) = pair else {
            let what = format!("{name} returned a row with a null");
            return Err(LookFault::Breach(what));
        };
        // A window of fewer keys than rows would look like the last one.
        match found.entry(key) {
            Entry::Vacant(place) => place.insert(item),
            Entry::Occupied(first) => {
                let what = format!("{name} returned two rows for {}", first.key());
                return Err(LookFault::Breach(what));
            }
        };
    }
    Ok(found)
}

fn places<T>(rows: ByKey<T>, at: impl Fn(&T) -> Timestamp) -> Vec<(Timestamp, String)> {
    let mut places: Vec<_> = rows.into_iter().map(|(key, row)| (at(&row), key)).collect();
    places.sort();
    places
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
