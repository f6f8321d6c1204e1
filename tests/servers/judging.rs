//! Promise 4, the line between its halves: whether a record or the world is at fault is proved by what happens to
//! others, never read off an error code.

mod rows;

use crate::quarantine::Mapping;
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::{PUT_AWAY, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// The amount that the triggers below refuse.
const MARKED: &str = "666.00";
const JUDGED: &str = "SELECT count(*) FROM makegood.quarantine_open";
const SUSPECTS: &str = "SELECT count(*) FROM makegood.suspects";

fn marked(n: usize) -> Payment {
    Payment { amount: MARKED.to_owned(), ..Payment::new(n) }
}

/// Has the purchases' table do something with each row that has the marked amount.
async fn does(rig: &Rig, what: &str) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION marked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.amount = {MARKED} THEN {what} END IF;
             RETURN NEW;
         END $$;
         DROP TRIGGER IF EXISTS marked ON student_course_purchases;
         CREATE TRIGGER marked BEFORE INSERT ON student_course_purchases
             FOR EACH ROW EXECUTE FUNCTION marked()"
    );
    rig.client.batch_execute(&sql).await.unwrap();
}

async fn mended(rig: &Rig) {
    rig.client.batch_execute("DROP TRIGGER marked ON student_course_purchases").await.unwrap();
}

async fn count(rig: &Rig, sql: &str, wanted: i64) {
    eventually(&format!("{wanted} from {sql}"), || async {
        (rig.number(sql).await == wanted).then_some(())
    })
    .await;
}

/// One record in 21 is refused, with codes of every kind: those that pass, those that are the server's, those of
/// stale plans, and any other. Twenty get through, one is judged; after the mend it is made good without anybody.
#[tokio::test(flavor = "multi_thread")]
async fn one_refused_record_of_many_stops_nobody_whatever_its_code() {
    let rig = Rig::new(1).await;
    let _daemon = rig.daemon();
    let (mut paid, mut refused) = (Vec::new(), Vec::new());
    for code in [
        "22P02", "SCP01", "P0002", "P0004", "45000", "42501", "42703", "44000", "21000", "XX000",
        "0A000", "26000", "57014", "40001", "55P03", "53100", "25006", "28000", "08006",
    ] {
        does(&rig, &format!("RAISE EXCEPTION 'no' USING ERRCODE = '{code}';")).await;
        let mut batch = payments(21);
        batch[10] = marked(10);
        rig.pay(&batch).await;
        rig.caught_up().await;
        paid.extend(batch.iter().filter(|p| p.amount != MARKED).cloned());
        ledger::assert_exactly(&rig.client, &paid).await;
        refused.push(batch[10].clone());
    }
    mended(&rig).await;
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &[paid, refused].concat()).await;
    running(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_refused_record_blocks_nothing_and_is_judged_once_another_is_applied() {
    let rig = Rig::new(1).await;
    let _daemon = rig.daemon();
    does(&rig, "RAISE EXCEPTION 'no' USING ERRCODE = '23514';").await;
    rig.pay(&[marked(0)]).await;
    count(&rig, SUSPECTS, 1).await;
    // Neither of these proves anything about the table, and the position is past all of them.
    rig.send(&raw(None, Some(b"not json"))).await;
    rig.send(&raw(None, None)).await;
    rig.caught_up().await;
    assert_eq!(rig.number(SUSPECTS).await, 1);
    eventually("the verdict to say so", || async {
        let sql = "SELECT count(*) FROM makegood.status WHERE verdict = 'suspect'";
        (rig.number(sql).await == 1).then_some(())
    })
    .await;
    let good = payments(1);
    rig.pay(&good).await;
    count(&rig, SUSPECTS, 0).await;
    ledger::assert_exactly(&rig.client, &good).await;
    let sql = "SELECT reason || coalesce(' ' || sqlstate, '') FROM makegood.quarantine_open ORDER BY \"offset\"";
    let found: Vec<String> =
        rig.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(found, ["refused 23514", "not_json", "no_value"]);
    // It knows its payment and its event, and whoever asks for either finds it.
    let key: String = (rig.client)
        .query_one(
            "SELECT business_key FROM makegood.quarantine_open WHERE reason = 'refused'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    let found = rig.number(&format!("SELECT count(*) FROM makegood.explain('{key}')")).await;
    assert_eq!(found, 1, "explain finds the payment {key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_record_behind_eleven_bad_ones_is_made() {
    let rig = Rig::new(1).await;
    let _daemon = rig.daemon();
    does(&rig, "RAISE EXCEPTION 'no' USING ERRCODE = 'P0001';").await;
    let bad: Vec<Payment> = (0..11).map(marked).collect();
    let good = payments(1);
    rig.pay(&bad).await;
    rig.pay(&good).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &good).await;
    count(&rig, SUSPECTS, 0).await;
    assert_eq!(rig.number(JUDGED).await, 11);
    running(&rig).await;
    mended(&rig).await;
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &[bad, good].concat()).await;
}

/// A world that is broken for hours moves on record by record, and makes good everything once it is mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_world_is_slow_and_not_still_and_all_is_made_good() {
    let rig = Rig::new(2).await;
    let mut daemon = rig.daemon();
    let paid = payments(63);
    rig.pay(&paid[..3]).await;
    rig.caught_up().await;
    let sql = "ALTER TABLE student_course_purchases RENAME purchased_at TO start_date";
    rig.client.batch_execute(sql).await.unwrap();
    rig.pay(&paid[3..]).await;
    eventually("more records to be tried than may wait", || async {
        (rig.number(SUSPECTS).await > 12).then_some(())
    })
    .await;
    count(&rig, "SELECT count(*) FROM makegood.workers WHERE state = 'held'", 1).await;
    assert_eq!(rig.number(JUDGED).await, 0);
    daemon.kill();
    rig.client.batch_execute("DELETE FROM makegood.workers").await.unwrap();
    daemon = rig.daemon();
    count(&rig, "SELECT count(*) FROM makegood.workers WHERE state = 'held'", 1).await;
    let sql = "ALTER TABLE student_course_purchases RENAME start_date TO purchased_at";
    rig.client.batch_execute(sql).await.unwrap();
    rig.caught_up().await;
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    running(&rig).await;
    assert_eq!(daemon.ended(), None);
}

/// Many of a backlog lack what they refer to. Nothing is held, and all are made good when it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_which_two_fifths_are_refused_is_no_reason_to_hold() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "CREATE TABLE courses (id uuid PRIMARY KEY);
             ALTER TABLE student_course_purchases ADD FOREIGN KEY (course_id) REFERENCES courses",
        )
        .await
        .unwrap();
    let paid = payments(1000);
    let courses = |is_wanted: fn(usize) -> bool| -> Vec<uuid::Uuid> {
        (0..paid.len()).filter(|at| is_wanted(*at)).map(|at| paid[at].course).collect()
    };
    let insert = "INSERT INTO courses SELECT unnest($1::uuid[])";
    rig.client.execute(insert, &[&courses(|at| at % 5 < 3)]).await.unwrap();
    rig.pay(&paid).await;
    let daemon = rig.daemon();
    rig.caught_up().await;
    count(&rig, SUSPECTS, 0).await;
    assert_eq!(rig.number(JUDGED).await, 400);
    let good: Vec<Payment> =
        paid.iter().enumerate().filter(|(at, _)| at % 5 < 3).map(|(_, p)| p.clone()).collect();
    ledger::assert_exactly(&rig.client, &good).await;
    assert!(!daemon.log().contains("held:"), "it moved all the time");
    rig.client.execute(insert, &[&courses(|at| at % 5 >= 3)]).await.unwrap();
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// What a broken mapping refuses is tried with the good one of another daemon, whose successes prove nothing about the
/// broken one.
#[tokio::test(flavor = "multi_thread")]
async fn a_good_daemon_makes_good_what_one_with_a_broken_mapping_refuses() {
    let rig = Rig::new(2).await;
    let broken = Mapping::new(&rig);
    broken.change(&[("SELECT payment_id, student_id, course_id, amount, currency, event_id, purchased_at\n    FROM good",
        "SELECT payment_id, student_id, course_id, amount / (amount - amount), currency, event_id, purchased_at\n    FROM good")]);
    let bad = rig.daemon_with(&broken.route(""));
    let good = rig.daemon();
    rig.reads(&bad).await;
    rig.reads(&good).await;
    let paid = payments(24);
    for (at, payment) in paid.iter().enumerate() {
        rig.pay_to(Some((at % 2) as i32), std::slice::from_ref(payment)).await;
    }
    rig.caught_up().await;
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let judged = "SELECT count(*) FROM makegood.quarantine WHERE judged_at IS NOT NULL";
    assert_eq!(rig.number(judged).await, 0, "no good record was taken for a bad one");
}
