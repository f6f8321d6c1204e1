//! Promise: a daemon killed at any instant loses no purchase and makes none twice.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::ledger;
use crate::support::load::{Load, chance};
use crate::support::rig::Rig;
use crate::support::world::connect;

const ROUNDS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_again_and_again_makes_each_purchase_once() {
    let mut rng = chance("kill -9");
    let rig = Arc::new(Rig::new(3).await);
    let load = Load::start(&rig, rng.fork());
    for round in 0..ROUNDS {
        let mut daemon = rig.quick_daemon("batch = { rows = 50 }");
        // Most crashes hit a daemon at work; every fifth one that still joins or claims.
        if round % 5 != 4 {
            let before = ledger::count(&rig.client).await;
            eventually("another purchase", || async {
                (ledger::count(&rig.client).await > before).then_some(())
            })
            .await;
        }
        // The instant of the crash is the test's input, not something to wait for.
        tokio::time::sleep(Duration::from_millis(rng.u64(20..800))).await;
        assert_kafka_is_not_ahead(&rig).await;
        daemon.kill();
        assert_kafka_is_not_ahead(&rig).await;
    }
    let paid = load.stop().await;
    let daemon = rig.quick_daemon("");
    rig.reads(&daemon).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.assert_batches_only_move_on().await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
}

/// One batch waits in its transaction while the other partition goes on and commits to Kafka: whatever
/// was posted too early would go with it.
#[tokio::test(flavor = "multi_thread")]
async fn kafka_hears_of_a_record_only_when_its_purchase_is_committed() {
    let rig = Rig::new(2).await;
    let mut daemon = rig.quick_daemon("lanes = 2");
    rig.reads(&daemon).await;
    let paid = payments(30);
    // A purchase by hand that is not committed yet makes the daemon's wait.
    let hand = connect(&rig.url()).await;
    let p = &paid[5];
    hand.batch_execute("BEGIN").await.unwrap();
    hand.execute(
        "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)
         VALUES ($1, $2, $3, $4::text::numeric, $5)",
        &[&p.id, &p.student, &p.course, &p.amount, &p.currency],
    )
    .await
    .unwrap();
    rig.pay_to(Some(0), &paid[..10]).await;
    eventually("the batch to wait for the purchase made by hand", || async {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (rig.number(sql).await > 0).then_some(())
    })
    .await;
    rig.pay_to(Some(1), &paid[10..]).await;
    eventually("the other partition's offset in Kafka", || async {
        (rig.committed().get(&1) == Some(&20)).then_some(())
    })
    .await;
    assert_kafka_is_not_ahead(&rig).await;
    // The crash comes with the transaction open, and the hand lets go.
    daemon.kill();
    hand.batch_execute("ROLLBACK").await.unwrap();
    let _daemon = rig.quick_daemon("");
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// Kafka's offset is looked at first: the position may only have moved on since.
async fn assert_kafka_is_not_ahead(rig: &Rig) {
    let committed = rig.committed();
    let positions = rig.positions().await;
    for (partition, offset) in committed {
        let position = positions.get(&partition).copied().unwrap_or_default();
        assert!(
            offset <= position,
            "Kafka is ahead in partition {partition}: {offset} is committed, {position} applied"
        );
    }
}

/// The settings are those that nobody has changed.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_another_daemon_has_the_partitions_soon_by_default() {
    let rig = Rig::new(2).await;
    let text = rig.config(&rig.url(), "", "");
    let (own, rest) = text.split_once("[kafka.properties]\n").unwrap();
    let (_, rest) = rest.split_once("[http]").unwrap();
    let path = rig.path("default.toml");
    fs::write(&path, format!("{own}[http]{rest}")).unwrap();
    let mut first = Daemon::start(&path, 0);
    let mut paid = payments(20);
    rig.pay(&paid).await;
    rig.caught_up().await;
    first.kill();
    let killed = Instant::now();
    let _second = Daemon::start(&path, 1);
    let behind = payments(20);
    rig.pay(&behind).await;
    paid.extend(behind);
    rig.caught_up().await;
    eprintln!("the partitions were back {:?} after the kill", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(25), "{:?}", killed.elapsed());
    ledger::assert_exactly(&rig.client, &paid).await;
}
