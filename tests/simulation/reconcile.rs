//! Lives of a reconciler: payments become paid, some of their events are lost or refused, daemons take runs step by step in
//! turns, freeze and die, and commits go unanswered.
//!
//! After the faults there is a quiet time. Then every paid payment has one purchase or is in quarantine for its own fault, no run
//! made more good than its brake allows without an approval, no step was written over another, and no gap was
//! closed before what it hides was compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use rules::reconcile::{Action, Event, RunRules as Machine, State};
use rules::schedule::{Brake, OVERLAP, Schedule};
use rules::states::Phase;

/// Until when things go wrong, in seconds.
const FAULTS: i64 = 4 * 3600;
/// When everything has to be well: a sweep and some runs later.
const END: i64 = FAULTS + 4 * 3600;
const GRACE: i64 = 120;
const EVERY: i64 = 300;
/// How often all is compared; in some lives only what became paid since is, and what gaps ask for.
const SWEEPS: [i64; 2] = [2 * 3600, 48 * 3600];
const LEASE: i64 = 15;
/// Payments of a window, and of a chunk.
const WINDOW: usize = 20;
const BRAKE: u64 = 12;

/// A rule that is taken back, so that it can be seen to be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    None,
    /// Nothing is looked at again behind the cursor.
    NoOverlap,
    /// A run goes on whatever is missing.
    NoBrake,
    /// A step is written though another daemon has the lease.
    Unfenced,
    /// The run goes on behind a window that was not looked at.
    SkipsWindows,
    /// A payment that is refused alone keeps its chunk from being made good.
    HoldsChunk,
}

impl Mutant {
    pub const ALL: [Mutant; 5] = [
        Mutant::NoOverlap,
        Mutant::NoBrake,
        Mutant::Unfenced,
        Mutant::SkipsWindows,
        Mutant::HoldsChunk,
    ];
}

#[derive(Clone, Copy, Debug)]
pub struct Payment {
    /// When it became paid, by its own time.
    pub paid: i64,
    /// When its transaction committed: nobody sees it before.
    pub seen: i64,
    /// The mapping refuses it for its own sake.
    pub is_bad: bool,
}

#[derive(Clone, Debug)]
pub struct Run {
    id: u64,
    since: Option<i64>,
    until: i64,
    phase: Phase,
    /// Up to which payment, by time and number, the phase is done.
    place: (i64, usize),
    compared: u64,
    missing: u64,
    approved: bool,
    is_held: bool,
    made_good: u64,
    /// The step that was written last.
    step: u64,
}

/// What is committed.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pub purchases: BTreeMap<usize, u32>,
    pub quarantined: BTreeSet<usize>,
    pub missing: BTreeSet<usize>,
    run: Option<Run>,
    last_run: u64,
    cursor: Option<i64>,
    swept: Option<i64>,
    scheduled: Option<i64>,
    /// When the open gap was found.
    pub gap: Option<i64>,
    owner: usize,
    epoch: u64,
    leased_until: i64,
}

/// A daemon that has read what a step needs, and has not written it yet.
#[derive(Clone, Debug)]
pub struct Step {
    epoch: u64,
    read: Run,
}

#[derive(Default)]
pub struct Daemon {
    frozen_until: i64,
    pub step: Option<Step>,
}

pub struct World {
    pub now: i64,
    rng: Rng,
    mutant: Mutant,
    pub tells: bool,
    pub story: Vec<String>,
    pub payments: Vec<Payment>,
    pub database: Database,
    pub daemons: Vec<Daemon>,
    /// In how many of a hundred commits the answer is lost.
    unknown: u64,
    pub sweep: i64,
    /// It is part of a day, whose judge looks at what gaps hide.
    pub is_part: bool,
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap_or_default()
}

fn second(time: Timestamp) -> i64 {
    time.as_second() - 1_700_000_000
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

impl World {
    pub fn new(seed: u64, mutant: Mutant) -> World {
        let mut rng = Rng::with_seed(seed);
        let daemons = (0..rng.usize(1..4)).map(|_| Daemon::default()).collect();
        let unknown = if rng.bool() { rng.u64(0..20) } else { 0 };
        let sweep = SWEEPS[rng.usize(0..SWEEPS.len())];
        World {
            now: 0,
            rng,
            mutant,
            tells: false,
            story: Vec::new(),
            payments: Vec::new(),
            database: Database::default(),
            daemons,
            unknown,
            sweep,
            is_part: false,
        }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.tells {
            self.story.push(format!("{:>6} s  {}", self.now, what()));
        }
    }

    pub fn live(&mut self) -> Result<(), String> {
        // In how many of a hundred payments the event is lost, or refused.
        let (lost, refused) = (self.rng.u64(0..8), self.rng.u64(0..4));
        while self.now < END {
            self.now += self.rng.i64(1..8);
            if self.now < FAULTS {
                if self.rng.u64(0..12) == 0 {
                    self.pay(lost, refused);
                }
                self.strike();
            }
            let at = self.rng.usize(0..self.daemons.len());
            self.turn(at)?;
            self.approve();
        }
        self.judge()
    }

    /// A payment, whose event makes its purchase soon, later, or never. Now and then many are lost at once.
    fn pay(&mut self, lost: u64, refused: u64) {
        let many = if self.rng.u64(0..400) == 0 { self.rng.usize(10..30) } else { 1 };
        for _ in 0..many {
            let is_late = self.rng.u64(0..40) == 0;
            let late = if is_late { self.rng.i64(60..OVERLAP.as_secs() as i64 - GRACE) } else { 0 };
            let is_bad = self.rng.u64(0..100) < refused;
            let payment = Payment { paid: self.now, seen: self.now + late, is_bad };
            self.payments.push(payment);
            let id = self.payments.len() - 1;
            if many == 1 && self.rng.u64(0..100) >= lost {
                self.apply(id);
            }
        }
    }

    /// Makes a purchase, unless there is one or it is refused.
    fn apply(&mut self, id: usize) -> bool {
        if self.payments[id].is_bad {
            self.database.quarantined.insert(id);
            return false;
        }
        self.database.purchases.entry(id).or_insert(1);
        self.database.missing.remove(&id);
        true
    }

    fn strike(&mut self) {
        let kind = self.rng.u64(0..2_000);
        self.strike_with(kind);
    }

    /// A daemon freezes or dies, or a gap is found; most kinds are nothing.
    pub fn strike_with(&mut self, kind: u64) {
        let at = self.rng.usize(0..self.daemons.len());
        match kind {
            0..4 => self.daemons[at].frozen_until = self.now + self.rng.i64(5..120),
            4..8 => self.daemons[at] = Daemon::default(),
            8 => {
                self.tell(|| "a gap is found".to_owned());
                let now = self.now;
                self.database.gap.get_or_insert(now);
            }
            _ => {}
        }
    }

    /// A person looks at what is held, in their time.
    pub fn approve(&mut self) {
        let is_here = self.rng.u64(0..200) == 0;
        if let Some(run) = self.database.run.as_mut().filter(|run| run.is_held && is_here) {
            (run.approved, run.is_held) = (true, false);
        }
    }

    /// A daemon's turn: keeps the lease, then reads what a step needs, or writes the one that it has read.
    pub fn turn(&mut self, at: usize) -> Result<(), String> {
        if self.daemons[at].frozen_until > self.now {
            return Ok(());
        }
        if let Some(step) = self.daemons[at].step.take() {
            return self.write(step);
        }
        let database = &mut self.database;
        if database.leased_until <= self.now || database.epoch == 0 {
            (database.owner, database.epoch) = (at, database.epoch + 1);
        }
        if database.owner != at {
            return Ok(());
        }
        database.leased_until = self.now + LEASE;
        match database.run.clone() {
            Some(read) if !read.is_held => {
                self.daemons[at].step = Some(Step { epoch: database.epoch, read });
            }
            Some(_) => {}
            None => self.schedule(),
        }
        Ok(())
    }

    fn schedule(&mut self) {
        let database = &self.database;
        let due = Schedule {
            now: time(self.now),
            cursor: database.cursor.map(time),
            swept: database.swept.map(time),
            scheduled: database.scheduled.map(time),
            every: seconds(EVERY),
            sweep: seconds(self.sweep),
            grace: seconds(GRACE),
            consumed: None,
            gap: database.gap.map(time),
        };
        let Some(range) = due.due() else { return };
        let since = match self.mutant {
            Mutant::NoOverlap => range.since.map(|_| database.cursor.unwrap_or_default()),
            _ => range.since.map(second),
        };
        let until = second(range.until);
        self.tell(|| format!("a run from {since:?} to {until}"));
        self.database.scheduled = Some(self.now);
        self.database.last_run += 1;
        self.database.run = Some(Run {
            id: self.database.last_run,
            since,
            until,
            phase: Phase::Compare,
            place: (since.unwrap_or(i64::MIN), 0),
            compared: 0,
            missing: 0,
            approved: false,
            is_held: false,
            made_good: 0,
            step: 0,
        });
    }

    /// The next payments of a phase after its place, as they are now.
    fn window(&self, run: &Run, is_compare: bool) -> Vec<usize> {
        let mut found: Vec<(i64, usize)> = (self.payments.iter().enumerate())
            .filter(|(id, payment)| {
                let is_in = (payment.paid, id + 1) > run.place && payment.paid < run.until;
                is_in && payment.seen <= self.now
            })
            .filter(|(id, _)| is_compare || self.database.missing.contains(id))
            .map(|(id, payment)| (payment.paid, id))
            .collect();
        found.sort_unstable();
        found.into_iter().take(WINDOW).map(|(_, id)| id).collect()
    }

    fn has_purchase(&self, id: usize) -> bool {
        self.database.purchases.contains_key(&id) || self.database.quarantined.contains(&id)
    }

    /// Does a step and writes it, if the lease is still the one that it was read under.
    fn write(&mut self, step: Step) -> Result<(), String> {
        let Step { epoch, read } = step;
        if epoch != self.database.epoch && self.mutant != Mutant::Unfenced {
            return Ok(());
        }
        // The server may roll it back, and nobody hears of either.
        if self.rng.u64(0..100) < self.unknown && self.rng.bool() {
            return Ok(());
        }
        let mut run = read.clone();
        run.step += 1;
        let window = self.window(&run, run.phase == Phase::Compare);
        let is_last = window.len() < WINDOW;
        let event = match run.phase {
            Phase::Compare => {
                let missing: Vec<usize> =
                    window.iter().copied().filter(|id| !self.has_purchase(*id)).collect();
                run.compared += window.len() as u64;
                run.missing += missing.len() as u64;
                self.database.missing.extend(missing);
                if is_last {
                    self.database.cursor = self.database.cursor.max(Some(run.until));
                    if run.since.is_none() {
                        self.database.swept = Some(self.now);
                    }
                }
                Event::Compared { compared: run.compared, missing: run.missing, is_last }
            }
            Phase::MakeGood => {
                self.make_good(&mut run, &window)?;
                Event::MadeGood { is_last }
            }
            Phase::Conflicts => Event::Checked { is_last: true },
        };
        if let Some(last) = window.last() {
            run.place = (self.payments[*last].paid, last + 1);
        }
        if self.mutant == Mutant::SkipsWindows && run.step == 3 {
            run.place = (run.until, 0);
        }
        self.decide(run, event)
    }

    fn make_good(&mut self, run: &mut Run, window: &[usize]) -> Result<(), String> {
        if self.mutant == Mutant::HoldsChunk && window.iter().any(|id| self.payments[*id].is_bad) {
            return Ok(());
        }
        for id in window {
            let had = self.has_purchase(*id);
            if self.apply(*id) && !had {
                run.made_good += 1;
            }
            self.database.missing.remove(id);
        }
        let is_braked = run.made_good > BRAKE && !run.approved;
        if is_braked {
            return Err(format!("{} payments were made good without an approval", run.made_good));
        }
        Ok(())
    }

    fn decide(&mut self, mut run: Run, event: Event) -> Result<(), String> {
        let machine = Machine {
            phase: run.phase,
            dry_run: false,
            approved: run.approved || self.mutant == Mutant::NoBrake,
            is_sweep: run.since.is_none(),
            brake: Brake { rows: BRAKE, share: 100, share_from: 0 },
        };
        let (state, actions) = machine.on(event);
        let until = run.until;
        for action in actions {
            match action {
                Action::Begin(phase) => {
                    let since = run.since.unwrap_or(i64::MIN);
                    (run.phase, run.place) = (phase, (since, 0));
                }
                Action::Hold(why) => {
                    self.tell(|| format!("held: {why}"));
                    run.is_held = true;
                }
                Action::Cover => self.cover(until)?,
                Action::Wait(_) | Action::Finish { .. } => {}
            }
        }
        let is_next = self
            .database
            .run
            .as_ref()
            .is_some_and(|now| now.id == run.id && now.step + 1 == run.step);
        if !is_next {
            return Err(format!("step {} of run {} was written over another", run.step, run.id));
        }
        self.database.run = (state != State::Ended).then_some(run);
        Ok(())
    }

    /// What a gap hides had been paid when it was found: all of that must have its purchase by now.
    fn cover(&mut self, until: i64) -> Result<(), String> {
        let Some(found) = self.database.gap.filter(|found| *found <= until) else { return Ok(()) };
        self.database.gap = None;
        if self.is_part {
            return Ok(());
        }
        let hidden = self
            .payments
            .iter()
            .enumerate()
            .find(|(id, payment)| payment.seen < found && !self.has_purchase(*id));
        match hidden {
            Some((id, payment)) => {
                Err(format!("a gap of {found} s was closed before payment {id}: {payment:?}"))
            }
            None => Ok(()),
        }
    }

    fn judge(&self) -> Result<(), String> {
        let missed = (self.payments.iter().enumerate()).find(|(id, _)| !self.has_purchase(*id));
        if let Some((id, payment)) = missed {
            return Err(format!("payment {id} has no purchase: {payment:?}"));
        }
        match self.database.gap {
            Some(found) => Err(format!("the gap of {found} s is open")),
            None => Ok(()),
        }
    }
}
