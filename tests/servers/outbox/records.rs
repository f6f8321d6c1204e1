//! The record in Kafka: key, bytes, headers, partition.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::support::outbox::{Held, read_topic};
use crate::support::payments::{Place, Site};

/// The partition of a key by murmur2 as Java's and kafkajs' default partitioners compute it: `toPositive`
/// of the hash modulo the partitions.
fn partition(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) as i32 % partitions
}

/// Austin Appleby's MurmurHash2, 32 bits, with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().unwrap()).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[test]
fn murmur2_is_the_one_that_kafka_tests() {
    // Values of org.apache.kafka.common.utils.UtilsTest.
    let known: [(&str, i32); 4] = [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("abc", 479470107),
    ];
    for (text, hash) in known {
        assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_on_the_partitions_where_java_and_kafkajs_put_them() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 7).await;
        let _daemon = site.daemon();
        let keys: Vec<String> = (0..200)
            .map(|n| {
                "schlüssel-😀-".chars().cycle().take(n % 23).chain(n.to_string().chars()).collect()
            })
            .collect();
        let sql = "SELECT count(makegood.publish($1, key, 'T', '{}')) FROM unnest($2::text[]) key";
        site.client.query_one(sql, &[&site.rig.topic, &keys]).await.unwrap();
        site.drained().await;
        let held = read_topic(&site.rig);
        let expected: BTreeMap<String, i32> = keys
            .into_iter()
            .map(|key| {
                let at = partition(key.as_bytes(), 7);
                (key, at)
            })
            .collect();
        let found: BTreeMap<String, i32> =
            held.into_iter().map(|one| (one.key.unwrap(), one.partition)).collect();
        assert_eq!(found, expected);
    }
}

async fn only_record(site: &Site) -> Held {
    site.drained().await;
    let [one] = read_topic(&site.rig).try_into().unwrap();
    one
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_the_payloads_text_and_the_events_headers() {
    let site = Site::new(Place::Beside, 3).await;
    let _daemon = site.daemon();
    let id = Uuid::new_v4();
    let sql = r#"SELECT makegood.publish($1, 'key ü', 'PURCHASE_CONFIRMED',
        '{"z": 1.50, "a": "Grüße \u0041", "list": [true, null, {}], "big": 123456789012345678901234567890}',
        '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tenant": "Köln"}', $2)"#;
    let published: Uuid = site.client.query_one(sql, &[&site.rig.topic, &id]).await.unwrap().get(0);
    assert_eq!(published, id);
    let one = only_record(&site).await;
    let sql = "SELECT payload, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM makegood.outbox";
    let row = site.client.query_one(sql, &[]).await.unwrap();
    assert_eq!(one.value, row.get::<_, String>(0));
    assert_eq!(
        one.value,
        r#"{"a": "Grüße A", "z": 1.50, "big": 123456789012345678901234567890, "list": [true, null, {}]}"#
    );
    assert_eq!(one.key.as_deref(), Some("key ü"));
    let mut headers = one.headers;
    let time = headers.remove("ce_time").unwrap();
    let stored: String = row.get(1);
    let digits = stored.trim_end_matches('0').trim_end_matches('.');
    assert_eq!(time, format!("{digits}Z"), "an RFC 3339 time");
    let id = id.to_string();
    let expected = [
        ("id", id.as_str()),
        ("type", "PURCHASE_CONFIRMED"),
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_source", "/makegood/outbox"),
        ("ce_type", "PURCHASE_CONFIRMED"),
        ("ce_subject", "key ü"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tenant", "Köln"),
    ];
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(headers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_a_key_has_none_and_an_id_is_made_where_none_is_given() {
    let site = Site::new(Place::Beside, 3).await;
    let _daemon = site.daemon();
    let sql = "SELECT makegood.publish($1, NULL, 'T', '{}', NULL, NULL)";
    let id: Uuid = site.client.query_one(sql, &[&site.rig.topic]).await.unwrap().get(0);
    let one = only_record(&site).await;
    assert_eq!((one.key, one.id, one.value.as_str()), (None, id, "{}"));
    assert!(!one.headers.contains_key("ce_subject") && one.headers.len() == 8, "{:?}", one.headers);
}
