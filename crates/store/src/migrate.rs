//! Brings makegood's own schema up to date, one daemon at a time. It has two sets of migrations, each with a
//! history of its own, because the outbox may live in another database than the inbox.

mod script;

use std::error::Error;

use refinery::{Migration, Runner};
use tokio_postgres::Client;

pub use self::script::{missing_sql, sql};
use super::lock_holder::Holder;
use super::{Fault, Store};
use config::{Config, Postgres};
use rules::advice::run;
use rules::problem::{Code, Problem};

mod inbox {
    refinery::embed_migrations!("../../migrations/inbox");
}
mod outbox {
    refinery::embed_migrations!("../../migrations/outbox");
}

/// The lock that migrators take; any constant will do as long as it stays the same.
const LOCK: i64 = 0x6d61_6b65_676f_6f64;
/// What a migration is run under, whatever the role's or the database's own settings are.
const SETTINGS: &str =
    "SET search_path = pg_catalog, pg_temp; SET standard_conforming_strings = on";
/// The SQLSTATE of a lock that was waited for too long.
const LOCKED: &str = "55P03";
/// The SQLSTATE with which [`ENCODING`] refuses a database.
const REFUSED: &str = "0A000";
/// Refuses a database that cannot hold every event. One of the encoding SQL_ASCII holds any bytes, and `publish` looks
/// at them.
const ENCODING: &str = "DO $$ BEGIN
    IF pg_catalog.getdatabaseencoding() NOT IN ('UTF8', 'SQL_ASCII') THEN
        RAISE EXCEPTION 'makegood needs a database in UTF8, and this one is in %', pg_catalog.getdatabaseencoding()
            USING ERRCODE = '0A000',
                  HINT = 'CREATE DATABASE ... TEMPLATE template0 ENCODING UTF8, then pg_dump and pg_restore: they convert';
    END IF;
END $$;
";

/// A set of migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// What belongs beside the purchases.
    Inbox,
    /// What belongs beside the payments.
    Outbox,
}

/// Both sets, for a database that has all of makegood.
pub const BOTH: &[Set] = &[Set::Inbox, Set::Outbox];

/// One migration and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// `V1__inbox` and so on.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Which sets belong into which database.
pub fn places(config: &Config) -> Vec<(&Postgres, &'static [Set])> {
    match (config.outbox.enabled, &config.outbox.database) {
        (false, _) => vec![(&config.postgres, &[Set::Inbox])],
        (true, None) => vec![(&config.postgres, BOTH)],
        (true, Some(_)) => {
            vec![(&config.postgres, &[Set::Inbox]), (config.outbox_database(), &[Set::Outbox])]
        }
    }
}

/// Applies what is missing and returns the names of what was applied. Refinery takes no lock of its
/// own, so one is held around it: of ten daemons that start at once, one migrates and nine find
/// nothing left to do.
pub async fn up(client: &mut Client, sets: &[Set]) -> Result<Vec<String>, Problem> {
    let failed = |e: tokio_postgres::Error| Fault::from(e).problem("cannot migrate");
    let before = client
        .query_one(
            "SELECT pg_catalog.current_setting('search_path'), pg_catalog.current_setting('standard_conforming_strings')",
            &[],
        )
        .await
        .map_err(failed)?;
    client.batch_execute(SETTINGS).await.map_err(failed)?;
    // A migration may take long; what it waits for must not, for others then wait behind it.
    let patience = "SET statement_timeout = 0; SET lock_timeout = '10s'";
    client.batch_execute(patience).await.map_err(failed)?;
    let outcome = locked_up(client, sets).await;
    let again = "SELECT set_config('search_path', $1, false), set_config('standard_conforming_strings', $2, false)";
    let (path, strings): (String, String) = (before.get(0), before.get(1));
    let _ = client.execute(again, &[&path, &strings]).await;
    outcome
}

/// Applies what is missing under the lock. Anybody can take that: who holds it is told, and where nothing is missing
/// nobody is waited for.
async fn locked_up(client: &mut Client, sets: &[Set]) -> Result<Vec<String>, Problem> {
    let mut lacks = false;
    for set in sets {
        lacks |= set.lacks(client).await?;
    }
    if !lacks {
        return Ok(Vec::new());
    }
    if let Err(error) = client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await {
        let fault = Fault::from(error);
        let problem = fault.problem("cannot migrate: somebody has the lock of those who migrate");
        return Err(told(client, fault.sqlstate(), problem).await);
    }
    let mut outcome = Ok(Vec::new());
    for set in sets {
        if let Ok(done) = &mut outcome {
            match set.migrate(client).await {
                Ok(more) => done.extend(more),
                Err(problem) => outcome = Err(problem),
            }
        }
    }
    // The lock ends with the session at the latest, so a failure here is no failure.
    let _ = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await;
    outcome
}

/// A problem with the name of who was waited for in vain, if somebody was.
async fn told(client: &Client, sqlstate: Option<&str>, problem: Problem) -> Problem {
    if sqlstate != Some(LOCKED) {
        return problem;
    }
    let sql = include_str!("../../../sql/core/migrate_holders.sql");
    let holder = client.query_opt(sql, &[&LOCK]).await.ok().flatten();
    let Some(Holder { pid, who, .. }) = holder.as_ref().map(|row| Holder::of(row, None)) else {
        return problem.advice("whoever it was has ended meanwhile: run it again");
    };
    let cause = format!("{}; pid {pid} ({who}) holds a lock on it", problem.reason);
    let end = match pid {
        0 => "a prepared transaction holds it: `SELECT gid, owner FROM pg_prepared_xacts;` then COMMIT PREPARED or ROLLBACK PREPARED".to_owned(),
        _ => format!("wait for its end, or end it: `SELECT pg_terminate_backend({pid});`"),
    };
    Problem::new(problem.code, cause)
        .advice(format!("{end}\nthen run it again; nothing is half done"))
}

/// `IF NOT EXISTS` would not do: it wants the right to create schemas also where there is nothing to
/// create, and the schema's owner need not have that.
async fn create_schema(client: &Client) -> Result<(), tokio_postgres::Error> {
    let exists =
        client.query_one("SELECT to_regnamespace('makegood') IS NOT NULL", &[]).await?.get(0);
    if exists { Ok(()) } else { client.batch_execute("CREATE SCHEMA makegood").await }
}

/// Every migration of some sets, and whether the database has it.
pub async fn status(store: &Store, sets: &[Set]) -> Result<Vec<MigrationState>, Problem> {
    let mut steps = Vec::new();
    for set in sets {
        let applied = set.names(store).await?;
        steps.extend(set.known().iter().map(|m| MigrationState {
            name: m.to_string(),
            applied: applied.iter().any(|(version, _)| *version == m.version()),
        }));
    }
    Ok(steps)
}

/// Refuses a database that is behind this program, or ahead of it.
pub async fn check(store: &Store, sets: &[Set]) -> Result<(), Problem> {
    for set in sets {
        set.check(store).await?;
    }
    Ok(())
}

impl Set {
    fn history(self) -> &'static str {
        match self {
            Set::Inbox => "makegood.inbox_migrations",
            Set::Outbox => "makegood.outbox_migrations",
        }
    }

    fn runner(self) -> Runner {
        let runner = match self {
            Set::Inbox => inbox::migrations::runner(),
            Set::Outbox => outbox::migrations::runner(),
        };
        let mut runner = runner.set_abort_divergent(true).set_abort_missing(true);
        runner.set_migration_table_name(self.history());
        runner
    }

    fn known(self) -> Vec<Migration> {
        let mut known = self.runner().get_migrations().clone();
        // Refinery has them in the order of their names, where V10 comes before V2.
        known.sort();
        known
    }

    /// Whether anything is missing; with it a role with few rights can start a daemon when there is nothing to do.
    async fn lacks(self, client: &mut Client) -> Result<bool, Problem> {
        Ok(!self.known().iter().eq(&self.applied(client).await?))
    }

    async fn migrate(self, client: &mut Client) -> Result<Vec<String>, Problem> {
        // Somebody else may have done it while the lock was waited for.
        if !self.lacks(client).await? {
            return Ok(Vec::new());
        }
        let refused = |error: tokio_postgres::Error| {
            let problem = Fault::from(&error).problem("cannot make the schema makegood");
            match Fault::from(&error).sqlstate() {
                Some(REFUSED) => Problem::new(Code::Schema, problem.reason).advice(
                    "make a database with ENCODING 'UTF8' TEMPLATE template0, then pg_dump and pg_restore: they convert",
                ),
                _ => problem,
            }
        };
        client.batch_execute(ENCODING).await.map_err(refused)?;
        if let Err(error) = create_schema(client).await {
            let role = client.query_one("SELECT pg_catalog.quote_ident(current_user)", &[]).await;
            let role: String = role.map(|row| row.get(0)).unwrap_or_default();
            return Err(Fault::from(error).problem("cannot create the schema makegood").advice(format!(
                "run `makegood migrate up` once as a role that may create schemas, or as the database's owner:\n{}",
                run(format_args!("CREATE SCHEMA makegood AUTHORIZATION {role};"))
            )));
        }
        #[cfg(feature = "failpoints")]
        let failing = |fault: Fault| fault.problem("a migration failed");
        #[cfg(feature = "failpoints")]
        super::failing::at("migrate.before").await.map_err(failing)?;
        let report = match self.runner().run_async(client).await {
            Ok(report) => report,
            Err(error) => {
                let (problem, sqlstate) = problem(&error, "a migration failed");
                let problem = match problem.code {
                    Code::PostgresUnreachable => problem,
                    _ => problem.advice(
                        "nothing of it was kept; `makegood migrate status` shows what is applied",
                    ),
                };
                return Err(told(client, sqlstate.as_deref(), problem).await);
            }
        };
        #[cfg(feature = "failpoints")]
        super::failing::at("migrate.after").await.map_err(failing)?;
        Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
    }

    async fn check(self, store: &Store) -> Result<(), Problem> {
        let (known, applied) = (self.known(), self.names(store).await?);
        let newest = known.iter().map(Migration::version).max();
        if let Some((version, name)) = applied.iter().find(|(version, _)| Some(*version) > newest) {
            return Err(Problem::new(
                Code::Schema,
                format!("the database has V{version}__{name}, which this program does not know"),
            )
            .advice("a newer makegood has migrated it: install that version here too"));
        }
        let missing = lacking(known, &applied);
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(Problem::new(Code::Schema, format!("the schema makegood lacks {}", missing.join(", ")))
            .advice("run `makegood migrate up`, or set migrate.mode = \"auto\""))
    }

    /// Versions and names of what is applied, read in a way that a pooler does not break.
    async fn names(self, store: &Store) -> Result<Vec<(i32, String)>, Problem> {
        let failed = |fault: Fault| fault.problem("cannot read the schema's state");
        let exists = store.query("SELECT to_regclass($1) IS NOT NULL", &[&self.history()]).await;
        if !exists.map_err(failed)?.first().is_some_and(|row| row.get(0)) {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT version, name FROM {} ORDER BY version", self.history());
        let rows = store.query(&sql, &[]).await.map_err(failed)?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn applied(self, client: &mut Client) -> Result<Vec<Migration>, Problem> {
        let exists = client
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&self.history()])
            .await
            .map_err(|e| Fault::from(e).problem("cannot read the schema's state"))?;
        if !exists.get::<_, bool>(0) {
            return Ok(Vec::new());
        }
        let applied = self.runner().get_applied_migrations_async(client).await;
        applied.map_err(|e| problem(&e, "cannot read what is migrated").0)
    }
}

/// The migrations that are not among those applied, which are versions and names.
fn lacking(mut known: Vec<Migration>, applied: &[(i32, String)]) -> Vec<Migration> {
    known.retain(|m| !applied.iter().any(|(version, _)| *version == m.version()));
    known
}

/// What PostgreSQL says, if it is behind the error, is of the database and can end by itself; only the rest
/// means that the schema does not fit. Refinery's own words hide both.
fn problem(error: &refinery::Error, doing: &str) -> (Problem, Option<String>) {
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if let Some(of_postgres) = cause.downcast_ref::<tokio_postgres::Error>() {
            let fault = Fault::from(of_postgres);
            return (fault.problem(doing), fault.sqlstate().map(str::to_owned));
        }
        let Some(next) = cause.source() else {
            return (Problem::new(Code::Schema, format!("{doing}: {cause}")), None);
        };
        cause = next;
    }
}
