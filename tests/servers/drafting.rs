//! A mapping drafted from tables that are nothing like the demo's fits them once a person has filled in what is marked.

use std::fs;

use serde_json::{Value, json};

use crate::commands::{run, run_with, stderr, stdout};
use crate::support::daemon::Daemon;
use crate::support::events::raw;
use crate::support::eventually;
use crate::support::rig::Rig;

/// Whole numbers as ids, cents, words of their own, a time without a zone, names in capitals, and columns that no payment has.
pub const OTHER_TABLES: &str = "
    CREATE SCHEMA shop;
    CREATE TYPE shop.pay_state AS ENUM ('NEW', 'PAID', 'GIVEN_BACK', 'ON_HOLD', 'EXPIRED');
    CREATE TABLE shop.payment (
        id bigint PRIMARY KEY, buyer_id bigint NOT NULL, course_code varchar(20) NOT NULL, amount_cents bigint NOT NULL,
        currency char(3) NOT NULL, state shop.pay_state NOT NULL, modified_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'));
    CREATE TABLE shop.\"Enrolment\" (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payment bigint NOT NULL UNIQUE REFERENCES shop.payment,
        buyer_id bigint NOT NULL, course_code varchar(20) NOT NULL, amount_cents bigint NOT NULL, currency char(3) NOT NULL,
        tenant integer NOT NULL, source text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX ON shop.payment (modified_at, id, state);
    CREATE INDEX ON shop.\"Enrolment\" (created_at, payment);
    INSERT INTO shop.payment SELECT n, 500 + n, 'RUST-' || n, 49900, 'INR',
        (CASE n % 4 WHEN 0 THEN 'NEW' WHEN 1 THEN 'PAID' WHEN 2 THEN 'GIVEN_BACK' ELSE 'ON_HOLD' END)::shop.pay_state,
        now() AT TIME ZONE 'UTC' - interval '3 hours' FROM generate_series(1, 8) n";

/// A payment's event.
pub fn event(payment: i64) -> String {
    let data = json!({ "paymentId": payment, "buyerId": 500 + payment, "courseCode": format!("RUST-{payment}"),
        "amountCents": 49900, "currency": "INR" });
    json!({ "eventType": "PURCHASE_CONFIRMED", "eventId": format!("e{payment}"), "data": data })
        .to_string()
}

/// Fills in what only a person knows.
pub fn fill_in(folder: &std::path::Path) {
    let file = folder.join("apply.sql");
    let text = fs::read_to_string(&file).unwrap();
    let text = text
        .replace("FILL_IN_tenant", "7")
        .replace("FILL_IN_source", "'makegood'")
        .replace("-- makegood: not-paid NEW", "-- makegood: not-paid NEW, ON_HOLD");
    fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drafted_mapping_fits_once_its_marks_are_filled_in_and_makes_the_purchases() {
    let rig = Rig::new(1).await;
    rig.client.batch_execute(OTHER_TABLES).await.unwrap();
    let (folder, sample) = (rig.path("enrolments"), rig.path("event.json"));
    fs::write(&sample, event(1)).unwrap();
    let (into, seen) = (folder.to_str().unwrap(), sample.to_str().unwrap());
    let drafted =
        run(&rig, &["mapping", "new", "shop.\"Enrolment\"", "--into", into, "--event", seen]).await;
    let said = stderr(&drafted);
    assert!(drafted.status.success(), "{said}");
    let marks: Vec<&str> = said.lines().filter(|line| line.starts_with("FILL_IN: ")).collect();
    assert_eq!(marks.len(), 3, "{said}");
    for mark in ["tenant (integer)", "source (text)", "\"ON_HOLD\", the status of 2 payments"] {
        assert!(marks.iter().any(|line| line.contains(mark)), "{mark} is not marked: {said}");
    }
    // Words that no payment has yet come as well: the status' type knows them.
    let apply = fs::read_to_string(folder.join("apply.sql")).unwrap();
    assert!(apply.contains("-- makegood: not-paid NEW, EXPIRED\n"), "{apply}");
    let mapping = format!("mapping = \"{into}\"\nverify_payment = true\n");
    // What is marked keeps it from fitting.
    let check = run_with(&rig, &mapping, &["mapping", "check"]).await;
    assert_eq!(check.status.code(), Some(1), "{}", stdout(&check));
    assert!(stdout(&check).contains("fill_in_"), "{}", stdout(&check));
    fill_in(&folder);
    let check = run_with(&rig, &mapping, &["mapping", "check"]).await;
    assert!(
        check.status.success(),
        "{}{}",
        stdout(&check),
        fs::read_to_string(folder.join("apply.sql")).unwrap()
    );
    assert!(!stdout(&check).contains("WARN"), "{}", stdout(&check));

    // Payment 1 by its event, twice; 5 by reconciliation; 2, which was given back, stays without.
    rig.client
        .batch_execute(
            "UPDATE shop.payment SET modified_at = now() AT TIME ZONE 'UTC' WHERE id = 1",
        )
        .await
        .unwrap();
    for number in [1, 1, 2] {
        rig.send(&raw(None, Some(event(number).as_bytes()))).await;
    }
    let job = crate::reconcile::job_section("");
    let daemon = Daemon::start(&rig.config_file(&rig.url(), &mapping, &job), 0);
    let made =
        "SELECT payment, buyer_id, course_code::text, amount_cents, currency::text, tenant, source
                FROM shop.\"Enrolment\" ORDER BY payment";
    eventually("both purchases", || async {
        (rig.client.query(made, &[]).await.unwrap().len() == 2).then_some(())
    })
    .await;
    let row = &rig.client.query(made, &[]).await.unwrap()[1];
    let (id, buyer, cents): (i64, i64, i64) = (row.get(0), row.get(1), row.get(3));
    assert_eq!((id, buyer, cents, row.get::<_, i32>(5)), (5, 505, 49900, 7));
    let explained = run_with(&rig, &mapping, &["explain", "5"]).await;
    assert!(stdout(&explained).contains("RUST-5"), "{}{}", stdout(&explained), stderr(&explained));

    // A shadow compares by it as well.
    daemon.stop();
    let job = crate::reconcile::job_section("grace = \"1s\"");
    let (file, config) = (rig.path("shadow.json"), rig.config_file(&rig.url(), &mapping, &job));
    let report = ["--report", file.to_str().unwrap(), "--report-every", "1s"];
    let _shadow = Daemon::shadow(&config, 0, &report);
    eventually("a comparison by the drafted mapping", || async {
        let report: Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        let route = &report["routes"][0];
        let found = |how: &str| route["differences"][how]["count"].as_u64().unwrap_or(0);
        let sound = ["missing", "differs", "unreadable"].iter().all(|how| found(how) == 0);
        (route["events"] == 3 && sound).then_some(())
    })
    .await;

    // For the demo's tables no foreign key says where the payments are, and while there is none no status says what is paid.
    let plain = rig.path("plain");
    let into = plain.to_str().unwrap();
    let new = ["mapping", "new", "student_course_purchases", "--into", into];
    let asked = run(&rig, &new).await;
    assert_eq!(asked.status.code(), Some(2), "{}", stderr(&asked));
    assert!(stderr(&asked).contains("--payments"), "{}", stderr(&asked));
    let drafted = run(&rig, &[&new[..], &["--payments", "payments"]].concat()).await;
    assert!(drafted.status.success(), "{}", stderr(&drafted));
    let mapping = format!("mapping = \"{into}\"\n");
    let check = run_with(&rig, &mapping, &["mapping", "check"]).await;
    assert_eq!(check.status.code(), Some(1), "{}", stdout(&check));
    assert!(stdout(&check).contains("still says FILL_IN"), "{}", stdout(&check));
    let apply = plain.join("apply.sql");
    let filled = fs::read_to_string(&apply).unwrap().replace("FILL_IN", "succeeded");
    fs::write(apply, filled).unwrap();
    let check = run_with(&rig, &mapping, &["mapping", "check"]).await;
    assert!(check.status.success(), "{}", stdout(&check));
}
