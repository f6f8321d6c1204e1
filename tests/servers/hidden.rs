//! What cannot be seen is not well: rows that row security hides, payments that the mapping does not find.

use crate::commands::{run, stdout};
use crate::quarantine::Mapping;
use crate::reconcile::{job_section, recorded};
use crate::support::daemon::Daemon;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// A login of this rig's own that may do what the daemon does, and is no superuser.
pub async fn role(rig: &Rig) -> (String, String) {
    let role = format!("app_{}", rig.database);
    rig.client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw';
             GRANT USAGE ON SCHEMA makegood TO {role};
             GRANT ALL ON ALL TABLES IN SCHEMA makegood TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA makegood TO {role};
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA makegood TO {role};
             GRANT SELECT ON payments TO {role};
             GRANT SELECT, INSERT ON student_course_purchases TO {role}"
        ))
        .await
        .unwrap();
    let port = rig.world.postgres.port();
    (format!("postgres://{role}:pw@127.0.0.1:{port}/{}", rig.database), role)
}

/// What SQL is told.
async fn sentence(rig: &Rig) -> String {
    let sql = "SELECT sentence FROM makegood.status";
    let row = rig.client.query_opt(sql, &[]).await.unwrap();
    row.map(|row| row.get(0)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_row_security_hides_are_no_good_news() {
    let rig = Rig::new(1).await;
    let (url, role) = role(&rig).await;
    rig.client.batch_execute("ALTER TABLE payments ENABLE ROW LEVEL SECURITY").await.unwrap();
    let paid = recorded(&rig, 3).await;
    let job = job_section("");
    let config = rig.config_file(&url, "", &format!("[migrate]\nmode = \"check\"\n{job}"));
    let _daemon = Daemon::start(&config, 0);
    eventually("the verdict to name row security", || async {
        let told = sentence(&rig).await;
        let names = told.contains("row-level security policy for table \"payments\"");
        (told.starts_with("unpurchased: ") && names && told.contains("BYPASSRLS")).then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT count(*) FROM student_course_purchases").await, 0);
    rig.client.batch_execute(&format!("ALTER ROLE {role} BYPASSRLS")).await.unwrap();
    rig.client.batch_execute("SELECT makegood.reconcile()").await.unwrap();
    eventually("all purchases, and a verdict that is well", || async {
        let made = rig.number("SELECT count(*) FROM student_course_purchases").await;
        (made == 3 && sentence(&rig).await.starts_with("ok: ")).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_finds_no_payment_among_a_thousand_fails_its_trial() {
    let rig = Rig::new(1).await;
    let many = "INSERT INTO payments (id, student_id, course_id, amount, currency, status)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'EUR', 'PAID'
        FROM generate_series(1, 1000)";
    rig.client.batch_execute(many).await.unwrap();
    let doctor = run(&rig, &["doctor"]).await;
    let told = stdout(&doctor);
    assert!(told.contains("payments.sql finds no payment among them"), "{told}");
    assert_eq!(doctor.status.code(), Some(1), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_rejects_every_payment_fails_its_trial() {
    let rig = Rig::new(1).await;
    let mapping = Mapping::new(&rig);
    mapping.change(&[
        ("'already'", "'rejected'"),
        ("'applied'", "'rejected'"),
        ("'conflict'", "'rejected'"),
    ]);
    recorded(&rig, 5).await;
    let daemon = rig.daemon_with(&mapping.route(""));
    eventually("the daemon to hold", || async {
        daemon.log().contains("apply.sql rejects the last 5 payments").then_some(())
    })
    .await;
}
