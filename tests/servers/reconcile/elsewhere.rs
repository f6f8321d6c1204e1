//! Payments in another database than the purchases: the same is found and made good as in one.

use std::sync::Arc;

use fastrand::Rng;
use jiff::Timestamp;
use makegood::store::Store;
use makegood::store::mapping::Mapping;
use makegood::store::payments::{LookFault, Looker, Place, Scope};
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use super::job_section;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::library::store;
use crate::support::load::chance;
use crate::support::rig::Rig;
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{eventually, ledger};

const ROUNDS: usize = 25;

/// Key, kind, time, expected, found.
pub type Conflict = (String, String, Option<Timestamp>, Option<String>, Option<String>);

/// Everything found, in windows of one size.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub compared: i64,
    pub missing: Vec<(String, Timestamp, String)>,
    pub conflicts: Vec<Conflict>,
}

/// Walks over everything in windows of so many rows, in sessions of a time zone.
pub async fn walk(
    store: &Store,
    looker: &Looker,
    rows: i64,
    until: Timestamp,
    zone: &str,
) -> Found {
    let mut found = Found { compared: 0, missing: Vec::new(), conflicts: Vec::new() };
    let tx = store.begin("test").await.unwrap();
    tx.batch(&format!("SET LOCAL TimeZone = '{zone}'")).await.unwrap();
    let mut after = Place::default();
    loop {
        let scope = Scope::Window { after: &after, until, rows };
        let window = looker.missing(&tx, scope).await.unwrap();
        found.compared += window.compared;
        found.missing.extend(window.items.into_iter().map(|m| (m.key, m.paid_at, same(&m.event))));
        assert!(window.read <= rows);
        let Some(edge) = window.edge.filter(|_| window.read == rows) else { break };
        after = edge;
    }
    after = Place::default();
    loop {
        let scope = Scope::Window { after: &after, until, rows };
        let window = looker.conflicts(&tx, scope).await.unwrap();
        found.conflicts.extend(window.items.into_iter().map(|c| {
            let text = |json: Option<String>| json.map(|json| same(&json));
            (c.key, c.kind, c.at, text(c.expected), text(c.found))
        }));
        let Some(edge) = window.edge.filter(|_| window.read == rows) else { break };
        after = edge;
    }
    tx.rollback().await;
    found.missing.sort();
    found.conflicts.sort();
    found
}

/// JSON in one spelling.
fn same(json: &str) -> String {
    serde_json::from_str::<Value>(json).unwrap().to_string()
}

/// Random rows: few times, so that many are the same, and every kind of contradiction.
pub fn rows(rng: &mut Rng) -> String {
    let time = |rng: &mut Rng| match rng.u8(..10) {
        0 => "'2099-01-01Z'::timestamptz".to_owned(),
        _ => format!("'2026-01-01Z'::timestamptz + {} * interval '1 s'", rng.u8(..6)),
    };
    let uuid = |rng: &mut Rng| Uuid::from_u128(rng.u128(..));
    let mut sql = String::new();
    for _ in 0..rng.usize(..40) {
        let (id, student, course) = (uuid(rng), uuid(rng), uuid(rng));
        let status = ["succeeded", "succeeded", "succeeded", "refunded", "failed"][rng.usize(..5)];
        let (paid, purchased) = (time(rng), time(rng));
        sql += &format!(
            "INSERT INTO payments VALUES ('{id}', '{student}', '{course}', 5, 'INR', '{status}', now(), {paid});\n"
        );
        if rng.bool() {
            let other = uuid(rng);
            let student = if rng.u8(..8) == 0 { other } else { student };
            let amount = if rng.u8(..8) == 0 { 6 } else { 5 };
            sql += &format!(
                "INSERT INTO student_course_purchases VALUES
                     ('{}', '{id}', '{student}', '{course}', {amount}, 'INR', NULL, {purchased});\n",
                uuid(rng)
            );
        }
    }
    for _ in 0..rng.usize(..4) {
        sql += &format!(
            "INSERT INTO student_course_purchases VALUES ('{}', '{}', '{}', '{}', 1, 'INR', NULL, {});\n",
            uuid(rng),
            uuid(rng),
            uuid(rng),
            uuid(rng),
            time(rng)
        );
    }
    sql
}

/// A database with the host's tables.
async fn database(rig: &Rig, name: &str) -> (String, Client) {
    rig.client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    let url = rig.world.postgres.url(name);
    let client = connect(&url).await;
    client.batch_execute(HOST_TABLES).await.unwrap();
    (url, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_give_what_one_gives() {
    let mut rng = chance("two databases");
    let rig = Rig::new(1).await;
    let (source_url, source_client) = database(&rig, &format!("{}_source", rig.database)).await;
    let (target_url, target_client) = database(&rig, &format!("{}_target", rig.database)).await;
    let (one, source, target) = (store(&rig.url()), store(&source_url), store(&target_url));
    let mapping = Arc::new(Mapping::load(None).unwrap());
    let beside = Looker::new(mapping.clone(), None).unwrap();
    let apart = Looker::new(mapping.clone(), Some(source.clone())).unwrap();
    mapping.check_looks(&one, None).await.unwrap();
    mapping.check_looks(&target, Some(&source)).await.unwrap();
    let until: Timestamp = "2026-01-01T00:00:05Z".parse().unwrap();
    for _ in 0..ROUNDS {
        let rows = rows(&mut rng);
        for client in [&rig.client, &source_client, &target_client] {
            client.batch_execute("TRUNCATE payments, student_course_purchases").await.unwrap();
            client.batch_execute(&rows).await.unwrap();
        }
        source_client.batch_execute("TRUNCATE student_course_purchases").await.unwrap();
        target_client.batch_execute("TRUNCATE payments").await.unwrap();
        let whole = walk(&one, &beside, 1000, until, "UTC").await;
        let size = rng.i64(1..12);
        assert_eq!(walk(&one, &beside, size, until, "UTC").await, whole, "in windows of {size}");
        assert_eq!(
            walk(&target, &apart, size, until, "UTC").await,
            whole,
            "apart, in windows of {size}"
        );
    }
}

/// A window of fewer keys than rows would pass for the last one, and everything behind it for compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_window_has_twice_is_a_breach_that_names_it() {
    let rig = Rig::new(1).await;
    let store = store(&rig.url());
    let paid = payments(3);
    rig.record(&paid, 3600.0).await;
    rig.by_hand(&paid).await;
    let mut mapping = Mapping::load(None).unwrap();
    let twice = |sql: &str| {
        let rows = format!("SELECT r.* FROM ({sql}) r, generate_series(1, 2)");
        format!("{rows} ORDER BY at, business_key LIMIT $4")
    };
    let shipped = mapping.looks.clone();
    let (after, until) = (Place::default(), Timestamp::now());
    for name in ["payments.sql", "purchases.sql"] {
        mapping.looks = shipped.clone();
        let sql = match name {
            "payments.sql" => &mut mapping.looks.payments,
            _ => &mut mapping.looks.purchases,
        };
        *sql = sql.as_deref().map(twice);
        let looker = Looker::new(Arc::new(mapping.clone()), Some(store.clone())).unwrap();
        let tx = store.begin("test").await.unwrap();
        let key = paid[0].id.to_string();
        let window = Scope::Window { after: &after, until, rows: 2 };
        let keys = Scope::Keys(std::slice::from_ref(&key));
        for scope in [window, keys] {
            let breaches =
                [looker.missing(&tx, scope).await.err(), looker.conflicts(&tx, scope).await.err()];
            for breach in breaches {
                let Some(LookFault::Breach(what)) = breach else { panic!("{name}: {breach:?}") };
                assert!(what.contains(name) && what.contains(&key), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_another_database_are_made_good() {
    let rig = Rig::new(1).await;
    let (url, source) = database(&rig, &format!("{}_payments", rig.database)).await;
    // Nothing of the payments is in the database with the purchases.
    rig.client.batch_execute("DROP TABLE payments").await.unwrap();
    let more = format!("{}[databases.shop]\nurl = \"{url}\"\n", job_section("source = \"shop\""));
    let _daemon = Daemon::start(&rig.config_file(&rig.url(), "", &more), 0);
    rig.swept().await;
    let mut paid = payments(20);
    let pays = async |p: &Payment| {
        let sql = "INSERT INTO payments VALUES ($1, $2, $3, $4::text::numeric, $5, 'succeeded', now(), now() - interval '3 hours')";
        source.execute(sql, &[&p.id, &p.student, &p.course, &p.amount, &p.currency]).await.unwrap();
    };
    for payment in &paid {
        pays(payment).await;
    }
    rig.by_hand(&paid[..5]).await;
    rig.pay(&paid[5..8]).await;
    rig.caught_up().await;
    let run = rig.reconcile("").await;
    assert_eq!(
        (run.compared, run.missing, run.made_good, run.conflicts),
        (20, 12, 12, 0),
        "{run:?}"
    );
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.reconcile("").await.missing, 0);

    // What is replayed is what is paid there today: one was mended since, one is paid no longer.
    let [mut mended, refunded] = [1, 2].map(Payment::new);
    mended.currency = "inr".to_owned();
    for payment in [&mended, &Payment { currency: "inr".to_owned(), ..refunded.clone() }] {
        pays(payment).await;
    }
    assert_eq!(rig.reconcile("").await.quarantined, 2);
    let change = "UPDATE payments SET currency = 'INR', status = CASE WHEN id = $1 THEN 'refunded' ELSE status END
                  WHERE currency = 'inr'";
    source.execute(change, &[&refunded.id]).await.unwrap();
    rig.number("SELECT count(makegood.replay(id)) FROM makegood.quarantine_open").await;
    let healed =
        "SELECT count(*) FROM makegood.quarantine_decisions WHERE outcome IN ('applied', 'healed')";
    eventually("the replays", || async { (rig.number(healed).await == 2).then_some(()) }).await;
    mended.currency = "INR".to_owned();
    paid.push(mended);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.paid_not_purchased").await, 0);
}
