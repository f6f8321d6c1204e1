//! A payment that comes after its event: in a transaction that is still open, in a replica that lags, or days later.

use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_only_late_gets_its_purchase_and_is_no_case() {
    let rig = Rig::new(1).await;
    let paid = payments(5);
    let _daemon = rig.verifier();
    rig.pay(&paid).await;
    rig.caught_up().await;
    rig.doubts(&[("no_payment unverified", 5)]).await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 0);
    rig.record(&paid, 0.0).await;
    rig.doubts(&[("no_payment made_good", 5)]).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    // The event is in the inbox, so that it is a duplicate when it comes again.
    rig.pay(&paid).await;
    rig.caught_up().await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.inbox").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_closed_by_its_payment_that_succeeds_later() {
    let rig = Rig::new(1).await;
    let (paid, wrong) = (payments(6), payments(6));
    rig.record(&paid[..5], 0.0).await;
    rig.client.execute("UPDATE payments SET status = 'pending'", &[]).await.unwrap();
    // Of this one the payment says another amount at first.
    let set = "UPDATE payments SET status = 'succeeded', amount = 77 WHERE id = $1";
    rig.client.execute(set, &[&paid[4].id]).await.unwrap();
    let _daemon = rig.verifier();
    rig.pay(&paid).await;
    rig.pay(&wrong).await;
    rig.caught_up().await;
    rig.a_minute_passes().await;
    rig.doubts(&[("mismatch judged", 1), ("no_payment judged", 11)]).await;
    rig.client.execute("UPDATE payments SET status = 'succeeded'", &[]).await.unwrap();
    let back = "UPDATE payments SET amount = $2::text::numeric WHERE id = $1";
    rig.client.execute(back, &[&paid[4].id, &paid[4].amount]).await.unwrap();
    rig.record(&paid[5..], 0.0).await;
    rig.doubts(&[("mismatch made_good", 1), ("no_payment made_good", 5), ("no_payment judged", 6)])
        .await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_that_cannot_be_read_hold_the_route_and_make_nothing() {
    let rig = Rig::new(1).await;
    let paid = payments(4);
    rig.record(&paid, 0.0).await;
    let daemon = rig.verifier();
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    rig.client.execute("ALTER TABLE payments RENAME COLUMN status TO state", &[]).await.unwrap();
    rig.pay(&paid[1..]).await;
    let held = eventually("the route to be held", || async {
        rig.worker(&daemon).await.filter(|worker| worker.state == "held")?.reason
    })
    .await;
    assert!(held.contains("payments that events are held against cannot be read"), "{held}");
    assert_eq!(ledger::count(&rig.client).await, 1);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    rig.client.execute("ALTER TABLE payments RENAME COLUMN state TO status", &[]).await.unwrap();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_table_of_payments_events_are_believed() {
    let rig = Rig::new(1).await;
    rig.client.execute("DROP TABLE payments", &[]).await.unwrap();
    let daemon = rig.verifier();
    let paid: Vec<Payment> = payments(2);
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert!(daemon.log().contains("events are believed without their payments"));
    let why = "SELECT believes FROM makegood.routes";
    let why: String = rig.client.query_one(why, &[]).await.unwrap().get(0);
    assert!(why.contains("there is no table payments beside the purchases"), "{why}");
}
