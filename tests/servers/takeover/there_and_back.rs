//! Taking over, and giving back.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use uuid::Uuid;

use crate::mapping_commands::checks;
use crate::reconcile::job_section;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments, raw};
use crate::support::eventually;
use crate::support::ledger;
use crate::support::old_worker::{OldWorker, OnError};
use crate::support::rig::Rig;
use crate::support::world::connect;

use super::{DRIFT, MEND, doctor, group_is_empty};

const HOURS: f64 = 3.0 * 3600.0;

/// What the generator knows of each payment.
struct Ledger {
    /// The old worker made these, and committed them.
    made: Vec<Payment>,
    /// The old worker failed on these, and committed past them; the first was then made by hand.
    skipped: Vec<Payment>,
    /// These lie behind its last commit, all in partition 0; the last was made by hand.
    waiting: Vec<Payment>,
}

impl Ledger {
    fn all(&self) -> Vec<Payment> {
        [&self.made[..], &self.skipped, &self.waiting].concat()
    }
}

/// The old worker at work: twelve made, five skipped over a drifted table; partition 2 never had a message.
async fn worked(rig: &Rig) -> (OldWorker, Ledger) {
    let worker = OldWorker::reading(rig, "shop-worker", OnError::Skip).await;
    let (made, skipped, waiting) = (payments(12), payments(5), payments(6));
    for all in [&made, &skipped] {
        rig.record(all, HOURS).await;
    }
    // Later than the reconciler looks, so that these are the consumer's alone.
    rig.record(&waiting, -HOURS).await;
    rig.pay_to(Some(0), &made[..6]).await;
    rig.pay_to(Some(1), &made[6..]).await;
    worker.dealt_with(12).await;
    rig.client.batch_execute(DRIFT).await.unwrap();
    rig.pay_to(Some(0), &skipped[..3]).await;
    rig.pay_to(Some(1), &skipped[3..]).await;
    worker.dealt_with(17).await;
    rig.client.batch_execute(MEND).await.unwrap();
    assert_eq!(sorted(worker.failed()), sorted(skipped.iter().map(|p| p.id)));
    let behind = BTreeMap::from([(0, 9), (1, 8)]);
    eventually("kafkajs to commit past them", || async {
        (rig.committed() == behind).then_some(())
    })
    .await;
    rig.by_hand(&skipped[..1]).await;
    (worker, Ledger { made, skipped, waiting })
}

fn sorted(ids: impl IntoIterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.into_iter().collect();
    ids.sort_unstable();
    ids
}

/// Begins to make a purchase and does not end: whoever makes it too waits.
async fn holds_up(rig: &Rig, payment: &Payment) -> Client {
    let client = connect(&rig.url()).await;
    let sql = format!(
        "BEGIN; INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)
                VALUES ('{}', '{}', '{}', {}, '{}')",
        payment.id, payment.student, payment.course, payment.amount, payment.currency
    );
    client.batch_execute(&sql).await.unwrap();
    client
}

/// Ends the sessions that wait for a lock: PostgreSQL would do their work though their client is gone.
async fn ends_orphans(rig: &Rig) {
    let sql = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(rig.number(sql).await, 1);
}

/// Doctor before the take-over, against the ledger; `there` of the waiting ones have their purchase.
async fn assert_foretold(rig: &Rig, ledger: &Ledger, committed: i64, there: &[&Payment]) {
    let json = doctor(rig).await;
    let positions = checks(&json, "start.position");
    let waiting = 15 - committed;
    for (level, says) in [
        (
            "warn",
            format!("partition 0: committed offset {committed}, {waiting} messages waiting since"),
        ),
        ("warn", format!("; starts at {committed}; offsets 0 to {} are not read", committed - 1)),
        ("warn", "partition 1: committed offset 8, 1 message waiting since".to_owned()),
        ("warn", "; starts at 8; offsets 0 to 7 are not read".to_owned()),
        ("pass", "partition 2: no committed offset, nothing waiting; starts at 0".to_owned()),
    ] {
        let is_there = positions.iter().any(|(l, text)| l == level && text.contains(&says));
        assert!(is_there, "no {level} with `{says}` in {positions:?}");
    }
    let events = checks(&json, "start.events");
    let is_there = |payment: &Payment| there.iter().any(|t| t.id == payment.id);
    let made: Vec<(i64, &Payment)> =
        (9..).zip(&ledger.waiting).filter(|(_, payment)| !is_there(payment)).collect();
    let counted = format!(
        "of 7 waiting events, tried and rolled back: {} already there, {} would be made, 1 refused or in conflict, 0 failed",
        there.len(),
        made.len(),
    );
    let [(level, says)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(level, "warn", "{says}");
    assert!(says.contains(&counted), "no `{counted}` in {says}");
    let listed = says.lines().filter(|line| line.starts_with("would be made: ")).count();
    assert_eq!(listed, made.len(), "{says}");
    for (offset, payment) in made {
        let line = format!("would be made: {} (partition 0, offset {offset})", payment.id);
        assert!(says.contains(&line), "no `{line}` in {says}");
    }
    assert!(says.contains("refused: no key (partition 1, offset 8)"), "{says}");
    // Only in the log does it still stand what the old worker failed on.
    let skipped = checks(&json, "start.skipped");
    let [(level, says)] = skipped.as_slice() else { panic!("{skipped:?}") };
    assert_eq!(level, "warn", "{says}");
    let counted = format!(
        "of {} events before the start, which the worker before makegood went past: {} already there, 4 without a purchase, 0 refused",
        committed + 8,
        committed + 4
    );
    assert!(says.contains(&counted), "no `{counted}` in {says}");
    for lost in &ledger.skipped[1..] {
        assert!(says.contains(&format!("without a purchase: {} (partition ", lost.id)), "{says}");
    }
    let strangers = checks(&json, "start.strangers");
    assert_eq!(strangers[0].0, "pass", "{strangers:?}");
}

/// makegood starts where the old worker ended, and makes good what that one left behind.
async fn assert_taken_over(rig: &Rig, ledger: &Ledger, committed: i64, there: usize) -> Daemon {
    let config = rig.config_file(&rig.url(), "", &job_section(""));
    let daemon = Daemon::start(&config, 0);
    rig.caught_up().await;
    rig.reads(&daemon).await;
    let first =
        "SELECT partition, next_offset FROM makegood.positions WHERE step = 1 ORDER BY partition";
    let rows = rig.client.query(first, &[]).await.unwrap();
    let starts: Vec<(i32, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(starts, [(0, committed), (1, 8), (2, 0)]);
    let open = "SELECT count(*) FROM makegood.gaps_open";
    eventually("the sweep to cover what the old worker went past", || async {
        (rig.number(open).await == 0).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &ledger.all()).await;
    // The reconciler waits for no record, so it may be first with some of them.
    let read = "SELECT sum(already + applied)::bigint FROM makegood.consumer_positions";
    assert_eq!(rig.number(read).await, 6);
    let already = "SELECT sum(already)::bigint FROM makegood.consumer_positions";
    assert!(rig.number(already).await >= there as i64);
    // Four: the fifth was made by hand.
    let made_good = "SELECT sum(made_good)::bigint FROM makegood.reconcile_runs";
    assert!((4..=10).contains(&rig.number(made_good).await));
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 1);
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stopped_in_order_is_taken_over_from_and_goes_back_to_work_after_makegood() {
    let rig = Rig::new(3).await;
    let (worker, ledger) = worked(&rig).await;
    worker.stop();
    rig.pay_to(Some(0), &ledger.waiting).await;
    rig.send_to(Some(1), &raw(Some(b"k"), Some(b"{\"eventType\":\"PURCHASE_CONFIRMED\"}"))).await;
    let by_hand = &ledger.waiting[5];
    rig.by_hand(std::slice::from_ref(by_hand)).await;
    assert_eq!(checks(&doctor(&rig).await, "kafka.group")[0].0, "pass");
    assert_foretold(&rig, &ledger, 9, &[by_hand]).await;
    let daemon = assert_taken_over(&rig, &ledger, 9, 1).await;

    // The way back. The worker is one that a second INSERT of a purchase would stop.
    let mut paid = ledger.all();
    let (by_makegood, by_worker) = (payments(4), payments(4));
    rig.pay(&by_makegood).await;
    rig.caught_up().await;
    daemon.stop();
    let ends = rig.log_ends();
    assert_eq!(rig.committed(), ends);
    rig.pay(&by_worker[..2]).await;
    let worker = OldWorker::reading(&rig, "worker-again", OnError::Throw).await;
    // Only the outbox is still makegood's.
    let relay = relay_alone(&rig);
    for payment in &by_worker[2..] {
        publish(&rig, payment).await;
    }
    worker.dealt_with(4).await;
    assert_eq!(sorted(worker.made()), sorted(by_worker.iter().map(|p| p.id)));
    worker.stop();
    paid.extend(by_makegood.into_iter().chain(by_worker));
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.committed(), rig.log_ends());
    relay.stop();

    // And makegood again: from its own position, past which the worker may have skipped what it likes.
    let (partition, before) = ends.iter().find(|(p, end)| rig.log_ends()[p] > **end).unwrap();
    let says = format!("is ahead of the position {before} and is not followed");
    let found = checks(&doctor(&rig).await, "start.position");
    let is_it =
        |text: &str| text.contains(&format!("partition {partition}: ")) && text.contains(&says);
    assert!(found.iter().any(|(level, text)| level == "warn" && is_it(text)), "{found:?}");
    let already = "SELECT sum(already)::bigint FROM makegood.consumer_positions";
    let known = rig.number(already).await;
    let daemon = rig.daemon();
    rig.caught_up().await;
    rig.reads(&daemon).await;
    assert_eq!(rig.number(already).await, known + 4);
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// A daemon that relays the outbox and takes nothing in.
fn relay_alone(rig: &Rig) -> Daemon {
    let text = format!(
        "inbox = []\nreconcile = []\n[postgres]\nurl = \"{}\"\n[kafka]\nbootstrap_servers = \"{}\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n",
        rig.url(),
        rig.world.kafka.bootstrap()
    );
    let config = rig.path("relay.toml");
    std::fs::write(&config, text).unwrap();
    Daemon::start(&config, 0)
}

/// Publishes a payment's event as a payment service does.
async fn publish(rig: &Rig, payment: &Payment) {
    let sql =
        "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb, event_id => $4)";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&rig.topic, &payment.student.to_string(), &payment.json(), &payment.event];
    rig.client.execute(sql, &values).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_killed_at_work_is_taken_over_from_and_so_is_makegood() {
    let rig = Rig::new(3).await;
    let (worker, ledger) = worked(&rig).await;
    // It makes three of six, hangs on the fourth, and dies before any of them is committed.
    let lock = holds_up(&rig, &ledger.waiting[3]).await;
    rig.pay_to(Some(0), &ledger.waiting).await;
    worker.dealt_with(20).await;
    worker.kill();
    ends_orphans(&rig).await;
    drop(lock);
    rig.send_to(Some(1), &raw(Some(b"k"), Some(b"{\"eventType\":\"PURCHASE_CONFIRMED\"}"))).await;
    let by_hand = &ledger.waiting[5];
    rig.by_hand(std::slice::from_ref(by_hand)).await;
    let committed = rig.committed()[&0];
    assert!(committed < 12, "the worker was to die before its commit");
    // Its member lives on for a while, and is in the way as a living one is.
    let found = checks(&doctor(&rig).await, "kafka.group");
    assert_eq!(found[0].0, "fail", "{found:?}");
    assert!(found[0].1.contains("shop-worker from 127.0.0.1"), "{found:?}");
    group_is_empty(&rig).await;
    let there: Vec<&Payment> = ledger.waiting[..3].iter().chain([by_hand]).collect();
    assert_foretold(&rig, &ledger, committed, &there).await;
    let mut daemon = assert_taken_over(&rig, &ledger, committed, 4).await;

    // makegood dies too. The worker sees again what Kafka had not heard of yet, and no more.
    let mut paid = ledger.all();
    let (by_makegood, by_worker) = (payments(40), payments(4));
    rig.pay(&by_makegood).await;
    rig.caught_up().await;
    let ends = rig.log_ends();
    // A worker that finds no offset begins where its own settings say.
    eventually("an offset of each partition", || async {
        ends.keys().all(|p| rig.committed().contains_key(p)).then_some(())
    })
    .await;
    daemon.kill();
    group_is_empty(&rig).await;
    let again: i64 = ends.iter().map(|(p, end)| end - rig.committed()[p]).sum();
    rig.pay(&by_worker).await;
    let worker = OldWorker::reading(&rig, "worker-again", OnError::Skip).await;
    worker.dealt_with(4 + usize::try_from(again).unwrap()).await;
    eprintln!("the old worker saw {again} of 40 again");
    assert_eq!(sorted(worker.made()), sorted(by_worker.iter().map(|p| p.id)));
    worker.stop();
    paid.extend(by_makegood.into_iter().chain(by_worker));
    ledger::assert_exactly(&rig.client, &paid).await;
}
