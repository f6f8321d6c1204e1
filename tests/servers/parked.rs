//! What Kafka refuses for good waits with its key, and nothing else waits for it.

use std::time::Duration;

use makegood::kafka::topic_config;
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use uuid::Uuid;

use super::support::eventually;
use super::support::outbox::{Held, read_topic};
use super::support::rig::Rig;

/// The topic's limit in bytes, below what publish takes.
const LIMIT: &str = "20000";
/// How long the broker may take to tell a topic's settings.
const PATIENCE: Duration = Duration::from_secs(5);

/// A payload of about so many bytes that do not compress.
pub fn payload(number: usize, bytes: usize) -> String {
    let filler: String =
        std::iter::repeat_with(|| Uuid::new_v4().simple().to_string()).take(bytes / 32).collect();
    format!(r#"{{"number": {number}, "filler": "{filler}"}}"#)
}

/// Sets how large a record the topic takes, and waits until the broker goes by it.
pub async fn limit(rig: &Rig, bytes: &str) {
    let change =
        AlterConfig::new(ResourceSpecifier::Topic(&rig.topic)).set("max.message.bytes", bytes);
    for outcome in rig.admin().alter_configs([&change], &AdminOptions::new()).await.unwrap() {
        outcome.unwrap();
    }
    eventually("the broker to know the topic's limit", || async {
        let settings = topic_config::settings(&rig.kafka(), &rig.topic, PATIENCE).await.ok()?;
        (settings.get("max.message.bytes").map(String::as_str) == Some(bytes)).then_some(())
    })
    .await;
}

/// Publishes numbered events of a key; those in `large` are more than the topic takes.
pub async fn publish(rig: &Rig, key: &str, numbers: std::ops::Range<usize>, large: &[usize]) {
    let sql = "SELECT makegood.publish($1, $2, 'NUMBERED', $3::text::jsonb)";
    for number in numbers {
        let bytes = if large.contains(&number) { 30_000 } else { 100 };
        rig.client.query_one(sql, &[&rig.topic, &key, &payload(number, bytes)]).await.unwrap();
    }
}

/// The numbers of a key in the order of their first occurrence.
pub fn numbers(held: &[Held], key: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for one in held.iter().filter(|one| one.key.as_deref() == Some(key)) {
        let content: serde_json::Value = serde_json::from_str(&one.value).unwrap();
        let number = content["number"].as_u64().unwrap();
        if !found.contains(&number) {
            found.push(number);
        }
    }
    found
}

pub async fn settled(rig: &Rig, parked: i64) {
    eventually("the outbox to be settled", || async {
        let sql = "SELECT pending, parked FROM makegood.outbox_status";
        let row = rig.client.query_one(sql, &[]).await.unwrap();
        ((row.get::<_, i64>(0), row.get::<_, i64>(1)) == (0, parked)).then_some(())
    })
    .await;
}

/// Asks for everything that was parked, as `makegood outbox retry --all --execute` does.
async fn retry(rig: &Rig) {
    let sql = "UPDATE makegood.outbox_parked SET retry_at = now(); NOTIFY makegood_outbox";
    rig.client.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_event_waits_with_its_key_and_goes_in_order_when_asked_for() {
    let rig = Rig::new(3).await;
    limit(&rig, LIMIT).await;
    for key in ["a", "b", "c"] {
        publish(&rig, key, 0..3, &[]).await;
    }
    publish(&rig, "a", 3..8, &[3, 6]).await;
    publish(&rig, "b", 3..8, &[]).await;
    let _daemon = rig.daemon();
    settled(&rig, 5).await;
    // The key goes on waiting for what comes later.
    publish(&rig, "a", 8..10, &[]).await;
    publish(&rig, "c", 3..10, &[]).await;
    settled(&rig, 7).await;
    let held = read_topic(&rig);
    assert_eq!(numbers(&held, "a"), (0..3).collect::<Vec<_>>());
    assert_eq!(numbers(&held, "b"), (0..8).collect::<Vec<_>>());
    assert_eq!(numbers(&held, "c"), (0..10).collect::<Vec<_>>());
    let sql =
        "SELECT count(*) FROM makegood.outbox_parked_events WHERE key = 'a' AND reason IS NOT NULL";
    assert_eq!(rig.number(sql).await, 1, "the others only wait behind it");

    // Nothing has changed: it is refused again, and still nothing overtakes it.
    retry(&rig).await;
    let asked = "SELECT count(*) FROM makegood.outbox_parked_events WHERE retry_at IS NOT NULL AND reason IS NOT NULL";
    eventually("the retry to be refused", || async {
        (rig.number(asked).await == 0).then_some(())
    })
    .await;
    settled(&rig, 7).await;

    limit(&rig, "1000000").await;
    retry(&rig).await;
    publish(&rig, "a", 10..12, &[]).await;
    settled(&rig, 0).await;
    publish(&rig, "a", 12..14, &[]).await;
    settled(&rig, 0).await;
    assert_eq!(numbers(&read_topic(&rig), "a"), (0..14).collect::<Vec<_>>());
}

/// A step that parks rows may be refused as late as by its commit, when nothing keeps the relay from the next step.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_could_not_be_parked_is_not_passed() {
    let rig = Rig::new(3).await;
    limit(&rig, LIMIT).await;
    let refuse = "
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON makegood.outbox_parked
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.refuse()";
    rig.client.batch_execute(refuse).await.unwrap();
    publish(&rig, "a", 0..5, &[2]).await;
    let daemon = rig.daemon();
    eventually("the refusal", || async { daemon.log().contains("not now").then_some(()) }).await;
    rig.client.batch_execute("DROP TRIGGER refuse ON makegood.outbox_parked").await.unwrap();
    settled(&rig, 3).await;
    limit(&rig, "1000000").await;
    retry(&rig).await;
    settled(&rig, 0).await;
    assert_eq!(numbers(&read_topic(&rig), "a"), (0..5).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_alone_is_a_hold_and_sets_nothing_aside() {
    let rig = Rig::new(3).await;
    rig.delete_topic().await;
    publish(&rig, "a", 0..20, &[]).await;
    let _daemon = rig.daemon();
    eventually("the outbox to be held", || async {
        let row = rig.client.query_one("SELECT verdict, advice FROM makegood.outbox_status", &[]);
        let row = row.await.unwrap();
        let advice: Option<String> = row.get(1);
        (row.get::<_, String>(0) == "held" && advice.is_some_and(|a| a.contains("create")))
            .then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT parked FROM makegood.outbox_status").await, 0);
    rig.make_topic(3).await;
    settled(&rig, 0).await;
    assert_eq!(numbers(&read_topic(&rig), "a"), (0..20).collect::<Vec<_>>());
}
