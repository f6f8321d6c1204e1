//! A purchase that was removed, after a refund say, stays removed, whatever tells of its payment again.

use uuid::Uuid;

use crate::quarantine::{Mapping, TAKES_ANY_CURRENCY, decisions};
use crate::support::corpus::with_field;
use crate::support::events::{Payment, payments, raw};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// The payment's event as a producer sends it that knows of no ids.
async fn send_without_id(rig: &Rig, payment: &Payment) {
    let json = payment.json();
    let (_, rest) = json.split_once(',').unwrap();
    rig.send(&raw(None, Some(format!("{{{rest}").as_bytes()))).await;
}

async fn remove(rig: &Rig, payment: &Payment) {
    let sql = "DELETE FROM student_course_purchases WHERE payment_id = $1";
    assert_eq!(rig.client.execute(sql, &[&payment.id]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_ids_on_a_topic_made_anew_make_no_removed_purchase_again() {
    let rig = Rig::new(1).await;
    let paid = payments(6);
    for payment in &paid[..4] {
        send_without_id(&rig, payment).await;
    }
    let daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid[..4]).await;
    remove(&rig, &paid[0]).await;
    remove(&rig, &paid[2]).await;
    daemon.stop();
    rig.recreate_topic(1).await;
    for payment in &paid {
        send_without_id(&rig, payment).await;
    }
    let _daemon = rig.daemon();
    rig.caught_up().await;
    let left = [1, 3, 4, 5].map(|at| paid[at].clone());
    ledger::assert_exactly(&rig.client, &left).await;
    let told = "SELECT count(*) FROM makegood.inbox_events WHERE outcome = 'ignored' AND detail LIKE '%removed%'";
    assert_eq!(rig.number(told).await, 2);
    // Nor once more on the same log.
    send_without_id(&rig, &paid[0]).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_says_so_by_a_new_id_has_its_purchase_again_whatever_it_is_read_with() {
    let rig = Rig::new(1).await;
    let paid = payments(3);
    rig.pay(&paid[..2]).await;
    let daemon = rig.daemon();
    rig.caught_up().await;
    remove(&rig, &paid[0]).await;
    remove(&rig, &paid[1]).await;
    daemon.stop();
    // One batch: the first is paid again, of the second an event without an id is sent once more, the third is new.
    let again = Payment { event: Uuid::new_v4(), ..paid[0].clone() };
    rig.pay(std::slice::from_ref(&again)).await;
    send_without_id(&rig, &paid[1]).await;
    send_without_id(&rig, &paid[2]).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &[again, paid[2].clone()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_makes_no_removed_purchase_again() {
    let rig = Rig::new(1).await;
    let mapping = Mapping::new(&rig);
    let daemon = rig.daemon_with(&mapping.route(""));
    let paid = payments(2);
    let lower = with_field(&paid[0].json(), "currency", "\"inr\"");
    rig.send(&raw(None, Some(lower.as_bytes()))).await;
    rig.caught_up().await;
    let open = "SELECT count(*) FROM makegood.quarantine WHERE resolved_at IS NULL";
    eventually("the record in quarantine", || async {
        (rig.number(open).await == 1).then_some(())
    })
    .await;
    let ids: Vec<_> = paid.iter().map(|p| p.id).collect();
    // Both had their purchase, by whatever way, and one was refunded.
    let id = rig.number("SELECT id FROM makegood.quarantine").await;
    let had = "INSERT INTO makegood.inbox (event_id, route_id, digest, outcome, business_key)
               SELECT gen_random_uuid(), r.id, '\\x00', 'applied', k::text FROM makegood.routes r, unnest($1::uuid[]) k";
    rig.client.execute(had, &[&ids]).await.unwrap();
    mapping.change(&TAKES_ANY_CURRENCY);
    daemon.signal("HUP");
    eventually("the new mapping", || async {
        daemon.log().contains("mapping reloaded").then_some(())
    })
    .await;
    rig.number(&format!("SELECT makegood.replay({id})")).await;
    eventually("the replay", || async {
        (decisions(&rig).await == ["replay ignored: 1"]).then_some(())
    })
    .await;
    assert_eq!(ledger::count(&rig.client).await, 0);
}
