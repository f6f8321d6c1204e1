//! Promise: a daemon killed at any instant loses no purchase and makes none twice.

use std::sync::Arc;
use std::time::Duration;

use crate::support::eventually;
use crate::support::ledger;
use crate::support::load::{Load, chance};
use crate::support::rig::Rig;

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
