//! Whole days, fast-forward: a service takes payments, the outbox's relay sends their events, logs with partitions carry them, routes
//! apply them, runs make good what is missing, and people decide on what was put away. It is made of the other
//! lives: `relay.rs`, `world.rs` for each route, and `reconcile.rs`, whose second lasts 20 ms here.
//!
//! After the faults there is a quiet time. Then every payment that succeeded has its purchase, or its event is on the list
//! of what was refused. At no time is a route called well while something that it knows of waits.

mod decisions;
mod judge;
mod payments;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::agenda::Agenda;
use super::cases::{Case, Mapping, Place};
use super::history::Limits;
use super::{reconcile, relay, world};

/// Until when things go wrong, in milliseconds.
const FAULTS: u64 = 20_000;
/// Until when payments are made.
pub const PAYMENTS: u64 = 24_000;
/// When everything has to be well.
const END: u64 = 240_000;
/// How long the reconciler's second lasts.
const SECOND: u64 = 20;
/// How often all payments are compared, in the reconciler's seconds.
const SWEEP: i64 = 600;

/// A rule that is taken back, so that it can be seen to be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    None,
    /// Nobody compares payments with purchases.
    NeverCompares,
    /// A suspect is held to be at fault because another mapping applied something.
    ProvesByAnyMapping,
    /// What is refused is passed, and not put away.
    LosesRefused,
    /// A record that is refused when it is tried again leaves the list.
    ClosesRefused,
    /// A record is tried again whatever a person decided meanwhile.
    ReplaysBlindly,
    /// A person's word is for all records that wait, not for one.
    DecidesForAll,
    /// What was compared is made good though its event came late in between, and no key is unique.
    Unkeyed,
    /// A gap counts as covered as soon as a run ends.
    ForgetsGaps,
    /// Suspects are no finding.
    HidesSuspects,
    /// Payments without a purchase are no finding.
    HidesMissing,
}

impl Mutant {
    pub const ALL: [Mutant; 10] = [
        Mutant::NeverCompares,
        Mutant::ProvesByAnyMapping,
        Mutant::LosesRefused,
        Mutant::ClosesRefused,
        Mutant::ReplaysBlindly,
        Mutant::DecidesForAll,
        Mutant::Unkeyed,
        Mutant::ForgetsGaps,
        Mutant::HidesSuspects,
        Mutant::HidesMissing,
    ];
}

#[derive(Debug)]
enum Task {
    /// A daemon's turn at the runs of a route.
    Run(usize),
    /// A daemon looks for records of a route that it may try again.
    Replay(usize),
    /// It has tried one.
    Tried(usize, usize, Place, Case),
    Person,
    /// A daemon gets a mapping.
    Deploy(usize, usize, Mapping),
    /// The clock by which runs are due jumps, in seconds.
    Clock(usize, i64),
    Look,
}

/// A topic's events on their way to purchases.
struct Route {
    ingest: world::World,
    runs: reconcile::World,
    /// The numbers of payments as the runs have them.
    ids: BTreeMap<u64, usize>,
    /// What else was in the database when it was copied.
    copy: Option<(reconcile::Database, usize)>,
    copied: u64,
    restored: u64,
    /// Gaps that a run has covered, and those that the one that goes on will have.
    covered: usize,
    found: usize,
    /// The purchases that the runs were shown, for the mutant that goes by them.
    shown: BTreeSet<usize>,
    /// How far the database's clock is off, in seconds.
    clock: i64,
}

pub struct Day {
    now: u64,
    rng: Rng,
    mutant: Mutant,
    pub tells: bool,
    pub story: Vec<String>,
    relay: relay::World,
    routes: Vec<Route>,
    agenda: Agenda<Task>,
    pub limits: Limits,
}

impl Day {
    pub fn new(seed: u64, mutant: Mutant, limits: Limits) -> Day {
        let mut rng = Rng::with_seed(seed);
        let mut relay = relay::World::new(rng.u64(..), relay::Mutant::None);
        relay.broker.taken = Some(Vec::new());
        relay.silent_one_in = 12;
        relay.limits = limits.part(0);
        let routes: Vec<Route> = (0..rng.usize(1..3))
            .map(|at| Route::new(&mut rng, mutant, limits.part(at + 1)))
            .collect();
        let agenda = Agenda::default();
        let (tells, story) = (false, Vec::new());
        let mut day = Day {
            now: 0,
            rng,
            mutant,
            tells,
            story,
            relay,
            routes,
            agenda,
            limits: limits.part(9),
        };
        for at in 0..day.routes.len() {
            day.agenda.put(at as u64, Task::Run(at));
            day.agenda.put(at as u64, Task::Replay(at));
            day.plan(at);
        }
        day.agenda.put(500, Task::Person);
        day.agenda.put(500, Task::Look);
        day
    }

    /// Deployments and clocks, of which some go wrong; in the end every daemon has the new mapping and the right time.
    fn plan(&mut self, route: usize) {
        for daemon in 0..self.routes[route].ingest.daemons.len() {
            if self.rng.bool() {
                self.agenda.put(0, Task::Deploy(route, daemon, Mapping::Old));
            }
            if self.rng.u64(0..4) == 0 {
                let at = self.rng.u64(500..FAULTS);
                self.agenda.put(at, Task::Deploy(route, daemon, Mapping::Broken));
            }
            self.agenda.put(FAULTS, Task::Deploy(route, daemon, Mapping::New));
        }
        if self.rng.u64(0..4) == 0 {
            let (at, by) = (self.rng.u64(500..FAULTS), self.rng.i64(-900..900));
            self.agenda.put(at, Task::Clock(route, by));
            self.agenda.put(FAULTS, Task::Clock(route, 0));
        }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.tells {
            let line = format!("{:>7} ms  {}", self.now, what());
            self.story.push(line);
        }
    }

    /// Lives until all is well after the faults, or it is too late for that.
    pub fn live(&mut self) -> Result<(), String> {
        let end = self.live_on();
        if let Err(violation) = &end {
            self.tell(|| format!("BROKEN: {violation}"));
        }
        end
    }

    fn live_on(&mut self) -> Result<(), String> {
        let mut checked = PAYMENTS + 1_000;
        while self.step()? {
            if self.now > checked {
                checked += 1_000;
                match self.judge() {
                    Ok(()) => return Ok(()),
                    Err(_) if self.now < END => {}
                    Err(violation) => return Err(violation),
                }
            }
        }
        Err("nothing happens any more".to_owned())
    }

    /// Lets whoever is due first do its next step.
    fn step(&mut self) -> Result<bool, String> {
        let routes = self.routes.iter().enumerate();
        let parts = routes.filter_map(|(at, route)| Some((route.ingest.due()?, at + 1)));
        let first = parts.chain(self.relay.due().map(|due| (due, 0))).min();
        let own = self.agenda.due();
        if own.is_some_and(|own| first.is_none_or(|(due, _)| own <= due)) {
            let Some((at, task)) = self.agenda.next() else { return Ok(false) };
            self.now = at.max(self.now);
            self.run(task)?;
        } else {
            let Some((due, part)) = first else { return Ok(false) };
            self.now = due.max(self.now);
            match part {
                0 => self.step_relay()?,
                part => self.step_route(part - 1),
            }
        }
        Ok(true)
    }

    /// The faults that happened.
    pub fn faults(&self) -> Vec<u64> {
        let routes = self.routes.iter().flat_map(|route| route.ingest.limits.allowed());
        self.relay.limits.allowed().chain(routes).chain(self.limits.allowed()).collect()
    }

    fn step_relay(&mut self) -> Result<(), String> {
        self.relay.tells = self.tells;
        let newest = self.relay.newest();
        self.relay.step()?;
        (newest + 1..=self.relay.newest()).for_each(|number| self.shape(number));
        self.listen("payments", 0);
        let taken = self.relay.broker.taken.as_mut().map(std::mem::take).unwrap_or_default();
        for message in taken {
            let Some(route) = self.routes.get_mut(message.topic) else { continue };
            let partition = message.key as usize % route.ingest.topic.partitions.len();
            route.ingest.now = self.now;
            route.ingest.append(partition, message.number);
        }
        Ok(())
    }

    fn step_route(&mut self, at: usize) {
        self.routes[at].ingest.tells = self.tells;
        self.routes[at].ingest.step();
        self.listen("route", at + 1);
        let route = &mut self.routes[at];
        if route.ingest.copied > route.copied {
            route.copied = route.ingest.copied;
            route.copy = Some((route.runs.database.clone(), route.covered));
        }
        if route.ingest.restored > route.restored {
            route.restored = route.ingest.restored;
            if let Some((past, covered)) = route.copy.clone() {
                (route.runs.database, route.covered) = (past, covered);
                route.found = route.found.min(route.ingest.database.gaps.len());
                route.runs.daemons.iter_mut().for_each(|daemon| daemon.step = None);
            }
        }
    }

    /// Takes over what a part tells.
    fn listen(&mut self, name: &str, part: usize) {
        let own = match part {
            0 => std::mem::take(&mut self.relay.story),
            part => std::mem::take(&mut self.routes[part - 1].ingest.story),
        };
        let number = if part == 0 { String::new() } else { format!(" {}", part - 1) };
        self.story.extend(own.into_iter().map(|line| {
            let (time, what) = line.split_once("ms  ").unwrap_or(("", &line));
            format!("{time}ms  {name}{number}: {what}")
        }));
    }

    fn run(&mut self, task: Task) -> Result<(), String> {
        match task {
            Task::Run(route) => self.turn(route)?,
            Task::Replay(route) => self.replay(route),
            Task::Tried(route, daemon, place, case) => self.tried(route, daemon, place, case)?,
            Task::Person => self.decide(),
            Task::Deploy(route, daemon, mapping) => {
                if mapping == Mapping::New || self.limits.allows() {
                    self.tell(|| {
                        format!("route {route}: daemon {daemon} gets the mapping {mapping:?}")
                    });
                    self.routes[route].ingest.mappings[daemon] = mapping;
                }
            }
            Task::Clock(route, by) => {
                if by == 0 || self.limits.allows() {
                    self.tell(|| format!("route {route}: the database's clock is {by} s off"));
                    self.routes[route].clock = by;
                }
            }
            Task::Look => {
                self.agenda.put(self.now + 500, Task::Look);
                self.look()?;
            }
        }
        Ok(())
    }
}

impl Route {
    /// A payment that a run bought which had been bought since the run looked.
    fn made_twice(&self) -> Option<u64> {
        let is_new =
            |id: &usize| self.runs.database.purchases.contains_key(id) && !self.shown.contains(id);
        let has = |number: &u64| self.ingest.database.purchases.contains(number);
        self.ids.iter().find(|(number, id)| is_new(id) && has(number)).map(|(number, _)| *number)
    }

    fn new(rng: &mut Rng, mutant: Mutant, limits: Limits) -> Route {
        let mut ingest = world::World::unpaid(rng.u64(..), world::Mutant::None);
        ingest.limits = limits;
        ingest.mappings = vec![Mapping::New; ingest.daemons.len()];
        ingest.database.proves_any = mutant == Mutant::ProvesByAnyMapping;
        ingest.database.loses_refused = mutant == Mutant::LosesRefused;
        let mut runs = reconcile::World::new(rng.u64(..), reconcile::Mutant::None);
        (runs.sweep, runs.is_part) = (SWEEP, true);
        Route {
            ingest,
            runs,
            ids: BTreeMap::new(),
            copy: None,
            copied: 0,
            restored: 0,
            covered: 0,
            found: 0,
            shown: BTreeSet::new(),
            clock: 0,
        }
    }
}
