//! Payments and purchases as the reconciler's runs see them.

use rules::ids::Offset;
use uuid::Uuid;

use super::super::cases::{Case, Mapping, Shape};
use super::super::reconcile::Payment;
use super::super::relay::database::Message;
use super::{Day, FAULTS, Mutant, Route, SECOND, Task};

impl Day {
    /// The payments of a route's topic.
    pub(super) fn payments(&self, route: usize) -> impl Iterator<Item = &Message> {
        let database = &self.relay.database;
        let all = database.rows.values().chain(database.silent.values());
        all.filter(move |row| row.topic == route)
    }

    /// One turn at a route's runs: a step is read, or the one that was read is written.
    pub(super) fn turn(&mut self, at: usize) -> Result<(), String> {
        let pause = self.rng.u64(1..8) * SECOND;
        self.agenda.put(self.now + pause, Task::Run(at));
        let daemon = self.rng.usize(0..self.routes[at].ingest.daemons.len());
        let is_away = |route: &Route| self.now < route.ingest.database_away_until;
        let route = &self.routes[at];
        let is_frozen = route.ingest.daemons[daemon].frozen_until > self.now;
        if is_away(route) || is_frozen || self.mutant == Mutant::NeverCompares {
            return Ok(());
        }
        let worker = daemon % route.runs.daemons.len();
        let writes = route.runs.daemons[worker].step.is_some();
        if !writes || self.mutant != Mutant::Unkeyed {
            self.show(at, daemon);
        }
        let now = self.now;
        let strikes = now < FAULTS && self.rng.u64(0..200) == 0 && self.limits.allows();
        let route = &mut self.routes[at];
        route.runs.now = ((now / SECOND) as i64 + route.clock).max(0);
        if strikes {
            let kind = self.rng.u64(0..9);
            route.runs.strike_with(kind);
        }
        route.runs.tells = self.tells;
        route.runs.turn(worker)?;
        route.runs.approve();
        let told = std::mem::take(&mut route.runs.story);
        for line in told {
            let what = line.split_once("s  ").map_or("", |(_, what)| what).to_owned();
            self.tell(|| format!("route {at}: daemon {daemon}: {what}"));
        }
        if writes { self.keep(at, daemon) } else { Ok(()) }
    }

    /// Shows the runs the payments, purchases, refused records and gaps as they are.
    fn show(&mut self, at: usize, daemon: usize) {
        let mut rows: Vec<(u64, u64)> =
            self.payments(at).map(|row| (row.number, row.begun)).collect();
        rows.sort_unstable();
        let route = &mut self.routes[at];
        let now = (self.now / SECOND) as i64;
        let mapping = route.ingest.mapping_of(daemon);
        route.runs.payments.iter_mut().for_each(|payment| payment.seen = i64::MAX);
        for (number, begun) in rows {
            let is_bad = !mapping.takes(route.ingest.shapes.get(&number));
            let id = *route.ids.entry(number).or_insert(route.runs.payments.len());
            let paid = (begun / SECOND) as i64;
            match route.runs.payments.get_mut(id) {
                Some(payment) => (payment.seen, payment.is_bad) = (paid.max(0).min(now), is_bad),
                None => route.runs.payments.push(Payment { paid, seen: now, is_bad }),
            }
        }
        let (database, own) = (&route.ingest.database, &mut route.runs.database);
        let ids = &route.ids;
        let of = |payments: Vec<u64>| -> Vec<usize> {
            payments.iter().filter_map(|number| ids.get(number).copied()).collect()
        };
        let bought = of(database.purchases.iter().copied().collect());
        route.shown = bought.iter().copied().collect();
        own.purchases = bought.iter().map(|id| (*id, 1)).collect();
        let listed = database.cases.values().filter(|case| case.is_open() || case.is_discarded);
        own.quarantined = of(listed.map(|case| case.payment).collect()).into_iter().collect();
        let gone = |id: &usize| route.runs.payments[*id].seen == i64::MAX || bought.contains(id);
        own.missing.retain(|id| !gone(id));
        let gaps = database.gaps.len();
        if gaps > route.found.max(route.covered) {
            route.found = gaps;
            own.gap = Some(route.runs.now.max(now));
        }
    }

    /// Keeps what a step wrote.
    fn keep(&mut self, at: usize, daemon: usize) -> Result<(), String> {
        let mutant = self.mutant;
        let route = &mut self.routes[at];
        let mapping = route.ingest.mapping_of(daemon);
        let (mut made, mut refused) = (Vec::new(), Vec::new());
        for (number, id) in &route.ids {
            let database = &route.ingest.database;
            let own = &route.runs.database;
            let is_listed = || database.cases.values().any(|case| case.payment == *number);
            if own.purchases.contains_key(id) && !database.purchases.contains(number) {
                made.push(*number);
            } else if own.quarantined.contains(id) && !is_listed() {
                refused.push(*number);
            }
        }
        if mutant == Mutant::Unkeyed
            && let Some(twice) = route.made_twice()
        {
            return Err(format!("payment {twice} has two purchases"));
        }
        route.shown = route.runs.database.purchases.keys().copied().collect();
        route.ingest.database.purchases.extend(&made);
        for number in &refused {
            let place = (Uuid::nil(), at as i32, Offset(*number as i64));
            route.ingest.database.cases.insert(place, Case::new(*number, mapping));
        }
        if route.runs.database.gap.is_none() || mutant == Mutant::ForgetsGaps {
            let before = std::mem::replace(&mut route.covered, route.found);
            self.covers(at, before)?;
        }
        for number in made {
            self.tell(|| format!("route {at}: daemon {daemon} makes payment {number} good"));
        }
        for number in refused {
            self.tell(|| format!("route {at}: daemon {daemon} puts payment {number} away"));
        }
        Ok(())
    }

    /// What newly covered gaps hide has been found by now.
    fn covers(&self, at: usize, before: usize) -> Result<(), String> {
        let ingest = &self.routes[at].ingest;
        let database = &ingest.database;
        let (id, covered) = (ingest.topic.id, self.routes[at].covered.min(database.gaps.len()));
        let gaps = database.gaps.get(before..covered).unwrap_or_default();
        let logs = ingest.topic.partitions.iter().enumerate();
        let there = logs.flat_map(|(number, log)| {
            log.records.iter().map(move |(offset, payment)| (id, number as i32, *offset, *payment))
        });
        let hidden =
            there.chain(ingest.expired.iter().copied()).find(|(log, number, offset, payment)| {
                let is_in =
                    gaps.iter().any(|(l, p, gap)| l == log && p == number && gap.contains(offset));
                let is_known = || {
                    database.purchases.contains(payment)
                        || database.cases.values().any(|case| case.payment == *payment)
                };
                is_in && !is_known() && self.payments(at).any(|row| row.number == *payment)
            });
        match hidden {
            Some((.., payment)) => {
                Err(format!("payment {payment} is in a gap that was closed before it was found"))
            }
            None => Ok(()),
        }
    }

    /// Some events need the new mapping, and some are broken.
    pub(super) fn shape(&mut self, number: u64) {
        let shape = match self.rng.u64(0..20) {
            0 => Shape::Bad,
            1..4 => Shape::Newer,
            _ => return,
        };
        for route in &mut self.routes {
            route.ingest.shapes.insert(number, shape);
        }
    }

    /// Whether a daemon of a route takes a payment's event now.
    pub(super) fn takes(&self, route: usize, mapping: Mapping, number: u64) -> bool {
        mapping.takes(self.routes[route].ingest.shapes.get(&number))
    }
}
