//! A topic that is made anew under daemons that knew it before its broker restarted: what their clients remember
//! of it, such as the epoch of a leader, is then worth nothing.

use std::time::{Duration, Instant};

use crate::support::alone::Alone;

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
