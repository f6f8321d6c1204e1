//! Whatever becomes of broker and daemon, what was published arrives, in order, and has its effect once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lab::servers::kafka::PrivateKafka;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::support::daemon::Daemon;
use super::support::events::{Payment, payments};
use super::support::outbox::{Numbers, Written, assert_relayed, held_in};
use super::support::rig::Rig;
use super::support::sending::make_topic;
use super::support::world::connect;
use super::support::{eventually, ledger};

/// A rig whose daemons use a broker of its own, which may be hurt.
struct Ward {
    rig: Arc<Rig>,
    kafka: PrivateKafka,
    daemons: usize,
}

impl Ward {
    async fn new() -> Ward {
        let rig = Arc::new(Rig::new(1).await);
        let kafka = tokio::task::spawn_blocking(|| PrivateKafka::start().unwrap()).await.unwrap();
        make_topic(&kafka.bootstrap(), &rig.topic, 3, &[]).await;
        Ward { rig, kafka, daemons: 0 }
    }

    fn daemon(&mut self) -> Daemon {
        let shared = self.rig.world.kafka.bootstrap();
        let log = "[log]\nlevel = \"info,makegood=debug\"\n";
        let config = self.rig.config(&self.rig.url(), "", log);
        let path = self.rig.path(&format!("ward-{}.toml", self.daemons));
        std::fs::write(&path, config.replace(&shared, &self.kafka.bootstrap())).unwrap();
        self.daemons += 1;
        Daemon::start(&path, self.daemons)
    }

    async fn drained(&self) {
        eventually("the outbox to be empty", || async {
            let sql = "SELECT pending + parked FROM makegood.outbox_status";
            (self.rig.number(sql).await == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_whose_acknowledgement_was_lost_are_sent_again_and_taken_in_once() {
    let mut ward = Ward::new().await;
    let mut daemon = ward.daemon();
    let paid = payments(400);
    publish(&ward.rig, &paid[..200]).await;
    ward.drained().await;
    // What is sent now waits in the frozen broker, which takes it when its sender is dead.
    ward.kafka.pause().unwrap();
    publish(&ward.rig, &paid[200..]).await;
    eventually("the rest to be on its way", || async {
        let in_flight = ward.rig.number("SELECT in_flight FROM makegood.outbox_status").await;
        (in_flight == 200).then_some(())
    })
    .await;
    daemon.kill();
    ward.kafka.resume().unwrap();
    let _daemon = ward.daemon();
    ward.drained().await;
    eventually("every payment to be purchased", || async {
        (ledger::count(&ward.rig.client).await >= paid.len()).then_some(())
    })
    .await;
    let mut copies: HashMap<Uuid, Vec<String>> = HashMap::new();
    for one in held_in(&ward.kafka.bootstrap(), &ward.rig.topic, 3) {
        copies.entry(one.id).or_default().push(one.value);
    }
    assert_eq!(copies.len(), paid.len());
    assert!(copies.values().all(|values| values.iter().all(|value| *value == values[0])));
    assert!(copies.values().any(|values| values.len() > 1), "no acknowledgement was lost");
    eventually("the duplicates to be counted", || async {
        let duplicates = ward.rig.number("SELECT duplicate FROM makegood.status").await;
        let copied: usize = copies.values().map(|values| values.len() - 1).sum();
        // The killed daemon's last records are read again too.
        (duplicates >= i64::try_from(copied).unwrap()).then_some(())
    })
    .await;
    ledger::assert_exactly(&ward.rig.client, &paid).await;
}

async fn publish(rig: &Rig, paid: &[Payment]) {
    let sql =
        "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb, event_id => $4)";
    for payment in paid {
        let key = payment.student.to_string();
        rig.client
            .query_one(sql, &[&rig.topic, &key, &payment.json(), &payment.event])
            .await
            .unwrap();
    }
}

/// Publishes events of eleven keys until told to stop, and returns the ledger.
fn writer(rig: &Arc<Rig>, stop: CancellationToken) -> JoinHandle<Vec<Written>> {
    let rig = rig.clone();
    tokio::spawn(async move {
        let client = connect(&rig.url()).await;
        let (mut numbers, mut written) = (Numbers::default(), Vec::new());
        // The pace of the load, about 500 a second.
        let mut pace = tokio::time::interval(Duration::from_millis(2));
        while !stop.is_cancelled() {
            pace.tick().await;
            let event = numbers.next(&format!("k{}", written.len() % 11));
            event.publish(&client, &rig.topic).await;
            written.push(event);
        }
        written
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_freeze_and_die_and_daemons_that_are_killed_cost_no_event_and_no_order() {
    let mut ward = Ward::new().await;
    let stop = CancellationToken::new();
    let writing = writer(&ward.rig, stop.clone());
    let mut daemon = ward.daemon();
    let published = "SELECT published FROM makegood.outbox_status";
    let more = async |ward: &Ward, what: &str| {
        let before = ward.rig.number(published).await;
        eventually(what, || async {
            (ward.rig.number(published).await > before + 300).then_some(())
        })
        .await;
    };
    more(&ward, "events to flow").await;
    ward.kafka.pause().unwrap();
    // The length of the fault, not a wait for something.
    tokio::time::sleep(Duration::from_secs(3)).await;
    ward.kafka.resume().unwrap();
    more(&ward, "events to flow after a freeze").await;
    ward.kafka.stop_hard().unwrap();
    daemon.kill();
    let _second = ward.daemon();
    ward.kafka.start_again().unwrap();
    more(&ward, "events to flow after the deaths of broker and daemon").await;
    stop.cancel();
    let written = writing.await.unwrap();
    ward.drained().await;
    let held = held_in(&ward.kafka.bootstrap(), &ward.rig.topic, 3);
    eprintln!("{} published, {} in the topic", written.len(), held.len());
    assert_relayed(&written, &held);
}
