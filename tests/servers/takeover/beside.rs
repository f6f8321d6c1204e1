//! Both at the same time: whoever joins second is refused. makegood waits and says for whom; kafkajs gives up.

use crate::commands::{run, stdout};
use crate::mapping_commands::checks;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::ledger;
use crate::support::old_worker::{OldWorker, OnError};
use crate::support::rig::Rig;

use super::{DRIFT, MEND, doctor, group_is_empty};

#[tokio::test(flavor = "multi_thread")]
async fn makegood_beside_a_kafkajs_worker_names_it_and_goes_on_by_itself_once_it_stops() {
    let rig = Rig::new(3).await;
    let worker = OldWorker::reading(&rig, "shop-worker", OnError::Skip).await;
    let mut paid = payments(10);
    rig.record(&paid, 3600.0).await;
    rig.pay(&paid).await;
    worker.dealt_with(10).await;

    let found = checks(&doctor(&rig).await, "kafka.group");
    let [(level, says)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(level, "fail");
    let who = format!(
        "1 member of another kind is in group {} (Stable, assigner RoundRobinAssigner): shop-worker from 127.0.0.1",
        rig.group
    );
    assert!(says.contains(&who), "{says}");
    assert!(says.contains("stop all of these workers (kafkajs ones"), "{says}");
    let text = stdout(&run(&rig, &["doctor"]).await);
    assert!(text.contains("FAIL  kafka.group") && text.contains(&who), "{text}");

    let daemon = rig.daemon();
    let stalled = eventually("the daemon to say for whom it waits", || async {
        rig.worker(&daemon).await.filter(|one| one.state == "stalled")
    })
    .await;
    let reason = stalled.reason.unwrap();
    assert!(reason.contains("inconsistent group protocol") && reason.contains(&who), "{reason}");
    let status = run(&rig, &["status", "--exit-code"]).await;
    assert_eq!(status.status.code(), Some(3));
    let line = stdout(&status).lines().next().unwrap().to_owned();
    assert!(line.contains("stalled for") && line.contains("shop-worker from 127.0.0.1"), "{line}");
    assert!(line.contains("; stop all of these workers"), "{line}");

    // The old worker has noticed nothing.
    let more = payments(5);
    rig.record(&more, 0.0).await;
    rig.pay(&more).await;
    worker.dealt_with(15).await;
    assert_eq!(worker.failed().len(), 0);
    assert_eq!(worker.log().matches("reads\n").count(), 1, "it had to join once");
    paid.extend(more);

    worker.stop();
    rig.reads(&daemon).await;
    let more = payments(5);
    rig.pay(&more).await;
    paid.extend(more);
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let log = daemon.log();
    assert!(!log.contains("the Kafka client is replaced"), "one client was enough");
    assert_eq!(log.matches("not let into the group").count(), 1, "said once");

    // The other way round kafkajs gives up for good, and its process lives on without reading anything.
    let late = OldWorker::start(&rig, "late-worker", OnError::Throw);
    late.says("crashed for good").await;
    let more = payments(3);
    rig.pay(&more).await;
    paid.extend(more);
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(daemon.log().matches("partitions assigned").count(), 1);
    late.stop();
}

/// As it happened: the first insert fails, kafkajs starts anew at the end of the log, and the messages are gone for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_kafkajs_worker_skips_without_ever_committing_is_foretold_and_made() {
    let rig = Rig::new(3).await;
    let worker = OldWorker::reading(&rig, "shop-worker", OnError::Throw).await;
    rig.client.batch_execute(DRIFT).await.unwrap();
    let paid = payments(2);
    rig.record(&paid, 60.0).await;
    rig.pay_to(Some(0), &paid[..1]).await;
    rig.pay_to(Some(2), &paid[1..]).await;
    worker.says("crashed and starts again").await;
    eventually("kafkajs to read again", || async {
        (worker.log().matches("reads\n").count() > 1).then_some(())
    })
    .await;
    rig.client.batch_execute(MEND).await.unwrap();
    let described = rig.group_tool(&["--describe"]);
    let is_blind = |line: &&str| line.contains(&rig.topic) && line.contains(" - ");
    assert_eq!(described.lines().filter(is_blind).count(), 3, "{described}");
    worker.stop();
    group_is_empty(&rig).await;
    let json = doctor(&rig).await;
    for partition in [0, 2] {
        let says = format!("partition {partition}: no committed offset, 1 message waiting since");
        let found = checks(&json, "start.position");
        assert!(found.iter().any(|(_, text)| text.contains(&says)), "{found:?}");
    }
    let found = checks(&json, "start.events");
    assert!(found[0].1.contains("0 already there, 2 would be made"), "{found:?}");
    let daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.reads(&daemon).await;
}
