//! The outbox: may this role relay it, and do its events and its old rows go?

use super::{Check, Round, WatchedDatabase, failed, unknown};
use crate::config::Config;
use crate::store::Store;
use crate::store::outbox::report::{self, HeldTopic, Status};
use rules::advice::run;
use rules::health::outbox::QUEUE_FULL;

/// What a publisher may have in the outbox, as it is proposed: 10 GiB.
const QUOTA: i64 = 10 << 30;

/// Checks the database with the outbox, if there is one. That with the purchases as well is reached by others.
pub(super) async fn check(config: &Config, round: &Round) {
    if !config.outbox.enabled {
        return;
    }
    let reaching = WatchedDatabase::reached(config.outbox_database(), " outbox");
    let place = match round.wait(("postgres.reach", ""), &[], reaching).await {
        Some(Ok(place)) => place,
        Some(Err(problem)) => {
            round.tell(failed("postgres.reach", problem));
            return round.unseen(&["outbox.claim", "outbox.publishers", "outbox.topics"], "");
        }
        None => return,
    };
    let (store, here) = (&place.store, [&place]);
    round.check(("outbox.claim", ""), &here, claim(store)).await;
    round.check(("outbox.publishers", ""), &here, publishers(config, store)).await;
    match round.wait(("outbox.topics", ""), &here, report::status(store)).await {
        Some(Ok(status)) => [topics(&status), retention(&status), notify(&status)]
            .into_iter()
            .for_each(|check| round.tell(check)),
        Some(Err(fault)) => round.tell(unknown("outbox.topics", &fault)),
        None => {}
    }
}

async fn claim(store: &Store) -> Check {
    let name = "outbox.claim";
    match report::rehearse(store).await {
        Ok(Ok(())) => Check::pass(name, "the role may relay the outbox"),
        Ok(Err((reason, advice))) => Check::fail(name, reason, advice),
        Err(fault) => unknown(name, &fault),
    }
}

/// Whether it is said who may publish what.
async fn publishers(config: &Config, store: &Store) -> Check {
    let name = "outbox.publishers";
    let free = match report::free_publishers(store).await {
        Ok(free) => free,
        Err(fault) => return unknown(name, &fault),
    };
    if free.is_empty() {
        return Check::pass(name, "nobody may publish but to the topics that the owner has named");
    }
    let mut topics: Vec<&str> = config.inbox.iter().map(|route| route.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let statement = |role: &String| match role.as_str() {
        "PUBLIC" => "REVOKE EXECUTE ON FUNCTION makegood.publish FROM PUBLIC;".to_owned(),
        role => format!(
            "SELECT makegood.allow_publisher('{}', '{{{}}}', {QUOTA});",
            role.replace('\'', "''"),
            topics.join(",")
        ),
    };
    let fix: Vec<String> = free.iter().map(statement).map(run).collect();
    Check::warn(
        name,
        format!("{} may publish to any topic, and as much as the disk holds", free.join(", ")),
        fix.join("\n"),
    )
}

fn topics(status: &Status) -> Check {
    let name = "outbox.topics";
    let Some(first) = status.held.first() else {
        return Check::pass(name, "no topic holds up its events");
    };
    let said = |held: &HeldTopic| format!("{} ({}, {})", held.topic, held.events, held.reason);
    let says = status.held.iter().map(said).collect::<Vec<_>>().join(", ");
    let advice = format!(
        "{}; or makegood outbox retry --topic {} --to-topic OTHER, or makegood outbox discard --topic {}",
        first.advice, first.topic, first.topic
    );
    Check::fail(name, format!("events wait for topics that take nothing: {says}"), advice)
}

fn retention(status: &Status) -> Check {
    let name = "outbox.retention";
    match &status.remark {
        Some(remark) => Check::warn(name, remark.clone(), "end the transaction"),
        None => Check::pass(name, "published rows are removed in time"),
    }
}

fn notify(status: &Status) -> Check {
    let name = "outbox.notify";
    let says =
        format!("the server's queue of notifications is {:.0} % full", status.notify_queue * 100.0);
    if status.notify_queue < QUEUE_FULL {
        return Check::pass(name, says);
    }
    Check::warn(
        name,
        format!(
            "{says}; makegood notifies nobody meanwhile, but when it is full, the COMMIT of whoever does fails"
        ),
        "a session that has run LISTEN is idle in a transaction, in any database of this server; find it and end it: \
         SELECT pid, datname, usename, application_name, xact_start FROM pg_stat_activity \
         WHERE state LIKE 'idle in transaction%' ORDER BY xact_start;",
    )
}
