//! A topic that is made anew under daemons that knew it before its broker restarted: what their clients remember
//! of it, such as the epoch of a leader, is then worth nothing.

use std::time::{Duration, Instant};

use super::{assert_nothing_skipped, pay_more};
use crate::commands::{run, stdout};
use crate::support::alone::Alone;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::rig::Rig;

/// Generous; seen were 3 s to 9 s.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_after_a_restart_of_its_broker_is_soon_read_and_by_whoever_comes_later() {
    let mut alone = Alone::new().await;
    let mut paid = Vec::new();
    let mut first = alone.daemon();
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    // Each start of the broker is another epoch of the leader.
    for _ in 0..2 {
        let kafka = &mut alone.kafka;
        tokio::task::block_in_place(|| {
            kafka.stop_hard().unwrap();
            kafka.start_again().unwrap();
        });
    }
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    alone.delete_topic(&alone.rig.topic).await;
    alone.create_topic().await;
    let made = Instant::now();
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    eprintln!("moving {:?} after the topic was made anew", made.elapsed());
    assert!(made.elapsed() < SOON, "{:?}", made.elapsed());
    // A rebalance has both look at the log again.
    let second = alone.daemon();
    alone.rig.reads(&second).await;
    alone.rig.reads(&first).await;
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    second.stop();
    alone.pay(20, &mut paid).await;
    alone.assert_all_done(&paid).await;
    assert_eq!(first.ended(), None);
}

/// The same for the relay's producer.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_outbox_go_to_a_topic_made_anew_after_a_restart_of_its_broker() {
    let mut alone = Alone::new().await;
    let daemon = Daemon::start(&alone.config("[outbox]\n"), 0);
    let mut paid = Vec::new();
    alone.publish(5, &mut paid).await;
    alone.assert_all_done(&paid).await;
    for _ in 0..2 {
        let kafka = &mut alone.kafka;
        tokio::task::block_in_place(|| {
            kafka.stop_hard().unwrap();
            kafka.start_again().unwrap();
        });
    }
    alone.publish(5, &mut paid).await;
    alone.assert_all_done(&paid).await;
    alone.delete_topic(&alone.rig.topic).await;
    alone.create_topic().await;
    let made = Instant::now();
    alone.publish(5, &mut paid).await;
    alone.assert_all_done(&paid).await;
    eprintln!("relayed {:?} after the topic was made anew", made.elapsed());
    assert!(made.elapsed() < SOON, "{:?}", made.elapsed());
    daemon.stop();
}

/// Nothing is read, and nothing can be: that is no quiet topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_under_a_daemon_is_missing_until_it_is_made_anew() {
    let rig = Rig::new(2).await;
    let mut paid = Vec::new();
    let mut daemon = rig.daemon();
    pay_more(&rig, 0, 5, &mut paid).await;
    rig.caught_up().await;
    rig.delete_topic().await;
    eventually("status to say that the topic is missing", || async {
        let status = run(&rig, &["status", "--exit-code"]).await;
        let said = stdout(&status);
        (said.contains("no_topic: Kafka has no topic") && status.status.code() == Some(3))
            .then_some(())
    })
    .await;
    eventually("the daemon itself to say so", || async {
        let worker = rig.worker(&daemon).await?;
        (worker.state == "stalled" && worker.reason?.contains("Kafka has no topic")).then_some(())
    })
    .await;
    rig.make_topic(2).await;
    pay_more(&rig, 1, 5, &mut paid).await;
    assert_nothing_skipped(&rig, &paid).await;
    rig.reads(&daemon).await;
    assert_eq!(daemon.ended(), None);
}
