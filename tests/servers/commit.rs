//! Promise 1, where it is hardest: whatever becomes of a COMMIT, a batch is in the database once or
//! not at all, and the daemon knows which.

use std::collections::BTreeMap;
use std::fs;

use lab::servers::postgres::PrivatePostgres;
use makegood::store::positions::{self, Log, Move};
use makegood::store::{CommitFault, migrate};
use rules::ids::{Offset, StepNumber};
use rules::outcome::Counts;
use uuid::Uuid;

use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::library::store;
use crate::support::proxy::{Fate, Proxy};
use crate::support::rig::Rig;
use crate::support::world::{HOST_TABLES, connect};
use crate::support::{eventually, ledger};

/// How often each fault is met.
const ROUNDS: usize = 12;
/// Payments sent while one of them is waited for.
const CHUNK: usize = 150;
const LOOKED: &str = "looking whether it landed";

/// Sends payments in chunks through a daemon behind a proxy, with a fault in each round, and returns
/// the daemon's log when all is done and the ledger is exact.
async fn commits_meet(fate: Fate) -> (Rig, String) {
    let rig = Rig::new(3).await;
    let proxy = Proxy::start(rig.world.postgres.port()).await.unwrap();
    // Every COMMIT that meets its fate must be a batch's: nothing else of the daemon runs.
    let only_ingest = "[outbox]\nenabled = false\n[log]\nlevel = \"info,makegood=debug\"\n";
    let config = rig.config(&proxy.url(&rig.url()), "batch = { rows = 40 }", only_ingest);
    let path = rig.path("only-ingest.toml");
    std::fs::write(&path, format!("reconcile = []\n{config}")).unwrap();
    let daemon = Daemon::start(&path, 0);
    let paid = payments(CHUNK * (ROUNDS + 1));
    let (first, rest) = paid.split_at(CHUNK);
    rig.pay(first).await;
    rig.caught_up().await;
    for (round, chunk) in rest.chunks(CHUNK).enumerate() {
        proxy.next_commit(fate);
        rig.pay(chunk).await;
        eventually("a COMMIT to meet its fate", || async {
            (proxy.met(fate) > round).then_some(())
        })
        .await;
    }
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let log = daemon.log();
    let looked = log.matches(LOOKED).count();
    assert!(looked >= ROUNDS, "{looked} looks for {ROUNDS} commits without an answer");
    (rig, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_in_the_database_and_not_applied_again() {
    let (rig, log) = commits_meet(Fate::SwallowAnswer).await;
    // Had the daemon guessed that it failed, its second try would have collided with its first.
    assert!(!log.contains("another daemon moved"), "a landed commit was tried again:\n{log}");
    assert_eq!(rig.number("SELECT max(epoch) FROM makegood.consumer_positions").await, 1);
    let applied = rig.number("SELECT sum(applied)::bigint FROM makegood.consumer_positions").await;
    assert_eq!(applied, ((ROUNDS + 1) * CHUNK) as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_never_reached_the_server_is_made_again() {
    let (rig, log) = commits_meet(Fate::Lose).await;
    assert!(!log.contains("another daemon moved"), "{log}");
    assert_eq!(rig.number("SELECT max(epoch) FROM makegood.consumer_positions").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_again_and_again_lose_nothing_and_double_nothing() {
    let rig = Rig::new(3).await;
    let proxy = Proxy::start(rig.world.postgres.port()).await.unwrap();
    let daemon = rig.daemon_at(&proxy.url(&rig.url()), "batch = { rows = 40 }");
    let paid = payments(CHUNK * 2 * ROUNDS);
    for (round, chunk) in paid.chunks(CHUNK).enumerate() {
        let before = ledger::count(&rig.client).await;
        rig.pay(chunk).await;
        // Something of the chunk is in: the connections are busy with the rest.
        eventually("a batch to be applied", || async {
            (ledger::count(&rig.client).await > before).then_some(())
        })
        .await;
        proxy.refuse(round % 4 == 3);
        proxy.cut_all();
        if round % 4 == 3 {
            eventually("the daemon to say that it waits", || async {
                daemon.log().contains("PostgreSQL is out of reach").then_some(())
            })
            .await;
            proxy.refuse(false);
        }
    }
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert!(proxy.cut() >= 2 * ROUNDS, "only {} connections were cut", proxy.cut());
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_crashes_and_comes_back_is_taken_up_again_without_a_restart() {
    let rig = Rig::new(3).await;
    let mut postgres =
        tokio::task::spawn_blocking(|| PrivatePostgres::start(false).unwrap()).await.unwrap();
    let url = postgres.url("postgres");
    let mut own = connect(&url).await;
    own.batch_execute(HOST_TABLES).await.unwrap();
    migrate::up(&mut own, migrate::BOTH).await.unwrap();

    let mut daemon = rig.daemon_at(&url, "batch = { rows = 40 }");
    let paid = payments(2400);
    let (before, after) = paid.split_at(1600);
    let arrived = async |client: &tokio_postgres::Client, least: usize| {
        eventually("purchases", || async { (ledger::count(client).await >= least).then_some(()) })
            .await;
    };
    rig.pay(before).await;
    arrived(&own, 100).await;
    postgres.stop_immediate().unwrap();
    rig.pay(after).await;
    eventually("the daemon to say what it waits for", || async {
        daemon.log().contains("PostgreSQL is out of reach").then_some(())
    })
    .await;
    postgres.start_again().unwrap();

    let own = connect(&url).await;
    arrived(&own, paid.len()).await;
    ledger::assert_exactly(&own, &paid).await;
    let held = "SELECT count(*) FROM makegood.workers WHERE state <> 'running'";
    eventually("the route to show that it runs", || async {
        (own.query_one(held, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    assert_eq!(daemon.ended(), None, "it was the same daemon all the time");
    let quarantined = own.query_one("SELECT count(*) FROM makegood.quarantine", &[]).await.unwrap();
    assert_eq!(quarantined.get::<_, i64>(0), 0);
}

/// The fact that the last statement's answer must be read: the driver alone would say all is well.
#[tokio::test(flavor = "multi_thread")]
async fn the_driver_calls_a_rolled_back_commit_a_success_and_the_last_statement_does_not() {
    let rig = Rig::new(1).await;
    let store = store(&rig.url());
    let swallow_an_error = async || {
        let tx = store.begin("test").await.unwrap();
        let put = "INSERT INTO public.student_course_purchases
                   (payment_id, student_id, course_id, amount, currency)
                   VALUES ('11111111-1111-1111-1111-111111111111', gen_random_uuid(), gen_random_uuid(), 1, 'INR')";
        tx.batch(put).await.unwrap();
        // An error that nobody looks at.
        assert_eq!(tx.batch(put).await.unwrap_err().sqlstate(), Some("23505"));
        tx
    };

    let tx = swallow_an_error().await;
    assert_eq!(tx.commit().await, Ok::<(), CommitFault>(()));
    assert_eq!(ledger::count(&rig.client).await, 0, "the driver said Ok, and nothing is stored");

    let tx = swallow_an_error().await;
    let log = Log { group: rig.group.clone(), topic: rig.topic.clone(), topic_id: Uuid::new_v4() };
    let moves = [Move {
        partition: 0,
        step: StepNumber(1),
        next_offset: Offset(1),
        anchor_timestamp_ms: None,
        anchor_digest: [0; 16],
        counts: Counts::default(),
    }];
    let refused = positions::advance(&tx, &log, Uuid::new_v4(), &moves).await.unwrap_err();
    assert_eq!(refused.sqlstate(), Some("25P02"));
}

/// Savepoints that pile up make the server slow for everybody beyond 64 of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_or_kept_leaves_no_savepoint_behind() {
    let rig = Rig::new(1).await;
    let tx = store(&rig.url()).begin("test").await.unwrap();
    let refused = tx.attempt(tx.batch("SELECT 1/0")).await.unwrap_err();
    assert_eq!(refused.sqlstate(), Some("22012"));
    tx.attempt(tx.batch("SELECT 1")).await.unwrap();
    assert_eq!(tx.undo().await.unwrap_err().sqlstate(), Some("3B001"), "no such savepoint");
}

/// What a deferred constraint refuses must be refused before COMMIT, where its culprit can be found.
async fn a_deferred_constraint_finds_its_culprit(
    constraint: &str,
    set_up: impl Fn(&Rig) -> String,
    sqlstate: &str,
    culprit: impl Fn(&mut Payment),
) {
    let rig = Rig::new(1).await;
    rig.client.batch_execute(&set_up(&rig)).await.unwrap();
    let mut paid = payments(40);
    culprit(&mut paid[17]);
    let good: Vec<Payment> = (0..40).filter(|n| *n != 17).map(|n| paid[n].clone()).collect();
    for payment in &good {
        let sql = "INSERT INTO payments (id, student_id, course_id, amount, currency)
                   VALUES ($1, $2, $3, $4::text::numeric, $5)";
        let (p, amount) = (payment, &payment.amount);
        rig.client
            .execute(sql, &[&p.id, &p.student, &p.course, amount, &p.currency])
            .await
            .unwrap();
    }
    rig.pay(&paid).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &good).await;
    let sql = "SELECT \"offset\", reason, sqlstate FROM makegood.quarantine";
    let row = rig.client.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, &str>(1), row.get::<_, &str>(2)),
        (17, "refused", sqlstate)
    );

    let spoken = statements_refused_by(&rig, constraint);
    assert!(!spoken.is_empty(), "the server's log does not know the constraint {constraint}");
    let late: Vec<&String> = spoken.iter().filter(|s| s.contains("COMMIT")).collect();
    assert!(late.is_empty(), "the constraint spoke up only in COMMIT");
}

/// The statements that the server's log says this constraint refused.
fn statements_refused_by(rig: &Rig, constraint: &str) -> Vec<String> {
    let log = fs::read_to_string(rig.world.postgres.folder().join("log")).unwrap();
    let process = |line: &str| {
        let (_, rest) = line.split_once('[')?;
        rest.split_once(']').map(|(pid, _)| pid.to_owned())
    };
    let mut waiting: BTreeMap<String, bool> = BTreeMap::new();
    let mut found = Vec::new();
    for line in log.lines() {
        let Some(pid) = process(line) else { continue };
        if line.contains("ERROR:") {
            waiting.insert(pid, line.contains(constraint));
        } else if line.contains("STATEMENT:") && waiting.remove(&pid) == Some(true) {
            found.push(line.to_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_foreign_key_refuses_one_event_and_not_its_batch() {
    let constraint = "purchase_has_its_payment";
    let set_up = |_: &Rig| {
        format!(
            "ALTER TABLE student_course_purchases ADD CONSTRAINT {constraint}
             FOREIGN KEY (payment_id) REFERENCES payments DEFERRABLE INITIALLY DEFERRED"
        )
    };
    a_deferred_constraint_finds_its_culprit(constraint, set_up, "23503", |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_constraint_trigger_refuses_one_event_and_not_its_batch() {
    let constraint = "no_purchase_in_galleons";
    let set_up = |_: &Rig| {
        format!(
            "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.currency = 'GAL' THEN
                     RAISE EXCEPTION '{constraint}' USING ERRCODE = 'check_violation';
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE CONSTRAINT TRIGGER {constraint} AFTER INSERT ON student_course_purchases
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look()"
        )
    };
    let culprit = |payment: &mut Payment| payment.currency = "GAL".to_owned();
    a_deferred_constraint_finds_its_culprit(constraint, set_up, "23514", culprit).await;
}
