//! The database's numbers fall behind its rows, as after an upgrade by logical replication, which copies no sequence.

use crate::parked::{limit, payload, settled};
use crate::support::outbox::{Numbers, read_topic};
use crate::support::payments::{Place, Site};

const BACK: &str = "ALTER SEQUENCE makegood.outbox_seq RESTART";

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_fell_behind_costs_no_event_and_no_order() {
    let site = Site::new(Place::Beside, 1).await;
    let mut numbers = Numbers::default();
    let mut next = |count: usize| (0..count).map(|_| numbers.next("k")).collect::<Vec<_>>();
    let mut written = next(30);
    site.publish(&written).await;
    // Behind rows that wait, within a delta, and behind rows that were sent.
    for _ in 0..2 {
        site.client.batch_execute(BACK).await.unwrap();
        let more = next(40);
        site.publish(&more).await;
        written.extend(more);
        let _daemon = site.daemon();
        site.assert_relayed(&written).await;
    }
    // All that is known of the numbers is on a table that was emptied, or in the rows parked.
    site.client.batch_execute("TRUNCATE makegood.outbox").await.unwrap();
    site.client.batch_execute(BACK).await.unwrap();
    let more = next(10);
    site.publish(&more).await;
    written.extend(more);
    let _daemon = site.daemon();
    site.assert_relayed(&written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_refuses_is_parked_itself_when_the_sequence_fell_behind() {
    let site = Site::new(Place::Beside, 1).await;
    limit(&site.rig, "20000").await;
    let publish = async |number: usize, bytes: usize| {
        let sql = "SELECT makegood.publish($1, $2, 'NUMBERED', $3::text::jsonb)";
        let key = format!("k{number}");
        let content = payload(number, bytes);
        site.client.query_one(sql, &[&site.rig.topic, &key, &content]).await.unwrap();
    };
    let _daemon = site.daemon();
    publish(1, 30_000).await;
    settled(&site.rig, 1).await;
    site.client.batch_execute(&format!("TRUNCATE makegood.outbox; {BACK}")).await.unwrap();
    publish(2, 30_000).await;
    publish(3, 100).await;
    settled(&site.rig, 2).await;
    limit(&site.rig, "1000000").await;
    let sql = "UPDATE makegood.outbox_parked SET retry_at = now(); NOTIFY makegood_outbox";
    site.client.batch_execute(sql).await.unwrap();
    settled(&site.rig, 0).await;
    let mut keys: Vec<_> = read_topic(&site.rig).into_iter().filter_map(|one| one.key).collect();
    keys.sort();
    assert_eq!(keys, ["k1", "k2", "k3"]);
}
