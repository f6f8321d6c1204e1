//! Records that were put away: daemons try them again, and people decide on them.

use rules::replay::{self, Action, Event, Proof, State};

use super::super::cases::{Case, Place, Shape};
use super::{Day, Mutant, Task};

/// How often a daemon looks for records that it may try again.
const LOOK: u64 = 700;

impl Day {
    /// A daemon reads what it may try again; it tries it a moment later.
    pub(super) fn replay(&mut self, at: usize) {
        self.agenda.put(self.now + LOOK, Task::Replay(at));
        let daemon = self.rng.usize(0..self.routes[at].ingest.daemons.len());
        let ingest = &self.routes[at].ingest;
        if ingest.daemons[daemon].frozen_until > self.now || self.now < ingest.database_away_until {
            return;
        }
        let mapping = ingest.mapping_of(daemon);
        let may_go = |case: &Case| {
            let bought = ingest.database.purchases.contains(&case.payment);
            let is_due = case.is_asked || case.is_proven || case.mapping != mapping || bought;
            case.is_open() && (is_due || case.state == State::Judged)
        };
        let open = ingest.database.cases.iter().filter(|(_, case)| may_go(case));
        let due: Vec<(Place, Case)> = open.map(|(place, case)| (*place, case.clone())).collect();
        for (place, case) in due {
            let latency = self.rng.u64(1..400);
            self.agenda.put(self.now + latency, Task::Tried(at, daemon, place, case));
        }
    }

    /// The transaction in which a record is tried again: the row that was read is locked and has to be as it was.
    pub(super) fn tried(
        &mut self,
        at: usize,
        daemon: usize,
        place: Place,
        read: Case,
    ) -> Result<(), String> {
        let mapping = self.routes[at].ingest.mapping_of(daemon);
        let takes = self.takes(at, mapping, read.payment);
        let (now, mutant) = (self.now, self.mutant);
        let ingest = &mut self.routes[at].ingest;
        let database = &mut ingest.database;
        let Some(case) = database.cases.get_mut(&place) else { return Ok(()) };
        if now < ingest.database_away_until || *case != read && mutant != Mutant::ReplaysBlindly {
            return Ok(());
        }
        let is_bought = database.purchases.contains(&case.payment);
        let proof =
            Proof { is_proven: case.is_proven && case.mapping == mapping, ..Proof::default() };
        let is_told = case.state == State::Suspect || case.is_asked;
        let event = match (is_bought, takes) {
            (true, _) => Event::Purchased,
            (false, true) => Event::Applied,
            (false, false) if is_told => Event::Refused(proof),
            (false, false) => Event::RefusedUntold,
        };
        let (state, action) = replay::on(case.state, event);
        if event == Event::Applied {
            if case.is_discarded {
                return Err(format!(
                    "payment {} was given up, and bought after that",
                    case.payment
                ));
            }
            database.purchases.insert(case.payment);
        }
        case.state = state;
        match action {
            Some(Action::Wait) => {
                (case.mapping, case.is_proven, case.is_asked) = (mapping, false, false)
            }
            Some(Action::Judge) => case.is_asked = false,
            Some(Action::Close) | None => {}
        }
        if mutant == Mutant::ClosesRefused && event == Event::Refused(proof) {
            case.state = State::Closed;
        }
        let payment = case.payment;
        self.tell(|| {
            let became = match event {
                Event::Refused(_) | Event::RefusedUntold => "it is refused",
                Event::Purchased => "it has its purchase already",
                Event::Applied | Event::Discarded => "it is applied",
            };
            format!("route {at}: daemon {daemon} tries payment {payment} again with the mapping {mapping:?}: {became}, and {state:?}")
        });
        Ok(())
    }

    /// A person looks at one record that waits: what is broken they give up, all else is tried again.
    pub(super) fn decide(&mut self) {
        let pause = self.rng.u64(300..4_000);
        self.agenda.put(self.now + pause, Task::Person);
        let at = self.rng.usize(0..self.routes.len());
        let is_for_all = self.mutant == Mutant::DecidesForAll;
        let ingest = &mut self.routes[at].ingest;
        if self.now < ingest.database_away_until {
            return;
        }
        let shapes = &ingest.shapes;
        let mut open: Vec<&mut Case> =
            ingest.database.cases.values_mut().filter(|case| case.is_open()).collect();
        if open.is_empty() {
            return;
        }
        let chosen = self.rng.usize(0..open.len());
        let payment = open[chosen].payment;
        let gives_up = shapes.get(&payment) == Some(&Shape::Bad) || self.rng.u64(0..8) == 0;
        if !gives_up {
            open[chosen].is_asked = true;
        }
        let given_up = if is_for_all { 0..open.len() } else { chosen..chosen + 1 };
        for case in open.drain(given_up).filter(|_| gives_up) {
            case.is_discarded = case.payment == payment;
            case.state = replay::on(case.state, Event::Discarded).0;
        }
        let what = if gives_up { "gives up" } else { "asks for" };
        self.tell(|| format!("route {at}: a person {what} payment {payment}"));
    }
}
