//! Where an overview comes from: connections and Kafka clients that are kept between two looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::config::{self, Config, Postgres};
use crate::kafka::probe::Probe;
use crate::store::migrate::{self, Set};
use crate::store::{Fault, Store, connect};
use rules::problem::{Code, Problem};

/// The databases and the brokers of a configuration.
pub struct Sources {
    pub(super) config: Arc<Config>,
    pub(super) purchases: Base,
    pub(super) outbox: Option<Base>,
    /// How long each of PostgreSQL and Kafka may take.
    pub(super) patience: Duration,
    probes: Mutex<Probes>,
}

/// By topic and group. A look that nobody waits for any more may still hold its client.
type Probes = HashMap<(String, String), Arc<Mutex<TopicProbe>>>;

/// The Kafka client that looks at a topic, made with the first look: that may wait.
pub(super) struct TopicProbe {
    kafka: config::Kafka,
    topic: String,
    group: String,
    patience: Duration,
    probe: Option<Probe>,
}

impl TopicProbe {
    pub(super) fn probe(&mut self) -> Result<&Probe, Problem> {
        let probe = match self.probe.take() {
            Some(probe) => probe,
            None => Probe::new(&self.kafka, &self.topic, &self.group)?.within(self.patience),
        };
        Ok(self.probe.insert(probe))
    }
}

/// A database with a part of makegood's schema.
pub(super) struct Base {
    postgres: Postgres,
    set: Set,
    store: Store,
    /// Set once the schema was seen to fit this program.
    fits: OnceCell<()>,
}

impl Sources {
    /// Connects to nothing yet. `name` is what `pg_stat_activity` shows.
    pub fn new(config: Arc<Config>, name: &str, patience: Duration) -> Result<Sources, Problem> {
        let outbox = config.outbox.enabled.then(|| config.outbox_database());
        Ok(Sources {
            purchases: Base::new(&config.postgres, Set::Inbox, name)?,
            outbox: outbox.map(|at| Base::new(at, Set::Outbox, name)).transpose()?,
            config,
            patience,
            probes: Mutex::default(),
        })
    }

    /// What looks at a topic; there is one of it.
    pub(super) fn eye(&self, topic: &str, group: &str) -> Arc<Mutex<TopicProbe>> {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let eye = || TopicProbe {
            kafka: self.config.kafka.clone(),
            topic: topic.to_owned(),
            group: group.to_owned(),
            patience: self.patience * 3 / 5,
            probe: None,
        };
        let key = (topic.to_owned(), group.to_owned());
        probes.entry(key).or_insert_with(|| Arc::new(Mutex::new(eye()))).clone()
    }
}

impl Base {
    fn new(postgres: &Postgres, set: Set, name: &str) -> Result<Base, Problem> {
        let store = Store::open(postgres, name, 1)?;
        Ok(Base { postgres: postgres.clone(), set, store, fits: OnceCell::new() })
    }

    /// Host, port and name.
    pub(super) fn place(&self) -> String {
        connect::place(&self.postgres)
    }

    /// Asks something, within a time; the first time whether the schema fits, too.
    pub(super) async fn ask<T>(
        &self,
        patience: Duration,
        what: &str,
        question: impl AsyncFnOnce(&Store) -> Result<T, Fault>,
    ) -> Result<T, Problem> {
        let asking = async {
            self.fits.get_or_try_init(|| self.check()).await?;
            question(&self.store).await.map_err(|f| f.problem(&format!("cannot read {what}")))
        };
        tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| Err(self.silent(patience)))
    }

    async fn check(&self) -> Result<(), Problem> {
        self.store.reach(&self.postgres).await?;
        migrate::check(&self.store, &[self.set]).await
    }

    fn silent(&self, patience: Duration) -> Problem {
        let (place, seconds) = (self.place(), patience.as_secs());
        let cause = format!("PostgreSQL at {place} has not answered within {seconds} s");
        Problem::new(Code::PostgresUnreachable, cause)
            .advice("see whether the server is overloaded, or frozen, or the network drops packets")
    }
}
