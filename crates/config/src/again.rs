//! Reads the configuration again for a login: whatever it comes from, a file, the password file or the
//! configuration itself, it may have been changed since.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::env::Env;
use super::{Config, Kafka, Overrides, Postgres, load};
use rules::problem::Problem;

/// Where a database stands in the configuration, and what that was read from.
#[derive(Clone)]
pub struct Again {
    inputs: Arc<(Overrides, Env, PathBuf)>,
    /// The name in `[databases.NAME]`; none for `[postgres]`.
    name: Option<String>,
    is_direct: bool,
}

impl Again {
    /// Marks every database of a configuration with the way back to what it was read from.
    pub(super) fn mark(config: &mut Config, inputs: &Arc<(Overrides, Env, PathBuf)>) {
        let set = |postgres: &mut Postgres, name: Option<&String>| {
            let again = Again { inputs: inputs.clone(), name: name.cloned(), is_direct: false };
            if let Some(direct) = &mut postgres.direct {
                direct.again = Some(Again { is_direct: true, ..again.clone() });
            }
            postgres.again = Some(again);
        };
        set(&mut config.postgres, None);
        for (name, postgres) in &mut config.databases {
            set(postgres, Some(name));
        }
    }

    /// The brokers as they are configured now.
    pub fn kafka(&self) -> Result<Kafka, Problem> {
        let (flags, env, cwd) = &*self.inputs;
        Ok(load(flags, env, cwd)?.config.kafka)
    }

    /// The database as it is configured now.
    pub fn read(&self) -> Result<Option<Postgres>, Problem> {
        let (flags, env, cwd) = &*self.inputs;
        let mut config = load(flags, env, cwd)?.config;
        let main = match &self.name {
            Some(name) => config.databases.remove(name),
            None => Some(config.postgres),
        };
        Ok(main.and_then(|main| {
            if self.is_direct { main.direct.map(|direct| *direct) } else { Some(main) }
        }))
    }
}

impl fmt::Debug for Again {
    /// What it was read from holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").field("name", &self.name).finish_non_exhaustive()
    }
}
