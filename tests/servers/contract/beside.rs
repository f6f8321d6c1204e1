//! A deploy whose mapping does not fit, beside a daemon that fits: the one that is held takes nothing from it.

use std::fs;

use super::{BUILT_IN, answering, hang_up, mapping};
use crate::reconcile::recorded;
use crate::support::corpus::with_field;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::{PUT_AWAY, held_for, pinned, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// A deploy with a mapping that does not fit, beside the daemon it is to replace.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_daemon_takes_no_partitions_from_one_that_runs_and_joins_when_that_one_is_gone() {
    let rig = Rig::new(2).await;
    let good = rig.daemon();
    rig.reads(&good).await;
    let (file, setting) = mapping(&rig, &answering("SELECT event_id, outcome FROM answer"));
    let mut bad = rig.daemon_with(&setting);
    held_for(&rig, "returns (").await;
    let mut paid = payments(20);
    rig.pay(&paid).await;
    rig.caught_up().await;
    eventually("it to say why it stays outside", || async {
        bad.log().contains("another daemon runs the route").then_some(())
    })
    .await;
    assert!(!bad.log().contains("partitions assigned"), "{}", bad.log());
    good.stop();
    eventually("it to join", || async {
        let worker = rig.worker(&bad).await?;
        (worker.state == "held" && worker.partitions.len() == 2).then_some(())
    })
    .await;
    let place = rig.positions().await;
    let behind = payments(20);
    rig.pay(&behind).await;
    assert_eq!(rig.committed(), place, "its place is Kafka's");
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&bad, "resumed").await;
    rig.caught_up().await;
    running(&rig).await;
    paid.extend(behind);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(bad.ended(), None);
}

/// Waits until a daemon says that it is held and reads nothing.
async fn outside(rig: &Rig, daemon: &Daemon) {
    eventually("the held daemon to say that it reads nothing", || async {
        let worker = rig.worker(daemon).await?;
        (worker.state == "held" && worker.partitions.is_empty()).then_some(())
    })
    .await;
}

/// The good one comes second: it gets all partitions all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_daemon_that_came_first_gives_way_to_a_good_one_and_is_back_when_that_one_is_gone() {
    let rig = Rig::new(2).await;
    let (file, setting) = mapping(&rig, &answering("SELECT event_id, outcome FROM answer"));
    let mut bad = rig.daemon_with(&setting);
    held_for(&rig, "returns (").await;
    pinned(&rig).await;
    let mut paid = payments(20);
    rig.pay(&paid).await;
    let good = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    outside(&rig, &bad).await;
    good.stop();
    eventually("it to be back", || async {
        let worker = rig.worker(&bad).await?;
        (worker.state == "held" && worker.partitions.len() == 2).then_some(())
    })
    .await;
    let behind = payments(20);
    rig.pay(&behind).await;
    paid.extend(behind);
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&bad, "resumed").await;
    rig.caught_up().await;
    running(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(bad.ended(), None);
}

/// The incident's own: the tables changed under a daemon, and the one that fits them comes beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_the_tables_have_left_behind_gives_way_to_one_that_fits_them() {
    let rig = Rig::new(2).await;
    let mut old = rig.daemon();
    let mut paid = payments(20);
    rig.pay(&paid).await;
    rig.caught_up().await;
    let sql = "ALTER TABLE student_course_purchases RENAME purchased_at TO start_date";
    rig.client.batch_execute(sql).await.unwrap();
    let behind = payments(40);
    rig.pay(&behind).await;
    paid.extend(behind);
    held_for(&rig, "purchased_at").await;
    let (_, setting) = mapping(&rig, &BUILT_IN.replace("purchased_at", "start_date"));
    let mut new = rig.daemon_with(&setting);
    rig.caught_up().await;
    // What the old one was refused is tried with the mapping of the new one.
    eventually("nothing to wait for a verdict", || async {
        (rig.number(PUT_AWAY).await == 0).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    // What the old one is still given the new one makes good.
    let more = payments(20);
    rig.pay(&more).await;
    paid.extend(more);
    eventually("a purchase for each payment", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!((old.ended(), new.ended()), (None, None));
}

/// The same deploy: it stops no run and no replay either.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_daemon_leaves_runs_and_replays_to_one_that_runs_and_takes_them_when_that_one_is_gone()
 {
    let rig = Rig::new(2).await;
    let good = rig.reconciler("").await;
    let broken = with_field(&Payment::new(1).json(), "amount", "\"4-99\"");
    rig.send(&raw(None, Some(broken.as_bytes()))).await;
    rig.caught_up().await;
    let (file, setting) = mapping(&rig, &answering("SELECT event_id, outcome FROM answer"));
    let missing = include_str!("../../../sql/purchases/missing.sql");
    fs::write(file.with_file_name("missing.sql"), missing).unwrap();
    let bad = rig.reconciler_with(&setting, "");
    held_for(&rig, "returns (").await;
    let mut paid = recorded(&rig, 5).await;
    assert_eq!(rig.reconcile("").await.made_good, 5);
    rig.number("SELECT count(makegood.replay(id)) FROM makegood.quarantine_open").await;
    let replayed = "SELECT count(*) FROM makegood.quarantine_decisions WHERE outcome = 'rejected'";
    eventually("the replay", || async { (rig.number(replayed).await == 1).then_some(()) }).await;
    let worker = rig.worker(&bad).await.unwrap();
    assert_eq!((worker.state.as_str(), worker.partitions.len()), ("held", 0), "{worker:?}");

    good.stop();
    paid.extend(recorded(&rig, 5).await);
    let run = rig.ask("").await;
    let why = eventually("the run to say why it waits", || async { rig.run(run).await.held }).await;
    assert!(why.contains("the route is held") && why.contains("returns ("), "{why}");
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&bad, "resumed").await;
    rig.run_is(run, &["done"]).await;
    ledger::assert_exactly(&rig.client, &paid).await;
}
