//! Records that the broker's disk has damaged: nothing is taken for read that was not.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::{assert_nothing_skipped, duplicates, gaps, pay_more, read_all, why};
use crate::support::eventually;
use crate::support::holding::held_for;
use crate::support::rig::Rig;

/// Turns over the bits of the last byte of a partition's log; a second time mends it.
fn damage(rig: &Rig, partition: i32) {
    let folder = rig.world.kafka.folder().join("data").join(format!("{}-{partition}", rig.topic));
    let log = folder.join("00000000000000000000.log");
    let file = OpenOptions::new().read(true).write(true).open(log).unwrap();
    let (mut byte, at) = ([0], file.metadata().unwrap().len() - 1);
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

/// Whether the log is still the one that was read can then not be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_whose_last_record_cannot_be_read_back_is_held_until_it_can() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    pay_more(&rig, 1, 20, &mut paid).await;
    read_all(&rig).await;
    damage(&rig, 1);
    let _daemon = rig.daemon();
    let held = held_for(&rig, "cannot read back the last record").await;
    assert!(held.reason.contains("partition 1"), "{held:?}");
    assert!(held.advice.contains("damaged record"), "{held:?}");
    damage(&rig, 1);
    pay_more(&rig, 1, 5, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!((why(&rig, 1).await.as_str(), duplicates(&rig).await), ("resumed", 0));
    assert_eq!(gaps(&rig).await, []);
}

/// Not every offset has a record: some are compacted away, some are transactions' marks.
#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_no_record_at_an_offset_is_an_answer() {
    let rig = Rig::new(2).await;
    pay_more(&rig, 0, 3, &mut Vec::new()).await;
    let probe = rig.probe();
    let found = probe.records_at(&[(0, 2), (1, 0)].into()).unwrap().heard().unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_cannot_read_on_tries_again_ever_less_often() {
    let rig = Rig::new(1).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    read_all(&rig).await;
    pay_more(&rig, 0, 5, &mut paid).await;
    damage(&rig, 0);
    let daemon = rig.daemon();
    let pauses = eventually("the reading to stop time and again", || async {
        let log = daemon.log();
        let stops = log.lines().filter(|line| line.contains("reading stopped"));
        let pauses: Vec<u64> = stops.filter_map(pause).collect();
        (pauses.len() >= 5).then_some(pauses)
    })
    .await;
    assert!(pauses[4] >= 4 * pauses[0], "{pauses:?}");
    damage(&rig, 0);
    assert_nothing_skipped(&rig, &paid).await;
    assert_eq!(duplicates(&rig).await, 0);
}

/// The milliseconds until the next attempt, as a line of the log has them.
fn pause(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("\"pause_ms\":")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The lanes delete old steps after their batches; there may be none.
#[tokio::test(flavor = "multi_thread")]
async fn claims_that_no_batch_follows_do_not_pile_up() {
    let rig = Rig::new(1).await;
    pay_more(&rig, 0, 1, &mut Vec::new()).await;
    read_all(&rig).await;
    let claims = "INSERT INTO makegood.positions
            (consumer_group, topic_id, partition, step, topic, next_offset, epoch, kind, why, writer)
        SELECT consumer_group, topic_id, partition, n, topic, next_offset, epoch + n, 'claim', 'resumed', writer
        FROM (SELECT * FROM makegood.positions ORDER BY step DESC LIMIT 1) p, generate_series(p.step + 1, 127) n";
    rig.client.execute(claims, &[]).await.unwrap();
    let daemon = rig.daemon();
    rig.reads(&daemon).await;
    eventually("the old steps to be gone", || async {
        (rig.number("SELECT min(step) FROM makegood.positions").await == 64).then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT max(step) FROM makegood.positions").await, 128);
}
