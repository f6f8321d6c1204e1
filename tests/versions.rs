//! What runs with every version of PostgreSQL and Kafka. `bin/test` runs it with those that are there, `bin/test --matrix`
//! with each that the documentation names.

use std::fs;

use serde_json::Value;

use crate::mapping_commands::checks;
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

async fn says(config: &std::path::Path, args: &[&str]) -> (Option<i32>, String) {
    let mut asked = command();
    asked.args(args).arg("--config").arg(config);
    let out = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_becomes_its_purchase_and_every_command_tells() {
    let rig = Rig::new(2).await;
    let version = rig.client.query_one("SELECT current_setting('server_version')", &[]).await;
    println!("PostgreSQL {}", version.unwrap().get::<_, String>(0));
    let config = rig.path("versions.toml");
    let text = rig.config(
        &rig.url(),
        "verify_payment = true",
        "[outbox]\n[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\ngrace = \"0s\"\n",
    );
    fs::write(&config, text).unwrap();
    assert_eq!(says(&config, &["migrate", "status"]).await.0, Some(0));
    let daemon = Daemon::start(&config, 0);
    let paid = payments(4);
    let insert = "INSERT INTO payments (id, student_id, course_id, amount, currency, status)
                  VALUES ($1, $2, $3, $4::text::numeric, $5, 'succeeded')";
    for (number, payment) in paid.iter().enumerate() {
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&payment.id, &payment.student, &payment.course, &payment.amount, &payment.currency];
        rig.client.execute(insert, &row).await.unwrap();
        // The last one's event is forgotten.
        if number < 3 {
            let publish = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb)";
            let (key, json) = (payment.student.to_string(), payment.json());
            rig.client.query_one(publish, &[&rig.topic, &key, &json]).await.unwrap();
        }
    }
    eventually("the purchases from the outbox", || async {
        (ledger::count(&rig.client).await >= 3).then_some(())
    })
    .await;
    let (code, text) = says(&config, &["reconcile", "run"]).await;
    assert_eq!(code, Some(0), "{text}");
    eventually("the purchase that had no event", || async {
        (ledger::count(&rig.client).await == 4).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    eventually("status to be ok", || async {
        says(&config, &["status"]).await.1.starts_with("ok: ").then_some(())
    })
    .await;
    let (code, json) = says(&config, &["doctor", "-o", "json"]).await;
    assert_eq!(code, Some(0), "{json}");
    assert!(!checks(&json, "kafka.topic").is_empty(), "{json}");
    let status: Value =
        serde_json::from_str(&says(&config, &["status", "-o", "json"]).await.1).unwrap();
    assert_eq!(status["schema_version"], 1);
    daemon.stop();
}
