//! When all that comes is bad: a deploy went wrong. Nothing stands still for it, and what was put away is made good once
//! it is mended; a quarantine that is full notes offsets, which the reconciler covers.

use super::{Mapping, REFUSES_ALL, decisions};
use crate::commands::{run, stderr, stdout};
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::{PUT_AWAY, held, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const JUDGED: &str = "SELECT count(*) FROM makegood.quarantine_open";

async fn count(rig: &Rig, sql: &str, wanted: i64) {
    eventually(&format!("{wanted} from {sql}"), || async {
        (rig.number(sql).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deploy_gone_wrong_put_away_is_made_good_once_the_mapping_is_mended() {
    let rig = Rig::new(3).await;
    let mapping = Mapping::new(&rig);
    mapping.change(&[REFUSES_ALL]);
    let daemon = rig.daemon_with(&mapping.route(""));
    let paid: Vec<Payment> = payments(240);
    rig.pay(&paid).await;
    rig.caught_up().await;
    assert_eq!(rig.number(JUDGED).await, 240);
    mapping.restore();
    daemon.signal("HUP");
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.decisions").await, 0, "nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_judges_what_is_refused_until_something_is_applied() {
    let rig = Rig::new(1).await;
    let daemon = rig.daemon();
    let check =
        "ALTER TABLE student_course_purchases ADD CONSTRAINT cheap CHECK (amount < 1) NOT VALID";
    rig.client.batch_execute(check).await.unwrap();
    let behind = payments(40);
    rig.pay(&behind).await;
    let why = held(&rig).await;
    assert!(why.reason.contains("23514"), "{why:?}");
    let accept = ["quarantine", "accept", "purchases", "--why", "old prices"];
    let plan = run(&rig, &accept).await;
    assert!(stderr(&plan).contains("--execute"), "{}", stderr(&plan));
    assert_eq!(rig.number("SELECT count(*) FROM makegood.decisions").await, 0);
    let done = run(&rig, &[&accept[..], &["--execute"]].concat()).await;
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
    rig.caught_up().await;
    count(&rig, JUDGED, 40).await;
    running(&rig).await;
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases DROP CONSTRAINT cheap")
        .await
        .unwrap();
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &behind).await;
    count(&rig, "SELECT count(*) FROM makegood.decisions WHERE finished_at IS NULL", 0).await;
    assert_eq!(decisions(&rig).await, ["accept ended: 1"]);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_fills_no_disk_and_holds_nobody() {
    let rig = Rig::new(1).await;
    let _daemon = rig.daemon_with("max_quarantine = \"256KiB\"\nbatch = { rows = 16 }");
    let paid = payments(2);
    rig.pay(&paid[..1]).await;
    for n in 0..200 {
        let noise: String =
            (0..400).map(|k| format!("{:x}", (n * 7919 + k * 104_729) % 65_521)).collect();
        rig.send(&raw(None, Some(noise.as_bytes()))).await;
    }
    rig.pay(&paid[1..]).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let kept = rig.number("SELECT count(*) FROM makegood.quarantine").await;
    assert!((1..200).contains(&kept), "{kept} kept");
    let noted = "SELECT sum(to_offset - from_offset)::bigint FROM makegood.gaps WHERE reason = 'quarantine_full'";
    assert_eq!(rig.number(noted).await, 200 - kept);
    assert_eq!(
        rig.number("SELECT count(*) FROM makegood.gaps").await,
        1,
        "one range, not a row each"
    );
}
