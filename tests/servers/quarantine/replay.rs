//! The way back: quarantined records are applied again from their bytes, once, when a person asks.

use std::collections::BTreeMap;

use rules::record::{Header, Record};

use super::{Mapping, REFUSES_ALL, TAKES_ANY_CURRENCY, decisions};
use crate::reconcile::job_section;
use crate::support::corpus::with_field;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::{PUT_AWAY, held, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger, wire};

const ASK_ALL: &str = "SELECT count(makegood.replay(id, 'mended')) FROM makegood.quarantine";
const OPEN: &str = "SELECT count(*) FROM makegood.quarantine_open";

/// Waits until no replay is left to do.
async fn done(rig: &Rig) {
    let sql = "SELECT count(*) FROM makegood.quarantine_decisions WHERE kind = 'replay' AND state <> 'done'";
    eventually("the replays to be done", || async { (rig.number(sql).await == 0).then_some(()) })
        .await;
}

/// Waits until so many records are in quarantine, and no suspect is left.
async fn judged(rig: &Rig, records: i64) {
    eventually("a verdict on every record", || async {
        (rig.number(OPEN).await == records && rig.number(PUT_AWAY).await == records).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_or_applied_is_made_good_from_its_bytes_by_the_rules_of_today() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "CREATE TABLE courses (id uuid PRIMARY KEY);
             ALTER TABLE student_course_purchases ADD FOREIGN KEY (course_id) REFERENCES courses",
        )
        .await
        .unwrap();
    let good = payments(4);
    let [oversize, rejected, refused, hostile] = [1, 2, 3, 4].map(Payment::new);
    for payment in good.iter().chain([&oversize, &rejected, &hostile]) {
        rig.client.execute("INSERT INTO courses VALUES ($1)", &[&payment.course]).await.unwrap();
    }
    let padded = format!("{} {}", oversize.json(), " ".repeat(1000));
    let no_currency = with_field(&rejected.json(), "currency", "null");
    let lower = with_field(&hostile.json(), "currency", "\"inr\"");
    let strange = Record {
        headers: vec![Header { name: b"caf\xe9 \xff\xfe".to_vec(), value: Some(vec![0xff, 0]) }],
        timestamp_ms: Some(1_767_804_909_000),
        ..raw(Some(b"\xffkey"), Some(lower.as_bytes()))
    };
    let bad = [
        raw(None, Some(padded.as_bytes())),
        raw(None, Some(no_currency.as_bytes())),
        refused.record(),
    ];
    let mapping = Mapping::new(&rig);
    let mut daemon = rig.daemon_with(&mapping.route("max_record = \"1000B\""));
    let mut places = BTreeMap::new();
    for (record, payment) in bad.iter().zip([&oversize, &rejected, &refused]) {
        places.insert(payment.id, rig.send(record).await.1);
    }
    let offset = wire::produce(&rig.world.kafka.bootstrap(), &rig.topic, 0, &[strange]);
    places.insert(hostile.id, offset);
    rig.pay(&good).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &good).await;
    judged(&rig, 4).await;

    // Asked for while no daemon runs; the next one has other settings, and the mapping other rules.
    daemon.kill();
    assert_eq!(rig.number(ASK_ALL).await, 4);
    assert_eq!(rig.number(ASK_ALL).await, 4, "asked twice");
    let asked = "SELECT count(*) FROM makegood.quarantine_decisions";
    assert_eq!(rig.number(asked).await, 4, "two who ask for the same get the same");
    mapping.change(&TAKES_ANY_CURRENCY);
    let course = refused.course;
    rig.client.execute("INSERT INTO courses VALUES ($1)", &[&course]).await.unwrap();
    let _daemon = rig.daemon_with(&mapping.route(""));
    done(&rig).await;
    let mut paid = good;
    paid.extend([oversize, rejected, refused, hostile]);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(decisions(&rig).await, ["replay applied: 4"]);
    for (payment, offset) in &places {
        let sql = "SELECT count(*) FROM makegood.inbox_events i JOIN makegood.quarantine q USING (event_id, business_key)
                   WHERE i.business_key = $1::text AND i.partition = 0 AND i.\"offset\" = $2 AND i.outcome = 'applied'
                         AND i.origin = 'kafka' AND q.resolution = 'replayed' AND q.\"offset\" = $2 AND q.attempts = 1";
        let key = payment.to_string();
        let row = rig.client.query_one(sql, &[&key, offset]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 1, "the inbox row of offset {offset}");
    }
    let said = "SELECT count(*) FROM makegood.quarantine_decisions
                WHERE decided_by = session_user AND decided_via = 'sql' AND reason = 'mended' AND held IS NULL";
    assert_eq!(rig.number(said).await, 4);

    // Once more, and the records themselves once more: nothing changes.
    assert_eq!(rig.number(ASK_ALL).await, 4);
    for record in &bad {
        rig.send(record).await;
    }
    rig.caught_up().await;
    done(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(decisions(&rig).await, ["replay applied: 4", "replay settled: 4"]);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_fails_again_stays_and_is_counted_and_a_broken_world_only_holds_it() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases ADD CONSTRAINT dear CHECK (amount < 1000)",
        )
        .await
        .unwrap();
    let mapping = Mapping::new(&rig);
    let daemon = rig.daemon_with(&mapping.route(""));
    let (mut rejected, mut dear) = (Payment::new(1), Payment::new(2));
    rejected.currency = "inr".to_owned();
    dear.amount = "1000.00".to_owned();
    let mut paid = payments(3);
    let all = [&[rejected.clone(), dear.clone()][..], &paid].concat();
    rig.pay(&all).await;
    rig.caught_up().await;
    judged(&rig, 2).await;
    let case = |reason: &'static str| {
        let sql = format!(
            "SELECT id, attempts::bigint FROM makegood.quarantine_open WHERE reason = '{reason}'"
        );
        let rig = &rig;
        async move {
            let row = rig.client.query_one(&sql, &[]).await.unwrap();
            (row.get::<_, i64>(0), row.get::<_, i64>(1))
        }
    };
    let (first, second) = (case("rejected").await.0, case("refused").await.0);

    // It fails for a reason of its own: it stays, with what is said of it today.
    mapping.change(&[("'data.currency is not three capital letters'", "'what currency?'")]);
    daemon.signal("HUP");
    eventually("the mapping to be reloaded", || async {
        daemon.log().contains("mapping reloaded").then_some(())
    })
    .await;
    rig.number(&format!("SELECT makegood.replay({first})")).await;
    done(&rig).await;
    assert_eq!(decisions(&rig).await, ["replay rejected: 1"]);
    assert_eq!(case("rejected").await, (first, 1));
    let said = format!(
        "SELECT count(*) FROM makegood.quarantine_open WHERE id = {first} AND detail = 'what currency?'"
    );
    assert_eq!(rig.number(&said).await, 1);

    // Alone it cannot be told from a broken world; with the next purchase it can.
    let replay = rig.number(&format!("SELECT makegood.replay({second})")).await;
    let sql = format!(
        "SELECT held FROM makegood.quarantine_decisions WHERE decision = {replay} AND state = 'held'"
    );
    let why = eventually("the replay to be held", || async {
        rig.client.query_opt(&sql, &[]).await.unwrap().map(|row| row.get::<_, String>(0))
    })
    .await;
    assert!(why.contains("23514"), "{why}");
    assert_eq!(case("refused").await, (second, 0), "held, and yet counted");
    let witness = Payment::new(9);
    rig.pay(std::slice::from_ref(&witness)).await;
    paid.push(witness);
    done(&rig).await;
    assert_eq!(case("refused").await, (second, 1));
    assert_eq!(decisions(&rig).await, ["replay refused: 1", "replay rejected: 1"]);

    // A broken world ends no replay, neither by itself nor by holding the route.
    let break_it = "ALTER TABLE student_course_purchases RENAME COLUMN purchased_at TO start_date";
    rig.client.batch_execute(break_it).await.unwrap();
    mapping.change(&TAKES_ANY_CURRENCY);
    let replay = rig.number(&format!("SELECT makegood.replay({first})")).await;
    let waits_for = async |what: &'static str| {
        let sql = format!(
            "SELECT count(*) FROM makegood.quarantine_decisions
             WHERE decision = {replay} AND state = 'held' AND held LIKE '%{what}%'"
        );
        eventually(what, || async { (rig.number(&sql).await == 1).then_some(()) }).await;
    };
    waits_for("42703").await;
    let behind = Payment::new(10);
    rig.pay(std::slice::from_ref(&behind)).await;
    held(&rig).await;
    let attempts =
        format!("SELECT attempts::bigint FROM makegood.quarantine_open WHERE id = {first}");
    assert_eq!(rig.number(&attempts).await, 1);
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases RENAME COLUMN start_date TO purchased_at",
        )
        .await
        .unwrap();
    rig.caught_up().await;
    running(&rig).await;
    daemon.signal("HUP");
    // The mapping that was changed meanwhile may come after the replay: then it fails once more.
    done(&rig).await;
    rig.number(&format!("SELECT makegood.replay({first})")).await;
    done(&rig).await;
    rejected.currency = "INR".to_owned();
    paid.extend([behind, rejected]);
    eventually("the new mapping to make it good", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number(OPEN).await, 1, "only the dear one");

    // One that is refused as by a broken world, while another gets through, is refused for its own sake; what else is
    // asked for goes on. Once it is mended it is made good all the same.
    rig.client
        .batch_execute(&format!(
            "CREATE FUNCTION too_dear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.amount >= 1000 THEN
                     RAISE 'too dear' USING ERRCODE = 'insufficient_privilege';
                 END IF;
                 RETURN NEW;
             END $$;
             ALTER TABLE student_course_purchases DROP CONSTRAINT dear;
             CREATE TRIGGER dear BEFORE INSERT ON student_course_purchases
                 FOR EACH ROW EXECUTE FUNCTION too_dear();
             DELETE FROM student_course_purchases WHERE payment_id = '{}';
             DELETE FROM makegood.inbox WHERE business_key = '{}';
             UPDATE makegood.quarantine SET resolved_at = NULL, resolution = NULL WHERE id = {first}",
            paid.last().unwrap().id,
            paid.last().unwrap().id
        ))
        .await
        .unwrap();
    let dear_one = rig.number(&format!("SELECT makegood.replay({second})")).await;
    rig.number(&format!("SELECT makegood.replay({first})")).await;
    eventually("the other one to be replayed", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let said = format!(
        "SELECT count(*) FROM makegood.quarantine_decisions
         WHERE decision = {dear_one} AND outcome = 'refused' AND detail LIKE '%too dear%'"
    );
    eventually("it to say why it stays", || async { (rig.number(&said).await == 1).then_some(()) })
        .await;
    rig.client.batch_execute("DROP TRIGGER dear ON student_course_purchases").await.unwrap();
    paid.push(dear);
    eventually("it to be made good", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number(OPEN).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_redelivery_and_reconciliation_of_the_same_payments_make_one_purchase_each() {
    let rig = Rig::new(3).await;
    let mapping = Mapping::new(&rig);
    mapping.change(&[REFUSES_ALL]);
    let paid = payments(600);
    let no_run = "every = \"30d\"\ngrace = \"30d\"";
    let mut daemon = rig.reconciler_with(&mapping.route(""), no_run);
    rig.pay(&paid).await;
    rig.caught_up().await;
    assert_eq!(rig.number(OPEN).await, 600);
    // With payments to try it on, such a mapping would not have been used at all.
    rig.record(&paid, 3600.0).await;
    daemon.kill();

    // All three are there before the daemons, which begin at once.
    mapping.restore();
    rig.number(ASK_ALL).await;
    rig.ask("").await;
    rig.pay(&paid.iter().rev().cloned().collect::<Vec<_>>()).await;
    let file =
        rig.config_file(&rig.url(), &mapping.route("batch = { rows = 50 }"), &job_section(""));
    let mut daemons = [0, 1].map(|n| Daemon::start(&file, n));
    // One is killed in the middle of it, and comes back.
    let some = "SELECT count(*) FROM makegood.quarantine_decisions WHERE state = 'done'";
    eventually("the first replays", || async { (rig.number(some).await > 0).then_some(()) }).await;
    daemons[0].kill();
    daemons[0] = Daemon::start(&file, 2);
    rig.caught_up().await;
    done(&rig).await;
    rig.swept().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number(OPEN).await, 0);
    let made = "SELECT count(*) FROM makegood.inbox WHERE outcome = 'applied'";
    assert_eq!(rig.number(made).await, 600);
    let kinds = "SELECT count(DISTINCT outcome) FROM makegood.quarantine_decisions
                 WHERE outcome NOT IN ('applied', 'already')";
    assert_eq!(rig.number(kinds).await, 0, "{:?}", decisions(&rig).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_made_from_a_payment_is_replayed_only_while_the_payment_is_missing_its_purchase() {
    let rig = Rig::new(1).await;
    let mapping = Mapping::new(&rig);
    mapping.change(&[REFUSES_ALL]);
    let paid = payments(3);
    let mut daemon = rig.reconciler_with(&mapping.route(""), "every = \"1h\"");
    rig.swept().await;
    rig.record(&paid, 3600.0).await;
    assert_eq!(rig.reconcile("").await.quarantined, 3);
    // One is refunded meanwhile, one a person decides to leave as it is.
    let refund = "UPDATE payments SET status = 'refunded' WHERE id = $1";
    rig.client.execute(refund, &[&paid[1].id]).await.unwrap();
    let of = |payment: &Payment| {
        format!("(SELECT id FROM makegood.quarantine WHERE business_key = '{}')", payment.id)
    };
    rig.number(&format!("SELECT makegood.discard({}, 'a gift')", of(&paid[2]))).await;
    daemon.kill();
    mapping.restore();
    let _daemon = rig.reconciler_with(&mapping.route(""), "every = \"1h\"");
    rig.number(&format!("SELECT makegood.replay({})", of(&paid[0]))).await;
    rig.number(&format!("SELECT makegood.replay({})", of(&paid[1]))).await;
    done(&rig).await;
    assert_eq!(
        decisions(&rig).await,
        ["discard discarded: 1", "replay applied: 1", "replay healed: 1"]
    );
    rig.reconcile("").await;
    ledger::assert_exactly(&rig.client, &paid[..1]).await;
    let findings = rig.findings().await;
    let found = |what: &str| findings.iter().find(|f| f.0 == what).map(|f| f.1);
    assert_eq!(found("missing made_good"), Some(1), "{findings:?}");
    assert_eq!(found("missing dismissed"), Some(1), "{findings:?}");
    assert_eq!(found("missing open"), None, "{findings:?}");
    // What was given up can be taken back.
    rig.number(&format!("SELECT makegood.replay({})", of(&paid[2]))).await;
    done(&rig).await;
    ledger::assert_exactly(&rig.client, &[paid[0].clone(), paid[2].clone()]).await;
}
