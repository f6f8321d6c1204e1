//! Kafka's own memory of all groups is lost, while a daemon runs and while none does.

use makegood::kafka::probe::PerPartition;

use crate::support::alone::Alone;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn when_kafka_loses_the_offsets_of_all_groups_nothing_is_skipped_or_doubled() {
    let alone = Alone::new().await;
    let mut paid = Vec::new();
    let daemon = alone.daemon();
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    alone.delete_topic("__consumer_offsets").await;
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    daemon.stop();
    alone.delete_topic("__consumer_offsets").await;
    let probe = alone.probe();
    eventually("Kafka to have forgotten", || async {
        let committed = probe.committed(&[0, 1]).and_then(PerPartition::heard);
        committed.is_ok_and(|offsets| offsets.is_empty()).then_some(())
    })
    .await;
    alone.pay(20, &mut paid).await;
    let _daemon = alone.daemon();
    alone.assert_all_done(&paid).await;
    assert_eq!(super::gaps(&alone.rig).await, []);
}
