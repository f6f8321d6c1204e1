//! Nothing found is not nothing there: payments that cannot be seen are no good news.

use serde_json::Value;

use super::job_section;
use crate::commands::{run, stdout};
use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::rig::Rig;

/// The verdict on the only route, once its sentence has these words.
async fn says(rig: &Rig, words: &str) {
    eventually(&format!("a verdict that says {words}"), || async {
        let status = run(rig, &["status", "-o", "json"]).await;
        let json: Value = serde_json::from_str(&stdout(&status)).unwrap();
        let route = &json["routes"][0];
        let sentence = route["sentence"].as_str().unwrap_or_default();
        sentence.contains(words).then(|| assert_ne!(route["verdict"], "ok", "{route}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_behind_row_security_are_told_and_not_taken_for_none() {
    let rig = Rig::new(1).await;
    let role = format!("app_{}", rig.database);
    let sql = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA makegood TO {role};
         GRANT ALL ON ALL TABLES IN SCHEMA makegood, public TO {role};
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA makegood TO {role};
         ALTER TABLE payments ENABLE ROW LEVEL SECURITY"
    );
    rig.client.batch_execute(&sql).await.unwrap();
    rig.record(&payments(3), 60.0).await;
    let port = rig.world.postgres.port();
    let url = format!("postgres://{role}:pw@127.0.0.1:{port}/{}", rig.database);
    let path = rig.config_file(&url, "", &job_section("every = \"1s\""));
    let _daemon = Daemon::start(&path, 0);
    says(&rig, "row-level security").await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.runs WHERE state = 'done'").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.findings").await, 0);
    rig.client.batch_execute(&format!("ALTER ROLE {role} BYPASSRLS")).await.unwrap();
    let made = "SELECT count(*) FROM student_course_purchases";
    eventually("the purchases", || async { (rig.number(made).await == 3).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_payments_of_which_none_has_succeeded_is_told() {
    let rig = Rig::new(1).await;
    let paid = payments(3);
    rig.record(&paid, 60.0).await;
    rig.client.batch_execute("UPDATE payments SET status = 'PAID'").await.unwrap();
    let _daemon = rig.reconciler_with("", "every = \"1s\"");
    says(&rig, "PAID").await;
    rig.client.batch_execute("UPDATE payments SET status = 'succeeded'").await.unwrap();
    let made = "SELECT count(*) FROM student_course_purchases";
    eventually("the purchases", || async { (rig.number(made).await == 3).then_some(()) }).await;
    let ok = "SELECT count(*) FROM makegood.runs WHERE state = 'done'";
    eventually("a run that is done", || async { (rig.number(ok).await > 0).then_some(()) }).await;
}
