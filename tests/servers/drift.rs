//! What has drifted apart is named exactly, before a record meets it and under load, and DDL that changes
//! nothing for the mapping disturbs nobody.

use std::fs;

use crate::support::events::payments;
use crate::support::holding::{held, made_good, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// As shipped, every type that goes out is fixed; here one follows the table's column.
const FOLLOWS_THE_COLUMN: &str = "-- makegood: apply
-- makegood: business-key student_course_purchases(payment_id)
WITH event AS (
    SELECT e.event_id, (d ->> 'paymentId')::uuid AS payment_id, (d ->> 'studentId')::uuid AS student_id,
           (d ->> 'courseId')::uuid AS course_id, (d ->> 'amount')::numeric AS amount, d ->> 'currency' AS currency
    FROM unnest($1::uuid[], $2::jsonb[], $3::timestamptz[]) AS e (event_id, payload, at), jsonb_extract_path(payload, 'data') d
), made AS (
    INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency, event_id)
    SELECT payment_id, student_id, course_id, amount, currency, event_id FROM event ORDER BY payment_id
    ON CONFLICT (payment_id) DO NOTHING
    RETURNING payment_id, currency
)
SELECT event_id, CASE WHEN made.currency IS NULL THEN 'already' ELSE 'applied' END AS outcome,
       payment_id::text AS business_key, made.currency AS detail
FROM event LEFT JOIN made USING (payment_id)";

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_must_be_set_and_is_not_holds_before_the_first_record() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases ADD start_date date NOT NULL")
        .await
        .unwrap();
    let mut daemon = rig.daemon();
    let held = held(&rig).await;
    assert_eq!(
        held.reason,
        "student_course_purchases.start_date must not be null, and nothing sets it"
    );
    assert!(held.advice.contains("add it to the INSERT and send SIGHUP"), "{held:?}");
    assert!(held.advice.contains("ALTER COLUMN start_date DROP NOT NULL;"), "{held:?}");
    let paid = payments(3);
    rig.pay(&paid).await;
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases ALTER start_date SET DEFAULT current_date",
        )
        .await
        .unwrap();
    made_good(&rig, &mut daemon, &paid).await;
}

/// A trigger that fills the column makes the table fit, which only a real insert can show.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_a_trigger_sets_is_no_drift_and_one_that_a_real_payment_breaks_is() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.start_date := now(); RETURN NEW; END $$;
             ALTER TABLE student_course_purchases ADD start_date date NOT NULL;
             CREATE TRIGGER fill BEFORE INSERT ON student_course_purchases
             FOR EACH ROW EXECUTE FUNCTION fill()",
        )
        .await
        .unwrap();
    let daemon = rig.daemon();
    let paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    drop(daemon);
    // The statement is as right as before; only a row shows that the trigger is not.
    rig.client
        .batch_execute(
            "CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.start_date := nobody.knows(); RETURN NEW; END $$;
             INSERT INTO payments (id, student_id, course_id, amount, currency)
             SELECT payment_id, student_id, course_id, amount, currency FROM student_course_purchases",
        )
        .await
        .unwrap();
    let _daemon = rig.daemon();
    // All of the real payments that it was tried on were refused, whatever the code.
    let held = held(&rig).await;
    assert!(held.reason.contains("nobody"), "{held:?}");
    assert_eq!(rig.number("SELECT count(*) FROM student_course_purchases").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_ddl_makes_useless_heal_by_themselves_under_load() {
    let rig = Rig::new(4).await;
    let folder = rig.path("mapping");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("apply.sql"), FOLLOWS_THE_COLUMN).unwrap();
    let route = format!("mapping = \"{}\"\nlanes = 4", folder.display());
    let mut daemon = rig.daemon_with(&route);
    let paid = payments(2000);
    let kinds = ["varchar(9)", "text", "varchar(9)", "text"];
    for (round, chunk) in paid.chunks(400).enumerate() {
        let alter = async {
            let Some(kind) = kinds.get(round) else { return };
            eventually("some of the load to be applied", || async {
                let sql = "SELECT count(*) FROM student_course_purchases";
                (rig.number(sql).await > i64::try_from(round * 400).unwrap()).then_some(())
            })
            .await;
            let alter = format!("ALTER TABLE student_course_purchases ALTER currency TYPE {kind}");
            rig.client.batch_execute(&alter).await.unwrap();
        };
        tokio::join!(alter, rig.pay(chunk));
    }
    rig.caught_up().await;
    running(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let log = daemon.log();
    assert!(log.contains("cached plan must not change result type"), "no plan was broken");
    assert!(!log.contains("held: cached plan"), "{log}");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    assert_eq!(daemon.ended(), None);
}
