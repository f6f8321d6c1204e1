//! A route's mapping against the host's tables.

use super::{Check, Round, RouteDatabases, failed, unknown};
use crate::config::Inbox;
use crate::store::mapping::{BELIEVED, Mapping, ReadStatement, Unfit};
use crate::store::mapping_dry_run::{DryRun, trial};
use crate::store::{Store, report, server_info, statuses};
use rules::advice::run;
use rules::{error_policy, sql};

/// Checks all that a mapping promises.
pub async fn check(route: &Inbox, places: &RouteDatabases, round: &Round) {
    let of = route.name.as_str();
    let mapping = match Mapping::load(route.mapping.as_deref()) {
        Ok(mapping) => mapping,
        Err(problem) => return round.tell(failed("mapping.files", problem).of(of)),
    };
    round.tell(loaded(&mapping).of(of));
    let (store, here) = (&places.store.store, [&places.store]);
    let source = places.source.as_ref().map(|place| &place.store);
    round.check(("mapping.apply", of), &here, purchases(&mapping, store)).await;
    round.check(("mapping.key", of), &here, key(&mapping, store)).await;
    for place in places.all() {
        round.check(("mapping.schemas", of), &[place], schemas(&mapping, &place.store)).await;
    }
    for look in mapping.looks_for(source.is_some() || places.source_is_away) {
        let place = match look.in_source {
            true if places.source_is_away => {
                round.unseen(&["mapping.reads"], of);
                continue;
            }
            true => places.source.as_ref().unwrap_or(&places.store),
            false => &places.store,
        };
        round.check(("mapping.reads", of), &[place], reads(&mapping, &look, &place.store)).await;
    }
    if places.source_is_away {
        return round.unseen(
            &["mapping.payments", "mapping.statuses", "mapping.indexes", "mapping.trial"],
            of,
        );
    }
    let all = places.all();
    round.check(("mapping.payments", of), &all, payments(&mapping, route, (store, source))).await;
    let payments_at = source.unwrap_or(store);
    round.check(("mapping.statuses", of), &all, statuses_named(&mapping, payments_at)).await;
    round.check(("mapping.indexes", of), &all, indexes(&mapping, store, source)).await;
    round.check(("mapping.trial", of), &all, tried(&mapping, store, source)).await;
}

/// What does not fit; or what could not be asked, which is nobody's fault here.
fn unfit_for(name: &'static str, unfit: Unfit, doing: &str) -> Check {
    match unfit {
        Unfit::Unknown(fault) => unknown(name, &fault),
        unfit => failed(name, unfit.problem(doing)),
    }
}

fn loaded(mapping: &Mapping) -> Check {
    let print = mapping.fingerprint();
    if mapping.is_built_in() {
        return Check::pass(
            "mapping.files",
            format!("built in ({print}), for the route names no folder"),
        );
    }
    Check::pass("mapping.files", format!("{} ({print})", mapping.origin))
}

/// `apply.sql`: the types that go in and out, the columns, the rights.
async fn purchases(mapping: &Mapping, store: &Store) -> Check {
    let name = "mapping.apply";
    let outcome = async {
        mapping.check_apply(store).await?;
        mapping.check_columns(store).await?;
        mapping.may_apply(store).await
    };
    match outcome.await {
        Ok(()) => Check::pass(
            name,
            format!("apply.sql fits {}, sets what it requires, and may be run", mapping.key.table),
        ),
        Err(unfit) => unfit_for(name, unfit, "apply.sql does not fit"),
    }
}

/// Whether others may put functions before those that the mapping means.
async fn schemas(mapping: &Mapping, store: &Store) -> Check {
    let name = "mapping.schemas";
    let open = match server_info::open_schemas(store).await {
        Ok(open) => open,
        Err(fault) => return unknown(name, &fault),
    };
    if open.is_empty() {
        return Check::pass(
            name,
            "not everybody may create in the schemas that are searched for the mapping",
        );
    }
    let says = format!(
        "everybody may create in the schema {}, so that somebody's function or operator may be run in place of PostgreSQL's",
        open.join(", ")
    );
    let fix: Vec<String> = open
        .iter()
        .map(|schema| {
            run(format_args!("REVOKE CREATE ON SCHEMA {} FROM PUBLIC;", sql::quoted(schema)))
        })
        .collect();
    match mapping.is_built_in() {
        // It names PostgreSQL's in full. Triggers of the host's may not.
        true => Check::warn(name, format!("{says} by a trigger on your tables"), fix.join("\n")),
        false => Check::fail(name, format!("{says} by the mapping"), fix.join("\n")),
    }
}

async fn key(mapping: &Mapping, store: &Store) -> Check {
    let name = "mapping.key";
    let (table, columns) = (&mapping.key.table, mapping.key.written());
    match mapping.check_key(store).await {
        Ok(()) => Check::pass(name, format!("{table} has a unique index on {columns}")),
        Err(Unfit::Broken(problem)) => {
            let known = report::mapping::duplicates(store, mapping).await.unwrap_or_default();
            let twice: Vec<String> =
                known.iter().map(|(key, count)| format!("{key} ({count})")).collect();
            let duplicates = match twice.is_empty() {
                true => String::new(),
                false => format!("; there are duplicates already: {}", twice.join(", ")),
            };
            Check::fail(name, problem.reason + &duplicates, problem.advice)
        }
        Err(unfit) => unfit_for(name, unfit, "the business key cannot be checked"),
    }
}

async fn reads(mapping: &Mapping, look: &ReadStatement<'_>, store: &Store) -> Check {
    let (name, file) = ("mapping.reads", look.file);
    if look.sql.is_none() {
        return Check::warn(
            name,
            format!("there is no {file}"),
            "`makegood mapping new purchases` writes the shipped one out; its first lines say what it is for",
        );
    }
    let outcome = async {
        mapping.check_look(store, look).await?;
        mapping.may_look(store, look).await
    };
    match outcome.await {
        Ok(()) => Check::pass(name, format!("{file} keeps its contract and may be run")),
        Err(unfit) => unfit_for(name, unfit, &format!("{file} does not fit")),
    }
}

/// What events are held against.
async fn payments(
    mapping: &Mapping,
    route: &Inbox,
    (store, source): (&Store, Option<&Store>),
) -> Check {
    let (name, mut mapping) = ("mapping.payments", mapping.clone());
    match mapping.look_for_payments(store, source, route.verify_payment).await {
        Ok(()) => match mapping.believes {
            None => Check::pass(
                name,
                "a purchase is made only for a payment that is there, succeeded and says the same",
            ),
            Some(why) => Check::warn(name, format!("events are believed: {why}"), BELIEVED),
        },
        Err(unfit) => unfit_for(name, unfit, "events cannot be held against their payments"),
    }
}

/// The words in the payments' status.
async fn statuses_named(mapping: &Mapping, store: &Store) -> Check {
    let name = "mapping.statuses";
    if mapping.looks.statuses.column.is_none() {
        return Check::warn(
            name,
            "apply.sql does not say which statuses mean paid, so that nobody can tell whether one was forgotten",
            "add lines like these, and give the other files $6 and $7 (docs/how-to/your-data.md):\n\
             -- makegood: paid payments(status) succeeded\n-- makegood: refunded refunded\n-- makegood: not-paid pending, failed",
        );
    }
    let found = async {
        let unnamed = statuses::unnamed(store, mapping).await?.unwrap_or_default();
        Ok((unnamed, statuses::all(store, mapping).await?))
    };
    match found.await {
        Err(fault) => unknown(name, &fault),
        Ok((unnamed, all)) => match statuses::complaint(mapping, &unnamed) {
            Some((says, fix)) => {
                Check::fail(name, format!("{says}; there are {}", statuses::told(&all)), fix)
            }
            None if all.is_empty() => Check::pass(name, "there is no payment yet"),
            None => Check::pass(
                name,
                format!("every status is named by the mapping: {}", statuses::told(&all)),
            ),
        },
    }
}

async fn indexes(mapping: &Mapping, store: &Store, source: Option<&Store>) -> Check {
    let name = "mapping.indexes";
    match mapping.wanted_indexes(store, source).await {
        Ok(wanted) if wanted.is_empty() => {
            Check::pass(name, "reconciliation has the indexes it reads by")
        }
        Ok(wanted) => {
            let says = format!("reconciliation is slow without {} more", count(wanted.len()));
            let wanted: Vec<String> = wanted.iter().map(run).collect();
            Check::warn(name, says, wanted.join("\n"))
        }
        Err(fault) => unknown(name, &fault),
    }
}

fn count(indexes: usize) -> String {
    format!("{indexes} index{}", if indexes == 1 { "" } else { "es" })
}

async fn tried(mapping: &Mapping, store: &Store, source: Option<&Store>) -> Check {
    let name = "mapping.trial";
    match trial(store, source, mapping).await {
        Ok(DryRun::Fits { key, outcome }) => Check::pass(
            name,
            format!(
                "tried on payment {key}: {}; rolled back, all constraints checked",
                outcome.as_str()
            ),
        ),
        Ok(DryRun::NoPayment) => match mapping.large_payments(source.unwrap_or(store)).await {
            Ok(None) => Check::pass(name, "there is no payment to try it on"),
            Ok(Some(table)) => Check::fail(
                name,
                format!(
                    "{table} has a thousand rows or more, and payments.sql finds no payment among them"
                ),
                "compare the statuses that payments.sql asks for with those in the table, and see which table of that name is found first",
            ),
            Err(fault) => unknown(name, &fault),
        },
        Ok(DryRun::Rejects { key, tried, detail }) => Check::fail(
            name,
            format!("apply.sql rejects the last {tried} payments, {key} for: {detail}"),
            "`makegood mapping try` shows what becomes of events; correct apply.sql",
        ),
        Ok(DryRun::Fails { key, fault, .. }) => {
            let reason = fault.diagnosis().reason;
            let fix = fault.advice(store, source, mapping).await;
            Check::fail(name, format!("payment {key} could not be applied: {reason}"), fix)
        }
        Err(fault) => Check::warn(
            name,
            format!("no payment could be read to try it on: {fault}"),
            error_policy::advice(fault.sqlstate()),
        ),
    }
}
