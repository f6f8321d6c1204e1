//! A route's mapping: examined before the first record is applied, and read again on SIGHUP.
//!
//! # States
//!
//! * **Held**: the mapping does not fit the tables, or purchases made by hand want a person's word. The
//!   route's loops are told why; they join the group and keep their place, and apply nothing. Looked at
//!   again with ever longer pauses, and at once on SIGHUP; left when nothing is found any more.
//! * **Admitted**: until the process ends. A mapping that does not pass is not used, and the old one stays.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::{await_schema, first_start};
use crate::config;
use crate::meter::{self, catalog};
use crate::store::mapping::{BELIEVED, Mapping, Unfit};
use crate::store::{Fault, Store, mapping_dry_run, routes};
use rules::backoff::Backoff;
use rules::diagnosis::Diagnosis;
use rules::ids::RouteId;
use rules::problem::Problem;

/// Pauses between looks at what holds a route.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
const DOING: &str = "the mapping cannot be used";

/// A route on its way to be admitted.
pub(super) struct Candidate {
    pub settings: config::Inbox,
    /// Its key in the database.
    pub route: RouteId,
    pub store: Store,
    /// The payments' database, if it is not the one with the purchases.
    pub source: Option<Store>,
    /// What is known of purchases made by hand.
    pub by_hand: first_start::ByHand,
}

/// Where the loops of a route hear of it.
pub(super) struct Told {
    pub mapping: watch::Sender<Arc<Mapping>>,
    pub held: watch::Sender<Option<Diagnosis>>,
}

impl Told {
    /// Why the route is held, as its loops hear it.
    fn why(&self) -> Option<Diagnosis> {
        self.held.borrow().clone()
    }
}

impl Candidate {
    /// Loads and examines the mapping; says what holds the route, if anything does. `Err` for files that cannot
    /// be used; a database that is away is waited for.
    pub(super) async fn first_look(&self) -> Result<(Mapping, Option<Diagnosis>), Problem> {
        let mut attempt = 0;
        loop {
            let mut mapping = Mapping::load(self.settings.mapping.as_deref())?;
            let examined = async {
                self.examine(&mut mapping).await?;
                self.admit(&mapping).await
            };
            match examined.await {
                Ok(()) => return Ok((mapping, None)),
                Err(unfit) if is_away(&unfit) => {
                    await_schema::wait(&mut attempt, &unfit.problem(DOING)).await;
                }
                Err(unfit) => return Ok((mapping, Some(self.say(unfit)))),
            }
        }
    }

    /// What holds a route whose files cannot be used.
    pub(super) fn barred(&self, problem: &Problem) -> Diagnosis {
        self.say(Unfit::Broken(problem.clone()))
    }

    /// Looks again until the route is admitted, then reads the mapping again whenever asked to.
    pub(super) async fn keep(self, told: Told, mut hangup: watch::Receiver<u64>) {
        let mut attempt = 0;
        while let Some(why) = told.why() {
            let pause = tokio::time::sleep(BACKOFF.delay(attempt, fastrand::f64()));
            let asked = tokio::select! {
                () = pause => false,
                heard = hangup.changed() => match heard {
                    Ok(()) => true,
                    Err(_) => return,
                },
            };
            attempt = if asked { 0 } else { attempt.saturating_add(1) };
            match self.look_again().await {
                Ok(mapping) => {
                    told.mapping.send_replace(Arc::new(mapping));
                    told.held.send_replace(None);
                    info!(route = self.settings.name, "resumed: nothing holds the route any more");
                }
                // Nothing new is known of the tables, and status says by itself that the database is away.
                Err(unfit) if is_away(&unfit) => {
                    debug!("cannot look: {}", unfit.diagnosis().reason)
                }
                Err(unfit) if asked || unfit.diagnosis() != why => {
                    told.held.send_replace(Some(self.say(unfit)));
                }
                Err(_) => {}
            }
        }
        while hangup.changed().await.is_ok() {
            self.reload(&told.mapping).await;
        }
    }

    async fn look_again(&self) -> Result<Mapping, Unfit> {
        let mapping = self.read_again().await?;
        self.admit(&mapping).await?;
        Ok(mapping)
    }

    /// Reads and tries the mapping.
    async fn read_again(&self) -> Result<Mapping, Unfit> {
        let mut mapping = Mapping::load(self.settings.mapping.as_deref()).map_err(Unfit::Broken)?;
        self.examine(&mut mapping).await?;
        Ok(mapping)
    }

    /// Checks and tries the mapping, and finds out what its events are held against.
    async fn examine(&self, mapping: &mut Mapping) -> Result<(), Unfit> {
        let (store, source) = (&self.store, self.source.as_ref());
        mapping_dry_run::check(store, source, mapping).await?;
        mapping.look_for_payments(store, source, self.settings.verify_payment).await?;
        routes::believes(store, self.route, mapping.believes.as_deref()).await?;
        if let Some(why) = &mapping.believes {
            warn!(
                route = self.settings.name,
                hint = BELIEVED,
                "events are believed without their payments: {why}"
            );
        }
        Ok(())
    }

    /// Lets the route begin with a mapping that fits, unless a person has to be asked first.
    async fn admit(&self, mapping: &Mapping) -> Result<(), Unfit> {
        first_start::look(self, mapping).await?;
        routes::begin(&self.store, self.route).await?;
        let (route, fingerprint) = (&self.settings.name, mapping.fingerprint());
        info!(route, origin = mapping.origin, fingerprint, "mapping checked");
        Ok(())
    }

    /// One that does not pass is not used, and the old one stays. A database that cannot be asked is waited for:
    /// nobody sends a second SIGHUP.
    async fn reload(&self, publish: &watch::Sender<Arc<Mapping>>) {
        let route = &self.settings.name;
        let mut attempt = 0;
        loop {
            match self.read_again().await {
                Ok(mapping) => {
                    let fingerprint = mapping.fingerprint();
                    info!(route, origin = mapping.origin, fingerprint, "mapping reloaded");
                    publish.send_replace(Arc::new(mapping));
                    return;
                }
                Err(Unfit::Unknown(fault)) => {
                    if attempt == 0 {
                        warn!(route, "the mapping cannot be checked yet: {fault}");
                    }
                    tokio::time::sleep(BACKOFF.delay(attempt, fastrand::f64())).await;
                    attempt += 1;
                }
                Err(unfit) => {
                    let problem = unfit.problem(DOING);
                    let (code, hint) = (problem.code.as_str(), &problem.advice);
                    error!(route, code, hint, "the old mapping stays: {}", problem.reason);
                    return;
                }
            }
        }
    }

    /// Says in the log what holds the route.
    fn say(&self, unfit: Unfit) -> Diagnosis {
        let diagnosis = unfit.diagnosis();
        let (route, code) = (&self.settings.name, unfit.problem(DOING).code.as_str());
        meter::count(catalog::HOLDS, "route", route);
        warn!(route, code, hint = diagnosis.advice, "held: {}", diagnosis.reason);
        diagnosis
    }
}

fn is_away(unfit: &Unfit) -> bool {
    matches!(unfit, Unfit::Unknown(Fault::Lost { .. }))
}
