//! The story makegood comes from: the first event meets a table that has drifted from the mapping,
//! in a group without any offset. It must not be skipped, and once the table is mended the purchase is
//! made without anybody's help.

use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::eventually;
use crate::support::ledger;
use crate::support::rig::Rig;

const DRIFT: &str = "ALTER TABLE student_course_purchases RENAME COLUMN purchased_at TO start_date";
const MEND: &str = "ALTER TABLE student_course_purchases RENAME COLUMN start_date TO purchased_at";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_payment_meets_a_drifted_table_and_is_made_good_when_it_is_mended() {
    let rig = Rig::new(3).await;
    let daemon = rig.quick_daemon("");
    rig.reads(&daemon).await;
    rig.client.batch_execute(DRIFT).await.unwrap();
    let paid = payments(1);
    rig.pay(&paid).await;
    assert_held(&rig, &daemon).await;
    rig.client.batch_execute(MEND).await.unwrap();
    assert_made_good(&rig, &daemon, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_the_drift_ends_in_the_same() {
    let rig = Rig::new(3).await;
    let first = rig.quick_daemon("");
    rig.reads(&first).await;
    rig.client.batch_execute(DRIFT).await.unwrap();
    let paid = payments(5);
    rig.pay(&paid[..3]).await;
    assert_held(&rig, &first).await;
    // Restarted the hard way and the soft way, as people do when something does not work.
    drop(first);
    let mut second = rig.quick_daemon("");
    eventually("the reason in the log", || async {
        second.log().contains("purchased_at").then_some(())
    })
    .await;
    rig.pay(&paid[3..]).await;
    second.signal("TERM");
    assert!(second.wait(std::time::Duration::from_secs(20)).success());
    let third = rig.quick_daemon("");
    // Not even joined, and yet the reason is there to be read.
    assert_held(&rig, &third).await;
    assert_eq!(ledger::count(&rig.client).await, 0);
    assert!(rig.positions().await.values().all(|position| *position == 0), "a record was skipped");
    rig.client.batch_execute(MEND).await.unwrap();
    assert_made_good(&rig, &third, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_in_the_middle_of_the_drift_skips_nothing_either() {
    let rig = Rig::new(3).await;
    rig.client.batch_execute(DRIFT).await.unwrap();
    let paid = payments(5);
    rig.pay(&paid[..2]).await;
    let daemon = rig.quick_daemon("");
    eventually("the reason in the log", || async {
        daemon.log().contains("purchased_at").then_some(())
    })
    .await;
    rig.pay(&paid[2..]).await;
    rig.client.batch_execute(MEND).await.unwrap();
    assert_made_good(&rig, &daemon, &paid).await;
}

/// Held, with the column named; nothing moved, nothing put away.
async fn assert_held(rig: &Rig, daemon: &Daemon) {
    let worker = eventually("the daemon to hold", || async {
        rig.worker(daemon).await.filter(|worker| worker.state == "held")
    })
    .await;
    let reason = worker.reason.unwrap_or_default();
    assert!(reason.contains("purchased_at"), "the reason names no column: {reason}");
    assert!(rig.positions().await.values().all(|position| *position == 0), "a record was skipped");
    assert!(rig.committed().values().all(|offset| *offset == 0), "Kafka went ahead");
    assert_eq!(rig.committed().len(), 3, "an offset of the group is unknown");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.inbox").await, 0);
}

/// Every purchase is there, the daemon runs, and Kafka's tools see no lag.
async fn assert_made_good(rig: &Rig, daemon: &Daemon, paid: &[Payment]) {
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, paid).await;
    rig.reads(daemon).await;
    eventually("Kafka to know", || async { (rig.committed() == rig.log_ends()).then_some(()) })
        .await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
}
