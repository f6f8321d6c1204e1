//! When most of what comes is bad, the route holds: a deploy went wrong, and a full quarantine hides it.

use super::{Mapping, REFUSES_ALL, decisions};
use crate::commands::{run, stderr, stdout};
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::{held, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const QUARANTINED: &str = "SELECT count(*) FROM makegood.quarantine";
const BRAKE: &str =
    "max_quarantine = { share = \"50%\", share_from = 40 }\nlanes = 1\nbatch = { rows = 15 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_gone_wrong_holds_also_after_restarts_and_goes_on_once_the_mapping_is_mended() {
    let rig = Rig::new(3).await;
    let mapping = Mapping::new(&rig);
    let mut daemon = rig.daemon_with(&mapping.route(BRAKE));
    let mut paid = payments(150);
    rig.pay(&paid).await;
    rig.caught_up().await;
    // Now no event is what apply.sql expects.
    mapping.change(&[REFUSES_ALL]);
    daemon.signal("HUP");
    eventually("the mapping to be reloaded", || async {
        daemon.log().contains("mapping reloaded").then_some(())
    })
    .await;
    let behind: Vec<Payment> = (0..240).map(Payment::new).collect();
    rig.pay(&behind).await;
    for round in 0..3 {
        let why = held(&rig).await;
        assert!(why.reason.contains("max_quarantine.share"), "{why:?}");
        assert!(why.reason.contains("rejected, nobody"), "{why:?}");
        let ways = ["SIGHUP", "makegood quarantine accept purchases --execute"];
        assert!(ways.iter().all(|way| why.advice.contains(way)), "{why:?}");
        // Half of the last 40, or of each partition's where it is one that goes bad before the others.
        let put_away = rig.number(QUARANTINED).await;
        assert!((1..=40).contains(&put_away), "{put_away} in quarantine in round {round}");
        daemon.kill();
        rig.client.batch_execute("DELETE FROM makegood.workers").await.unwrap();
        daemon = rig.daemon_with(&mapping.route(BRAKE));
    }
    held(&rig).await;
    let place = rig.positions().await;
    mapping.restore();
    daemon.signal("HUP");
    rig.caught_up().await;
    running(&rig).await;
    assert!(place.values().sum::<i64>() < 200, "it did not keep its place: {place:?}");
    rig.number("SELECT count(makegood.replay(id)) FROM makegood.quarantine_open").await;
    paid.extend(behind);
    eventually("the replays to be done", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_lets_a_bad_stretch_into_quarantine_and_the_next_one_holds_again() {
    let rig = Rig::new(1).await;
    let poison = async |count: usize| {
        for n in 0..count {
            rig.send(&raw(None, Some(format!("poison {n}").as_bytes()))).await;
        }
    };
    let mut paid = payments(60);
    let nothing = run(&rig, &["quarantine", "accept", "purchases"]).await;
    assert_eq!(nothing.status.code(), Some(1), "{}", stderr(&nothing));
    let mut daemon = rig.daemon_with(BRAKE);
    // A lone one among good ones holds nobody.
    rig.pay(&paid[..30]).await;
    poison(1).await;
    rig.pay(&paid[30..]).await;
    rig.caught_up().await;
    let nothing = run(&rig, &["quarantine", "accept", "purchases"]).await;
    assert!(stderr(&nothing).contains("not held for bad records"), "{}", stderr(&nothing));

    // Somebody accepted long ago, in vain: that is no answer to what comes now.
    rig.number("SELECT makegood.accept('purchases', 'too early')").await;
    let long_ago = "UPDATE makegood.decisions SET decided_at = now() - interval '2 hours'";
    rig.client.batch_execute(long_ago).await.unwrap();

    for stretch in 1..=2 {
        let before = rig.number(QUARANTINED).await;
        poison(100).await;
        held(&rig).await;
        let place = rig.positions().await;
        let plan = run(&rig, &["quarantine", "accept", "purchases"]).await;
        assert!(plan.status.success() && stderr(&plan).contains("--execute"), "{}", stderr(&plan));
        assert_eq!(rig.positions().await, place, "a plan changed something");
        let done = run(
            &rig,
            &["quarantine", "accept", "purchases", "--execute", "--why", "seen", "-o", "json"],
        )
        .await;
        assert!(done.status.success(), "{}", stderr(&done));
        assert!(stdout(&done).contains("\"decision\""), "{}", stdout(&done));
        rig.caught_up().await;
        running(&rig).await;
        assert_eq!(rig.number(QUARANTINED).await, before + 100, "stretch {stretch}");
        let mut good: Vec<Payment> = (0..80).map(Payment::new).collect();
        rig.pay(&good).await;
        rig.caught_up().await;
        paid.append(&mut good);
        ledger::assert_exactly(&rig.client, &paid).await;
    }
    let in_force = "SELECT count(*) FROM makegood.quarantine_decisions
                    WHERE kind = 'accept' AND decided_via = 'cli' AND reason = 'seen' AND started_at IS NOT NULL";
    assert_eq!(rig.number(in_force).await, 2);
    poison(1).await;
    rig.caught_up().await;
    assert_eq!(decisions(&rig).await, ["accept ended: 3"]);
    assert_eq!(daemon.ended(), None);
}
