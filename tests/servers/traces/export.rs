//! What a collector gets: read from the requests themselves.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{traceparent, traces_of};
use crate::parked;
use crate::support::events::Payment;
use crate::support::eventually;
use crate::support::otlp::{self, Span};
use crate::support::outbox::read_topic;
use crate::support::receiver::Receiver;
use crate::support::rig::Rig;

/// Everything the collector was sent so far.
fn received(collector: &Receiver) -> Vec<Span> {
    let requests = collector.requests();
    let spans = requests.iter().flat_map(|request| {
        assert_eq!(request.line, "POST /v1/traces HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        otlp::spans(&request.body)
    });
    spans
        .map(|(span, resource)| {
            assert_eq!(resource["service.name"], "makegood");
            span
        })
        .collect()
}

/// Publishes a payload as a payment service does, and returns the event's id.
async fn publish(rig: &Rig, key: &str, payload: &str, traceparent: Option<String>) -> Uuid {
    let headers: BTreeMap<_, _> =
        traceparent.map(|text| ("traceparent", text)).into_iter().collect();
    let sql = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb, $4)";
    let row = rig.client.query_one(sql, &[&rig.topic, &key, &payload, &Json(headers)]).await;
    row.unwrap().get(0)
}

fn environment(collector: &Receiver) -> [(&'static str, String); 2] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url("")),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spans_of_a_payment_stand_under_the_one_that_published_it() {
    let (rig, collector) = (Rig::new(2).await, Receiver::start().await);
    let mut sampled = BTreeMap::new();
    for number in 1..=5 {
        let payment = Payment::new(number.into());
        let parent = traceparent(number, "01");
        let id = publish(&rig, &payment.student.to_string(), &payment.json(), Some(parent)).await;
        sampled.insert(number, id);
    }
    // What the mapping cannot take goes into quarantine.
    let bad = r#"{"data": {"paymentId": "none"}}"#;
    sampled.insert(6, publish(&rig, "k", bad, Some(traceparent(6, "01"))).await);
    for unsampled in [Some(traceparent(7, "00")), Some("broken".to_owned()), None] {
        let payment = Payment::new(7);
        publish(&rig, &payment.student.to_string(), &payment.json(), unsampled).await;
    }
    let environment = environment(&collector);
    let variables = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut daemon = rig.daemon_among(&variables);
    // Neither the way through Kafka nor an unsampled neighbour changes what the publisher wrote.
    let spans = eventually("four spans of each trace", || async {
        let spans = received(&collector);
        let of = |n: u8| spans.iter().filter(|s| s.parent == traceparent(n, "01")[36..52]).count();
        (1..=6).all(|n| of(n) >= 4).then_some(spans)
    })
    .await;
    let of_topic = |operation: &str| format!("{operation} {}", rig.topic);
    for (number, event) in &sampled {
        let parent = traceparent(*number, "01");
        let one = |operation: &str| {
            let is_it = |s: &&Span| s.name == of_topic(operation) && s.parent == parent[36..52];
            let found: Vec<&Span> = spans.iter().filter(is_it).collect();
            assert_eq!(found.len(), 1, "{operation} of {number}: {found:?}");
            assert_eq!(found[0].trace, parent[3..35]);
            assert_eq!(found[0].about["messaging.message.id"], event.to_string());
            assert!(found[0].from <= found[0].to, "{found:?}");
            found[0].clone()
        };
        let [publish, relay, consume, apply] = ["publish", "relay", "consume", "apply"].map(one);
        assert_eq!(publish.to, relay.from);
        assert_eq!(consume.to, apply.from);
        assert!(relay.from <= apply.to);
        assert_eq!(publish.error.or(relay.error).or(consume.error), None);
        assert_eq!(apply.error.is_some(), *number == 6, "{:?}", apply.error);
        let batch = spans.iter().find(|s| apply.links == [(s.trace.clone(), s.id.clone())]);
        let batch = batch.expect("the span of its batch");
        assert_eq!((batch.name.as_str(), batch.parent.as_str()), (&*of_topic("apply batch"), ""));
        assert!(batch.links.contains(&(publish.trace, parent[36..52].to_owned())));
    }
    // Nobody else is in a trace.
    let linked: BTreeSet<_> =
        spans.iter().filter(|s| s.parent.is_empty()).flat_map(|s| &s.links).collect();
    assert_eq!(linked.len(), sampled.len());
    assert_eq!(spans.iter().filter(|s| !s.parent.is_empty()).count(), 4 * sampled.len());
    let sent: Vec<String> =
        read_topic(&rig).iter().filter_map(|h| h.headers.get("traceparent").cloned()).collect();
    assert!((1..=6).all(|n| sent.contains(&traceparent(n, "01"))), "{sent:?}");
    daemon.signal("TERM");
    assert!(daemon.wait(std::time::Duration::from_secs(30)).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_delays_nothing_and_the_last_spans_are_sent_at_the_end() {
    let (rig, collector) = (Rig::new(1).await, Receiver::start().await);
    collector.answer(503);
    let environment = environment(&collector);
    let variables = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut daemon = rig.daemon_among(&variables);
    let pay = async |number: u8| {
        let payment = Payment::new(number.into());
        let parent = Some(traceparent(number, "01"));
        publish(&rig, &payment.student.to_string(), &payment.json(), parent).await;
        let sql = "SELECT FROM student_course_purchases WHERE payment_id = $1";
        eventually("the purchase", || async {
            rig.client.query_opt(sql, &[&payment.id]).await.unwrap()
        })
        .await;
    };
    pay(1).await;
    eventually("a word about lost spans", || async {
        (!traces_of(&daemon, "spans are lost").is_empty()).then_some(())
    })
    .await;
    collector.answer(200);
    pay(2).await;
    daemon.signal("TERM");
    assert!(daemon.wait(std::time::Duration::from_secs(30)).success());
    let of_second =
        received(&collector).into_iter().filter(|s| s.trace == traceparent(2, "01")[3..35]);
    assert_eq!(of_second.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_kafka_refuses_has_the_reason_in_its_span() {
    let (rig, collector) = (Rig::new(1).await, Receiver::start().await);
    parked::limit(&rig, "1500").await;
    let large = parked::payload(1, 3000);
    publish(&rig, "k", &large, Some(traceparent(1, "01"))).await;
    publish(&rig, "k", "{}", Some(traceparent(2, "01"))).await;
    let environment = environment(&collector);
    let variables = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let _daemon = rig.daemon_among(&variables);
    parked::settled(&rig, 2).await;
    let spans = eventually("the spans of what was sent", || async {
        let spans = received(&collector);
        spans.iter().any(|span| span.name.starts_with("relay")).then_some(spans)
    })
    .await;
    let of_first = |span: &&Span| span.trace == traceparent(1, "01")[3..35];
    let errors: Vec<(&str, bool)> = (spans.iter().filter(of_first))
        .map(|span| (span.name.split(' ').next().unwrap(), span.error.is_some()))
        .collect();
    assert_eq!(errors, [("publish", false), ("relay", true)], "{spans:?}");
}
