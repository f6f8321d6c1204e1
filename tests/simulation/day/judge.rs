//! What is not well, by what is in the databases and the logs; and whether the health says so.

use std::time::Duration;

use rules::health::{Facts, Held, Kafka, Partition, judge};
use rules::ids::Offset;
use rules::replay::State;

use super::super::cases::{Case, Mapping};
use super::{Day, Mutant, Route};

impl Day {
    /// Every payment that succeeded has its purchase, or stands on the list of what was refused.
    pub(super) fn judge(&self) -> Result<(), String> {
        for (at, route) in self.routes.iter().enumerate() {
            let database = &route.ingest.database;
            for row in self.payments(at) {
                let is_listed = || {
                    let mut cases = database.cases.values();
                    cases.any(|c| c.payment == row.number && (c.is_open() || c.is_discarded))
                };
                if !database.purchases.contains(&row.number) && !is_listed() {
                    let silent = if row.is_silent { ", paid without an event," } else { "" };
                    return Err(format!(
                        "payment {} of route {at}{silent} has no purchase and is on no list",
                        row.number
                    ));
                }
            }
            if database.gaps.len() > route.covered {
                return Err(format!("route {at} has gaps that nothing has covered"));
            }
            let shapes = &route.ingest.shapes;
            let waits = |payment: &u64| Mapping::New.takes(shapes.get(payment));
            let forgotten = |case: &&Case| {
                case.is_open()
                    && waits(&case.payment)
                    && !database.purchases.contains(&case.payment)
            };
            if let Some(case) = database.cases.values().find(forgotten) {
                return Err(format!("payment {} waits though its mapping takes it", case.payment));
            }
        }
        Ok(())
    }

    /// At any time: nothing left the list without a reason, nobody was blamed by a mapping that takes nothing, and
    /// nothing is called well while something that the database has waits.
    pub(super) fn look(&mut self) -> Result<(), String> {
        for (at, route) in self.routes.iter().enumerate() {
            let database = &route.ingest.database;
            for case in database.cases.values() {
                let is_bought = database.purchases.contains(&case.payment);
                if !case.is_open() && !case.is_discarded && !is_bought {
                    return Err(format!(
                        "payment {} left the list without a purchase",
                        case.payment
                    ));
                }
                if case.state == State::Judged && case.mapping == Mapping::Broken {
                    return Err(format!(
                        "payment {} is held to be at fault by a mapping that takes nothing",
                        case.payment
                    ));
                }
            }
            if let Some(payment) = route.passed_over() {
                return Err(format!("payment {payment} was passed over in the log of route {at}"));
            }
            let verdict = judge(&route.facts(self.mutant)).verdict;
            if let (true, Some(what)) = (verdict.is_fine(), route.known_to_wait()) {
                return Err(format!("route {at} is called {} while {what}", verdict.as_str()));
            }
        }
        Ok(())
    }

    /// What the logs and the databases hold.
    pub fn held(&self) -> Vec<String> {
        let mut held = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            let (ingest, database) = (&route.ingest, &route.ingest.database);
            for (number, log) in ingest.topic.partitions.iter().enumerate() {
                let position = database.positions.get(&(ingest.topic.id, number as i32));
                let next = position.map_or_else(|| "none".to_owned(), |step| step.next.to_string());
                let records: Vec<String> = log
                    .records
                    .iter()
                    .map(|(offset, payment)| format!("{offset}:{payment}"))
                    .collect();
                held.push(format!(
                    "route {at}, partition {number}: records (offset:payment) {}; position {next}",
                    records.join(" ")
                ));
            }
            let paid: Vec<u64> = self.payments(at).map(|row| row.number).collect();
            held.push(format!("route {at}: payments {paid:?}"));
            held.push(format!("route {at}: purchases {:?}", database.purchases));
            for case in database.cases.values() {
                held.push(format!("route {at}: put away {case:?}"));
            }
        }
        held
    }
}

impl Route {
    /// A payment whose record the position has passed, and of which the database knows nothing. What was written over
    /// a log that was cut is not looked at: that the log is another one is noticed later.
    fn passed_over(&self) -> Option<u64> {
        let (topic, database) = (&self.ingest.topic, &self.ingest.database);
        let whole = topic.partitions.iter().enumerate().filter(|(_, log)| log.cut.is_none());
        for (number, log) in whole {
            let number = number as i32;
            let Some(step) = database.positions.get(&(topic.id, number)) else { continue };
            let is_lost = |(offset, payment): &(&Offset, &u64)| {
                !database.purchases.contains(payment)
                    && !database.has_gap(topic.id, number, **offset)
                    && !database.cases.values().any(|case| case.payment == **payment)
            };
            if let Some((_, payment)) = log.records.range(..step.next).find(is_lost) {
                return Some(*payment);
            }
        }
        None
    }

    fn known_to_wait(&self) -> Option<String> {
        let database = &self.ingest.database;
        let open = database.cases.values().find(|case| case.is_open());
        if let Some(case) = open {
            return Some(format!("payment {} is in quarantine", case.payment));
        }
        if let Some(id) = self.runs.database.missing.first() {
            let number = self.ids.iter().find(|(_, known)| *known == id)?.0;
            return Some(format!("payment {number} is known to have no purchase"));
        }
        (database.gaps.len() > self.covered).then(|| "a gap is open".to_owned())
    }

    fn facts(&self, mutant: Mutant) -> Facts<'_> {
        let database = &self.ingest.database;
        let count = |state| database.cases.values().filter(|case| case.state == state).count();
        let why = Held { age: Duration::ZERO, reason: "refused", advice: "" };
        let suspects = Some((count(State::Suspect) as i64, why)).filter(|(count, _)| *count > 0);
        let missing = self.runs.database.missing.len() as i64;
        let gaps = database.gaps.len() - self.covered.min(database.gaps.len());
        const MOVES: [Partition; 1] =
            [Partition { number: 0, lag: Some(0), waiting: None, progress: Some(Duration::ZERO) }];
        Facts {
            topic: "purchase-confirmed",
            group: "workers",
            alive: 1,
            seen: Some(Duration::ZERO),
            held: None,
            stalled: None,
            joining: None,
            kafka: Kafka::Same,
            partitions: &MOVES,
            unread: &[],
            unseen: None,
            taken: 1,
            other_type: 0,
            unknown_type: None,
            quarantined: count(State::Judged) as i64,
            suspects: suspects.filter(|_| mutant != Mutant::HidesSuspects),
            gaps: (gaps, gaps as i64),
            gap: None,
            uncovered: None,
            unpurchased: if mutant == Mutant::HidesMissing { (0, None) } else { (missing, None) },
            late: None,
            statuses: None,
            failed: None,
            mismatches: 0,
            start: "",
        }
    }
}
