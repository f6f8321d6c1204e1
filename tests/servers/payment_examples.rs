//! The examples of the payment side work as they stand: what they pay becomes a purchase.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use uuid::Uuid;

use super::support::eventually;
use super::support::old_worker::node;
use super::support::outbox::read_topic;
use super::support::rig::Rig;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The trace that the payment belongs to.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn python() -> Command {
    // Not the first python3 of PATH: Debian's library belongs to Debian's own.
    Command::new("/usr/bin/python3")
}

/// Fails with what to install if the language or its PostgreSQL library is missing.
fn needs(mut command: Command, probe: [&str; 2], what: &str) {
    let there = command.args(probe).output().is_ok_and(|output| output.status.success());
    assert!(there, "the example cannot run: install {what}, or run bin/test, which does");
}

/// A file of the examples.
fn file(name: &str) -> PathBuf {
    Path::new(ROOT).join("examples/payment-side").join(name)
}

async fn assert_pays(rig: &Rig, mut command: Command, example: &str) {
    let (student, course) = (Uuid::new_v4(), Uuid::new_v4());
    command.args([&student.to_string(), &course.to_string(), "499.00", "INR"]);
    // Java's driver has its own form of a URL.
    let (_, rest) =
        rig.url().split_once("://postgres:").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let (password, place) = rest.split_once('@').unwrap();
    let url = match example {
        "java" => format!("jdbc:postgresql://{place}?user=postgres&password={password}"),
        _ => rig.url(),
    };
    command.env("DATABASE_URL", url).env("TOPIC", &rig.topic).env("TRACEPARENT", TRACE);
    let output: Output =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {said}");
    let ids: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = |name: &str| ids[name].as_str().unwrap().parse::<Uuid>().unwrap();
    let sql = "SELECT student_id, course_id, amount::text, event_id
               FROM student_course_purchases JOIN payments p USING (student_id, course_id, amount, currency)
               WHERE payment_id = $1 AND p.id = $1";
    let purchase = eventually("the purchase", || async {
        rig.client.query_opt(sql, &[&id("payment")]).await.unwrap()
    })
    .await;
    let found: (Uuid, Uuid, String, Uuid) =
        (purchase.get(0), purchase.get(1), purchase.get(2), purchase.get(3));
    assert_eq!(found, (student, course, "499.00".to_owned(), id("event")));
    let records = read_topic(rig);
    let of_this = |id: Uuid| records.iter().find(|record| record.headers["id"] == id.to_string());
    assert_eq!(of_this(id("event")).expect("it is in the topic").headers["traceparent"], TRACE);
}

/// One topic and one daemon for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_made_from_each_language_becomes_a_purchase() {
    needs(node(), ["-e", "require('pg')"], "nodejs");
    needs(python(), ["-c", "import psycopg2"], "python3 and python3-psycopg2");
    let rig = Rig::new(3).await;
    let _daemon = rig.daemon();
    let mut of_node = node();
    of_node.arg(file("node/pay.js"));
    assert_pays(&rig, of_node, "node").await;
    let mut of_python = python();
    of_python.arg(file("python/pay.py"));
    assert_pays(&rig, of_python, "python").await;
    // bin/test builds the one and fetches the other's driver, and says so where it cannot.
    let fetched = Path::new(ROOT).join("target/pay-side");
    if !fetched.exists() {
        eprintln!("{} is missing: Go and Java were not tried", fetched.display());
        return;
    }
    assert_pays(&rig, Command::new(fetched.join("pay")), "go").await;
    let mut of_java = Command::new("java");
    of_java.args(["-XX:TieredStopAtLevel=1", "-cp"]).arg(fetched.join("postgresql.jar"));
    of_java.arg(file("java/Pay.java"));
    assert_pays(&rig, of_java, "java").await;
}
