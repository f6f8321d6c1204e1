//! Promise: whatever becomes of the broker, everything that was handed over arrives, in order by key,
//! and nothing is reported as refused. Nobody has to do anything but bring the broker back.

use std::collections::BTreeMap;
use std::time::Duration;

use lab::servers::kafka::PrivateKafka;
use makegood::kafka::sender::{HandOver, Pace};
use rules::produce_error::Blame;
use tokio::sync::watch;

use crate::support::eventually;
use crate::support::sending::{Sending, first_occurrences, make_topic, read_back};

const TOPIC: &str = "outbox";

/// A broker of its own, with a topic.
async fn broker(settings: &[(&str, &str)]) -> PrivateKafka {
    let kafka = tokio::task::spawn_blocking(|| PrivateKafka::start().unwrap()).await.unwrap();
    make_topic(&kafka.bootstrap(), TOPIC, 3, settings).await;
    kafka
}

/// Sends numbered messages of eleven keys until told to stop; all of them must be acknowledged.
/// `acknowledged` shows how many are. Returns the ledger.
async fn load(
    mut sending: Sending,
    stop: watch::Receiver<bool>,
    acknowledged: watch::Sender<usize>,
) -> BTreeMap<String, Vec<u64>> {
    let mut ledger: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let (mut number, mut done) = (0, 0);
    // The pace of the load, about 1000 a second.
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while !*stop.borrow() {
        pace.tick().await;
        for _ in 0..10 {
            let key = format!("k{}", number % 11);
            while sending.hand(number, TOPIC, &key, &number.to_string()) == Err(HandOver::Full) {
                assert_eq!(sending.report().await.outcome, Ok(()));
                done += 1;
            }
            ledger.entry(key).or_default().push(number);
            number += 1;
        }
        while let Some(report) = sending.ready() {
            assert_eq!(report.outcome, Ok(()), "after {done} of {number}");
            done += 1;
        }
        acknowledged.send_replace(done);
    }
    let left = sending.settle(usize::try_from(number).unwrap() - done).await;
    assert!(left.values().all(Result::is_ok), "{left:?}");
    ledger
}

/// Runs the load while `trouble` happens to the broker, and judges by the topic.
async fn survives<F: Future<Output = PrivateKafka>>(
    properties: &[(&str, &str)],
    trouble: impl FnOnce(PrivateKafka, Progress) -> F,
) {
    let kafka = broker(&[]).await;
    let (stop, stopped) = watch::channel(false);
    let (say, acknowledged) = watch::channel(0);
    let sending = Sending::start(&kafka.bootstrap(), Pace::Pipelined, properties);
    let load = tokio::spawn(load(sending, stopped, say));
    let kafka = trouble(kafka, Progress(acknowledged)).await;
    stop.send(true).unwrap();
    let ledger = load.await.unwrap();
    let records = read_back(&kafka.bootstrap(), TOPIC, 3);
    let sent: usize = ledger.values().map(Vec::len).sum();
    eprintln!("{sent} sent, {} in the topic", records.len());
    assert_eq!(first_occurrences(&records), ledger);
}

/// How far the acknowledgements are.
struct Progress(watch::Receiver<usize>);

impl Progress {
    /// Waits for `count` more acknowledgements.
    async fn more(&mut self, count: usize) {
        let wanted = *self.0.borrow() + count;
        self.0.wait_for(|done| *done >= wanted).await.unwrap();
    }
}

/// Freezes the broker for a time and lets it go on.
async fn freeze(kafka: &PrivateKafka, time: Duration) {
    kafka.pause().unwrap();
    // The length of the fault, not a wait for something.
    tokio::time::sleep(time).await;
    kafka.resume().unwrap();
}

/// Kills the broker as a crash would, and starts it again after a time.
async fn crash(mut kafka: PrivateKafka, time: Duration) -> PrivateKafka {
    kafka.stop_hard().unwrap();
    tokio::time::sleep(time).await;
    tokio::task::spawn_blocking(move || {
        kafka.start_again().unwrap();
        kafka
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_freezes_and_crashes_under_load_costs_no_message_and_no_order() {
    // Shorter than the freeze, so that requests time out and are sent again.
    let impatient = [("socket.timeout.ms", "1500"), ("message.max.bytes", "100000")];
    survives(&impatient, |kafka, mut progress| async move {
        progress.more(1000).await;
        freeze(&kafka, Duration::from_secs(4)).await;
        progress.more(1000).await;
        let kafka = crash(kafka, Duration::ZERO).await;
        progress.more(1000).await;
        kafka
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes; the same faults for as long as they last in life"]
async fn a_broker_that_is_frozen_for_45_seconds_and_down_for_60_costs_nothing_either() {
    survives(&[], |kafka, mut progress| async move {
        progress.more(1000).await;
        freeze(&kafka, Duration::from_secs(45)).await;
        progress.more(1000).await;
        let kafka = crash(kafka, Duration::from_secs(60)).await;
        progress.more(1000).await;
        kafka
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_on_its_way_behind_a_refused_one_has_its_report() {
    let kafka = broker(&[("max.message.bytes", "20000")]).await;
    let small = [("batch.num.messages", "2"), ("linger.ms", "20")];
    let mut sending = Sending::start(&kafka.bootstrap(), Pace::Pipelined, &small);
    assert_eq!(sending.send(TOPIC, "k", "0").await, Ok(()));
    // While the broker is frozen, requests go out one behind the other.
    kafka.pause().unwrap();
    let large = "x".repeat(30_000);
    for number in 0..8 {
        let value = if number == 1 { &large } else { "small" };
        sending.hand(number, TOPIC, "k", value).unwrap();
        if number % 2 == 1 {
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    let trouble = eventually("the silence to be told", || async { sending.sender.trouble() }).await;
    assert!(trouble.diagnosis.advice.contains("frozen"), "{trouble:?}");
    kafka.resume().unwrap();
    let settled = sending.settle(8).await;
    assert_eq!(sending.sender.trouble(), None, "nothing waits any more");
    assert!(settled.values().all(Result::is_err), "a later one was delivered: {settled:?}");
    assert_eq!(settled[&1].as_ref().unwrap_err().blame, Blame::Row);
    assert_eq!(settled[&7].as_ref().unwrap_err().blame, Blame::Client);
    assert_eq!(read_back(&kafka.bootstrap(), TOPIC, 3).len(), 1);
}
