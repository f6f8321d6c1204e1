//! What is published in a committed transaction reaches Kafka, in order, every time, and nothing else does.

use super::support::eventually;
use super::support::outbox::{Numbers, Written, assert_relayed, read_topic};
use super::support::rig::Rig;
use super::support::world::connect;

/// Waits until nothing is pending.
async fn drained(rig: &Rig) {
    eventually("the outbox to be empty", || async {
        (rig.number("SELECT pending FROM makegood.outbox_status").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_arrives_and_what_is_rolled_back_does_not() {
    let rig = Rig::new(3).await;
    let daemon = rig.daemon();
    let (mut numbers, mut written): (Numbers, Vec<Written>) = (Numbers::default(), Vec::new());
    for round in 0..50 {
        let event = numbers.next(&format!("k{}", round % 7));
        event.publish(&rig.client, &rig.topic).await;
        written.push(event);
        let lost = Numbers::default().next("lost");
        rig.client.batch_execute("BEGIN").await.unwrap();
        lost.publish(&rig.client, &rig.topic).await;
        rig.client.batch_execute("ROLLBACK").await.unwrap();
    }
    drained(&rig).await;
    assert_eq!(assert_relayed(&written, &read_topic(&rig)), 0, "duplicates without a fault");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_arrives_and_delays_nobody() {
    let rig = Rig::new(3).await;
    let daemon = rig.daemon();
    let late = connect(&rig.url()).await;
    late.batch_execute("BEGIN").await.unwrap();
    let mut numbers = Numbers::default();
    let early = numbers.next("late");
    early.publish(&late, &rig.topic).await;
    let mut written: Vec<Written> = (0..100).map(|n| numbers.next(&format!("k{n}"))).collect();
    for event in &written {
        event.publish(&rig.client, &rig.topic).await;
    }
    drained(&rig).await;
    assert_relayed(&written, &read_topic(&rig));
    late.batch_execute("COMMIT").await.unwrap();
    written.push(early);
    drained(&rig).await;
    assert_relayed(&written, &read_topic(&rig));
    drop(daemon);
}
