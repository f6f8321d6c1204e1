//! What most commands begin with: the configuration, the log and the database.

use std::collections::BTreeMap;

use super::{Globals, logging};
use crate::config::{self, Config, Inbox, Overrides};
use crate::pure::problem::{Code, Problem};
use crate::store::{Store, connect, migrate};

/// What a command that ends soon works with.
pub struct Session {
    /// The configuration.
    pub config: Config,
    /// The database, whose schema fits this program.
    pub store: Store,
}

/// Reads the configuration from flags, environment, file and defaults.
pub fn load(globals: &Globals) -> Result<Config, Problem> {
    let flags = Overrides {
        config: globals.config.clone(),
        database_url: globals.database_url.clone(),
        bootstrap_servers: globals.bootstrap_servers.clone(),
        log_level: globals.log_level.clone(),
        log_format: globals.log_format.map(Into::into),
    };
    // A variable that is no Unicode can hold nothing that is read here.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let here = std::env::current_dir()
        .map_err(|e| Problem::new(Code::System, format!("there is no current directory: {e}")))?;
    Ok(config::load(&flags, &env, &here)?.config)
}

impl Session {
    /// Loads the configuration, starts the log, connects, and makes sure that the schema fits.
    pub async fn open(globals: &Globals) -> Result<Session, Problem> {
        logging::start_command(globals)?;
        let config = load(globals)?;
        let mut client = connect::connect(&config.postgres, "makegood-cli").await?;
        migrate::check(&mut client).await?;
        drop(client);
        let store = Store::new(connect::pool(&config.postgres, "makegood-cli", 1)?);
        Ok(Session { config, store })
    }

    /// The configured route of this name; without a name, the only one.
    pub fn route(&self, name: Option<&str>) -> Result<&Inbox, Problem> {
        let routes = &self.config.inbox;
        let names: Vec<&str> = routes.iter().map(|r| r.name.as_str()).collect();
        let known = format!("the configured routes are: {}", names.join(", "));
        match (name, routes.as_slice()) {
            (Some(name), _) => routes.iter().find(|r| r.name == name).ok_or_else(|| {
                Problem::new(Code::Usage, format!("there is no route `{name}`")).hint(known)
            }),
            (None, [only]) => Ok(only),
            (None, _) => {
                Err(Problem::new(Code::Usage, "which route? say --route NAME").hint(known))
            }
        }
    }
}
