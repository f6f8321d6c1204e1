//! A topic that takes nothing keeps its own events waiting and no others; they go by themselves when it takes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use makegood::config::{Kafka, Postgres};
use makegood::heartbeats::Heartbeats;
use makegood::relay::{self, Relay};
use makegood::store::outbox::Shard;
use rdkafka::mocking::MockCluster;
use tokio_util::sync::CancellationToken;

use crate::parked::numbers;
use crate::support::daemon::command;
use crate::support::eventually;
use crate::support::load::chance;
use crate::support::outbox::{held_in, read_topic};
use crate::support::payments::{Place, Site, Writers};
use crate::support::sending::make_topic;

const STATUS: &str = "SELECT verdict, pending, published, held_topics FROM makegood.outbox_status";

/// What the view says where a relay runs in the test, and no daemon that judges.
const UNJUDGED: &str = "unknown";

/// Waits for a verdict, so many events that wait and the topics that are held.
async fn stands(site: &Site, verdict: &str, pending: i64, held: &[&str]) {
    eventually(&format!("{verdict}, {pending} pending, {held:?} held"), || async {
        let row = site.client.query_one(STATUS, &[]).await.unwrap();
        let topics: Vec<String> = row.get(3);
        let now = (row.get::<_, String>(0), row.get::<_, i64>(1), topics);
        (now.0 == verdict && now.1 == pending && now.2 == held).then_some(())
    })
    .await;
}

/// Publishes events numbered from 0 in one transaction.
async fn publish(site: &Site, topic: &str, key: &str, count: i64) {
    let sql = "SELECT count(makegood.publish($1, $2, 'NUMBERED', jsonb_build_object('number', n)))
               FROM generate_series(0, $3::bigint - 1) n";
    site.client.query_one(sql, &[&topic, &key, &count]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_holds_up_no_other_and_gets_its_events_when_it_does() {
    const GOOD: i64 = 30_000;
    let site = Site::new(Place::Beside, 1).await;
    let typo = format!("{}-typo", site.rig.topic);
    publish(&site, &typo, "lost", 1).await;
    publish(&site, &site.rig.topic, "good", GOOD).await;
    let mut daemon = site.daemon();
    stands(&site, "parked", 1, &[&typo]).await;
    let sql = "SELECT reason || ' ' || advice FROM makegood.outbox_pending";
    let why: String = site.client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(why.contains("unknown topic") && why.contains("create it"), "{why}");
    let there = read_topic(&site.rig);
    assert_eq!(numbers(&there, "good").len() as i64, GOOD);

    // The next relay knows of it, and sends nothing again.
    daemon.kill();
    let _daemon = site.daemon();
    publish(&site, &typo, "lost", 3).await;
    publish(&site, &site.rig.topic, "more", 10).await;
    stands(&site, "parked", 4, &[&typo]).await;
    assert_eq!(read_topic(&site.rig).len(), there.len() + 10, "sent again after a restart");
    make_topic(&site.rig.world.kafka.bootstrap(), &typo, 1, &[]).await;
    stands(&site, "ok", 0, &[]).await;
    let arrived = held_in(&site.rig.world.kafka.bootstrap(), &typo, 1);
    assert_eq!((arrived.len(), numbers(&arrived, "lost")), (4, vec![0, 1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_events_of_missing_topics_before_the_good_ones_keep_them_for_a_while_only() {
    let site = Site::new(Place::Beside, 1).await;
    for number in 0..3 {
        publish(&site, &format!("{}-typo-{number}", site.rig.topic), "lost", 3000).await;
    }
    publish(&site, &site.rig.topic, "good", 100).await;
    let _daemon = site.daemon();
    eventually("the good ones to arrive", || async {
        (site.number("SELECT published FROM makegood.outbox_status").await == 100).then_some(())
    })
    .await;
    assert_eq!(site.number("SELECT parked FROM makegood.outbox_status").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_appears_under_load_gets_all_of_its_events_in_order() {
    let site = Site::new(Place::Beside, 3).await;
    site.rig.delete_topic().await;
    let other = format!("{}-other", site.rig.topic);
    make_topic(&site.rig.world.kafka.bootstrap(), &other, 1, &[]).await;
    let writers = Writers::start(&site, 3, Duration::from_millis(10), &mut chance("topics")).await;
    let _daemon = site.daemon();
    publish(&site, &other, "o", 10).await;
    let held = "SELECT coalesce(max(events), 0) FROM makegood.outbox_held_topics";
    eventually("many events to wait", || async { (site.number(held).await > 500).then_some(()) })
        .await;
    publish(&site, &other, "o", 10).await;
    site.rig.make_topic(3).await;
    eventually("it to be held no more, under load", || async {
        (site.number(held).await == 0).then_some(())
    })
    .await;
    let written = writers.stop().await;
    site.assert_relayed(&written).await;
}

/// What a command says, and how it ends.
async fn said(site: &Site, args: &[&str]) -> (Option<i32>, String) {
    let config = site.config("", "");
    let mut command = command();
    command.args(args).arg("--config").arg(config);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_misspelt_topic_are_listed_and_sent_on_or_given_up_when_confirmed() {
    let site = Site::new(Place::Beside, 1).await;
    let [typo, junk] = ["typo", "junk"].map(|what| format!("{}-{what}", site.rig.topic));
    let _daemon = site.daemon();
    publish(&site, &site.rig.topic, "k", 1).await;
    publish(&site, &typo, "t", 3).await;
    publish(&site, &junk, "j", 2).await;
    stands(&site, "parked", 5, &[&junk, &typo]).await;
    let (_, status) = said(&site, &["status"]).await;
    assert!(status.contains("parked: 3 events of topic") && status.contains(&typo), "{status}");
    let (_, list) = said(&site, &["outbox", "list", "--topic", &typo]).await;
    assert_eq!(list.matches("held").count(), 3, "{list}");
    let sql = "SELECT event_id::text FROM makegood.outbox_pending WHERE topic = $1 LIMIT 1";
    let id: String = site.client.query_one(sql, &[&junk]).await.unwrap().get(0);
    let (_, shown) = said(&site, &["outbox", "show", &id]).await;
    assert!(shown.contains("held") && shown.contains("--to-topic OTHER"), "{shown}");

    let on = ["outbox", "retry", "--topic", &typo, "--to-topic", &site.rig.topic];
    let (code, plan) = said(&site, &on).await;
    assert!(code == Some(0) && plan.contains(&format!("--execute --confirm {typo}")), "{plan}");
    let (code, _) = said(&site, &[&on[..], &["--execute"]].concat()).await;
    assert_eq!(code, Some(5));
    stands(&site, "parked", 5, &[&junk, &typo]).await;
    let (code, done) = said(&site, &[&on[..], &["--execute", "--confirm", &typo]].concat()).await;
    assert_eq!(code, Some(0), "{done}");
    stands(&site, "parked", 2, &[&junk]).await;
    assert_eq!(numbers(&read_topic(&site.rig), "t"), [0, 1, 2]);

    let up = ["outbox", "discard", "--topic", &junk];
    let (code, plan) = said(&site, &up).await;
    assert!(code == Some(0) && plan.contains(&format!("--execute --confirm {junk}")), "{plan}");
    let (code, _) = said(&site, &[&up[..], &["--execute", "--why", "a test"]].concat()).await;
    assert_eq!(code, Some(5));
    let confirmed = ["--execute", "--why", "a test", "--confirm", &junk];
    let (code, done) = said(&site, &[&up[..], &confirmed].concat()).await;
    assert_eq!(code, Some(0), "{done}");
    stands(&site, "ok", 0, &[]).await;
    let (_, shown) = said(&site, &["outbox", "show", &id]).await;
    assert!(shown.contains("discarded") && shown.contains("a test"), "{shown}");
    let (_, explained) = said(&site, &["explain", &id]).await;
    assert!(explained.contains("given up"), "{explained}");
}

/// A relay of its own, to a broker whose partitions can lose their leader.
fn relay(site: &Site, broker: &str) -> impl Future<Output = ()> + use<> {
    let relay = Relay {
        postgres: Postgres::from_url(&site.payments).unwrap(),
        kafka: Kafka {
            bootstrap_servers: broker.to_owned(),
            properties: BTreeMap::new(),
            token_command: config::Program::default(),
            msk_region: None,
        },
        retention: Duration::from_secs(3600),
        shard: Shard::ONLY,
        sign: Heartbeats::default().expect("relay"),
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay::run(Arc::new(relay), stop.clone()));
    async move {
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_a_leader_holds_up_no_other() {
    let site = Site::new(Place::Beside, 1).await;
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["good", "stuck"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let stop = relay(&site, &cluster.bootstrap_servers());
    publish(&site, "good", "g", 1).await;
    stands(&site, UNJUDGED, 0, &[]).await;
    cluster.partition_leader("stuck", 0, None).unwrap();
    // More than fit into the window behind them.
    publish(&site, "stuck", "s", 20).await;
    publish(&site, "good", "g", 10_000).await;
    stands(&site, UNJUDGED, 20, &["stuck"]).await;
    cluster.partition_leader("stuck", 0, Some(1)).unwrap();
    stands(&site, UNJUDGED, 0, &[]).await;
    let arrived = held_in(&cluster.bootstrap_servers(), "stuck", 1);
    assert_eq!(numbers(&arrived, "s"), (0..20).collect::<Vec<_>>());
    stop.await;
}

/// Nothing else is on its way that could show that the rest of the world is well: the broker's answer does.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_full_of_a_topic_without_a_leader_gives_way_in_the_end() {
    let site = Site::new(Place::Beside, 1).await;
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["good", "stuck"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    cluster.partition_leader("stuck", 0, None).unwrap();
    publish(&site, "stuck", "s", 7000).await;
    publish(&site, "good", "g", 10).await;
    let stop = relay(&site, &cluster.bootstrap_servers());
    stands(&site, UNJUDGED, 7000, &["stuck"]).await;
    stop.await;
}
