//! The database with the purchases: reached, fit, and lent the right rights.

use std::time::Duration;

use super::{Check, Round, WatchedDatabase, failed, host, pooler, unknown};
use crate::config::{Config, MigrateMode};
use crate::store::mapping::Mapping;
use crate::store::migrate::Set;
use crate::store::{Store, connect, inbox, migrate, rights, server_info};
use rules::checkup::{server, write_cost};
use rules::health::age;
use rules::sql;

/// So much later than it should a turn may end before it is said.
const OVERDUE: Duration = Duration::from_hours(24);
/// Besides the pool: a listener, a migration, a person's commands.
const OTHER_CONNECTIONS: usize = 4;

/// Checks the databases; returns whether the one with the purchases answers.
pub(super) async fn check(config: &Config, round: &Round) -> bool {
    let name = ("postgres.reach", "");
    let place = match round.wait(name, &[], WatchedDatabase::reached(&config.postgres, "")).await {
        Some(Ok(place)) => place,
        Some(Err(problem)) => {
            round.tell(failed("postgres.reach", problem));
            return false;
        }
        None => return false,
    };
    let (store, here) = (&place.store, [&place]);
    let at = connect::place(&config.postgres);
    round.tell(Check::pass("postgres.reach", format!("PostgreSQL at {at} answers")));
    round.check(("postgres.pooler", ""), &here, pooler::check(&config.postgres, store)).await;
    let found = round.wait(("postgres.version", ""), &here, server(config, store)).await;
    found.unwrap_or_default().into_iter().for_each(|check| round.tell(check));
    round.check(("postgres.transactions", ""), &here, transactions(store)).await;
    schema(config, round).await;
    round.check(("postgres.rights", ""), &here, role_rights(store)).await;
    round.check(("inbox.retention", ""), &here, retention(config, store)).await;
    let found = round.wait(("postgres.excess", ""), &here, host_tables(config, store)).await;
    found.unwrap_or_default().into_iter().for_each(|check| round.tell(check));
    let found = round.wait(("postgres.write_cost", ""), &here, write_cost(config, store)).await;
    found.unwrap_or_default().into_iter().for_each(|check| round.tell(check));
    true
}

async fn transactions(store: &Store) -> Check {
    match server_info::transactions(store).await {
        Ok(found) => server::transactions(&found),
        Err(fault) => unknown("postgres.transactions", &fault),
    }
}

async fn server(config: &Config, store: &Store) -> Vec<Check> {
    let mut checks = Vec::new();
    match server_info::server(store, connect::is_local(&config.postgres)).await {
        Ok(found) => {
            let relays = if config.outbox.enabled && config.outbox.database.is_none() {
                usize::try_from(config.outbox.shards).unwrap_or(0) * 2
            } else {
                0
            };
            // Through a pooler they are the pooler's.
            let pool = if config.postgres.is_pooled() { 0 } else { config.pool_size() };
            let needed = pool + relays + OTHER_CONNECTIONS;
            let needed = i64::try_from(needed).unwrap_or(i64::MAX);
            checks.extend(server::checks(&found.server, needed));
            let error = found.took / 2.0;
            checks.push(server::clock("postgres.clock", "PostgreSQL's", found.ahead, error));
            checks.extend(host::disk(&found));
        }
        Err(fault) => checks.push(unknown("postgres.version", &fault)),
    }
    checks
}

/// makegood's own schema, in each database that has a part of it.
async fn schema(config: &Config, round: &Round) {
    let name = "postgres.schema";
    for (postgres, sets) in migrate::places(config) {
        let at = connect::place(postgres);
        let Some(reached) =
            round.wait((name, &at), &[], WatchedDatabase::reached(postgres, " schema")).await
        else {
            continue;
        };
        match reached {
            Ok(place) => {
                let looking = schema_of(config, &place.store, sets);
                round.check((name, &at), &[&place], looking).await;
            }
            Err(problem) => {
                round.tell(failed("postgres.reach", problem));
                round.unseen(&[name], &at);
            }
        }
    }
}

async fn schema_of(config: &Config, store: &Store, sets: &[Set]) -> Check {
    let name = "postgres.schema";
    let problem = match migrate::check(store, sets).await {
        Ok(()) => {
            return Check::pass(name, format!("makegood's schema ({}) is up to date", parts(sets)));
        }
        Err(problem) => problem,
    };
    match migrate::status(store, sets).await {
        Ok(steps)
            if steps.iter().any(|step| !step.applied)
                && config.migrate.mode == MigrateMode::Auto =>
        {
            let says = format!("{}; `makegood run` migrates at start", problem.reason);
            Check::warn(name, says, "makegood migrate up")
        }
        _ => failed(name, problem),
    }
}

fn parts(sets: &[Set]) -> &'static str {
    match sets {
        [Set::Inbox] => "inbox",
        [Set::Outbox] => "outbox",
        _ => "inbox and outbox",
    }
}

/// Whether old inbox rows go when it is time.
async fn retention(config: &Config, store: &Store) -> Check {
    let name = "inbox.retention";
    let found = match inbox::turn_at_hand(store).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let says = "the inbox has no turn: makegood.inbox_turns is empty";
            return Check::fail(name, says, "INSERT INTO makegood.inbox_turns (turn) VALUES (0);");
        }
        Err(fault) => return unknown(name, &fault),
    };
    let turn = config.retention.inbox / 2;
    let late = found.lasted.saturating_sub(turn);
    if late < turn.min(OVERDUE) {
        return Check::pass(name, "old inbox rows are removed in time");
    }
    let why = found.held.unwrap_or_else(|| "no daemon has begun the next turn".to_owned());
    let says = format!("old inbox rows have stayed {} longer than they should: {why}", age(late));
    Check::warn(name, says, "see to what it names; the inbox grows until then")
}

/// Whether the role may do in makegood's own schema what the daemon does.
async fn role_rights(store: &Store) -> Check {
    let name = "postgres.rights";
    match rights::refused(store).await {
        Ok(refused) if refused.is_empty() => {
            Check::pass(name, "the role may run all of makegood's statements")
        }
        Ok(refused) => Check::fail(
            name,
            format!("the role may not run all of makegood's statements: {}", refused.join("; ")),
            "run deploy/roles.sql again; it grants what the daemon needs",
        ),
        Err(fault) => unknown(name, &fault),
    }
}

/// The tables that the mappings name.
fn named_tables(config: &Config) -> Vec<String> {
    let mappings =
        config.inbox.iter().filter_map(|route| Mapping::load(route.mapping.as_deref()).ok());
    let mut names: Vec<String> = Vec::new();
    for mapping in mappings {
        let looks = mapping.looks_for(false);
        let texts = looks.iter().filter_map(|look| look.sql).chain([mapping.apply.as_str()]);
        names.extend(texts.flat_map(|text| sql::names(text).tables));
    }
    names.sort();
    names.dedup();
    names
}

/// What the server's settings make of a write.
async fn write_cost(config: &Config, store: &Store) -> Vec<Check> {
    match server_info::write_cost(store, &named_tables(config)).await {
        Ok(found) => write_cost::checks(&found),
        Err(fault) => vec![unknown("postgres.write_cost", &fault)],
    }
}

/// The host's tables: no more rights than needed, no times without a zone.
async fn host_tables(config: &Config, store: &Store) -> Vec<Check> {
    let names = named_tables(config);
    let tables = match server_info::host_tables(store, &names).await {
        Ok(tables) => tables,
        Err(fault) => return vec![unknown("postgres.excess", &fault)],
    };
    let owned: Vec<&str> = tables.iter().filter(|t| t.owned).map(|t| t.name.as_str()).collect();
    let excess: Vec<String> = (tables.iter())
        .filter(|t| !t.owned && !t.excess.is_empty())
        .map(|t| format!("{} on {}", t.excess.join(" and "), t.name))
        .collect();
    let excess = match (owned.as_slice(), excess.as_slice()) {
        ([], []) => {
            Check::pass("postgres.excess", "the role may not change what is in your tables")
        }
        ([], excess) => Check::warn(
            "postgres.excess",
            format!("the role may {}, which makegood never does", excess.join(", ")),
            "REVOKE it; deploy/roles.sql grants SELECT, and INSERT on purchases, and no more",
        ),
        (owned, _) => Check::warn(
            "postgres.excess",
            format!("the role owns {}, or may act as the owner", owned.join(", ")),
            "run makegood as makegood_app (deploy/roles.sql), so that a mistake in a mapping can change nothing",
        ),
    };
    let zoneless: Vec<String> = (tables.iter())
        .flat_map(|t| t.without_zone.iter().map(move |column| format!("{}.{column}", t.name)))
        .collect();
    let zones = if zoneless.is_empty() {
        Check::pass(
            "postgres.timezone",
            "all times in your tables have a zone; makegood works in UTC",
        )
    } else {
        Check::warn(
            "postgres.timezone",
            format!("{} have no zone; makegood's sessions read them as UTC", zoneless.join(", ")),
            "write their zone in the mapping, updated_at AT TIME ZONE 'Asia/Kolkata', in all places",
        )
    };
    vec![excess, zones]
}
