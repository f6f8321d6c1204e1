//! What is for people is found, told once, closed when it heals, and never changed by itself.

use super::{found, recorded};
use crate::commands::{run, stdout};
use crate::quarantine::Mapping;
use crate::support::corpus::with_field;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::{PUT_AWAY, held};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const JUDGED: &str = "SELECT count(*) FROM makegood.quarantine_open";

#[tokio::test(flavor = "multi_thread")]
async fn contradictions_are_found_once_heal_and_can_be_dismissed() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("window = 3").await;
    let paid = recorded(&rig, 10).await;
    rig.by_hand(&paid).await;
    let stranger = Payment::new(999);
    rig.by_hand(std::slice::from_ref(&stranger)).await;
    let change = |sql: &str, p: &Payment| format!("{sql} = '{}';", p.id);
    rig.client
        .batch_execute(
            &[
                change(
                    "UPDATE student_course_purchases SET amount = 0.01 WHERE payment_id",
                    &paid[0],
                ),
                change(
                    "UPDATE student_course_purchases SET currency = 'EUR' WHERE payment_id",
                    &paid[1],
                ),
                change("UPDATE payments SET status = 'refunded' WHERE id", &paid[2]),
                change("UPDATE payments SET status = 'failed' WHERE id", &paid[3]),
            ]
            .concat(),
        )
        .await
        .unwrap();
    let before = purchases(&rig).await;
    let all = [
        ("amount open", 1),
        ("currency open", 1),
        ("no_payment open", 1),
        ("not_paid open", 1),
        ("refunded open", 1),
    ];
    for _ in 0..2 {
        let run = rig.reconcile("").await;
        assert_eq!((run.made_good, run.conflicts), (0, 5), "{run:?}");
        assert_eq!(rig.findings().await, found(&all));
    }
    let sql = "SELECT expected ->> 'amount', found ->> 'amount' FROM makegood.reconcile_findings WHERE kind = 'amount'";
    let row = rig.client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (paid[0].amount.as_str(), "0.01"));
    assert_eq!(purchases(&rig).await, before, "a contradiction was changed");
    // One is put right, one is decided on.
    rig.client
        .batch_execute(&format!(
            "UPDATE student_course_purchases SET currency = 'INR' WHERE payment_id = '{}';
             SELECT makegood.dismiss(finding, 'a gift') FROM makegood.reconcile_findings WHERE kind = 'refunded'",
            paid[1].id
        ))
        .await
        .unwrap();
    rig.reconcile("").await;
    let left = [
        ("amount open", 1),
        ("currency healed", 1),
        ("no_payment open", 1),
        ("not_paid open", 1),
        ("refunded dismissed", 1),
    ];
    assert_eq!(rig.findings().await, found(&left));
    // With other values it is another finding.
    rig.client
        .batch_execute(&change(
            "UPDATE student_course_purchases SET amount = 7 WHERE payment_id",
            &paid[2],
        ))
        .await
        .unwrap();
    rig.reconcile("").await;
    assert!(rig.findings().await.contains(&("refunded open".to_owned(), 1)));
}

async fn purchases(rig: &Rig) -> Vec<String> {
    let sql = "SELECT p::text FROM student_course_purchases p ORDER BY 1";
    rig.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_that_somebody_removed_is_told_and_not_made_again() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 6).await;
    rig.pay(&paid[..3]).await;
    rig.caught_up().await;
    assert_eq!(rig.reconcile("").await.made_good, 3);
    // One that came as an event, one that was made good.
    let remove = format!(
        "DELETE FROM student_course_purchases WHERE payment_id IN ('{}', '{}')",
        paid[0].id, paid[5].id
    );
    rig.client.batch_execute(&remove).await.unwrap();
    for _ in 0..2 {
        let run = rig.reconcile("").await;
        assert_eq!((run.missing, run.made_good, run.gone), (0, 0, 2), "{run:?}");
    }
    ledger::assert_exactly(&rig.client, &paid[1..5]).await;
    assert_eq!(rig.findings().await, found(&[("gone open", 2), ("missing made_good", 3)]));
    assert_eq!(
        rig.number("SELECT count(*) FROM makegood.paid_not_purchased WHERE kind = 'gone'").await,
        2
    );
    let sql = "SELECT makegood.dismiss(finding, 'a mistake') FROM makegood.reconcile_findings WHERE kind = 'gone' AND payment = $1";
    rig.client.execute(sql, &[&paid[0].id.to_string()]).await.unwrap();
    rig.by_hand(&paid[5..]).await;
    eventually("the other one to heal", || async {
        (rig.number("SELECT count(*) FROM makegood.paid_not_purchased").await == 0).then_some(())
    })
    .await;
    assert_eq!(rig.reconcile("").await.gone, 0, "a dismissed finding came back");
    assert_eq!(
        rig.findings().await,
        found(&[("gone dismissed", 1), ("gone healed", 1), ("missing made_good", 3)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_route_is_held_nothing_is_made_good_and_nothing_quarantined() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases RENAME purchased_at TO start_date")
        .await
        .unwrap();
    let mut paid = payments(2);
    rig.pay(&paid).await;
    held(&rig).await;
    paid.extend(recorded(&rig, 30).await);
    let run = rig.ask("").await;
    eventually("the run to say why it waits", || async { rig.run(run).await.held }).await;
    assert_eq!(rig.number(JUDGED).await, 0);
    assert_eq!(ledger::count(&rig.client).await, 0);
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases RENAME start_date TO purchased_at")
        .await
        .unwrap();
    rig.run_is(run, &["done"]).await;
    rig.caught_up().await;
    made_good(&rig, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drift_that_no_event_has_met_yet_quarantines_no_payment_either() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 30).await;
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases ADD seat integer NOT NULL")
        .await
        .unwrap();
    let run = rig.ask("").await;
    let why = eventually("the run to say why it waits", || async { rig.run(run).await.held }).await;
    assert!(why.contains("23502"), "{why}");
    assert_eq!(rig.number(JUDGED).await, 0);
    rig.client.batch_execute("ALTER TABLE student_course_purchases DROP seat").await.unwrap();
    rig.run_is(run, &["done"]).await;
    made_good(&rig, &paid).await;
}

/// Waits until nothing waits for a verdict, and expects a purchase for each payment.
async fn made_good(rig: &Rig, paid: &[Payment]) {
    eventually("what was refused to be made good", || async {
        (rig.number(PUT_AWAY).await == 0).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_cannot_be_made_good_is_quarantined_once_with_its_reason() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("every = \"1s\"").await;
    let paid = recorded(&rig, 40).await;
    // The mapping rejects one, a constraint of the host refuses another.
    rig.client
        .batch_execute(&format!(
            "UPDATE payments SET currency = 'rupees' WHERE id = '{}';
             ALTER TABLE student_course_purchases ADD CONSTRAINT c CHECK (course_id <> '{}')",
            paid[7].id, paid[21].course
        ))
        .await
        .unwrap();
    let run = rig.reconcile("").await;
    assert_eq!((run.missing, run.made_good, run.quarantined), (40, 38, 2), "{run:?}");
    eventually("a verdict on both", || async { (rig.number(JUDGED).await == 2).then_some(()) })
        .await;
    let sql = "SELECT business_key, reason, sqlstate FROM makegood.quarantine WHERE resolved_at IS NULL ORDER BY reason";
    let rows = rig.client.query(sql, &[]).await.unwrap();
    let cases: Vec<(String, String, Option<String>)> =
        rows.iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect();
    assert_eq!(
        cases,
        [
            (paid[21].id.to_string(), "refused".to_owned(), Some("23514".to_owned())),
            (paid[7].id.to_string(), "rejected".to_owned(), None),
        ]
    );
    // The schedule leaves them alone; they stay in sight.
    let sql = "SELECT coalesce(max(id), 0) FROM makegood.runs WHERE requested_via = 'schedule' AND state = 'done'";
    let last = rig.number(sql).await;
    eventually("two more runs of the schedule", || async {
        (rig.number(sql).await >= last + 2).then_some(())
    })
    .await;
    let sql = "SELECT sum(quarantined + missing)::bigint FROM makegood.runs WHERE requested_via = 'schedule'";
    assert_eq!(rig.number(sql).await, 0);
    let sql = "SELECT count(*) FROM makegood.paid_not_purchased WHERE detail IS NOT NULL";
    assert_eq!(rig.number(sql).await, 2);
    // What is mended is made good when a person asks, and needs no decision any more.
    rig.client
        .batch_execute(&format!("UPDATE payments SET currency = 'INR' WHERE id = '{}'", paid[7].id))
        .await
        .unwrap();
    let run = rig.reconcile("").await;
    assert_eq!((run.made_good, run.quarantined), (1, 1), "{run:?}");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 1);
    let mut purchased = paid.clone();
    purchased.remove(21);
    ledger::assert_exactly(&rig.client, &purchased).await;
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_payment_without_a_purchase_is_in_sight_before_any_run_and_until_it_has_one() {
    let rig = Rig::new(1).await;
    let _daemon: Daemon = rig.reconciler("").await;
    let paid = payments(4);
    rig.record(&paid, 30.0).await;
    let sql =
        "SELECT payment, extract(epoch FROM age)::bigint, as_of > now() - interval '1 minute', kind
               FROM makegood.paid_not_purchased ORDER BY paid_at";
    let rows = eventually("the payments to be in sight", || async {
        let rows = rig.client.query(sql, &[]).await.unwrap();
        (rows.len() == 4).then_some(rows)
    })
    .await;
    for (row, payment) in rows.iter().zip(&paid) {
        assert_eq!(row.get::<_, String>(0), payment.id.to_string());
        assert!((30..300).contains(&row.get::<_, i64>(1)), "{row:?}");
        assert!(row.get::<_, bool>(2) && row.get::<_, &str>(3) == "missing", "{row:?}");
    }
    let status = "SELECT paid_not_purchased FROM makegood.status";
    assert_eq!(rig.number(status).await, 4);
    assert_eq!(ledger::count(&rig.client).await, 0, "the look made something good");
    rig.pay(&paid[..3]).await;
    rig.client
        .batch_execute(&format!(
            "UPDATE payments SET status = 'refunded' WHERE id = '{}'",
            paid[3].id
        ))
        .await
        .unwrap();
    eventually("nothing to be in sight any more", || async {
        (rig.number(status).await == 0).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid[..3]).await;
    assert_eq!(rig.findings().await, found(&[("missing healed", 4)]));
}

/// The mapping names the payment of a record that it rejects.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_event_was_rejected_leads_to_its_record_and_is_made_good_all_the_same() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("").await;
    let paid = payments(1);
    let broken = with_field(&paid[0].json(), "amount", "\"4-99\"");
    // Said twice, under two ids: two records, and neither is dropped for the other.
    let again = broken.replace(&paid[0].event.to_string(), &uuid::Uuid::new_v4().to_string());
    // An id that no index would take.
    let endless = broken.replace(&paid[0].id.to_string(), &"9".repeat(100_000));
    for text in [&broken, &again, &endless] {
        rig.send(&raw(None, Some(text.as_bytes()))).await;
    }
    rig.caught_up().await;
    let sql = "SELECT business_key FROM makegood.quarantine_open ORDER BY id";
    let rows = rig.client.query(sql, &[]).await.unwrap();
    let keys: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    let key = paid[0].id.to_string();
    assert_eq!(keys, [Some(key.clone()), Some(key.clone()), None]);
    let told = stdout(&run(&rig, &["explain", &key]).await);
    assert!(
        told.contains(
            "the event is in quarantine, data.amount is not plain digits that fit numeric(12,2)"
        ),
        "{told}"
    );
    rig.record(&paid, 30.0).await;
    let sql = "SELECT f.detail, f.quarantine_id = (SELECT max(id) FROM makegood.quarantine WHERE business_key = $1)
               FROM makegood.reconcile_findings f
               JOIN makegood.paid_not_purchased p ON p.finding = f.finding AND p.detail = f.detail
               WHERE f.payment = $1";
    let finding = eventually("the payment to be in sight", || async {
        rig.client.query_opt(sql, &[&key]).await.unwrap()
    })
    .await;
    assert_eq!(finding.get::<_, &str>(0), "data.amount is not plain digits that fit numeric(12,2)");
    assert!(finding.get::<_, bool>(1));
    assert_eq!(rig.reconcile("").await.made_good, 1);
    ledger::assert_exactly(&rig.client, &paid).await;
    let sql = "SELECT count(*) FROM makegood.quarantine WHERE resolution = 'made_good'";
    assert_eq!(rig.number(sql).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_that_all_fail_are_judged_once_a_later_one_gets_through() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 2).await;
    let courses = format!("'{}', '{}'", paid[0].course, paid[1].course);
    rig.client
        .batch_execute(&format!(
            "ALTER TABLE student_course_purchases ADD CONSTRAINT c CHECK (course_id NOT IN ({courses}))"
        ))
        .await
        .unwrap();
    let run = rig.reconcile("").await;
    assert_eq!((run.made_good, run.quarantined), (0, 2), "{run:?}; {}", daemon.log());
    assert_eq!((rig.number(PUT_AWAY).await, rig.number(JUDGED).await), (2, 0));
    // Nothing comes from Kafka; the next payment alone tells.
    let later = payments(1);
    rig.record(&later, 180.0).await;
    rig.reconcile("").await;
    eventually("a verdict on both", || async { (rig.number(JUDGED).await == 2).then_some(()) })
        .await;
    ledger::assert_exactly(&rig.client, &later).await;
}

/// A mapping that takes every kind of event may ignore one that names a payment before it is paid.
#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_event_hides_no_payment_unless_it_was_made_from_it() {
    let rig = Rig::new(1).await;
    let mapping = Mapping::new(&rig);
    let taken = "WHERE fault IS NULL AND currency <> 'XXX'\n), inserted";
    let ignored = "WHERE fault IS NOT NULL\nUNION ALL\n\
                   SELECT event_id, 'ignored', payment_id::text, 'nothing to do yet'\n\
                   FROM event\nWHERE fault IS NULL AND currency = 'XXX'";
    mapping.change(&[
        ("WHERE fault IS NULL\n), inserted", taken),
        ("WHERE fault IS NOT NULL", ignored),
    ]);
    let _daemon = rig.reconciler_with(&mapping.route(""), "");
    rig.swept().await;
    let mut paid = payments(2);
    paid[1].currency = "XXX".to_owned();
    let pending = Payment { currency: "XXX".to_owned(), ..paid[0].clone() };
    rig.pay(&[pending, paid[1].clone()]).await;
    rig.caught_up().await;
    assert_eq!(
        rig.number("SELECT count(*) FROM makegood.inbox WHERE outcome = 'ignored'").await,
        2
    );
    // The event of the payment that succeeded is lost; the mapping has nothing to do for the other one.
    rig.record(&paid, 3.0 * 3600.0).await;
    let run = rig.reconcile("").await;
    assert_eq!((run.missing, run.made_good), (2, 1), "{run:?}");
    ledger::assert_exactly(&rig.client, &paid[..1]).await;
    let run = rig.reconcile("").await;
    assert_eq!((run.missing, run.made_good), (0, 0), "{run:?}");
    assert_eq!(rig.findings().await, found(&[("missing ignored", 1), ("missing made_good", 1)]));
}
