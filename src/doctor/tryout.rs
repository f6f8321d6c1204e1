//! A mapping tried on events in transactions that are rolled back.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::ingest::Route;
use crate::isolate::{Work, isolate};
use crate::store::inbox::{self, ApplyFault, Batch, Entry, Kind, Rehearsed};
use crate::store::mapping::Mapping;
use crate::store::positions::Log;
use crate::store::{Fault, Store};
use rules::ids::{Offset, RouteId};
use rules::outcome::Attempted;
use rules::record::Record;

/// How many events are tried in one transaction; of several with one key only the first makes a row.
const TOGETHER: usize = 1000;

/// What would come of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The record's partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// Its event's id.
    pub event_id: Uuid,
    /// What came of it.
    pub outcome: Attempted,
    /// The business key, if the mapping named one.
    pub business_key: Option<String>,
    /// What there is to say of it.
    pub detail: Option<String>,
    /// What to do about a failure.
    pub fix: Option<String>,
    /// The rows it would make or has found.
    pub rows: Vec<Value>,
}

/// Tries `records` as the route would apply them, each event id once, many in one transaction, by the driver that
/// isolates what is refused. `Err` when the database is away.
pub async fn run(
    route: &Route,
    store: &Store,
    source: Option<&Store>,
    mapping: &Mapping,
    topic_id: Uuid,
    records: &[Record],
) -> Result<Vec<Tried>, Fault> {
    let log =
        Log { group: route.settings.group.clone(), topic: route.settings.topic.clone(), topic_id };
    let reader = route.reader(mapping);
    let mut tried = Vec::with_capacity(records.len());
    for records in records.chunks(route.rules.together(TOGETHER)) {
        let mut entries: Vec<Entry<'_>> =
            records.iter().map(|record| Entry::decode(record, topic_id, &reader)).collect();
        Box::pin(route.topic_settings.judge(&mut entries)).await;
        let mut rehearsal =
            Rehearsal { store, source, mapping, log: &log, entries: &entries, tried: Vec::new() };
        isolate(&mut rehearsal, entries.len(), false).await.map_err(|fault| match fault {
            ApplyFault::Mapping(fault)
            | ApplyFault::Payments(fault)
            | ApplyFault::Engine(fault)
            | ApplyFault::Unknown(fault) => fault,
            other => Fault::Lost { cause: other.diagnosis().reason },
        })?;
        tried.append(&mut rehearsal.tried);
    }
    Ok(tried)
}

/// Entries as the isolating driver tries them; everything is rolled back.
struct Rehearsal<'a> {
    store: &'a Store,
    source: Option<&'a Store>,
    mapping: &'a Mapping,
    log: &'a Log,
    entries: &'a [Entry<'a>],
    tried: Vec<Tried>,
}

impl Work for Rehearsal<'_> {
    async fn together(&mut self, range: Range<usize>) -> Result<(), ApplyFault> {
        let entries = &self.entries[range];
        let batch = Batch {
            route: RouteId::default(),
            log: self.log,
            mapping: self.mapping,
            payments: self.mapping.payments(self.source),
            writer: Uuid::nil(),
            now: Timestamp::now(),
            steps: &BTreeMap::new(),
            max_quarantine: u64::MAX,
            looks: true,
            entries,
        };
        let rehearsed = inbox::rehearse(self.store, &batch, true).await?;
        self.tried.extend(told(entries, rehearsed));
        Ok(())
    }

    async fn refused(&mut self, at: usize, fault: ApplyFault) -> Result<(), ApplyFault> {
        let fix = fault.advice(self.store, self.source, self.mapping).await;
        let failed = unmapped(&self.entries[at]);
        self.tried.push(Tried {
            outcome: Attempted::Failed,
            detail: Some(fault.diagnosis().reason),
            fix: Some(fix),
            ..failed
        });
        Ok(())
    }
}

/// What came of each entry.
fn told(entries: &[Entry<'_>], rehearsed: Vec<Rehearsed>) -> Vec<Tried> {
    let mut tried: Vec<Tried> = entries.iter().map(unmapped).collect();
    for one in rehearsed {
        let Some(known) = tried.get_mut(one.entry) else { continue };
        known.outcome = one.outcome;
        known.business_key = one.business_key;
        known.detail = one.detail;
        known.rows = one.rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect();
    }
    tried
}

/// A record that the mapping does not get to see.
fn unmapped(entry: &Entry<'_>) -> Tried {
    let (outcome, detail) = match &entry.kind {
        Kind::Event(_) => (Attempted::Duplicate, None),
        Kind::OtherType(name) => (Attempted::OtherType, Some(name.clone())),
        Kind::Tombstone => (Attempted::Tombstone, None),
        Kind::Undecodable(refusal) => {
            (Attempted::Undecodable, Some(format!("{}: {}", refusal.reason, refusal.detail)))
        }
        Kind::Test(..) => (Attempted::Test, None),
    };
    Tried {
        partition: entry.record.partition,
        offset: entry.record.offset,
        event_id: entry.event_id,
        outcome,
        business_key: None,
        detail,
        fix: None,
        rows: Vec::new(),
    }
}
