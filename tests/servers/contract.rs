//! Promise 4 for the operator's own SQL: a mapping that breaks its contract holds the route (or is not
//! used at all), and mending the file is enough.

mod beside;
mod carts;
mod times;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::holding::{PUT_AWAY, held, held_for, made_good, pinned, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const BUILT_IN: &str = include_str!("../../sql/purchases/apply.sql");

/// A mapping's file in the test's own folder, and the setting that names the folder.
fn mapping(rig: &Rig, sql: &str) -> (PathBuf, String) {
    let folder = rig.path("mapping");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("apply.sql"), sql).unwrap();
    (folder.join("apply.sql"), format!("mapping = \"{}\"", folder.display()))
}

/// The shipped mapping, its answer replaced by another one made of it.
fn answering(select: &str) -> String {
    let at = BUILT_IN.rfind("SELECT g.event_id,").expect("the shipped mapping's answer");
    format!("{}, answer AS (\n{}\n)\n{select}", BUILT_IN[..at].trim_end(), &BUILT_IN[at..])
}

/// Sends SIGHUP and waits until the log has one more line with these words.
async fn hang_up(daemon: &Daemon, words: &str) {
    let count = || daemon.log().matches(words).count();
    let before = count();
    daemon.signal("HUP");
    eventually("the mapping to be read again", || async { (count() > before).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breach_holds_the_route_until_the_file_is_mended_and_sighup_sent() {
    let rig = Rig::new(1).await;
    let (file, setting) = mapping(&rig, BUILT_IN);
    let daemon = rig.daemon_with(&setting);
    let mut paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    for (breach, says) in [
        ("SELECT a.* FROM answer a, generate_series(1, 2)", "two rows for one event"),
        (
            "SELECT event_id, NULL::text AS outcome, business_key, detail FROM answer",
            "without an outcome (null)",
        ),
        (
            "SELECT event_id, 'done' AS outcome, business_key, detail FROM answer",
            "an outcome that is none of",
        ),
        (
            "SELECT event_id, outcome, NULL::text AS business_key, detail FROM answer",
            "`applied` without a business_key",
        ),
        (
            "SELECT gen_random_uuid() AS event_id, outcome, business_key, detail FROM answer",
            "an event_id it was not given",
        ),
        ("SELECT * FROM answer WHERE false", "returned no row for an event"),
    ] {
        fs::write(&file, answering(breach)).unwrap();
        hang_up(&daemon, "mapping reloaded").await;
        let behind = payments(20);
        rig.pay(&behind).await;
        let held = held(&rig).await;
        assert!(held.reason.contains(says), "{held:?} does not say {says}");
        assert!(held.advice.contains("apply.sql") && held.advice.contains("SIGHUP"), "{held:?}");
        fs::write(&file, BUILT_IN).unwrap();
        hang_up(&daemon, "mapping reloaded").await;
        rig.caught_up().await;
        running(&rig).await;
        paid.extend(behind);
        ledger::assert_exactly(&rig.client, &paid).await;
        assert_eq!(rig.number(PUT_AWAY).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_an_outcome_is_put_away_and_its_batch_is_applied() {
    let rig = Rig::new(1).await;
    let forgetful =
        "SELECT a.* FROM answer a JOIN event USING (event_id) WHERE event.currency <> 'XXX'";
    let (_, setting) = mapping(&rig, &answering(forgetful));
    let mut paid = payments(30);
    paid[11].currency = "XXX".to_owned();
    rig.pay(&paid).await;
    let _daemon = rig.daemon_with(&setting);
    rig.caught_up().await;
    paid.remove(11);
    ledger::assert_exactly(&rig.client, &paid).await;
    let sql = "SELECT \"offset\", reason FROM makegood.quarantine";
    let row = rig.client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (11, "no_outcome"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_is_not_used_and_the_old_mapping_stays() {
    let rig = Rig::new(1).await;
    let (file, setting) = mapping(&rig, BUILT_IN);
    let daemon = rig.daemon_with(&setting);
    let mut paid: Vec<Payment> = Vec::new();
    for (edit, says) in [
        // Whatever the code is, the statement is refused and another is not.
        (
            answering(
                "SELECT event_id, max(outcome) AS outcome, max(business_key) AS business_key, max(detail) AS detail FROM answer GROUP BY 1 FOR UPDATE",
            ),
            "apply.sql cannot be run: FOR UPDATE is not allowed with GROUP BY clause (SQLSTATE 0A000)",
        ),
        ("SELECT 1".to_owned(), "no line names the business key"),
        (BUILT_IN.replace("purchases(payment_id) /", "purchases(course_id) /"), "no unique index"),
        (
            BUILT_IN.replace("field uuid /data/paymentId", "field id /data/paymentId"),
            "line 3: `id`",
        ),
        (BUILT_IN.replace("field text /", "field uuid /"), "takes (_uuid"),
        (
            BUILT_IN.replace("g.payment_id::text AS", "g.payment_id::text::varchar AS"),
            "business_key",
        ),
        (BUILT_IN.replacen("WITH event", "WITH, event", 1), "42601"),
    ] {
        let one = payments(1);
        rig.pay(&one).await;
        rig.caught_up().await;
        paid.extend(one);
        assert_ne!(edit, BUILT_IN);
        fs::write(&file, edit).unwrap();
        hang_up(&daemon, "the old mapping stays").await;
        let log = daemon.log();
        let refused: Vec<&str> =
            log.lines().filter(|line| line.contains("the old mapping stays")).collect();
        assert!(refused.last().is_some_and(|l| l.contains(says)), "{says} is not in {refused:?}");
        let more = payments(5);
        rig.pay(&more).await;
        rig.caught_up().await;
        paid.extend(more);
        ledger::assert_exactly(&rig.client, &paid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_cannot_be_used_holds_from_the_start_until_its_file_is_mended() {
    let rig = Rig::new(2).await;
    let of = |select: &str| {
        format!("-- makegood: business-key student_course_purchases(payment_id)\n{select}")
    };
    let unusable = [
        (
            answering("SELECT event_id, 1 AS outcome, business_key, detail FROM answer"),
            "outcome int4",
        ),
        (answering("SELECT event_id, outcome, business_key FROM answer"), "returns ("),
        (of("SELECT $1::uuid AS event_id, ''::text, ''::text, ''::text"), "takes (uuid)"),
        (BUILT_IN.replace("business-key ", "business-key nowhere."), "does not exist"),
        (BUILT_IN.replacen("WITH event", "WITH, event", 1), "42601"),
        ("SELECT 1".to_owned(), "no line names the business key"),
    ];
    let (file, setting) = mapping(&rig, &unusable[0].0);
    let mut daemon = rig.daemon_with(&setting);
    let paid = payments(4);
    rig.pay(&paid).await;
    held_for(&rig, unusable[0].1).await;
    for (sql, says) in unusable {
        fs::write(&file, sql).unwrap();
        hang_up(&daemon, "held: ").await;
        held_for(&rig, says).await;
    }
    assert!(daemon.log().contains("MG1101"), "{}", daemon.log());
    pinned(&rig).await;
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&daemon, "resumed").await;
    made_good(&rig, &mut daemon, &paid).await;
}

/// What only a person can mend beside the database ends the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_usable_mapping_ends_the_start() {
    let rig = Rig::new(1).await;
    for (sql, says) in [(None, "cannot read"), (Some("SELECT 1"), "no line names the business key")]
    {
        let (file, setting) = mapping(&rig, sql.unwrap_or_default());
        if sql.is_none() {
            fs::remove_file(file).unwrap();
        }
        let mut daemon = rig.daemon_with(&setting);
        let status = tokio::task::block_in_place(|| daemon.wait(Duration::from_secs(60)));
        assert_eq!(status.code(), Some(78), "{}", daemon.log());
        assert!(daemon.log().contains("error[MG1101]") && daemon.log().contains(says));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_without_a_unique_key_hold_the_route_and_the_way_out_is_told() {
    let rig = Rig::new(1).await;
    let drop_key = "ALTER TABLE student_course_purchases DROP CONSTRAINT student_course_purchases_payment_id_key";
    rig.client.batch_execute(drop_key).await.unwrap();
    let paid = payments(2);
    rig.pay(&paid).await;
    let mut daemon = rig.daemon();
    let advised = "CREATE UNIQUE INDEX CONCURRENTLY ON student_course_purchases (payment_id);";
    let held = held_for(&rig, "has no unique index on payment_id alone").await;
    for words in [
        advised,
        "SELECT payment_id, count(*) FROM student_course_purchases GROUP BY payment_id HAVING count(*) > 1;",
    ] {
        assert!(held.advice.contains(words), "no {words} in {held:?}");
    }
    assert!(daemon.log().contains("MG1102"), "{}", daemon.log());
    for (make, away) in [
        // Partial, of two columns, of an expression, deferrable.
        (
            "CREATE UNIQUE INDEX k ON student_course_purchases (payment_id) WHERE amount > 0",
            "DROP INDEX k",
        ),
        (
            "CREATE UNIQUE INDEX k ON student_course_purchases (payment_id, course_id)",
            "DROP INDEX k",
        ),
        ("CREATE UNIQUE INDEX k ON student_course_purchases ((payment_id::text))", "DROP INDEX k"),
        (
            "ALTER TABLE student_course_purchases ADD CONSTRAINT k UNIQUE (payment_id) DEFERRABLE",
            "ALTER TABLE student_course_purchases DROP CONSTRAINT k",
        ),
        // What a failed CREATE UNIQUE INDEX CONCURRENTLY leaves behind. All in one transaction, for a look
        // in between would find a good one.
        (
            "BEGIN; CREATE UNIQUE INDEX k ON student_course_purchases (payment_id);
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'k'::regclass; COMMIT",
            "DROP INDEX k",
        ),
    ] {
        rig.client.batch_execute(make).await.unwrap();
        hang_up(&daemon, "held: ").await;
        rig.client.batch_execute(away).await.unwrap();
    }
    pinned(&rig).await;
    // The advice works as it is printed.
    rig.client.batch_execute(advised).await.unwrap();
    made_good(&rig, &mut daemon, &paid).await;
}
