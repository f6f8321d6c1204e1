//! One route under the watchdog's eye: what is known of it, and what is done about it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use super::Watch;
use super::ask::{self, EndsProbe, WatchdogConnection};
use crate::config;
use crate::progress::{self, ProgressSnapshot, Remedy};
use rules::diagnosis::Diagnosis;
use rules::problem::{Code, Problem};
use rules::stall::{self, Cause, Debts, Ladder, PartitionSeen, Rung, Stall, StallFacts};

/// What a route is doing, for the supervisor.
pub(super) struct Doing {
    pub route: String,
    /// How many partitions it reads.
    pub partitions: usize,
    /// What is wrong, if anything.
    pub complaint: Option<String>,
    /// Whether nothing but a fault of the process explains that.
    pub is_stuck: bool,
}

/// A route and what the watchdog remembers of it.
pub(super) struct Patient {
    watch: Watch,
    ends: EndsProbe,
    patience: Duration,
    debts: Debts,
    ladder: Ladder,
    /// The partitions that have no answer though others have: why, and since when.
    silent: BTreeMap<i32, (String, Duration)>,
    /// Since when Kafka has given no answer.
    away_since: Option<Duration>,
    /// When something from outside last kept the route.
    excused: Duration,
    complained: bool,
}

impl Patient {
    pub(super) fn new(
        watch: Watch,
        kafka: &config::Kafka,
        patience: Duration,
    ) -> Result<Patient, Problem> {
        let ends = EndsProbe::new(kafka, &watch.topic, &watch.group)?;
        Ok(Patient {
            watch,
            ends,
            patience,
            debts: Debts::default(),
            ladder: Ladder::default(),
            silent: BTreeMap::new(),
            away_since: None,
            excused: progress::now(),
            complained: false,
        })
    }

    /// Looks, judges, acts. Fails when only a new process can help. `awake` is when the process last
    /// began to run.
    pub(super) fn look(
        &mut self,
        awake: Duration,
        database: &mut WatchdogConnection<'_>,
    ) -> Result<Doing, Problem> {
        let look = self.watch.vitals.look();
        let facts = self.facts(&look, awake, database);
        let finding = stall::judge(&facts);
        let settled = stall::is_settled(&facts);
        let rung = self.ladder.climb(progress::now(), self.patience, finding.as_ref(), settled);
        // The loop says by itself why it holds.
        let shown = finding.as_ref().filter(|found| !matches!(found.cause, Cause::Held(_)));
        let complaint = shown.map(stall::sentence);
        self.watch.vitals.judged(complaint.clone());
        if let (Some(rung), Some(finding)) = (rung, shown) {
            self.act(rung, finding)?;
        }
        if finding.is_none() && std::mem::take(&mut self.complained) {
            info!(route = self.watch.route, "nothing is stuck any more");
        }
        let held = facts.held.map(|why| format!("held: {why}"));
        Ok(Doing {
            route: self.watch.route.clone(),
            partitions: look.tracks.map_or(0, |tracks| tracks.len()),
            complaint: complaint.map(|complaint| complaint.reason).or(held),
            is_stuck: finding.is_some_and(|found| !found.cause.is_outside()),
        })
    }

    fn facts(
        &mut self,
        look: &ProgressSnapshot,
        awake: Duration,
        database: &mut WatchdogConnection<'_>,
    ) -> StallFacts {
        let kafka_away = self.look_at_partitions(look);
        let now = progress::now();
        let age = |since: Duration| now.saturating_sub(since.max(awake));
        let is_unread =
            look.tracks.is_none() && look.assigned.as_ref().is_some_and(|a| !a.is_empty());
        let mut facts = StallFacts {
            patience: self.patience,
            assigned: look.assigned.as_ref().map(Vec::len),
            assigned_for: age(look.assigned_since),
            unread_for: is_unread.then(|| age(look.unread_since)),
            // One whose end nobody tells has a finding of its own.
            owed: (self.debts.owed(now, awake).into_iter())
                .filter(|owed| !self.silent.contains_key(&owed.partition))
                .collect(),
            silent: self.silent(now, awake),
            open_transaction: self.debts.open(now, awake),
            silent_for: age(look.polled.unwrap_or(look.born)),
            database: stall::Database::Unasked,
            held: look.held.as_ref().map(|held| held.reason.clone()),
            isolating: look.isolating,
            applying_for: look.applying.map(age),
            kafka_away,
            trouble: look
                .trouble
                .as_ref()
                .filter(|(_, at)| age(*at) < self.patience)
                .map(|(why, _)| why.clone()),
            unexcused_for: Duration::ZERO,
        };
        let waits = facts.owed.iter().map(|owed| owed.age).chain(facts.unread_for).max();
        if waits.is_some_and(|age| age >= stall::ask_after(self.patience)) {
            facts.database = database.ask();
        }
        if stall::is_excused(&facts) {
            self.excused = now;
        }
        facts.unexcused_for = age(self.excused);
        facts
    }

    /// Compares the partitions with the log's ends. Says why Kafka gave no answer, and for how long.
    fn look_at_partitions(&mut self, look: &ProgressSnapshot) -> Option<(String, Duration)> {
        let tracks = look.tracks.clone().unwrap_or_default();
        let partitions: Vec<i32> = tracks.keys().copied().collect();
        let (found, away) = match partitions.is_empty() {
            true => (ask::EndsSeen::default(), self.ends.reach().err()),
            false => match self.ends.of(&partitions) {
                Ok(found) if !found.ends.is_empty() => (found, None),
                Ok(found) => {
                    let why = found.silent.values().next().cloned();
                    (found, why)
                }
                Err(why) => (ask::EndsSeen::default(), Some(why)),
            },
        };
        let seen = tracks.iter().map(|(partition, track)| {
            let (covered, in_hand) = track.covered();
            let (end, high) = found.ends.get(partition).copied().unzip();
            PartitionSeen { partition: *partition, covered, in_hand, end, high }
        });
        let seen: Vec<PartitionSeen> = seen.collect();
        let now = progress::now();
        self.debts.look(now, look.assigned.as_deref().unwrap_or_default(), &seen);
        self.silent.retain(|partition, _| found.silent.contains_key(partition));
        for (partition, why) in found.silent {
            self.silent.entry(partition).or_insert((why, now));
        }
        match away {
            Some(why) => {
                let since = *self.away_since.get_or_insert(now);
                Some((why, now.saturating_sub(since)))
            }
            None => {
                self.away_since = None;
                None
            }
        }
    }

    /// The partitions of which nobody tells where their log ends, why, and for how long.
    fn silent(&self, now: Duration, awake: Duration) -> Option<(Vec<i32>, String, Duration)> {
        let (why, _) = self.silent.values().next()?;
        let since = self.silent.values().map(|(_, since)| *since).min()?.max(awake);
        let partitions = self.silent.keys().copied().collect();
        Some((partitions, why.clone(), now.saturating_sub(since)))
    }

    fn act(&mut self, rung: Rung, finding: &Stall) -> Result<(), Problem> {
        let Diagnosis { reason, advice, .. } = stall::sentence(finding);
        let (route, cause) = (&self.watch.route, finding.cause.as_str());
        match rung {
            Rung::Say => {
                self.complained = true;
                self.watch.vitals.stalls.fetch_add(1, Ordering::Relaxed);
                warn!(route, cause, hint = advice, "stalled: {reason}");
            }
            Rung::Reclaim => self.ask_for(Remedy::Reclaim),
            Rung::Rebuild => self.ask_for(Remedy::Rebuild),
            Rung::GiveUp => {
                let cause = format!("route {route}: {reason}; nothing tried has helped");
                return Err(Problem::new(Code::GaveUp, cause).advice(
                    "systemd starts makegood again by itself; the position is in PostgreSQL",
                ));
            }
        }
        Ok(())
    }

    fn ask_for(&self, remedy: Remedy) {
        warn!(route = self.watch.route, remedy = remedy.as_str(), "still stalled");
        // The loop is gone only when the process is ending.
        let _ = self.watch.remedies.send(remedy);
    }
}
