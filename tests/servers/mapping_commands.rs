//! How an operator with other tables learns to trust a mapping: checked, tried, and nothing left behind.

use std::fs;

use serde_json::Value;

use crate::commands::{run, stderr, stdout};
use crate::support::events::{payments, raw};
use crate::support::rig::Rig;

/// The level of each check of a name, and what it says with its fix.
pub fn checks(json: &str, name: &str) -> Vec<(String, String)> {
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["schema_version"], 1);
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (json["checks"].as_array().unwrap().iter())
        .filter(|check| check["name"] == name)
        .map(|c| (text(c, "level"), format!("{} {}", text(c, "says"), text(c, "fix"))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_one_fault_at_a_time_and_says_how_to_mend_it() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "INSERT INTO payments (id, student_id, course_id, amount, currency)
             SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'INR'",
        )
        .await
        .unwrap();
    let table = "student_course_purchases";
    for (name, breaks, mends, says) in [
        (
            "mapping.apply",
            format!("ALTER TABLE {table} RENAME purchased_at TO purchased_on"),
            format!("ALTER TABLE {table} RENAME purchased_on TO purchased_at"),
            "RENAME COLUMN purchased_on TO purchased_at;",
        ),
        (
            "mapping.apply",
            format!("ALTER TABLE {table} ADD seat int NOT NULL"),
            format!("ALTER TABLE {table} DROP seat"),
            "does not set seat (integer)",
        ),
        (
            "mapping.key",
            // Found in no constraint any more, so a payment can be there twice.
            format!(
                "CREATE TABLE spare (LIKE {table} INCLUDING ALL); ALTER TABLE {table} DROP CONSTRAINT {table}_payment_id_key;
                 INSERT INTO {table} (payment_id, student_id, course_id, amount, currency)
                 SELECT '11111111-1111-4111-8111-111111111111', gen_random_uuid(), gen_random_uuid(), 1, 'INR' FROM generate_series(1, 2)"
            ),
            format!("TRUNCATE {table}; ALTER TABLE {table} ADD UNIQUE (payment_id)"),
            "11111111-1111-4111-8111-111111111111 (2)",
        ),
        (
            "mapping.reads",
            "ALTER TABLE payments RENAME updated_at TO changed_at".to_owned(),
            "ALTER TABLE payments RENAME changed_at TO updated_at".to_owned(),
            "missing.sql does not fit",
        ),
        (
            "mapping.trial",
            format!("ALTER TABLE {table} ADD CONSTRAINT free CHECK (amount = 0)"),
            format!("ALTER TABLE {table} DROP CONSTRAINT free"),
            "violates check constraint \"free\"",
        ),
    ] {
        rig.client.batch_execute(&breaks).await.unwrap();
        let output = run(&rig, &["mapping", "check", "-o", "json"]).await;
        assert_eq!(output.status.code(), Some(1), "{breaks}: {}", stderr(&output));
        let found = checks(&stdout(&output), name);
        assert!(
            found.iter().any(|(level, text)| level == "fail" && text.contains(says)),
            "{breaks}: {found:?}"
        );
        rig.client.batch_execute(&mends).await.unwrap();
    }
    let output = run(&rig, &["mapping", "check"]).await;
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("PASS  mapping.trial"), "{}", stdout(&output));
    assert_eq!(rig.number("SELECT count(*) FROM student_course_purchases").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn try_shows_the_rows_it_would_write_and_writes_none() {
    let rig = Rig::new(2).await;
    let paid = payments(4);
    let file = rig.path("events.jsonl");
    let lines = [
        paid[0].json(),
        String::new(),
        paid[0].json().replace(&paid[0].event.to_string(), &paid[1].event.to_string()),
        paid[1].json().replace("\"INR\"", "\"rupees\""),
        "{\"eventType\":\"REFUNDED\"}".to_owned(),
        "not json".to_owned(),
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let from_file =
        ["mapping", "try", "--file", file.to_str().unwrap(), "-o", "jsonl", "--exit-code"];
    let output = run(&rig, &from_file).await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let tried: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<_> = tried
        .iter()
        .map(|t| (t["line"].as_i64().unwrap(), t["outcome"].as_str().unwrap()))
        .collect();
    // Of two events of one payment either may make the row.
    assert_eq!(outcomes.iter().map(|o| o.0).collect::<Vec<_>>(), [1, 3, 4, 5, 6]);
    let mut pair = [outcomes[0].1, outcomes[1].1];
    pair.sort_unstable();
    assert_eq!(pair, ["already", "applied"]);
    assert_eq!(&outcomes[2..], [(4, "rejected"), (5, "other_type"), (6, "undecodable")]);
    let row = &tried[0]["rows"][0];
    assert_eq!(row["payment_id"], paid[0].id.to_string());
    assert_eq!(row["student_id"], paid[0].student.to_string());
    // What waits in the topic, from where the route would start.
    rig.pay(&paid).await;
    rig.send(&raw(Some(b"key"), None)).await;
    let output = run(&rig, &["mapping", "try", "--waiting", "100"]).await;
    let (shown, said) = (stdout(&output), stderr(&output));
    assert!(output.status.success() && said.contains("5 of 5 waiting"), "{said}");
    assert!(said.contains("4 applied, 1 undecodable; everything was rolled back"), "{said}");
    assert_eq!(shown.matches("would write: {").count(), 4, "{shown}");
    assert_eq!(rig.number("SELECT count(*) FROM student_course_purchases").await, 0);
    assert!(rig.committed().is_empty(), "a look committed something");
    // One event that fails does not hide the others.
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases ADD CONSTRAINT dear CHECK (amount < 1.03)",
        )
        .await
        .unwrap();
    let output = run(&rig, &["mapping", "try"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("3 applied, 1 failed, 1 undecodable"), "{}", stderr(&output));
    assert!(stdout(&output).contains("violates check constraint \"dear\""), "{}", stdout(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_writes_a_mapping_that_does_what_the_shipped_one_does() {
    let rig = Rig::new(1).await;
    let folder = rig.path("mapping");
    let new = ["mapping", "new", "--into", folder.to_str().unwrap()];
    let written = run(&rig, &new).await;
    assert!(written.status.success(), "{}", stderr(&written));
    assert_eq!(stdout(&written).lines().count(), 8);
    let again = run(&rig, &new).await;
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    let daemon = rig.daemon_with(&format!("mapping = \"{}\"", folder.display()));
    let paid = payments(5);
    rig.pay(&paid).await;
    rig.caught_up().await;
    crate::support::ledger::assert_exactly(&rig.client, &paid).await;
    drop(daemon);
}
