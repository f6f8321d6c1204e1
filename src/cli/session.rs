//! What most commands begin with: the configuration, the log and the database.

use super::{Globals, config, logging, progress};
use crate::config::{Config, Inbox, Postgres};
use crate::store::mapping::Mapping;
use crate::store::migrate::Set;
use crate::store::{Store, connect, migrate};
use rules::problem::{Code, Problem};

/// At most so many routes are asked at the same time.
const TOGETHER: usize = 8;

/// What a command that ends soon works with.
pub struct Session {
    /// The configuration.
    pub config: Config,
    /// The database with the purchases, whose schema fits this program.
    pub store: Store,
}

/// Reads the configuration from flags, environment, file and defaults. Its notes go to the log, at a
/// level that these commands do not show by themselves: most are about what a command has no use for.
pub fn load(globals: &Globals) -> Result<Config, Problem> {
    let loaded = config::load_here(&globals.overrides())?;
    for note in &loaded.notes {
        tracing::info!("{note}");
    }
    Ok(loaded.config)
}

/// Connects to the database with the outbox, which may be another one than that with the purchases.
pub async fn outbox(config: &Config) -> Result<Store, Problem> {
    if !config.outbox.enabled {
        return Err(Problem::new(Code::Usage, "the outbox is turned off here (outbox.enabled)")
            .advice("use the configuration of a daemon that relays it"));
    }
    store(config.outbox_database(), Set::Outbox).await
}

/// A database in whatever state; makegood's schema need not be there.
pub async fn unchecked(postgres: &Postgres) -> Result<Store, Problem> {
    progress::step(format!("connecting to {}", connect::place(postgres)));
    let store = Store::reached(postgres, "makegood-cli", 2).await?;
    progress::step("looking PostgreSQL up");
    Ok(store)
}

/// A database whose schema fits this program.
async fn store(postgres: &Postgres, set: Set) -> Result<Store, Problem> {
    store_with(postgres, set, 1).await
}

async fn store_with(postgres: &Postgres, set: Set, most: usize) -> Result<Store, Problem> {
    progress::step(format!("connecting to {}", connect::place(postgres)));
    let store = Store::reached(postgres, "makegood-cli", most).await?;
    progress::step("looking PostgreSQL up");
    migrate::check(&store, &[set]).await?;
    Ok(store)
}

impl Session {
    /// Loads the configuration, starts the log, connects, and makes sure that the schema fits.
    pub async fn open(globals: &Globals) -> Result<Session, Problem> {
        logging::start_command(globals)?;
        let config = load(globals)?;
        let store = store(&config.postgres, Set::Inbox).await?;
        Ok(Session { config, store })
    }

    /// The same for whoever only reads: a role or a server that can do no more is enough. The routes are asked at the same
    /// time, and none waits for another's statement.
    pub async fn open_to_read(globals: &Globals) -> Result<Session, Problem> {
        logging::start_command(globals)?;
        let mut config = load(globals)?;
        config.postgres = config.postgres.to_read();
        config.databases.values_mut().for_each(|database| *database = database.to_read());
        let routes = config.inbox.len().clamp(1, TOGETHER);
        let store = store_with(&config.postgres, Set::Inbox, routes).await?;
        Ok(Session { config, store })
    }

    /// The payments' database, if a job of the route names another one than that with the purchases.
    pub fn source(&self, route: &Inbox) -> Result<Option<Store>, Problem> {
        let source = self.config.source_of(&route.name);
        source.map(|p| Store::open(p, "makegood-cli", 1)).transpose()
    }

    /// The mapping of a route, and the payments' database if it is another one. Events are held against payments as the
    /// daemon does it.
    pub async fn mapping(&self, route: &Inbox) -> Result<(Mapping, Option<Store>), Problem> {
        let source = self.source(route)?;
        let mut mapping = Mapping::load(route.mapping.as_deref())?;
        mapping
            .look_for_payments(&self.store, source.as_ref(), route.verify_payment)
            .await
            .map_err(|unfit| unfit.problem("events cannot be held against their payments"))?;
        Ok((mapping, source))
    }

    /// The configured route of this name; without a name, the only one.
    pub fn route(&self, name: Option<&str>) -> Result<&Inbox, Problem> {
        let routes = &self.config.inbox;
        let names: Vec<&str> = routes.iter().map(|r| r.name.as_str()).collect();
        let known = format!("the configured routes are: {}", names.join(", "));
        match (name, routes.as_slice()) {
            (Some(name), _) => routes.iter().find(|r| r.name == name).ok_or_else(|| {
                Problem::new(Code::Usage, format!("there is no route `{name}`")).advice(known)
            }),
            (None, [only]) => Ok(only),
            (None, _) => {
                Err(Problem::new(Code::Usage, "which route? say --route NAME").advice(known))
            }
        }
    }
}
