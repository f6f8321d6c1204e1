//! Promise: what is sent reaches the topic in order, by key; what cannot be sent is said of the
//! right message, with the right blame; and nothing that comes later passes it.

use std::time::{SystemTime, UNIX_EPOCH};

use makegood::kafka::sender::{HandOver, Outgoing, Pace};
use rdkafka::message::Headers;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Wire};
use rdkafka::{ClientContext, Message};
use rules::produce_error::{Blame, ProduceError};
use uuid::Uuid;

use crate::support::eventually;
use crate::support::sending::{Sending, first_occurrences, make_topic, read_back};
use crate::support::world::world;

async fn broker() -> String {
    world().await.kafka.bootstrap()
}

fn new_topic(what: &str) -> String {
    format!("{what}-{}", Uuid::new_v4().simple())
}

fn numbered(number: u64) -> String {
    format!("{number} {}", "x".repeat(100))
}

fn blame(outcome: &Result<(), ProduceError>) -> Option<Blame> {
    outcome.as_ref().err().map(|refusal| refusal.blame)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_what_was_handed_over_and_has_the_time_of_sending() {
    let (broker, topic) = (broker().await, new_topic("whole"));
    make_topic(&broker, &topic, 3, &[]).await;
    let mut sending = Sending::start(&broker, Pace::Pipelined, &[]);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let before = now();
    let headers: [(&str, &[u8]); 4] = [("id", b"1"), ("raw", &[0, 0xff]), ("id", b""), ("ü", b"2")];
    let whole = Outgoing { topic: &topic, key: Some(b"k\0"), value: b"\0\xffv", headers: &headers };
    let bare = Outgoing { topic: &topic, key: None, value: b"", headers: &[] };
    sending.sender.hand_over(u64::MAX, &whole).unwrap();
    sending.sender.hand_over(0, &bare).unwrap();
    assert!(sending.settle(2).await.into_keys().eq([0, u64::MAX]));
    let mut records = read_back(&broker, &topic, 3);
    records.sort_by_key(|record| record.key().is_none());
    let [whole, bare] = &records[..] else { panic!("{records:?}") };
    assert_eq!((whole.key(), whole.payload()), (Some(&b"k\0"[..]), Some(&b"\0\xffv"[..])));
    let got = whole.headers().unwrap();
    assert!(got.iter().map(|h| (h.key, h.value.unwrap())).eq(headers));
    assert_eq!((bare.key(), bare.payload(), bare.headers().is_none()), (None, Some(&[][..]), true));
    let stamped = whole.timestamp().to_millis().unwrap();
    assert!((before..=now()).contains(&stamped), "{stamped} is not the time of sending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_found_and_its_neighbours_keep_their_order() {
    let (broker, topic) = (broker().await, new_topic("too-large"));
    make_topic(&broker, &topic, 1, &[("max.message.bytes", "20000")]).await;
    let large = 25;
    let value =
        |n: u64| if n == large { format!("{n} {}", "x".repeat(30_000)) } else { numbered(n) };

    // Small batches, so that some are before the refused one, some behind it.
    let small = [("batch.num.messages", "10"), ("linger.ms", "50")];
    let mut sending = Sending::start(&broker, Pace::Pipelined, &small);
    for number in 0..100 {
        sending.hand(number, &topic, "k", &value(number)).unwrap();
    }
    let settled = sending.settle(100).await;
    let refused: Vec<u64> = settled.iter().filter(|(_, o)| o.is_err()).map(|(n, _)| *n).collect();
    let first = refused[0];
    assert!(first <= large && refused.iter().copied().eq(first..100), "a later one was delivered");
    assert_eq!(blame(&settled[&large]), Some(Blame::Row));
    let reason = &settled[&large].as_ref().unwrap_err();
    assert!(reason.reason.contains("message size too large"), "{reason:?}");
    assert!(reason.advice.contains("max.message.bytes"), "{reason:?}");
    let suspects: Vec<u64> =
        refused.iter().copied().filter(|n| blame(&settled[n]) == Some(Blame::Row)).collect();
    assert!(suspects.len() > 1, "a batch is refused as a whole: {suspects:?}");
    let stopped = sending.hand(100, &topic, "k", "100").unwrap_err();
    assert!(matches!(stopped, HandOver::Refused(ProduceError { blame: Blame::Client, .. })));
    assert_eq!(sending.close().await, [], "all reports had come");

    // One by one, and the culprit stands alone; such a sender goes on.
    let mut alone = Sending::start(&broker, Pace::OneByOne, &small);
    for number in &suspects {
        let outcome = alone.send(&topic, "k", &value(*number)).await;
        assert_eq!(blame(&outcome), (*number == large).then_some(Blame::Row), "{number}");
    }
    alone.close().await;

    let mut rest = Sending::start(&broker, Pace::Pipelined, &small);
    let left: Vec<u64> = refused.into_iter().filter(|n| !suspects.contains(n)).collect();
    for number in &left {
        rest.hand(*number, &topic, "k", &value(*number)).unwrap();
    }
    assert!(rest.settle(left.len()).await.values().all(Result::is_ok));
    let expected: Vec<u64> = (0..100).filter(|n| *n != large).collect();
    assert_eq!(first_occurrences(&read_back(&broker, &topic, 1))["k"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_by_one_means_one_on_its_way() {
    let (broker, topic) = (broker().await, new_topic("alone"));
    make_topic(&broker, &topic, 1, &[("cleanup.policy", "compact")]).await;
    let mut alone = Sending::start(&broker, Pace::OneByOne, &[]);
    alone.hand(0, &topic, "k", "0").unwrap();
    assert_eq!(alone.hand(1, &topic, "k", "1"), Err(HandOver::Full));
    assert_eq!(alone.report().await.outcome, Ok(()));
    // A compacted topic takes none without a key.
    let bare = Outgoing { topic: &topic, key: None, value: b"2", headers: &[] };
    alone.sender.hand_over(2, &bare).unwrap();
    let refusal = alone.report().await.outcome.unwrap_err();
    assert_eq!(refusal.blame, Blame::Row);
    assert!(
        refusal.reason.contains("validate record") && refusal.advice.contains("key"),
        "{refusal:?}"
    );
    assert_eq!(alone.send(&topic, "k", "3").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_at_all_is_refused_at_the_hand_over_and_stops_nobody() {
    let (broker, topic) = (broker().await, new_topic("local"));
    make_topic(&broker, &topic, 1, &[]).await;
    let mut sending = Sending::start(&broker, Pace::Pipelined, &[]);
    for bad in ["", "..", "a b", "a\0b", "ü", &"a".repeat(250), &"a".repeat(700)] {
        let Err(HandOver::Refused(refusal)) = sending.hand(1, bad, "k", "v") else {
            panic!("{bad}")
        };
        assert_eq!(refusal.blame, Blame::Row, "{bad}");
    }
    let large = "x".repeat(1_000_000);
    let Err(HandOver::Refused(refusal)) = sending.hand(2, &topic, "k", &large) else { panic!() };
    assert_eq!(refusal.blame, Blame::Row);
    assert!(refusal.advice.contains("message.max.bytes"), "{refusal:?}");
    assert_eq!(sending.send(&topic, "k", "v").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sender_says_so_and_has_room_again_with_the_next_report() {
    let (broker, topic) = (broker().await, new_topic("full"));
    make_topic(&broker, &topic, 1, &[]).await;
    let mut sending = Sending::start(&broker, Pace::Pipelined, &[]);
    // Of this size 41 have room.
    let value = |number: u64| format!("{number} {}", "x".repeat(800_000));
    let mut fulls = 0;
    for number in 0..150 {
        while sending.hand(number, &topic, "k", &value(number)) == Err(HandOver::Full) {
            fulls += 1;
            assert_eq!(sending.report().await.outcome, Ok(()));
        }
    }
    assert!(fulls > 0);
    sending.settle(150 - fulls).await;
    let read = first_occurrences(&read_back(&broker, &topic, 1));
    assert!(read["k"].iter().copied().eq(0..150));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_nobodys_fault_and_is_used_once_it_is_made() {
    let (broker, topic) = (broker().await, new_topic("missing"));
    let soon = [("topic.metadata.propagation.max.ms", "200")];
    let mut sending = Sending::start(&broker, Pace::Pipelined, &soon);
    let refusal = sending.send(&topic, "k", "0").await.unwrap_err();
    assert_eq!(refusal.blame, Blame::World);
    assert!(refusal.advice.contains("create it"), "{refusal:?}");
    sending.close().await;
    // Within the time that a new topic is given, it is simply waited for.
    let mut sending = Sending::start(&broker, Pace::Pipelined, &[]);
    sending.hand(1, &topic, "k", "1").unwrap();
    make_topic(&broker, &topic, 1, &[]).await;
    assert_eq!(sending.report().await.outcome, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_reaches_nobody_says_so_and_can_be_closed() {
    let sending = Sending::start("127.0.0.1:1", Pace::Pipelined, &[]);
    assert_eq!(sending.sender.trouble(), None);
    for token in 0..5 {
        sending.hand(token, "anything", "k", "v").unwrap();
    }
    let trouble = eventually("the trouble to be told", || async { sending.sender.trouble() }).await;
    assert!(trouble.diagnosis.advice.contains("is Kafka running"), "{trouble:?}");
    let given_up = sending.close().await;
    assert!(given_up.iter().map(|report| report.token).eq(0..5));
    assert!(given_up.iter().all(|report| blame(&report.outcome) == Some(Blame::Client)));
}

/// What becomes of up to five messages when the broker answers the first requests with these errors.
async fn answered(
    cluster: &MockCluster<'_, impl ClientContext>,
    errors: &[Wire],
) -> Vec<Result<(), ProduceError>> {
    let topic = new_topic("answered");
    cluster.create_topic(&topic, 1, 1).unwrap();
    let broker = cluster.bootstrap_servers();
    let mut sending = Sending::start(&broker, Pace::Pipelined, &[("retry.backoff.max.ms", "100")]);
    assert_eq!(sending.send(&topic, "k", "first").await, Ok(()));
    cluster.request_errors(RDKafkaApiKey::Produce, errors);
    // The first one's refusal may be there before the last is handed over.
    let taken = (0..5).take_while(|n| sending.hand(*n, &topic, "k", &numbered(*n)).is_ok()).count();
    let outcomes: Vec<_> = sending.settle(taken).await.into_values().collect();
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    let passed = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!(passed == taken || sending.hand(9, &topic, "k", "9").is_err(), "it goes on");
    for refusal in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(!refusal.reason.contains("xxx"), "the content is said aloud: {refusal:?}");
    }
    outcomes
}

#[tokio::test(flavor = "current_thread")]
async fn each_answer_of_a_broker_is_put_down_to_whom_it_concerns() {
    let cluster = MockCluster::new(1).unwrap();
    for passing in [
        Wire::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Wire::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        Wire::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Wire::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        Wire::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Wire::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        Wire::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        Wire::RD_KAFKA_RESP_ERR__TRANSPORT,
    ] {
        let outcomes = answered(&cluster, &[passing; 3]).await;
        assert!(outcomes.iter().all(Result::is_ok), "{passing:?}: {outcomes:?}");
    }
    for (answer, expected, advises) in [
        (Wire::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, Blame::Row, "max.message.bytes"),
        (Wire::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, Blame::Row, "max.message.bytes"),
        (Wire::RD_KAFKA_RESP_ERR_INVALID_RECORD, Blame::Row, "key"),
        (Wire::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, Blame::World, "clocks"),
        (Wire::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, Blame::World, "Write and Describe"),
        (Wire::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, Blame::World, "IdempotentWrite"),
        (Wire::RD_KAFKA_RESP_ERR_POLICY_VIOLATION, Blame::World, ""),
        (Wire::RD_KAFKA_RESP_ERR_UNKNOWN, Blame::World, ""),
        (Wire::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, Blame::Client, ""),
        (Wire::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, Blame::Client, ""),
    ] {
        let outcomes = answered(&cluster, &[answer]).await;
        let first = outcomes.iter().find_map(|outcome| outcome.as_ref().err()).unwrap();
        assert_eq!(first.blame, expected, "{answer:?}: {first:?}");
        assert!(first.advice.contains(advises), "{answer:?}: {first:?}");
    }
}
