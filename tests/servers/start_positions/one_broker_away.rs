//! A partition whose only broker is away keeps nobody else waiting, from the start or later on.

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use serde_json::Value;

use crate::support::alone::Alone;
use crate::support::daemon::Daemon;
use crate::support::{eventually, ledger};

/// Waits until the broker that is left knows that the other one is gone.
async fn leaderless(alone: &Alone, partition: i32) {
    eventually("the partition to have no leader", || async {
        let found = alone.probe().ends(&[partition]).ok()?;
        found.failed.get(&partition)?.reason.contains("no leader").then_some(())
    })
    .await;
}

async fn purchased(alone: &Alone, count: usize) {
    eventually("as many purchases as payments", || async {
        (ledger::count(&alone.rig.client).await == count).then_some(())
    })
    .await;
}

/// What the daemon says is wrong.
async fn stalled(alone: &Alone, daemon: &Daemon, words: &[&str]) {
    eventually(&format!("the daemon to say {words:?}"), || async {
        let worker = alone.rig.worker(daemon).await?;
        let reason = worker.reason.filter(|_| worker.state == "stalled")?;
        words.iter().all(|word| reason.contains(word)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_waits_alone_and_is_read_when_it_has_one() {
    let alone = Alone::bare().await;
    // The group's coordinator is made while there is one broker, and stays there.
    eventually("a coordinator", || async { alone.probe().committed(&[0]).ok() }).await;
    let mut second = tokio::task::block_in_place(|| alone.kafka.join().unwrap());
    let topic = NewTopic::new(&alone.rig.topic, 2, TopicReplication::Variable(&[&[1], &[2]]));
    eventually("a topic on both brokers", || async {
        let made = alone.admin.create_topics([&topic], &AdminOptions::new()).await.ok()?;
        made[0].is_ok().then_some(())
    })
    .await;
    let mut paid = Vec::new();
    alone.pay_to(Some(1), 5, &mut paid).await;
    tokio::task::block_in_place(|| second.stop_hard().unwrap());
    leaderless(&alone, 1).await;

    // A shadow compares what it can read, and is not well.
    let file = alone.rig.path("shadow.json");
    let job = "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\ngrace = \"1s\"\nevery = \"1s\"\n";
    let reports = ["--report", file.to_str().unwrap(), "--report-every", "1s"];
    let _shadow = Daemon::shadow(&alone.config(job), 1, &reports);
    let shadow_says = async |judged: u64, is_away: bool| {
        eventually(&format!("the shadow to compare {judged} events"), || async {
            let report: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
            let (route, sentence) = (&report["routes"][0], report["sentence"].as_str()?);
            let says = sentence.contains("partition 1 is not read, the others are");
            // Here events are believed, so that it is not well at any time.
            let is_red = report["ok"] == false;
            (route["events"].as_u64()? == judged && says == is_away && is_red).then_some(())
        })
        .await;
    };
    let config = alone.config("[watchdog]\npatience = \"3s\"\n");
    let daemon = Daemon::start(&config, 0);
    let mut others = Vec::new();
    alone.pay_to(Some(0), 5, &mut others).await;
    purchased(&alone, 5).await;
    ledger::assert_exactly(&alone.rig.client, &others).await;
    stalled(&alone, &daemon, &["partition 1 is not read, the others are", "no leader"]).await;
    shadow_says(5, true).await;
    let status = alone.status(&config).await;
    assert!(status.contains("partition 1") && status.contains("no leader"), "{status}");
    tokio::task::block_in_place(|| second.start_again().unwrap());
    purchased(&alone, 10).await;
    alone.rig.reads(&daemon).await;
    shadow_says(10, false).await;

    // Once more, under the daemon that reads it.
    tokio::task::block_in_place(|| second.stop_hard().unwrap());
    leaderless(&alone, 1).await;
    stalled(&alone, &daemon, &["partition 1", "no leader"]).await;
    let status = alone.status(&config).await;
    assert!(status.contains("partition 1") && status.contains("no leader"), "{status}");
    alone.pay_to(Some(0), 5, &mut others).await;
    purchased(&alone, 15).await;
    tokio::task::block_in_place(|| second.start_again().unwrap());
    alone.pay_to(Some(1), 5, &mut paid).await;
    purchased(&alone, 20).await;
    alone.rig.reads(&daemon).await;
    ledger::assert_exactly(&alone.rig.client, &[paid, others].concat()).await;
    assert!(!daemon.log().contains("the Kafka client is replaced"), "nobody was to blame");
}
