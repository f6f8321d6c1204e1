//! What people change in the host's tables and in the rights of the daemon while it works.

use std::time::Duration;

use super::super::environment::Environment;
use super::{Fault, Strike, Truth, failed};
use rules::problem::Problem;

pub const FAULTS: &[Fault] = &[Fault {
    name: "schema-drift",
    number: "F24",
    what: "a column renamed, made NOT NULL or of another type, a CHECK that refuses all, a failing trigger; undone",
    needs: &[],
    pause: Duration::from_secs(8),
    alone: "schema",
    act: |environment, strike| Box::pin(drift(environment, strike)),
}];

/// What is changed so that no purchase can be made, and how it is taken back.
const DRIFTS: [(&str, &str); 4] = [
    (
        "ALTER TABLE student_course_purchases RENAME COLUMN amount TO price",
        "ALTER TABLE student_course_purchases RENAME COLUMN price TO amount",
    ),
    (
        "ALTER TABLE student_course_purchases ADD COLUMN start_date date DEFAULT now(); \
         ALTER TABLE student_course_purchases ALTER COLUMN start_date SET NOT NULL, ALTER COLUMN start_date DROP DEFAULT",
        "ALTER TABLE student_course_purchases DROP COLUMN start_date",
    ),
    (
        "ALTER TABLE student_course_purchases ADD CONSTRAINT refuses CHECK (amount < 0) NOT VALID",
        "ALTER TABLE student_course_purchases DROP CONSTRAINT refuses",
    ),
    (TRIGGER, NO_TRIGGER),
];

const TRIGGER: &str = "\
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = '23514'; END $$; \
    CREATE TRIGGER refuse BEFORE INSERT ON student_course_purchases FOR EACH ROW EXECUTE FUNCTION refuse()";
const NO_TRIGGER: &str = "DROP FUNCTION refuse() CASCADE";

async fn drift(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    // Nobody takes the server away in the middle: what was changed could not be taken back.
    let _postgres = environment.postgres.lock().await;
    let client = environment.patient_client().await?;
    let (change, undo) = *strike.rng.choice(&DRIFTS).unwrap_or(&DRIFTS[0]);
    client.batch_execute(change).await.map_err(failed)?;
    strike.begin(environment, Truth::Stuck)?;
    strike.hold(2000..25_000).await;
    strike.end(environment)?;
    client.batch_execute(undo).await.map_err(failed)
}
