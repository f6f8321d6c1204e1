//! Promise 1: effects happen once per event id and once per business key, whatever is delivered how
//! often.

use crate::support::events::{payments, raw};
use crate::support::ledger;
use crate::support::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_purchase_is_made_once_however_often_its_event_comes() {
    let rig = Rig::new(3).await;
    let paid = payments(500);
    rig.pay(&paid).await;
    rig.pay(&paid).await;
    let _daemon = rig.daemon();
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(
        rig.number("SELECT sum(duplicate)::bigint FROM makegood.consumer_positions").await,
        1000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_topic_again_from_its_beginning_changes_no_row() {
    let rig = Rig::new(3).await;
    let paid = payments(300);
    rig.pay(&paid).await;
    let digest = "SELECT md5(string_agg(t::text, ',' ORDER BY t.payment_id)) FROM student_course_purchases t";
    {
        let _daemon = rig.daemon();
        rig.caught_up().await;
    }
    let before: Option<String> = rig.client.query_one(digest, &[]).await.unwrap().get(0);
    // The operator's own way back: the group is empty, its offsets go to the beginning.
    rig.client.batch_execute("DELETE FROM makegood.positions").await.unwrap();
    let daemon = rig.daemon();
    rig.caught_up().await;
    drop(daemon);
    let after: Option<String> = rig.client.query_one(digest, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_among_good_records_is_put_away_and_blocks_nobody() {
    let rig = Rig::new(1).await;
    let paid = payments(50);
    rig.pay(&paid[..25]).await;
    rig.send(&raw(Some(b"k"), Some(b"not json"))).await;
    rig.pay(&paid[25..]).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let row =
        rig.client.query_one("SELECT value, reason FROM makegood.quarantine", &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, &[u8]>(0), row.get::<_, &str>(1)),
        (b"not json".as_slice(), "not_json")
    );
}
