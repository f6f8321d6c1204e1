//! What an operator is told: the commands, run as a person runs them, beside a working daemon.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::daemon::command;
use crate::support::events::{payments, raw};
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};

/// Runs a command against the rig's servers.
pub async fn run(rig: &Rig, args: &[&str]) -> Output {
    run_with(rig, "", args).await
}

/// The same with more settings for the route.
pub async fn run_with(rig: &Rig, route: &str, args: &[&str]) -> Output {
    let file = rig.config_file(&rig.url(), route, "");
    let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
    let wait = move || command().args(args).arg("--config").arg(file).stdin(Stdio::null()).output();
    tokio::task::spawn_blocking(wait).await.unwrap().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_in_one_sentence_whether_it_works_and_what_to_do() {
    let rig = Rig::new(2).await;
    // Purchases without a payment would be findings, as soon as a sweep has looked.
    let paid = payments(21);
    rig.record(&paid, 0.0).await;
    rig.pay(&paid[..20]).await;
    let down = run(&rig, &["status", "--exit-code"]).await;
    assert_eq!(down.status.code(), Some(3), "{}", stderr(&down));
    assert!(stdout(&down).starts_with("down: "), "{}", stdout(&down));
    let daemon = rig.daemon();
    rig.caught_up().await;
    eventually("status to find nothing wrong", || async {
        let output = run(&rig, &["status", "--exit-code"]).await;
        (output.status.success() && stdout(&output).starts_with("ok: ")).then_some(())
    })
    .await;
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases RENAME COLUMN purchased_at TO start_date",
        )
        .await
        .unwrap();
    rig.pay(&paid[20..]).await;
    let held = eventually("status to say what was refused", || async {
        let output = run(&rig, &["status", "--exit-code"]).await;
        stdout(&output).contains("suspect for ").then_some(output)
    })
    .await;
    assert_eq!(held.status.code(), Some(3));
    let sentence = stdout(&held).lines().next().unwrap().to_owned();
    assert!(
        sentence.contains(r#"column "purchased_at""#) && sentence.contains("42703"),
        "{sentence}"
    );
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_as_json_has_each_partition_and_its_lag() {
    let rig = Rig::new(2).await;
    let _daemon = rig.daemon();
    rig.pay(&payments(30)).await;
    rig.caught_up().await;
    let json: Value =
        serde_json::from_str(&stdout(&run(&rig, &["status", "-o", "json"]).await)).unwrap();
    assert_eq!(json["schema_version"], 1);
    let partitions = json["routes"][0]["partitions"].as_array().unwrap();
    let ends = rig.log_ends();
    assert_eq!(partitions.len(), ends.len());
    for partition in partitions {
        let number = i32::try_from(partition["partition"].as_i64().unwrap()).unwrap();
        assert_eq!(partition["log_end"].as_i64(), ends.get(&number).copied());
        assert_eq!(partition["lag"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_found_by_its_payment_and_a_bad_record_with_its_bytes() {
    let rig = Rig::new(1).await;
    let _daemon = rig.daemon();
    let paid = payments(3);
    rig.pay(&paid).await;
    rig.send(&raw(Some(b"key"), Some(b"\x01\xff not json"))).await;
    rig.caught_up().await;
    let listed = stdout(&run(&rig, &["inbox", "list", "--key", &paid[1].id.to_string()]).await);
    assert!(
        listed.contains(&paid[1].event.to_string()) && !listed.contains(&paid[0].event.to_string()),
        "{listed}"
    );
    let shown = stdout(&run(&rig, &["inbox", "show", &paid[2].event.to_string()]).await);
    assert!(shown.contains("applied") && shown.contains(&paid[2].id.to_string()), "{shown}");
    let nobody = run(&rig, &["inbox", "show", "11111111-1111-4111-8111-111111111111"]).await;
    assert_eq!(nobody.status.code(), Some(1), "{}", stderr(&nobody));
    let quarantine = stdout(&run(&rig, &["quarantine", "list", "-o", "jsonl"]).await);
    let case: Value = serde_json::from_str(quarantine.lines().next().unwrap()).unwrap();
    assert_eq!(case["reason"], "not_utf8");
    let raw = run(&rig, &["quarantine", "show", &case["id"].to_string(), "--raw"]).await;
    assert_eq!(raw.stdout, b"\x01\xff not json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_goes_all_the_way_and_leaves_no_purchase() {
    let rig = Rig::new(2).await;
    let daemon = rig.daemon();
    let paid = payments(5);
    rig.pay(&paid).await;
    rig.caught_up().await;
    // Made from the last real event, so its payment has a purchase already.
    let sent = run(&rig, &["send-test"]).await;
    assert!(sent.status.success(), "{}", stderr(&sent));
    assert!(stdout(&sent).starts_with("test: the mapping answered already"), "{}", stdout(&sent));
    // A payment of its own: applied, and rolled back.
    let event = rig.path("event.json");
    std::fs::write(&event, payments(1)[0].json()).unwrap();
    let sent = run(&rig, &["send-test", "--event", event.to_str().unwrap()]).await;
    assert!(
        stdout(&sent).starts_with("test: the mapping answered applied"),
        "{}{}",
        stdout(&sent),
        stderr(&sent)
    );
    assert!(
        stderr(&sent).contains("other consumers of this topic see the record too"),
        "{}",
        stderr(&sent)
    );
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number("SELECT sum(tested)::bigint FROM makegood.consumer_positions").await, 2);
    drop(daemon);
    let unanswered = run(&rig, &["send-test", "--timeout", "1s"]).await;
    assert_eq!(unanswered.status.code(), Some(6), "{}", stderr(&unanswered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mark_that_nobody_registered_means_nothing() {
    let rig = Rig::new(1).await;
    let paid = payments(2);
    let forged = "22222222-2222-4222-8222-222222222222";
    for payment in &paid {
        rig.send(&crate::support::events::with_header(payment.record(), "makegood-test", forged))
            .await;
    }
    let _daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// Starts a command, has it interrupted once it has said `words`, and returns how it ended and what it said.
async fn interrupted(rig: &Rig, args: &[&str], words: &'static str) -> (Option<i32>, String) {
    let mut waiting = command();
    waiting.args(args).arg("--config").arg(rig.config_file(&rig.url(), "", ""));
    let mut child = waiting.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let listening = move || {
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            if line.contains(words) {
                Command::new("kill").args(["-s", "INT", &pid]).status().unwrap();
            }
            said += &(line + "\n");
        }
        (child.wait().unwrap().code(), said)
    };
    tokio::task::spawn_blocking(listening).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_wait_and_nothing_else() {
    let rig = Rig::new(1).await;
    let daemon = rig.daemon();
    rig.send(&raw(Some(b"k"), Some(b"no json"))).await;
    rig.pay(&payments(1)).await;
    rig.caught_up().await;
    let blocker = connect(&rig.url()).await;
    blocker.batch_execute("BEGIN; LOCK TABLE makegood.inbox").await.unwrap();
    let replay = &["quarantine", "replay", "--all", "--execute"];
    let (code, said) = interrupted(&rig, replay, "asked for; the daemon").await;
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("replayed all the same"), "{said}");
    blocker.batch_execute("ROLLBACK").await.unwrap();
    let done = "SELECT count(*) FROM makegood.quarantine_decisions WHERE finished_at IS NOT NULL";
    eventually("the replay", || async { (rig.number(done).await == 1).then_some(()) }).await;
    drop(daemon);
    let (code, said) = interrupted(&rig, &["send-test"], "sent to topic").await;
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("answered all the same"), "{said}");
}
