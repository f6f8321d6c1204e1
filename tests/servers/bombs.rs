//! Promise 4 against somebody who writes small batches that unpack to large ones: memory stays bounded, the
//! partition moves on, and what was not read is written down.

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use crate::commands::{run, stderr};
use crate::quarantine::MOST_KIB;
use crate::support::events::payments;
use crate::support::ledger;
use crate::support::rig::Rig;

const MIB: usize = 1 << 20;

/// Somebody else's producer, with batches as large as it likes.
fn attacker(rig: &Rig, codec: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", rig.world.kafka.bootstrap())
        .set("compression.codec", codec)
        .set("message.max.bytes", "1000000000")
        .set("batch.size", "1000000000")
        .set("batch.num.messages", "1000000")
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2097151")
        .set("linger.ms", "100000")
        .set("message.timeout.ms", "120000")
        .create()
        .unwrap()
}

/// Sends one batch of equal records to the only partition; returns how many.
async fn bomb(rig: &Rig, codec: &str, records: usize, bytes: usize) -> i64 {
    let (producer, value) = (attacker(rig, codec), vec![b' '; bytes]);
    let mut sent = Vec::new();
    for _ in 0..records {
        let record = FutureRecord::<(), [u8]>::to(&rig.topic).partition(0).payload(&value);
        sent.push(producer.send_result(record).map_err(|(e, _)| e).unwrap());
    }
    producer.flush(std::time::Duration::from_secs(120)).unwrap();
    for one in sent {
        one.await.unwrap().map_err(|(e, _)| format!("{codec}: {e}")).unwrap();
    }
    records as i64
}

#[tokio::test(flavor = "multi_thread")]
async fn what_unpacks_to_too_much_is_left_out_and_nothing_else() {
    let rig = Rig::new(1).await;
    let paid = payments(8);
    let mut pays = paid.chunks(1);
    let (mut offset, mut left_out) = (0, Vec::new());
    for (codec, records, bytes) in [
        ("gzip", 1, 400 * MIB),
        ("zstd", 1, 200 * MIB),
        ("lz4", 1, 200 * MIB),
        ("snappy", 1, 136 * MIB),
        // Few bytes, and an operation of the client's for each.
        ("zstd", 400_000, 1),
    ] {
        rig.pay(pays.next().unwrap()).await;
        let sent = bomb(&rig, codec, records, bytes).await;
        left_out.push((offset + 1, offset + 1 + sent));
        offset += 1 + sent;
    }
    // Large, and yet what the daemon can look at.
    rig.pay(pays.next().unwrap()).await;
    bomb(&rig, "gzip", 1, 60 * MIB).await;
    rig.pay(pays.next().unwrap()).await;
    bomb(&rig, "lz4", 30, 4 * MIB).await;
    rig.pay(pays.next().unwrap()).await;

    // Whoever would skip all of it is told what is in it all the same.
    let plan = run(&rig, &["offsets", "reset", "--to-latest"]).await;
    assert!(plan.status.success(), "{}", stderr(&plan));
    let known = "8 paid without a purchase, 31 that would go to quarantine";
    assert!(stderr(&plan).contains(known), "{}", stderr(&plan));
    let daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(gaps(&rig).await, left_out);
    let oversize = "SELECT count(*) FROM makegood.quarantine WHERE reason = 'oversize'";
    assert_eq!(rig.number(oversize).await, 31);
    let peak = daemon.peak_kib();
    assert!(peak < MOST_KIB, "{peak} KiB");
}

/// The offsets that were not read because nobody could.
async fn gaps(rig: &Rig) -> Vec<(i64, i64)> {
    let sql =
        "SELECT from_offset, to_offset FROM makegood.gaps WHERE reason = 'unreadable' ORDER BY 1";
    rig.client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}
