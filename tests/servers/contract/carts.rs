//! A mapping whose events make several rows each.

use std::fs;

use rules::advice::runnable;

use super::{hang_up, mapping};
use crate::support::events::raw;
use crate::support::eventually;
use crate::support::holding::held_for;
use crate::support::rig::Rig;

/// A mapping for carts whose apply.sql makes a row for each item of an event, and answers the key that `key` says.
fn of_items(key: &str) -> String {
    format!(
        "-- makegood: apply
-- makegood: business-key cart(payment_id, course_id) /paymentId /items/0/courseId
WITH event AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::jsonb[], $3::timestamptz[]) AS e (event_id, payload, at)
), made AS (
    INSERT INTO cart
    SELECT (payload ->> 'paymentId')::uuid, (item ->> 'courseId')::uuid FROM event, jsonb_array_elements(payload -> 'items') item
    ON CONFLICT (payment_id, course_id) DO NOTHING
)
SELECT event_id, 'applied' AS outcome, {key} AS business_key, NULL::text AS detail FROM event"
    )
}

fn cart(payment: u8, courses: u8) -> String {
    let id = |n: u8| format!("00000000-0000-4000-8000-0000000000{n:02}");
    let items: Vec<String> =
        (0..courses).map(|n| format!(r#"{{"courseId":"{}"}}"#, id(50 + n))).collect();
    format!(
        r#"{{"eventType":"PURCHASE_CONFIRMED","paymentId":"{}","items":[{}]}}"#,
        id(payment),
        items.join(",")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_makes_two_rows_is_refused_and_so_is_a_key_that_is_not_the_events() {
    let rig = Rig::new(1).await;
    let table = "CREATE TABLE cart (payment_id uuid, course_id uuid)";
    rig.client.batch_execute(table).await.unwrap();
    let good = "jsonb_build_array(payload ->> 'paymentId', payload #>> '{items,0,courseId}')::text";
    let (file, setting) = mapping(&rig, &of_items(good));
    let payments = file.with_file_name("payments.sql");
    let sql = format!(
        "SELECT business_key, at, 'paid' AS state, '{{}}'::jsonb AS terms, event
         FROM (SELECT 'k' AS business_key, now() - interval '1 minute' AS at, '{}'::jsonb AS event) p
         WHERE coalesce($1::timestamptz::text, $2::text, $3::timestamptz::text, $4::bigint::text, '') IS NOT NULL
               AND ($5::text[] IS NULL OR business_key = ANY ($5::text[]))",
        cart(1, 2)
    );
    fs::write(&payments, sql).unwrap();
    let daemon = rig.daemon_with(&setting);
    // There is a way to a key of two columns, and it is tried as it is printed.
    let held =
        held_for(&rig, "cart has no unique index on payment_id, course_id and nothing else").await;
    let create = "CREATE UNIQUE INDEX CONCURRENTLY ON cart (payment_id, course_id);";
    assert!(held.advice.contains(create), "{held:?}");
    let duplicates = runnable(&held.advice).into_iter().find(|text| text.starts_with("SELECT "));
    rig.client.batch_execute(duplicates.unwrap()).await.unwrap();
    rig.client.batch_execute(create).await.unwrap();
    // Where a payment shows it, at the check; otherwise with the event that does.
    held_for(&rig, "apply.sql made 2 rows of cart of 1 applied events").await;
    fs::remove_file(payments).unwrap();
    hang_up(&daemon, "resumed").await;
    for record in [cart(2, 1), cart(3, 2), cart(4, 1)] {
        rig.send(&raw(None, Some(record.as_bytes()))).await;
    }
    let case = "SELECT reason || ' ' || detail FROM makegood.quarantine_open WHERE business_key LIKE '[\"%03\", \"%50\"]'";
    eventually("the event to be put away", || async {
        let found = rig.client.query_opt(case, &[]).await.unwrap()?;
        found.get::<_, String>(0).contains("breach apply.sql made 2 rows of cart").then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT count(*) FROM cart").await, 2, "{}", daemon.log());
    let other = of_items("payload ->> 'paymentId' || '/' || (payload #>> '{items,0,courseId}')");
    fs::write(file, other).unwrap();
    hang_up(&daemon, "mapping reloaded").await;
    rig.send(&raw(None, Some(cart(5, 1).as_bytes()))).await;
    let suspect = "SELECT count(*) FROM makegood.quarantine
        WHERE detail LIKE 'apply.sql returned another business_key than stands in the event at /paymentId and /items/0/courseId%'";
    eventually("the event to be put away", || async {
        (rig.number(suspect).await == 1).then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT count(*) FROM cart").await, 2, "{}", daemon.log());
}
