//! The look of every heartbeat: whether the topic is there and the one that is read, where its logs end, and
//! whether the database still has what was committed.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::debug;

use super::super::claim::Claimed;
use super::super::lane::LaneReport;
use super::Pulse;
use crate::kafka::probe::Watermarks;
use crate::stop::blocking;
use crate::store::positions::{self, Log, Position};
use crate::store::workers::{self, LogEnds};
use rules::backoff::Backoff;
use rules::ids::Offset;
use rules::ingest::steps::{Newest, Steps};

/// What holds the lanes may hold the other daemon's soon: it has to have been well for as long.
const LASTS: Backoff = Backoff { first: Duration::from_secs(10), max: Duration::from_secs(600) };

impl Pulse {
    /// Whether a held route should be left to another daemon.
    async fn look_for_another(&self) {
        let (held_for, yielded) = {
            let showing = self.shown.lock();
            (showing.held_since.map(|since| since.elapsed()), showing.yielded)
        };
        let age = match self.route.admission.held() {
            Some(_) => Duration::ZERO,
            None => LASTS.delay(yielded, 1.0),
        };
        if held_for.is_some_and(|held| held >= age)
            && workers::is_run_elsewhere(&self.store, self.route.id, age).await.unwrap_or(false)
        {
            self.shown.elsewhere.notify_waiters();
        }
    }

    /// A group gives nobody the partitions of a topic that is not there, without a word.
    async fn look_for_topic(&self) {
        let probe = self.probe.clone();
        let Ok(partitions) = blocking(move || probe.partitions()).await else { return };
        let missing = partitions.is_empty();
        if std::mem::replace(&mut self.shown.lock().missing, missing) != missing {
            self.beat().await;
        }
    }

    /// Looks at the log and the positions: asks for a restart when the topic was made anew or the database
    /// went back in time, and writes the log's ends down.
    pub(super) async fn look(&self) {
        self.look_for_another().await;
        let (reads, steps) = {
            let showing = self.shown.lock();
            (showing.reads.clone(), showing.steps.clone())
        };
        let is_read = |c: &Claimed| !c.starts.is_empty() || !c.left_out.is_empty();
        let Some(claimed) = reads.filter(is_read) else { return self.look_for_topic().await };
        let partitions: Vec<i32> =
            claimed.starts.keys().chain(claimed.left_out.keys()).copied().collect();
        let (probe, asked) = (self.probe.clone(), partitions.clone());
        let seen = blocking(move || {
            let topic_id = probe.topic_id()?;
            let ends = probe.ends(&asked)?.records;
            // What is not heard of is not ahead.
            let committed = probe.committed(&asked).unwrap_or_default().records;
            Ok((topic_id, ends, committed))
        });
        let Ok((topic_id, ends, committed)) = seen.await else { return };
        if topic_id != claimed.log.topic_id {
            self.restart("the topic has another id: it was made anew");
            return;
        }
        let found = positions::read(&self.store, &claimed.log, &partitions).await;
        let Ok(found) = found else { return };
        if self.was_cut(&found, &ends).await {
            self.restart("the log ends before what was read: Kafka lost records of it");
            return;
        }
        self.check_steps(&claimed, steps, &found, &committed);
        self.note_ends(&claimed.log, &found, ends).await;
    }

    /// Whether a log ends before the position of it, as after an unclean election: what it gets from now on begins
    /// there, and no fetch may tell for as long as nothing comes. `ends` were asked for before the positions were read,
    /// so a log that seems to be shorter is asked once more.
    async fn was_cut(
        &self,
        found: &BTreeMap<i32, Position>,
        ends: &BTreeMap<i32, Watermarks>,
    ) -> bool {
        let is_short = |ends: &BTreeMap<i32, Watermarks>, partition: &i32| {
            let Some(position) = found.get(partition) else { return false };
            ends.get(partition).is_some_and(|ends| ends.high < position.next_offset)
        };
        let short: Vec<i32> = ends.keys().copied().filter(|p| is_short(ends, p)).collect();
        if short.is_empty() {
            return false;
        }
        let (probe, asked) = (self.probe.clone(), short.clone());
        let again = blocking(move || probe.ends(&asked)).await.unwrap_or_default().records;
        short.iter().any(|partition| is_short(&again, partition))
    }

    /// Writes down where the logs end, and whether what is left of them is nothing that a consumer is given.
    /// Reading on from the position tells, whatever the member and the lanes have in hand. `ends` were asked
    /// for before, so that what comes meanwhile is not taken for read.
    async fn note_ends(
        &self,
        log: &Log,
        found: &BTreeMap<i32, Position>,
        ends: BTreeMap<i32, Watermarks>,
    ) {
        let next: Vec<(i32, Offset)> =
            found.iter().map(|(p, newest)| (*p, newest.next_offset)).collect();
        let (probe, there) = (self.probe.clone(), ends.clone());
        let first = blocking(move || probe.first_waiting(&there, next.into_iter())).await;
        let first = first.unwrap_or_default().records;
        let seen = |(partition, ends): (&i32, &Watermarks)| {
            let is_all_read = first.get(partition).is_some_and(Option::is_none);
            let next = found.get(partition).filter(|_| is_all_read).map(|p| p.next_offset);
            let all_read_from = next.and_then(|next| ends.ahead_of(next));
            LogEnds { partition: *partition, low: ends.low, high: ends.high, all_read_from }
        };
        let seen: Vec<LogEnds> = ends.iter().map(seen).collect();
        if let Err(fault) = workers::watermarks(&self.store, log, &seen).await {
            debug!(%fault, "the log's ends could not be written");
        }
    }

    /// A failed-over database may have lost its last commits, steps among them.
    fn check_steps(
        &self,
        claimed: &Claimed,
        mut steps: Steps,
        found: &BTreeMap<i32, Position>,
        committed: &BTreeMap<i32, Offset>,
    ) {
        let newest = |p: &Position| Newest { step: p.step, next_offset: p.next_offset };
        let found = found.iter().map(|(partition, found)| (*partition, newest(found))).collect();
        if steps.went_back(&found, committed) {
            self.restart("the database lost steps that were committed: it went back in time");
            return;
        }
        let mut showing = self.shown.lock();
        if showing.reads.as_ref().is_some_and(|reads| reads.number == claimed.number) {
            showing.steps = steps;
        }
    }

    fn restart(&self, why: &'static str) {
        self.shown.lock().reads = None;
        let _ = self.reports.send(LaneReport::Restart(why));
    }
}
