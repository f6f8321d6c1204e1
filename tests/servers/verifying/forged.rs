//! Events of payments that do not exist, failed, or say something else.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::VERIFIED;
use crate::commands::{run, stderr};
use crate::support::events::{Payment, payments, raw};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// More than a route keeps of them.
const FORGED: usize = 10_500;
const KEPT: i64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forged_events_delays_no_good_one_and_is_bounded() {
    let rig = Rig::new(2).await;
    let good = payments(300);
    rig.record(&good, 0.0).await;
    let _daemon = rig.verifier();
    let began = Instant::now();
    rig.pay(&good[..100]).await;
    rig.caught_up().await;
    let alone = began.elapsed();
    for part in payments(FORGED).chunks(FORGED / 100).zip(good[100..].chunks(2)) {
        rig.pay(part.0).await;
        rig.pay(part.1).await;
    }
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &good).await;
    // So many are kept, and what lanes had at hand at the same time; the rest is noted, for the reconciler.
    let kept = || async { rig.doubted().await.values().sum::<i64>() };
    let full = kept().await;
    assert!((KEPT..KEPT + 2 * 4000).contains(&full), "{full}");
    rig.pay(&payments(100)).await;
    rig.caught_up().await;
    assert_eq!(kept().await, full);
    let noted = "SELECT sum(to_offset - from_offset)::bigint FROM makegood.gaps";
    assert_eq!(rig.number(noted).await, FORGED as i64 + 100 - full);
    let held = "SELECT count(*) FROM makegood.suspects WHERE state <> 'unverified'";
    assert_eq!(rig.number(held).await, 0);
    // And behind the flood.
    let last = payments(1);
    rig.record(&last, 0.0).await;
    rig.pay(&last).await;
    rig.caught_up().await;
    assert_eq!(ledger::count(&rig.client).await, good.len() + 1);
    println!("100 good ones alone: {alone:?}, with {FORGED} forged: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_from_the_payment_in_one_field_makes_no_purchase() {
    let rig = Rig::new(1).await;
    let paid = payments(8);
    rig.record(&paid, 0.0).await;
    for (payment, status) in paid[4..7].iter().zip(["failed", "refunded", "pending"]) {
        let sql = "UPDATE payments SET status = $2 WHERE id = $1";
        rig.client.execute(sql, &[&payment.id, &status]).await.unwrap();
    }
    let other = Payment::new(1);
    let mut forged = paid.clone();
    forged[0].amount = "0.01".to_owned();
    forged[1].currency = "EUR".to_owned();
    forged[2].student = other.student;
    forged[3].course = other.course;
    let _daemon = rig.verifier();
    rig.pay(&forged[..7]).await;
    rig.caught_up().await;
    assert_eq!(ledger::count(&rig.client).await, 0);
    rig.doubts(&[("mismatch unverified", 4), ("no_payment unverified", 3)]).await;
    rig.a_minute_passes().await;
    rig.doubts(&[("mismatch judged", 4), ("no_payment judged", 3)]).await;
    // Whoever has them replayed is told that they stay.
    let replayed = run(&rig, &["quarantine", "replay", "--all", "--execute"]).await;
    assert_eq!(replayed.status.code(), Some(1), "{}", stderr(&replayed));
    assert!(stderr(&replayed).contains("those stay in quarantine"), "{}", stderr(&replayed));
    // The first event does not win: a true one makes the purchase, and closes what is about its payment.
    rig.pay(&paid[..4]).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid[..4]).await;
    rig.doubts(&[("mismatch made_good", 4), ("no_payment judged", 3)]).await;
    // And what exists already is no matter of payments: it is a duplicate of the payment's event, or contradicts it.
    rig.pay(&[Payment { event: other.event, ..forged[0].clone() }]).await;
    rig.caught_up().await;
    assert_eq!(
        rig.number("SELECT count(*) FROM makegood.inbox WHERE outcome = 'conflict'").await,
        1
    );
    assert_eq!(ledger::count(&rig.client).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_batch_the_true_event_wins_whatever_came_first() {
    let rig = Rig::new(1).await;
    let paid = payments(20);
    rig.record(&paid, 0.0).await;
    for payment in &paid {
        for cents in 1..4 {
            let forged = Payment {
                event: uuid::Uuid::new_v4(),
                amount: format!("0.0{cents}"),
                ..payment.clone()
            };
            rig.pay(&[forged]).await;
        }
    }
    rig.pay(&paid).await;
    let _daemon = rig.verifier();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mapping_refuses_of_a_forged_event_makes_no_suspect() {
    let rig = Rig::new(1).await;
    let guard = "CREATE TABLE students (id uuid PRIMARY KEY);
        ALTER TABLE student_course_purchases ADD FOREIGN KEY (student_id) REFERENCES students";
    rig.client.batch_execute(guard).await.unwrap();
    let good = payments(1);
    rig.record(&good, 0.0).await;
    rig.client.execute("INSERT INTO students VALUES ($1)", &[&good[0].student]).await.unwrap();
    let _daemon = rig.daemon_with(&format!("{VERIFIED}\nsuspects = 1"));
    rig.pay(&payments(30)).await;
    rig.pay(&good).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &good).await;
    rig.doubts(&[("no_payment unverified", 30)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_takes_the_whole_payload_is_held_to_all_that_the_payment_says() {
    let rig = Rig::new(1).await;
    let paid = payments(3);
    rig.record(&paid, 0.0).await;
    let mut forged = payments(1);
    forged[0] = Payment { amount: "0.01".to_owned(), event: forged[0].event, ..paid[2].clone() };
    let _daemon =
        rig.daemon_with(&format!("{VERIFIED}\nmapping = \"{}\"", payload_mapping(&rig).display()));
    rig.pay(&forged).await;
    for key in ["no-uuid", "", "2026-01-01", "1e5", "{}"] {
        let text = paid[0].json().replace(&paid[0].id.to_string(), key);
        let text = text.replace(&paid[0].event.to_string(), &uuid::Uuid::new_v4().to_string());
        rig.send(&raw(None, Some(text.as_bytes()))).await;
    }
    rig.pay(&paid[..2]).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid[..2]).await;
    rig.doubts(&[("mismatch unverified", 1), ("no_payment unverified", 5)]).await;
}

/// The shipped mapping without field lines: it takes the payloads apart itself.
fn payload_mapping(rig: &Rig) -> PathBuf {
    let folder = rig.path("payloads");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("payments.sql"), include_str!("../../../sql/purchases/payments.sql"))
        .unwrap();
    let apply = "-- makegood: apply
-- makegood: business-key student_course_purchases(payment_id) /data/paymentId
WITH event AS (
    SELECT e.id, (e.body #>> '{data,paymentId}')::uuid AS payment_id, (e.body #>> '{data,studentId}')::uuid AS student_id,
           (e.body #>> '{data,courseId}')::uuid AS course_id, (e.body #>> '{data,amount}')::numeric AS amount,
           e.body #>> '{data,currency}' AS currency, e.at
    FROM unnest($1::uuid[], $2::jsonb[], $3::timestamptz[]) AS e (id, body, at)
), inserted AS (
    INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id, purchased_at)
    SELECT payment_id, student_id, course_id, amount, currency, id, at FROM event ORDER BY payment_id, id
    ON CONFLICT (payment_id) DO NOTHING
    RETURNING event_id, payment_id
)
SELECT id AS event_id, CASE WHEN i.event_id IS NULL THEN 'already' ELSE 'applied' END AS outcome,
       e.payment_id::text AS business_key, NULL::text AS detail
FROM event e LEFT JOIN inserted i ON i.event_id = e.id";
    fs::write(folder.join("apply.sql"), apply).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_events_are_believed_and_that_is_said() {
    let rig = Rig::new(1).await;
    let forged = payments(3);
    let daemon = rig.verifier();
    rig.pay(&forged).await;
    rig.caught_up().await;
    rig.doubts(&[("no_payment unverified", 3)]).await;
    drop(daemon);
    let _daemon = rig.daemon();
    let believes = "SELECT count(*) FROM makegood.routes WHERE believes = 'verify_payment is off'";
    eventually("it to be said", || async { (rig.number(believes).await == 1).then_some(()) }).await;
    let more = payments(2);
    rig.pay(&more).await;
    rig.caught_up().await;
    // What was refused before is a person's to decide.
    ledger::assert_exactly(&rig.client, &more).await;
    rig.a_minute_passes().await;
    rig.doubts(&[("no_payment judged", 3)]).await;
    rig.client
        .query("SELECT makegood.replay(id) FROM makegood.quarantine_open", &[])
        .await
        .unwrap();
    rig.doubts(&[("no_payment replayed", 3)]).await;
    assert_eq!(ledger::count(&rig.client).await, 5);
}
