//! Rows that Kafka refuses: one for its own sake is set aside and its key waits; a fault of the world sets
//! nothing aside.

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};

use crate::support::eventually;
use crate::support::outbox::{Numbers, Written, assert_relayed, read_topic};
use crate::support::payments::{Place, Site};

/// Sets how large a record the topic takes.
async fn limit(site: &Site, bytes: &str) {
    let topic = ResourceSpecifier::Topic(&site.rig.topic);
    let change = AlterConfig::new(topic).set("max.message.bytes", bytes);
    for outcome in site.rig.admin().alter_configs([&change], &AdminOptions::new()).await.unwrap() {
        outcome.unwrap();
    }
}

async fn set_aside(site: &Site, refused: i64, all: i64) {
    let sql = "SELECT count(*) FROM makegood.outbox_set_aside HAVING count(*) = $1 AND count(reason) = $2";
    eventually("rows to be set aside", || async {
        site.client.query_opt(sql, &[&all, &refused]).await.unwrap().map(|_| ())
    })
    .await;
}

/// What `makegood outbox retry` does.
async fn retry(site: &Site) {
    let sql = "UPDATE makegood.outbox_parked SET retry_at = now(); NOTIFY makegood_outbox";
    site.client.batch_execute(sql).await.unwrap();
}

/// Events of a key, of which one in so many is too large.
fn events(numbers: &mut Numbers, key: &str, count: usize) -> Vec<Written> {
    (0..count).map(|_| numbers.next(key)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_kafka_refuses_waits_with_its_key_and_others_go_on() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 3).await;
        limit(&site, "2000").await;
        let _daemon = site.daemon();
        let mut numbers = Numbers::default();
        // Longer than the topic takes, by its key; what comes before and after it is not.
        let large = "x".repeat(5000);
        let bad: Vec<Written> = events(&mut numbers, &large, 1);
        let mut good = Vec::new();
        for n in 0..300 {
            good.extend(events(&mut numbers, &format!("k{}", n % 10), 1));
            if n == 150 {
                site.publish(&bad).await;
            }
            site.publish(&good[n..]).await;
        }
        set_aside(&site, 1, 1).await;
        assert_eq!(site.assert_relayed(&good).await, 0, "others went twice");
        let behind = events(&mut numbers, &large, 40);
        site.publish(&behind).await;
        set_aside(&site, 1, 41).await;

        // Asked for in vain it is set aside again, and the others behind it have not moved.
        retry(&site).await;
        let sql = "SELECT count(*) FROM makegood.outbox_parked WHERE reason IS NOT NULL AND retry_at IS NULL";
        eventually("it to be refused once more", || async { (site.number(sql).await == 1).then_some(()) }).await;
        set_aside(&site, 1, 41).await;

        limit(&site, "20000000").await;
        retry(&site).await;
        let more = events(&mut numbers, "k0", 100);
        site.publish(&more).await;
        let last = events(&mut numbers, &large, 1);
        site.publish(&last).await;
        set_aside(&site, 0, 0).await;
        let written = [bad, good, behind, more, last].concat();
        site.assert_relayed(&written).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_a_refused_row_survives_the_relay() {
    let site = Site::new(Place::Beside, 3).await;
    limit(&site, "2000").await;
    let mut numbers = Numbers::default();
    let large = "x".repeat(5000);
    let mut written = Vec::new();
    for round in 0..4 {
        let mut daemon = site.daemon();
        let new = [events(&mut numbers, &large, 10), events(&mut numbers, "k", 10)].concat();
        site.publish(&new).await;
        written.extend(new);
        set_aside(&site, 1, 10 * (round + 1)).await;
        daemon.kill();
    }
    limit(&site, "20000000").await;
    retry(&site).await;
    let _daemon = site.daemon();
    set_aside(&site, 0, 0).await;
    site.assert_relayed(&written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_sets_nothing_aside() {
    let site = Site::new(Place::Beside, 3).await;
    site.rig.delete_topic().await;
    let _daemon = site.daemon();
    let mut numbers = Numbers::default();
    let written: Vec<Written> = (0..200).map(|n| numbers.next(&format!("k{}", n % 7))).collect();
    site.publish(&written).await;
    eventually("the outbox to be held", || async {
        let sql = "SELECT count(*) FROM makegood.outbox_status WHERE verdict = 'held' AND reason <> '' AND advice <> ''";
        (site.number(sql).await == 1).then_some(())
    })
    .await;
    assert_eq!(site.number("SELECT set_aside FROM makegood.outbox_status").await, 0);
    assert_eq!(site.number("SELECT pending FROM makegood.outbox_status").await, 200);
    site.rig.make_topic(3).await;
    site.drained().await;
    assert_relayed(&written, &read_topic(&site.rig));
    assert_eq!(site.number("SELECT set_aside FROM makegood.outbox_status").await, 0);
}
