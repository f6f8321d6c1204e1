//! A status that no line of the mapping names is told, whenever it appears, and no look for it ends a run.

use crate::quarantine::Mapping;
use crate::support::eventually;
use crate::support::rig::Rig;

impl Rig {
    /// Writes payments with a status, paid so many seconds ago, a second between two.
    async fn paid_as(&self, status: &str, count: i32, seconds_ago: f64) {
        let sql = "INSERT INTO payments (id, student_id, course_id, amount, currency, status, created_at, updated_at)
            SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'EUR', $1, now(),
                   now() - make_interval(secs => $3::float8 + n)
            FROM generate_series(1, $2::integer) n";
        self.client.execute(sql, &[&status, &count, &seconds_ago]).await.unwrap();
    }

    /// Waits until SQL is told so.
    async fn told(&self, words: &str) {
        eventually(&format!("the verdict to say {words}"), || async {
            let sql = "SELECT sentence FROM makegood.status";
            let told: String = self.client.query_opt(sql, &[]).await.unwrap()?.get(0);
            told.contains(words).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_status_that_nobody_named_is_counted_once_by_a_sweep_and_a_new_one_is_told_at_once() {
    let rig = Rig::new(1).await;
    rig.paid_as("succeeded", 11, 90_000.0).await;
    rig.paid_as("SETTLED", 9, 90_000.5).await;
    rig.paid_as("BOOKED", 2, 200_000.0).await;
    let timeless = "INSERT INTO payments (id, student_id, course_id, amount, currency, status, updated_at)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'EUR', 'SETTLED', 'infinity'";
    rig.client.batch_execute(timeless).await.unwrap();
    // Windows of three payments.
    let _daemon = rig.reconciler("every = \"1h\"\nwindow = 3\n").await;
    rig.told("nobody looks at them: SETTLED (10), BOOKED (2); add each").await;
    let runs = "SELECT count(*) FROM makegood.runs WHERE state = 'failed'";
    assert_eq!(rig.number(runs).await, 0, "what a status means keeps no run from its end");

    let mended = "UPDATE payments SET status = 'pending' WHERE status IN ('SETTLED', 'BOOKED')";
    rig.client.batch_execute(mended).await.unwrap();
    rig.client.batch_execute("SELECT makegood.reconcile()").await.unwrap();
    rig.told("ok: ").await;
    // The next run is an hour away.
    rig.paid_as("PAID", 4, 1.0).await;
    rig.told("nobody looks at them: PAID (4); add each").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_statuses_that_times_out_is_said_and_fails_no_run() {
    let rig = Rig::new(1).await;
    rig.paid_as("succeeded", 3, 90_000.0).await;
    let slow = "CREATE FUNCTION slow() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
        END $$;
        CREATE VIEW states AS SELECT slow() AS status FROM payments";
    rig.client.batch_execute(slow).await.unwrap();
    let mapping = Mapping::new(&rig);
    mapping.change(&[("paid payments(status)", "paid states(status)")]);
    let _daemon = rig.reconciler_with(&mapping.route(""), "every = \"1h\"\n");
    rig.told("nobody can tell whether each payment's status is named by the mapping: ").await;
    rig.told("canceling statement due to statement timeout").await;
    rig.swept().await;
    assert_eq!(rig.number("SELECT count(*) FROM student_course_purchases").await, 3);

    let quick = "CREATE OR REPLACE VIEW states AS SELECT status FROM payments";
    rig.client.batch_execute(quick).await.unwrap();
    rig.client.batch_execute("SELECT makegood.reconcile()").await.unwrap();
    rig.told("ok: ").await;
}
