//! One round of checks: each is told as soon as it is known, none takes long, and what keeps several of them
//! from being looked at is said once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, sleep_until};

use super::Check;
use crate::config::Postgres;
use crate::store::lock_holder::{self, Holder};
use crate::store::{Fault, Store};
use rules::checkup::{Level, locks};
use rules::problem::Problem;

/// How long a round may take in all; the program starts and ends around it.
const ROUND: Duration = Duration::from_secs(25);
/// How long one look may take: longer than reaching a database may, which says more.
const LOOK: Duration = Duration::from_secs(11);
/// How long a look may take before somebody is asked whose lock it waits for, and between two questions.
const SUSPICION: Duration = Duration::from_millis(700);

/// Where checks are told, and until when.
pub struct Round {
    told: UnboundedSender<Check>,
    ends: Instant,
    /// What failed, and which check said so first.
    said: Mutex<BTreeMap<String, (&'static str, String)>>,
    /// Who holds locks, as far as it was told: how long they do changes from look to look.
    named: Mutex<BTreeSet<i32>>,
}

impl Round {
    /// A round that begins now.
    pub fn new(told: UnboundedSender<Check>) -> Round {
        Round {
            told,
            ends: Instant::now() + ROUND,
            said: Mutex::default(),
            named: Mutex::default(),
        }
    }

    /// Tells a check. What failed for a reason that was told before was not looked at, and is not told twice.
    pub fn tell(&self, check: Check) {
        let mut check = check;
        if check.level == Level::Fail {
            let (words, teller) =
                (format!("{}\n{}", check.says, check.fix), (check.name, check.of.clone()));
            match self.said().entry(words) {
                Entry::Vacant(place) => drop(place.insert(teller)),
                Entry::Occupied(said) if *said.get() == teller => return,
                Entry::Occupied(_) => check = check.unseen(),
            }
        }
        // Whoever listens no more has seen enough.
        let _ = self.told.send(check);
    }

    /// Tells of checks that cannot be made without something that failed.
    pub fn unseen(&self, names: &[&'static str], of: &str) {
        for name in names {
            self.tell(Check::pass(name, "").of(of).unseen());
        }
    }

    /// Looks, and tells what was found.
    pub fn check<'a>(
        &'a self,
        what: (&'static str, &'a str),
        places: &'a [&'a WatchedDatabase],
        looking: impl Future<Output = Check> + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let found = self.wait(what, places, looking);
        async move {
            if let Some(found) = found.await {
                self.tell(found.of(what.1));
            }
        }
    }

    /// What `looking` finds; `None` if that did not come in time, which is told instead. `places` are the databases
    /// that are asked for it.
    pub fn wait<'a, T: 'a>(
        &'a self,
        what: (&'static str, &'a str),
        places: &'a [&'a WatchedDatabase],
        looking: impl Future<Output = T> + 'a,
    ) -> impl Future<Output = Option<T>> + 'a {
        // Looks are large, and there are many.
        let looking: Pin<Box<dyn Future<Output = T> + 'a>> = Box::pin(looking);
        self.bounded(what, places, looking)
    }

    async fn bounded<T>(
        &self,
        (name, of): (&'static str, &str),
        places: &[&WatchedDatabase],
        looking: Pin<Box<dyn Future<Output = T> + '_>>,
    ) -> Option<T> {
        let until = self.ends.min(Instant::now() + LOOK);
        if until <= Instant::now() {
            self.out_of_time((name, of));
            return None;
        }
        tokio::select! {
            // An answer that is there counts, however late it is.
            biased;
            found = looking => return Some(found),
            holder = hindrance(places) => {
                let check = locks::check(holder.pid, &holder.who);
                let is_news = self.named().insert(holder.pid);
                if is_news {
                    self.tell(check);
                }
                self.unseen(&[name], of);
            }
            () = sleep_until(until) => match until == self.ends {
                true => self.out_of_time((name, of)),
                false => self.tell(Check::fail(
                    name,
                    format!("there was no answer within {} s", LOOK.as_secs()),
                    "see what the server is busy with; `makegood status` says whether the daemon gets answers",
                ).of(of)),
            },
        }
        None
    }

    fn out_of_time(&self, (name, of): (&'static str, &str)) {
        self.tell(Check::fail(
            "doctor.time",
            format!("the time was up after {} s, before everything was looked at", ROUND.as_secs()),
            "mend what is said above, and run it again",
        ));
        self.unseen(&[name], of);
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<String, (&'static str, String)>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A database, and an eye on whose locks the statements there wait for.
pub struct WatchedDatabase {
    /// Where is looked.
    pub store: Store,
    eye: Store,
    name: String,
}

impl WatchedDatabase {
    /// Reaches a database in whatever state. `part` tells the sessions of several places apart.
    pub async fn reached(postgres: &Postgres, part: &str) -> Result<WatchedDatabase, Problem> {
        let place = WatchedDatabase::open(postgres, part)?;
        place.store.reach(postgres).await?;
        Ok(place)
    }

    /// The same, connected to nothing yet.
    pub fn open(postgres: &Postgres, part: &str) -> Result<WatchedDatabase, Problem> {
        let name = format!("makegood-doctor{part}");
        // Another name would not tell whose sessions they are.
        let postgres = Postgres { application_name: None, ..postgres.clone() };
        Ok(WatchedDatabase {
            store: Store::impatient(&postgres, &name, 2)?,
            eye: Store::impatient(&postgres, "makegood-doctor (locks)", 1)?,
            name,
        })
    }

    async fn holder(&self) -> Result<Option<Holder>, Fault> {
        lock_holder::find(&self.eye, &self.name, None).await
    }
}

/// Comes back only with somebody whose lock is in the way.
async fn hindrance(places: &[&WatchedDatabase]) -> Holder {
    loop {
        sleep(SUSPICION).await;
        for place in places {
            if let Ok(Some(holder)) = place.holder().await {
                return holder;
            }
        }
    }
}
