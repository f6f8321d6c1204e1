//! What a skip would leave out: the records are read, tried on the mapping, and everything is rolled back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::plan::PlannedMove;
use super::survey::RouteSurvey;
use crate::cli::session::Session;
use crate::isolate::{Work, isolate};
use crate::kafka::probe::PartitionReader;
use crate::stop::blocking;
use crate::store::inbox::{self, ApplyFault, Batch, Entry, Kind, Unseen};
use crate::store::mapping::Mapping;
use crate::store::payments::{Looker, Scope};
use crate::store::{Store, test_events};
use rules::ids::Offset;
use rules::outcome::Attempted;
use rules::problem::{Code, Problem};
use rules::record::Record;

/// How many records are looked at together.
const CHUNK: usize = 500;

/// What is in the records that would be skipped.
#[derive(Clone, Debug, Default)]
pub(super) struct Forgone {
    /// Records looked into.
    pub examined: usize,
    /// Whether there are more than that.
    pub bounded: bool,
    /// Offsets whose records the log does not have any more.
    pub gone: i64,
    /// Records that are no event of this route.
    pub other: usize,
    /// Records that would go to quarantine.
    pub refused: usize,
    /// Events that were taken in already.
    pub taken_in: usize,
    /// Events whose purchase is there, or that need none.
    pub settled: usize,
    /// Events that were paid and have no purchase.
    pub paid: Vec<Event>,
    /// Why the mapping, or the reconciler's look, could not tell, if so.
    pub trouble: Option<String>,
}

/// Records of one partition as the isolating driver tries them; everything is rolled back.
struct Rehearsal<'a> {
    session: &'a Session,
    survey: &'a RouteSurvey,
    mapping: &'a Mapping,
    entries: &'a [Entry<'a>],
    unseen: Vec<Unseen>,
    trouble: Option<String>,
}

impl Work for Rehearsal<'_> {
    async fn together(&mut self, range: Range<usize>) -> Result<(), ApplyFault> {
        let batch = Batch {
            route: self.survey.route.id,
            log: &self.survey.look.log,
            mapping: self.mapping,
            // The worse is assumed: that each event is of a payment.
            payments: None,
            writer: Uuid::nil(),
            now: Timestamp::now(),
            max_quarantine: u64::MAX,
            looks: true,
            steps: &BTreeMap::new(),
            entries: &self.entries[range.clone()],
        };
        let unseen = inbox::unseen(&self.session.store, &batch).await?;
        let place = |one: Unseen| Unseen { entry: one.entry + range.start, ..one };
        self.unseen.extend(unseen.into_iter().map(place));
        Ok(())
    }

    async fn refused(&mut self, at: usize, fault: ApplyFault) -> Result<(), ApplyFault> {
        let entry = &self.entries[at];
        self.unseen.push(Unseen {
            entry: at,
            event_id: entry.event_id,
            outcome: Attempted::Refused,
            business_key: entry.business_key(self.mapping),
        });
        self.trouble = Some(fault.diagnosis().reason);
        Ok(())
    }
}

/// An event without a purchase.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub partition: i32,
    pub offset: Offset,
    pub at: Option<Timestamp>,
    pub event_id: Uuid,
    /// The business key; `None` if the mapping could not tell.
    pub payment: Option<String>,
    /// Whether the reconciler sees it as paid and not purchased; `None` if nobody can tell.
    pub known: Option<bool>,
}

/// Looks into at most `most` of the records that a plan skips.
pub(super) async fn look(
    session: &Session,
    survey: &RouteSurvey,
    plan: &[PlannedMove],
    most: usize,
) -> Result<Forgone, Problem> {
    let mut forgone = Forgone::default();
    if plan.iter().all(|m| m.skips.is_none()) {
        return Ok(forgone);
    }
    let mapping = Arc::new(Mapping::load(survey.route.settings.mapping.as_deref())?);
    for m in plan {
        let Some(skips) = m.skips.clone() else { continue };
        let low = survey.partitions.get(&m.partition).map_or(Offset(0), |one| one.known.low);
        forgone.gone += (low.min(skips.end) - skips.start).max(0);
        let range = skips.start.max(low)..skips.end;
        let log = &survey.look.log;
        let (kafka, topic, group) = (&session.config.kafka, &log.topic, &log.group);
        let mut reader = Some(PartitionReader::open(kafka, topic, group, m.partition, range)?);
        while let Some(mut reading) = reader.take() {
            let room = most.saturating_sub(forgone.examined).min(CHUNK);
            let (records, back) = blocking(move || {
                // One more than there is room for tells whether that is all.
                let records = reading.next(room.max(1))?;
                Ok((records, reading))
            })
            .await?;
            if room == 0 {
                forgone.bounded |= !records.is_empty();
            } else if !records.is_empty() {
                forgone.add(session, survey, &mapping, &records).await?;
                reader = Some(back);
            }
        }
    }
    forgone.ask_the_reconciler(session, survey, &mapping).await?;
    Ok(forgone)
}

impl Forgone {
    /// Counts some records of one partition.
    async fn add(
        &mut self,
        session: &Session,
        survey: &RouteSurvey,
        mapping: &Mapping,
        records: &[Record],
    ) -> Result<(), Problem> {
        let reader = survey.route.reader(mapping);
        let mut entries: Vec<Entry<'_>> = (records.iter())
            .filter(|record| test_events::marked(record).is_none())
            .map(|record| Entry::decode(record, survey.topic_id(), &reader))
            .collect();
        let refused = entries.iter().filter(|e| matches!(e.kind, Kind::Undecodable(_))).count();
        entries.retain(|entry| matches!(entry.kind, Kind::Event(_)));
        let mut rehearsal = Rehearsal {
            session,
            survey,
            mapping,
            entries: &entries,
            unseen: Vec::new(),
            trouble: None,
        };
        isolate(&mut rehearsal, entries.len(), true).await.map_err(|fault| {
            Problem::new(
                Code::Postgres,
                format!("cannot look which events were taken in: {}", fault.diagnosis().reason),
            )
        })?;
        let Rehearsal { unseen, trouble, .. } = rehearsal;
        self.examined += records.len();
        self.refused += refused;
        self.other += records.len() - entries.len() - refused;
        self.taken_in += entries.len() - unseen.len();
        self.trouble = trouble.or(self.trouble.take());
        for one in unseen {
            self.sort(one, &entries);
        }
        Ok(())
    }

    fn sort(&mut self, one: Unseen, entries: &[Entry<'_>]) {
        let record = entries[one.entry].record;
        match one.outcome {
            // What the database refused may be no purchase for ever: the worse is assumed.
            Attempted::Applied | Attempted::Refused => {}
            Attempted::Rejected => {
                self.refused += 1;
                return;
            }
            _ => {
                self.settled += 1;
                return;
            }
        }
        self.paid.push(Event {
            partition: record.partition,
            offset: record.offset,
            at: record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            event_id: one.event_id,
            payment: one.business_key,
            known: None,
        });
    }

    /// Asks which of the payments a sweep would find. The others are in no table that it reads: with
    /// the event their purchase is lost.
    async fn ask_the_reconciler(
        &mut self,
        session: &Session,
        survey: &RouteSurvey,
        mapping: &Arc<Mapping>,
    ) -> Result<(), Problem> {
        let config = &session.config;
        let job = config.reconcile.iter().find(|job| job.inbox == survey.route.settings.name);
        let Some(job) = job else {
            self.trouble = Some(format!(
                "no [[reconcile]] job is configured for {}, so nothing would cover it",
                survey.route.settings.name
            ));
            return Ok(());
        };
        let elsewhere = job.source.as_ref().and_then(|name| config.databases.get(name));
        let source = elsewhere.map(|p| Store::open(p, "makegood-cli", 1)).transpose()?;
        let keys: Vec<String> = self.paid.iter().filter_map(|e| e.payment.clone()).collect();
        let Some(looker) = Looker::new(mapping.clone(), source).filter(|_| !keys.is_empty()) else {
            return Ok(());
        };
        let tx = session.store.begin("offsets_reset").await;
        let tx = tx.map_err(|f| f.problem("cannot look at the payments"))?;
        let found = looker.missing(&tx, Scope::Keys(&keys)).await;
        tx.rollback().await;
        match found {
            Ok(found) => {
                for event in &mut self.paid {
                    let is_it = |key: &String| found.items.iter().any(|item| item.key == *key);
                    event.known = event.payment.as_ref().map(is_it);
                }
            }
            Err(fault) => self.trouble = Some(format!("the payments cannot be read: {fault}")),
        }
        Ok(())
    }

    /// In words, a line each; `total` is how many offsets are skipped.
    pub fn told(&self, total: i64) -> Vec<String> {
        let mut first = format!("{total} offsets would be skipped");
        if self.gone > 0 {
            first += &format!(", {} of them are gone from the log already", self.gone);
        }
        let parts = [
            (self.paid.len(), "paid without a purchase"),
            (self.settled, "with a purchase"),
            (self.taken_in, "taken in already"),
            (self.refused, "that would go to quarantine"),
            (self.other, "of another kind"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let more = if self.bounded { ", and there are more (--examine)" } else { "" };
        let mut lines = vec![first];
        if self.examined > 0 {
            lines.push(format!(
                "looked into {} records{more}: {}",
                self.examined,
                parts.join(", ")
            ));
        }
        let count = |known: Option<bool>| self.paid.iter().filter(|e| e.known == known).count();
        for (n, what) in [
            (count(Some(true)), "of the paid ones the reconciler knows, and makes them good"),
            (count(Some(false)), "are in no payments that it reads: these purchases would be LOST"),
            (count(None), "nobody can tell about"),
        ] {
            if n > 0 {
                lines.push(format!("{n} {what}"));
            }
        }
        lines.extend(self.trouble.clone());
        lines
    }

    pub fn object(&self) -> Value {
        let event = |e: &Event| {
            json!({
                "partition": e.partition, "offset": e.offset, "at": e.at, "event_id": e.event_id,
                "payment": e.payment, "known_to_reconciler": e.known,
            })
        };
        json!({
            "examined": self.examined, "bounded": self.bounded, "gone": self.gone,
            "other": self.other, "for_quarantine": self.refused, "taken_in": self.taken_in, "with_purchase": self.settled,
            "paid_without_purchase": self.paid.len(),
            "events": self.paid.iter().map(event).collect::<Vec<_>>(), "trouble": self.trouble,
        })
    }
}
