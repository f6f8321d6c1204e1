//! Promise: daemons that come, go, die and freeze in one group share the work, and each purchase is
//! still made once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::ledger;
use crate::support::load::{Load, chance};
use crate::support::rig::Rig;
use crate::support::world::connect;

const DEADLINE: Duration = Duration::from_secs(20);
const SMALL: &str = "batch = { rows = 50 }";

#[tokio::test(flavor = "multi_thread")]
async fn daemons_that_come_and_go_make_each_purchase_once_and_share_the_partitions() {
    let mut rng = chance("a storm of rebalances");
    let rig = Arc::new(Rig::new(6).await);
    let load = Load::start(&rig, rng.fork());
    let mut fleet: Vec<Daemon> = (0..2).map(|_| rig.quick_daemon(SMALL)).collect();
    for _ in 0..12 {
        let before = ledger::count(&rig.client).await;
        eventually("another purchase", || async {
            (ledger::count(&rig.client).await > before).then_some(())
        })
        .await;
        // When the next one comes or goes is the test's input, not something to wait for.
        tokio::time::sleep(Duration::from_millis(rng.u64(20..800))).await;
        if fleet.len() < 3 && rng.bool() {
            fleet.push(rig.quick_daemon(SMALL));
            continue;
        }
        let mut leaver = fleet.swap_remove(rng.usize(..fleet.len()));
        if rng.bool() {
            leaver.kill();
        } else {
            leaver.signal("TERM");
            assert!(leaver.wait(DEADLINE).success());
        }
        fleet.push(rig.quick_daemon(SMALL));
    }
    fleet.truncate(2);
    while fleet.len() < 2 {
        fleet.push(rig.quick_daemon(SMALL));
    }
    assert_shared(&rig, &fleet).await;
    let paid = load.stop().await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.assert_batches_only_move_on().await;
    fleet.push(rig.quick_daemon(SMALL));
    assert_shared(&rig, &fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_wakes_after_it_was_replaced_moves_nothing() {
    let rig = Rig::new(1).await;
    let paid = payments(200);
    let mut first = rig.quick_daemon("");
    rig.pay(&paid[..50]).await;
    rig.reads(&first).await;
    rig.caught_up().await;
    // A column that is gone makes the daemon keep a batch in hand, to be tried on waking.
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases RENAME COLUMN currency TO coin")
        .await
        .unwrap();
    rig.pay(&paid[50..100]).await;
    eventually("the first daemon to hold its batch", || async {
        rig.worker(&first).await.filter(|worker| worker.state == "held")
    })
    .await;
    first.signal("STOP");
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases RENAME COLUMN coin TO currency")
        .await
        .unwrap();
    let second = rig.quick_daemon(SMALL);
    rig.pay(&paid[100..]).await;
    rig.reads(&second).await;
    rig.caught_up().await;
    let settled = rig.positions().await;
    first.signal("CONT");
    eventually("the first daemon to learn its fate", || async {
        let log = first.log();
        let learned = log.contains(COLLIDED) || log.contains("partitions revoked");
        learned.then_some(())
    })
    .await;
    // Both are members now, so one of them has the partition and the other nothing.
    eventually("the group to settle", || async {
        let (a, b) = (rig.worker(&first).await?, rig.worker(&second).await?);
        (a.partitions.len() + b.partitions.len() == 1).then_some(())
    })
    .await;
    assert!(rig.positions().await >= settled, "the position went back");
    rig.assert_batches_only_move_on().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let more = payments(50);
    rig.pay(&more).await;
    rig.caught_up().await;
    let paid = [paid, more].concat();
    ledger::assert_exactly(&rig.client, &paid).await;

    // A step of somebody else's, before anything of the next batch is known to them: nothing of it is
    // kept. An owner who claims in between has read the step, so it is tried until none did.
    let collisions = || [&first, &second].map(|daemon| daemon.log().matches(COLLIDED).count());
    let all = Mutex::new(paid);
    eventually("a batch to be thrown away for a step that its daemon does not know", || async {
        let before = collisions();
        rig.client.batch_execute(SOMEBODY_ELSES_STEP).await.unwrap();
        let more = payments(5);
        rig.pay(&more).await;
        all.lock().await.extend(more);
        rig.caught_up().await;
        (collisions() != before).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &all.into_inner()).await;
    first.signal("TERM");
    assert!(first.wait(DEADLINE).success());
}

const COLLIDED: &str = "another daemon moved a partition of ours";
/// What the next owner of the partition writes first.
const SOMEBODY_ELSES_STEP: &str = "INSERT INTO makegood.positions
    SELECT (jsonb_populate_record(p, jsonb_build_object('step', p.step + 1, 'epoch', p.epoch + 1, 'kind', 'claim'))).*
    FROM makegood.positions p ORDER BY p.step DESC LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_a_rebalance_overtakes_takes_no_partition_that_is_somebody_elses_by_then() {
    let rig = Rig::new(2).await;
    let mut other = connect(&rig.url()).await;
    let busy = other.transaction().await.unwrap();
    let lock = "LOCK TABLE makegood.positions IN SHARE ROW EXCLUSIVE MODE";
    busy.batch_execute(lock).await.unwrap();
    let daemon = rig.daemon();
    rig.waits_in("position_claim").await;
    let member = rig.idle_member().await;
    eventually("one partition each", || async {
        let shared = daemon.log().matches("partitions assigned").count() == 2;
        (member.partitions().len() == 1 && shared).then_some(())
    })
    .await;
    busy.commit().await.unwrap();
    eventually("the daemon to read its one partition", || async {
        member.partitions();
        let worker = rig.worker(&daemon).await?;
        (worker.state == "running" && worker.partitions.len() == 1).then_some(())
    })
    .await;
    let sql = "SELECT count(DISTINCT partition) FROM makegood.positions";
    assert_eq!(rig.number(sql).await, 1, "the other member's partition was claimed too");
}

/// Waits until each daemon reads some of the six partitions, and together they read each once.
async fn assert_shared(rig: &Rig, fleet: &[Daemon]) {
    eventually("the daemons to share the six partitions", || async {
        let mut all = Vec::new();
        for daemon in fleet {
            let worker = rig.worker(daemon).await?;
            if worker.state != "running" || worker.partitions.is_empty() {
                return None;
            }
            all.extend(worker.partitions);
        }
        all.sort_unstable();
        (all == [0, 1, 2, 3, 4, 5]).then_some(())
    })
    .await;
}
