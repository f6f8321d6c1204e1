//! Promise: "connected but not processing" cannot last. A client that is stuck is noticed, said and
//! replaced, without anybody's help; and nothing is said of a route that only looks stuck.

use std::time::{Duration, Instant};

use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::transactions::Transactions;
use crate::support::watched::Supervisor;
use crate::support::{eventually, ledger};

/// Stops the client's thread, and follows how it is noticed, healed, and does no harm on waking.
async fn a_wedged_client_is_replaced(patience: &str) {
    let rig = Rig::new(3).await;
    let supervisor = Supervisor::listen(&rig);
    let mut daemon = rig.watched_daemon(patience, &supervisor);
    let mut paid = payments(60);
    rig.pay(&paid).await;
    rig.caught_up().await;
    supervisor.hears("WATCHDOG=1", 1).await;
    assert_eq!(supervisor.count("READY=1"), 1);

    let wedged = Instant::now();
    rig.wedge("makegood-purchases");
    let behind = payments(60);
    rig.pay(&behind).await;
    let said = supervisor.status("no sign of life").await;
    let noticed = wedged.elapsed();
    let reason = eventually("the database to know", || async {
        let worker = rig.worker(&daemon).await?;
        (worker.state == "stalled").then_some(worker.reason?)
    })
    .await;
    assert!(reason.contains("no sign of life"), "{reason}");
    paid.extend(behind);
    rig.caught_up().await;
    let healed = wedged.elapsed();
    eprintln!("patience {patience}: noticed after {noticed:?} ({said}), healed after {healed:?}");
    ledger::assert_exactly(&rig.client, &paid).await;
    supervisor.status("nothing is stuck").await;
    rig.reads(&daemon).await;

    // The old thread wakes with nothing but the past in its hands.
    rig.unwedge();
    let more = payments(60);
    rig.pay(&more).await;
    paid.extend(more);
    rig.caught_up().await;
    supervisor.hears("WATCHDOG=1", 5).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.assert_batches_only_move_on().await;
    eventually("Kafka to hear of it", || async {
        (rig.committed() == rig.log_ends()).then_some(())
    })
    .await;
    let members = rig.group_tool(&["--describe", "--members"]);
    assert!(members.contains("makegood-purchases-2"), "{members}");
    assert_eq!(daemon.log().matches("the Kafka client is replaced").count(), 1);
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    assert_eq!(supervisor.count("STOPPING=1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wedged_client_is_noticed_and_replaced_and_does_no_harm_on_waking() {
    a_wedged_client_is_replaced("3s").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute; the same with the patience that production has"]
async fn a_wedged_client_is_noticed_within_30_and_healed_within_60_seconds() {
    a_wedged_client_is_replaced("30s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_new_client_helps_the_process_ends_for_its_supervisor() {
    let rig = Rig::new(1).await;
    let supervisor = Supervisor::listen(&rig);
    let mut daemon = rig.watched_daemon("1s", &supervisor);
    let mut paid = payments(10);
    rig.pay(&paid).await;
    rig.caught_up().await;
    rig.wedge("*");
    let behind = payments(10);
    rig.pay(&behind).await;
    assert_eq!(daemon.wait(Duration::from_secs(90)).code(), Some(75));
    assert!(daemon.log().contains("MG4003"), "it says why");
    rig.unwedge();
    let _next = rig.daemon();
    rig.caught_up().await;
    paid.extend(behind);
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_in_what_nobody_is_given_raises_no_alarm() {
    let rig = Rig::new(1).await;
    let supervisor = Supervisor::listen(&rig);
    // Long enough that a pause of the machine is no stall.
    let mut daemon = rig.watched_daemon("4s", &supervisor);
    let producer = Transactions::new(&rig);
    let mut paid = payments(5);
    producer.begin(&rig, 0, &paid);
    producer.commit();
    let aborted = payments(5);
    producer.begin(&rig, 0, &aborted);
    producer.abort();
    eventually("what was committed to be bought", || async {
        (ledger::count(&rig.client).await == 5).then_some(())
    })
    .await;
    let (position, end) = (rig.positions().await[&0], rig.log_ends()[&0]);
    assert!(position < end, "the position stays below the end: {position}, {end}");
    // Some thirty looks, which is three times its patience.
    supervisor.hears("WATCHDOG=1", 30).await;
    assert!(!daemon.log().contains("stalled"), "a false alarm: {}", daemon.log());

    // A transaction that stays open is the producer's doing: said, and not held against the client.
    let open = payments(5);
    producer.begin(&rig, 0, &open);
    let said = supervisor.status("a transaction that their producer has not ended").await;
    assert!(said.contains("partition 0"), "{said}");
    supervisor.hears("WATCHDOG=1", 30).await;
    producer.commit();
    paid.extend(open);
    eventually("the rest to be bought", || async {
        (ledger::count(&rig.client).await == 10).then_some(())
    })
    .await;
    supervisor.status("nothing is stuck").await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert!(!daemon.log().contains("the Kafka client is replaced"));
    assert!(!daemon.log().contains("claimed again"));
    assert_eq!(daemon.ended(), None);
}
