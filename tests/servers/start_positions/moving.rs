//! Positions and logs that move while somebody looks at them.

use std::collections::BTreeMap;
use std::thread;

use super::{duplicates, pay_more, read_all, why};
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};
use rules::ids::Offset;

/// Another owner moves on while a daemon looks: what it saw of the log before is outdated then, and no
/// sign of a log that lost records.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_moves_during_a_claim_is_not_taken_for_a_log_that_lost_records() {
    // While the positions are read, and between that and the claim.
    for (mode, statement) in
        [("ACCESS EXCLUSIVE", "position_read"), ("SHARE ROW EXCLUSIVE", "position_claim")]
    {
        let rig = Rig::new(1).await;
        let mut paid = Vec::new();
        pay_more(&rig, 0, 20, &mut paid).await;
        read_all(&rig).await;
        let mut other = connect(&rig.url()).await;
        let owner = other.transaction().await.unwrap();
        let lock = format!("LOCK TABLE makegood.positions IN {mode} MODE");
        owner.batch_execute(&lock).await.unwrap();
        let daemon = rig.daemon();
        rig.waits_in(statement).await;
        pay_more(&rig, 0, 15, &mut paid).await;
        let moves = "INSERT INTO makegood.positions
                (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, writer)
            SELECT consumer_group, topic_id, partition, step + 1, topic, 35, epoch, 'batch', gen_random_uuid()
            FROM makegood.positions ORDER BY step DESC LIMIT 1";
        assert_eq!(owner.execute(moves, &[]).await.unwrap(), 1);
        owner.commit().await.unwrap();
        // Kafka has not heard of the move, so what it was about is read again; nothing before that is.
        eventually("as many purchases as payments", || async {
            (ledger::count(&rig.client).await == paid.len()).then_some(())
        })
        .await;
        ledger::assert_exactly(&rig.client, &paid).await;
        assert_eq!((why(&rig, 0).await.as_str(), duplicates(&rig).await), ("rewound", 0));
        assert!(!daemon.log().contains("the log lost records"), "{}", daemon.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_read_through_one_handle_at_once_each_get_their_records() {
    let rig = Rig::new(4).await;
    for partition in 0..4 {
        pay_more(&rig, partition, 3, &mut Vec::new()).await;
    }
    let probe = rig.probe();
    thread::scope(|scope| {
        for offset in 0..3 {
            let wanted: BTreeMap<i32, Offset> =
                (0..4).map(|partition| (partition, Offset(offset))).collect();
            let probe = &probe;
            scope.spawn(move || {
                for _ in 0..3 {
                    let found = probe.records_at(&wanted).unwrap().heard().unwrap();
                    let offsets = found.values().map(|record| (record.partition, record.offset));
                    assert_eq!(offsets.collect::<BTreeMap<_, _>>(), wanted);
                }
            });
        }
    });
}
