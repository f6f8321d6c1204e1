//! What single rows of the host's tables do: refuse at COMMIT, take a minute, go elsewhere, be hidden.

use super::{JUDGED, MARKED, SUSPECTS, count, does, marked, mended};
use crate::quarantine::Mapping;
use crate::support::corpus::with_field;
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::PUT_AWAY;
use crate::support::ledger;
use crate::support::rig::Rig;

/// Refusals that only COMMIT raises are judged alike.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_commit_refuses_is_found_among_the_others() {
    let rig = Rig::new(1).await;
    let (port, url) = (rig.world.postgres.port(), rig.url());
    let password = url.split([':', '@']).nth(2).unwrap();
    rig.client
        .batch_execute(&format!(
            "CREATE EXTENSION postgres_fdw;
             CREATE TABLE remote (amount numeric, UNIQUE (amount) DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO remote VALUES ({MARKED});
             CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw
                 OPTIONS (host '127.0.0.1', port '{port}', dbname '{}');
             CREATE USER MAPPING FOR CURRENT_USER SERVER loop OPTIONS (user 'postgres', password '{password}');
             CREATE FOREIGN TABLE far (amount numeric) SERVER loop OPTIONS (table_name 'remote')",
            rig.database
        ))
        .await
        .unwrap();
    does(&rig, "INSERT INTO far VALUES (NEW.amount);").await;
    let mut batch = payments(41);
    batch[10] = marked(10);
    rig.pay(&batch).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    count(&rig, SUSPECTS, 0).await;
    assert_eq!(rig.number(JUDGED).await, 1);
    let good: Vec<Payment> = batch.iter().filter(|p| p.amount != MARKED).cloned().collect();
    ledger::assert_exactly(&rig.client, &good).await;
    mended(&rig).await;
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &batch).await;
}

/// A trigger that takes ages for one row costs the others seconds.
#[tokio::test(flavor = "multi_thread")]
async fn one_row_that_takes_a_minute_keeps_nobody_waiting() {
    let rig = Rig::new(1).await;
    does(&rig, "PERFORM pg_catalog.pg_sleep(60);").await;
    let mut batch = payments(100);
    batch[40] = marked(40);
    rig.pay(&batch).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    let good: Vec<Payment> = batch.iter().filter(|p| p.amount != MARKED).cloned().collect();
    ledger::assert_exactly(&rig.client, &good).await;
    assert_eq!(rig.number(PUT_AWAY).await, 1);
    mended(&rig).await;
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &batch).await;
}

/// An old topic that is read again: nothing new is left to insert, and many of its events have lost what they refer to.
#[tokio::test(flavor = "multi_thread")]
async fn orphans_among_rows_that_exist_already_are_judged_by_a_control() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "CREATE TABLE courses (id uuid PRIMARY KEY);
             ALTER TABLE student_course_purchases ADD FOREIGN KEY (course_id) REFERENCES courses",
        )
        .await
        .unwrap();
    let paid = payments(500);
    for Payment { id, student, course, amount, currency, .. } in paid.iter().step_by(2) {
        let insert = "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)
                      VALUES ($1, $2, $3, $4::text::numeric, $5)";
        rig.client.execute("INSERT INTO courses VALUES ($1)", &[course]).await.unwrap();
        rig.client.execute(insert, &[id, student, course, amount, currency]).await.unwrap();
        let insert = "INSERT INTO payments (id, student_id, course_id, amount, currency)
                      VALUES ($1, $2, $3, $4::text::numeric, $5)";
        rig.client.execute(insert, &[id, student, course, amount, currency]).await.unwrap();
    }
    rig.pay(&paid).await;
    let daemon = rig.daemon();
    rig.caught_up().await;
    count(&rig, SUSPECTS, 0).await;
    assert_eq!(rig.number(JUDGED).await, 250);
    assert_eq!(rig.number("SELECT count(*) FROM student_course_purchases").await, 250);
    assert!(!daemon.log().contains("held:"), "it moved all the time");
    // Read again from the beginning, also after a crash, every one of them is a duplicate.
    daemon.stop();
    rig.commit_as_another_worker(0, 0);
    let daemon = rig.daemon();
    count(&rig, "SELECT count(*) FROM makegood.consumer_positions WHERE duplicate >= 500", 1).await;
    assert_eq!(rig.number(JUDGED).await, 250);
    assert!(!daemon.log().contains("held:"), "what was put away before holds nobody");
}

/// A trigger that puts rows into a table of its own makes an INSERT return nothing: they were made all the same, so they
/// prove that the world works.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_trigger_puts_elsewhere_are_made_and_prove_it() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(&format!(
            "CREATE TABLE purchases_of_2026 () INHERITS (student_course_purchases);
             CREATE FUNCTION redirect() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.amount = {MARKED} THEN RAISE EXCEPTION 'no'; END IF;
                 INSERT INTO purchases_of_2026 VALUES (NEW.*);
                 RETURN NULL;
             END $$;
             CREATE TRIGGER redirect BEFORE INSERT ON student_course_purchases
                 FOR EACH ROW EXECUTE FUNCTION redirect()"
        ))
        .await
        .unwrap();
    let _daemon = rig.daemon();
    let mut batch = payments(21);
    batch[10] = marked(10);
    rig.pay(&batch).await;
    rig.caught_up().await;
    count(&rig, SUSPECTS, 0).await;
    assert_eq!(rig.number(JUDGED).await, 1);
    batch.remove(10);
    ledger::assert_exactly(&rig.client, &batch).await;
    let made = "SELECT applied FROM makegood.consumer_positions";
    assert_eq!(rig.number(made).await, 20);
}

/// No index takes such a key: it is the record's own fault, wherever it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_business_key_of_eight_thousand_characters_keeps_nobody_waiting() {
    let rig = Rig::new(1).await;
    let alter = "ALTER TABLE student_course_purchases ALTER payment_id TYPE text";
    rig.client.batch_execute(alter).await.unwrap();
    let mapping = Mapping::new(&rig);
    mapping.change(&[
        ("field uuid /data/paymentId", "field text /data/paymentId"),
        ("$4::uuid[]", "$4::text[]"),
    ]);
    let _daemon = rig.daemon_with(&mapping.route(""));
    let paid = payments(20);
    rig.pay(&paid[..10]).await;
    let key: String = (0..250).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
    rig.send(&raw(
        None,
        Some(with_field(&Payment::new(7).json(), "paymentId", &format!("\"{key}\"")).as_bytes()),
    ))
    .await;
    rig.pay(&paid[10..]).await;
    rig.caught_up().await;
    count(&rig, SUSPECTS, 0).await;
    assert_eq!(rig.number(JUDGED).await, 1);
    assert_eq!(rig.number("SELECT count(*) FROM student_course_purchases").await, 20);
}

/// What could not be decoded is found by its payment and its event, and is closed once somebody made the purchase.
#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_record_is_found_by_its_payment_and_closed_by_its_purchase() {
    let rig = Rig::new(1).await;
    let _daemon = rig.daemon();
    let paid = Payment::new(1);
    let twice = paid.json().replacen("\"INR\"", "\"\\u0000\"", 1);
    rig.send(&raw(None, Some(twice.as_bytes()))).await;
    rig.caught_up().await;
    assert_eq!(rig.number(JUDGED).await, 1);
    for id in [paid.id, paid.event] {
        let found =
            format!("SELECT count(*) FROM makegood.explain('{id}') WHERE part = 'quarantine'");
        assert_eq!(rig.number(&found).await, 1, "by {id}");
    }
    rig.by_hand(std::slice::from_ref(&paid)).await;
    count(&rig, PUT_AWAY, 0).await;
    let how = "SELECT count(*) FROM makegood.quarantine WHERE resolution = 'made_good'";
    assert_eq!(rig.number(how).await, 1);
    ledger::assert_exactly(&rig.client, &[paid]).await;
}

/// A policy of the host refuses one row: the same error as for a missing grant.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_policy_refuses_stops_nobody() {
    let rig = Rig::new(1).await;
    let role = format!("role_{}", rig.database);
    rig.client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw';
             GRANT USAGE ON SCHEMA makegood TO {role};
             GRANT ALL ON ALL TABLES IN SCHEMA makegood TO {role};
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA makegood TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA makegood TO {role};
             GRANT SELECT, INSERT ON student_course_purchases TO {role};
             ALTER TABLE student_course_purchases ENABLE ROW LEVEL SECURITY;
             CREATE POLICY dear ON student_course_purchases USING (true) WITH CHECK (amount <> {MARKED})"
        ))
        .await
        .unwrap();
    let port = rig.world.postgres.port();
    let daemon =
        rig.daemon_at(&format!("postgres://{role}:pw@127.0.0.1:{port}/{}", rig.database), "");
    let mut batch = payments(21);
    batch[10] = marked(10);
    rig.pay(&batch).await;
    rig.caught_up().await;
    count(&rig, JUDGED, 1).await;
    count(&rig, SUSPECTS, 0).await;
    let good: Vec<Payment> = batch.iter().filter(|p| p.amount != MARKED).cloned().collect();
    ledger::assert_exactly(&rig.client, &good).await;
    rig.client
        .batch_execute(
            "DROP POLICY dear ON student_course_purchases;
                              ALTER TABLE student_course_purchases DISABLE ROW LEVEL SECURITY",
        )
        .await
        .unwrap();
    count(&rig, PUT_AWAY, 0).await;
    ledger::assert_exactly(&rig.client, &batch).await;
    daemon.stop();
    rig.client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}
