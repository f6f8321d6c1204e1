//! Records that the broker's disk has damaged: nothing is taken for read that was not.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use super::{assert_nothing_skipped, duplicates, gaps, pay_more, read_all, why};
use crate::commands::{run, stderr, stdout};
use crate::mapping_commands::checks;
use crate::support::events::Payment;
use crate::support::holding::Held;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};
use rules::ids::Offset;

/// A partition's log on the broker's disk.
fn log_file(rig: &Rig, partition: i32) -> File {
    let folder = rig.world.kafka.folder().join("data").join(format!("{}-{partition}", rig.topic));
    let log = folder.join("00000000000000000000.log");
    OpenOptions::new().read(true).write(true).open(log).unwrap()
}

/// Turns over the bits of the last byte of a partition's log; a second time mends it.
fn damage(rig: &Rig, partition: i32) {
    turn(rig, partition, |file| file.metadata().unwrap().len() - 1);
}

/// Mends what `damage` did before another batch came.
fn undamage(rig: &Rig, partition: i32) {
    turn(rig, partition, |file| *batches(file).last().unwrap() - 1);
}

fn turn(rig: &Rig, partition: i32, at: impl Fn(&File) -> u64) {
    let file = log_file(rig, partition);
    let (mut byte, at) = ([0], at(&file));
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

/// Where each batch of a log begins.
fn batches(file: &File) -> Vec<u64> {
    let (mut found, mut at, mut length) = (Vec::new(), 0, [0; 4]);
    while file.read_exact_at(&mut length, at + 8).is_ok() {
        found.push(at);
        at += 12 + u64::from(u32::from_be_bytes(length));
    }
    found
}

/// The first offset of the log's last batch.
fn last_batch(rig: &Rig, partition: i32) -> i64 {
    let (file, mut offset) = (log_file(rig, partition), [0; 8]);
    file.read_exact_at(&mut offset, *batches(&file).last().unwrap()).unwrap();
    i64::from_be_bytes(offset)
}

/// Puts a message of format 1 (Kafka 0.10) with a key and a value in the place of a log's only batch.
fn age(rig: &Rig, partition: i32) {
    let file = log_file(rig, partition);
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut body = vec![1, 0];
    body.extend(1_700_000_000_000_i64.to_be_bytes());
    body.extend(3_i32.to_be_bytes());
    body.extend(b"key");
    let value = length - 12 - 4 - body.len() - 4;
    body.extend(i32::try_from(value).unwrap().to_be_bytes());
    body.resize(body.len() + value, b'v');
    let mut message = 0_i64.to_be_bytes().to_vec();
    message.extend(i32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend(crc32(&body).to_be_bytes());
    message.extend(body);
    assert_eq!(message.len(), length);
    file.write_all_at(&message, 0).unwrap();
}

/// The checksum that zip files have too.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// What the daemon says keeps a partition from being read.
async fn left_out(rig: &Rig, partition: i32) -> Held {
    let sql = "SELECT reason, advice FROM makegood.workers
               WHERE state = 'stalled' AND strpos(reason, $1) = 1";
    let says = format!("partition {partition} is not read, the others are: ");
    eventually(&format!("the daemon to say {says:?}"), || async {
        let row = rig.client.query_opt(sql, &[&says]).await.unwrap()?;
        Some(Held { reason: row.get(0), advice: row.get(1) })
    })
    .await
}

/// Waits until everything that was paid is purchased, whatever else waits.
async fn purchased(rig: &Rig, paid: &[Payment]) {
    eventually("what can be read to be purchased", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, paid).await;
}

/// Whether the log is still the one that was read can then not be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_last_record_cannot_be_read_back_waits_alone_until_it_can() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    pay_more(&rig, 1, 20, &mut paid).await;
    read_all(&rig).await;
    damage(&rig, 1);
    let daemon = rig.daemon();
    let held = left_out(&rig, 1).await;
    assert!(held.reason.contains("cannot read the record of partition 1 at offset 19"), "{held:?}");
    assert!(
        held.reason.contains("bad message format"),
        "the first complaint is the cause: {held:?}"
    );
    assert!(held.advice.contains("damaged record"), "{held:?}");
    let doctor = run(&rig, &["doctor", "-o", "json"]).await;
    let found = checks(&stdout(&doctor), "start.position");
    let has = |level: &str, words: &str| found.iter().any(|(l, t)| l == level && t.contains(words));
    assert!(has("pass", "partition 0") && has("fail", "partition 1 is not read"), "{found:?}");
    let shown = run(&rig, &["offsets", "show"]).await;
    assert!(stderr(&shown).contains("bad message format"), "{}", stderr(&shown));
    assert!(stdout(&shown).lines().any(|line| line.contains(&rig.topic)), "{}", stdout(&shown));
    let reset = ["offsets", "reset", "--to-earliest", "--topic", &rig.topic];
    let refused = run(&rig, &reset).await;
    assert!(
        !refused.status.success() && stderr(&refused).contains("bad message format"),
        "{refused:?}"
    );
    pay_more(&rig, 0, 5, &mut paid).await;
    purchased(&rig, &paid).await;
    damage(&rig, 1);
    pay_more(&rig, 1, 5, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
    rig.reads(&daemon).await;
    assert_eq!((why(&rig, 1).await.as_str(), duplicates(&rig).await), ("resumed", 0));
    assert_eq!(gaps(&rig).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_under_a_running_daemon_keeps_nobody_else_waiting() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 20, &mut paid).await;
    pay_more(&rig, 1, 20, &mut paid).await;
    let daemon = rig.daemon();
    rig.caught_up().await;
    // The last of the second batch is damaged before anybody reads it; a good one comes after.
    daemon.signal("STOP");
    let mut behind = Vec::new();
    pay_more(&rig, 1, 5, &mut behind).await;
    let damaged = last_batch(&rig, 1);
    damage(&rig, 1);
    pay_more(&rig, 1, 1, &mut behind).await;
    daemon.signal("CONT");
    let held = left_out(&rig, 1).await;
    let complaint = format!("partition 1 at offset {damaged}: bad message format");
    assert!(held.reason.contains(&complaint), "{held:?}");
    assert!(held.advice.contains("damaged record"), "{held:?}");
    pay_more(&rig, 0, 5, &mut paid).await;
    // The client sent what it liked as one batch; only the last of them is damaged.
    paid.extend(behind.drain(..usize::try_from(damaged - 20).unwrap()));
    purchased(&rig, &paid).await;
    let status = run(&rig, &["status"]).await;
    assert!(stdout(&status).contains("partition 1 is not read"), "{}", stdout(&status));
    assert!(stdout(&status).contains("bad message format"), "{}", stdout(&status));
    assert_eq!(rig.positions().await, [(0, 25), (1, damaged)].into());
    undamage(&rig, 1);
    paid.extend(behind);
    assert_nothing_skipped(&rig, &paid).await;
    rig.reads(&daemon).await;
}

/// librdkafka hands such a record over without key and value, and goes on behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_a_format_that_the_client_cannot_read_is_no_tombstone() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    pay_more(&rig, 0, 5, &mut paid).await;
    pay_more(&rig, 1, 1, &mut Vec::new()).await;
    age(&rig, 1);
    let daemon = rig.daemon();
    let held = left_out(&rig, 1).await;
    assert!(held.reason.contains("older than Kafka 0.11"), "{held:?}");
    assert!(held.advice.contains("message.format.version"), "{held:?}");
    purchased(&rig, &paid).await;
    let tombstones = "SELECT coalesce(sum(tombstone), 0)::bigint FROM makegood.consumer_positions";
    assert_eq!(rig.number(tombstones).await, 0);
    assert_eq!(rig.positions().await.get(&1).copied().unwrap_or(0), 0, "it was gone past");
    // The operator's way out: records of today's format come after it, and the old one goes.
    rig.delete_records(1, 1).await;
    pay_more(&rig, 1, 3, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
    rig.reads(&daemon).await;
}

/// Not every offset has a record: some are compacted away, some are transactions' marks.
#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_no_record_at_an_offset_is_an_answer() {
    let rig = Rig::new(2).await;
    pay_more(&rig, 0, 3, &mut Vec::new()).await;
    let probe = rig.probe();
    let found =
        probe.records_at(&[(0, Offset(2)), (1, Offset(0))].into()).unwrap().heard().unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&0]);
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
