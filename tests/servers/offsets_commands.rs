//! A person moves positions: never under a running daemon, never past payments without being told, in
//! PostgreSQL and Kafka together.

use std::fs;

use serde_json::{Value, json};

use super::commands::{run, stderr, stdout};
use super::support::events::{Payment, payments, raw};
use super::support::eventually;
use super::support::ledger;
use super::support::rig::Rig;

/// `offsets` with some arguments, as JSON.
async fn told(rig: &Rig, args: &[&str]) -> Value {
    let output = run(rig, &[&["offsets"], args, &["-o", "json"]].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// A reset that is executed; its exit code and what it says.
async fn reset(rig: &Rig, args: &[&str]) -> (Option<i32>, String) {
    let output = run(rig, &[&["offsets", "reset", "--execute"], args].concat()).await;
    (output.status.code(), stderr(&output))
}

/// Positions, and the group's offsets in Kafka.
async fn places(rig: &Rig) -> (Vec<(i32, i64)>, Vec<(i32, i64)>) {
    (rig.positions().await.into_iter().collect(), rig.committed().into_iter().collect())
}

async fn read_all(rig: &Rig) {
    let daemon = rig.daemon();
    rig.reads(&daemon).await;
    rig.caught_up().await;
    daemon.stop();
}

async fn pay(rig: &Rig, partition: i32, count: usize) -> Vec<Payment> {
    let paid = payments(count);
    rig.pay_to(Some(partition), &paid).await;
    paid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_says_what_it_gives_up_wants_the_groups_name_and_is_made_good_by_the_reconciler() {
    let rig = Rig::new(2).await;
    let mut paid = [pay(&rig, 0, 4).await, pay(&rig, 1, 2).await].concat();
    read_all(&rig).await;
    // Waiting: three whose payment is recorded, one that nobody knows, one made by hand, one that was taken
    // in already, one of another type, one that is no event at all.
    let (known, unknown, by_hand) = (payments(3), payments(1), payments(1));
    rig.record(&[&known[..], &by_hand[..]].concat(), 3.0 * 3600.0).await;
    rig.by_hand(&by_hand).await;
    rig.pay_to(Some(0), &[&known[..], &unknown[..], &by_hand[..], &paid[..1]].concat()).await;
    let other = by_hand[0].json().replace("PURCHASE_CONFIRMED", "REFUND");
    rig.send_to(Some(0), &raw(None, Some(other.as_bytes()))).await;
    rig.send_to(Some(1), &raw(None, Some(b"no event"))).await;

    let before = places(&rig).await;
    let plan = told(&rig, &["reset", "--to-latest"]).await;
    assert_eq!(places(&rig).await, before, "a plan changes nothing");
    let skipped = &plan["skipped"];
    for (what, count) in [
        ("examined", 8),
        ("paid_without_purchase", 4),
        ("taken_in", 1),
        ("with_purchase", 1),
        ("other", 1),
        ("for_quarantine", 1),
        ("gone", 0),
    ] {
        assert_eq!(skipped[what], count, "{what} in {plan:#}");
    }
    let knows = |value: bool| {
        let events = skipped["events"].as_array().unwrap();
        events.iter().filter(|e| e["known_to_reconciler"] == json!(value)).count()
    };
    assert_eq!((knows(true), knows(false)), (3, 1), "{plan:#}");
    assert_eq!(plan["partitions"][0]["skips"], json!({ "from": 4, "to": 11 }));
    let few = told(&rig, &["reset", "--to-latest", "--examine", "2"]).await;
    assert_eq!(
        (&few["skipped"]["examined"], &few["skipped"]["bounded"]),
        (&json!(2), &json!(true))
    );

    let (code, said) = reset(&rig, &["--to-latest"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(&format!("--confirm {}", rig.group)), "{said}");
    assert_eq!(reset(&rig, &["--to-latest", "--confirm", "another"]).await.0, Some(5));
    assert_eq!(places(&rig).await, before);
    let confirm = ["--to-latest", "--confirm", rig.group.as_str(), "--reason", "a test"];
    let (code, said) = reset(&rig, &confirm).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(places(&rig).await, (vec![(0, 11), (1, 3)], vec![(0, 11), (1, 3)]));
    let shown = told(&rig, &["show"]).await;
    assert_eq!(shown["gaps"].as_array().unwrap().len(), 2, "{shown:#}");
    assert_eq!(shown["gaps"][0]["from"], 4);
    let why = shown["gaps"][0]["reason"].as_str().unwrap();
    assert!(why.starts_with("reset by ") && why.ends_with(" to latest: a test"), "{why}");
    assert_eq!(
        (&shown["offsets"][0]["lag"], &shown["offsets"][0]["owner"]),
        (&json!(0), &Value::Null)
    );

    // What was paid and is known is made good all the same; the one that nobody knows is given up.
    let daemon = rig.reconciler_with("", "");
    eventually("the gaps to be covered", || async {
        (rig.number("SELECT count(*) FROM makegood.gaps_open").await == 0).then_some(())
    })
    .await;
    paid.extend([known, by_hand].concat());
    ledger::assert_exactly(&rig.client, &paid).await;
    daemon.stop();
    // Going back finds that one too, and nothing twice.
    let (code, said) =
        reset(&rig, &["--topic", &format!("{}:0", rig.topic), "--shift-by", "-7"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("7 offsets would be read again"), "{said}");
    paid.extend(unknown);
    read_all(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// The plan tells payments that a sweep finds from those that are lost with their event.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_whose_purchase_would_be_lost_even_while_the_mapping_is_broken() {
    let rig = Rig::new(1).await;
    let (known, unknown) = (payments(2), payments(1));
    rig.record(&known, 3.0 * 3600.0).await;
    rig.pay(&[&known[..], &unknown[..]].concat()).await;
    let plan = async || run(&rig, &["offsets", "reset", "--to-latest"]).await;
    let output = plan().await;
    let (screen, said) = (stdout(&output), stderr(&output));
    assert!(
        screen.contains("knows the payment") && screen.contains("does not know it"),
        "{screen}"
    );
    assert!(said.contains("3 paid without a purchase"), "{said}");
    assert!(said.contains("2 of the paid ones the reconciler knows"), "{said}");
    assert!(
        said.contains("this would be its first") && said.contains("nothing was changed"),
        "{said}"
    );
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases RENAME COLUMN amount TO price")
        .await
        .unwrap();
    let said = stderr(&plan().await);
    assert!(said.contains("3 paid") && said.contains("would be LOST"), "{said}");
    assert!(said.contains("\"amount\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_position_is_moved_under_a_daemon_or_any_other_member() {
    let rig = Rig::new(2).await;
    let paid = [pay(&rig, 0, 5).await, pay(&rig, 1, 5).await].concat();
    let daemon = rig.daemon();
    rig.reads(&daemon).await;
    rig.caught_up().await;
    let owner = told(&rig, &["show"]).await["offsets"][1]["owner"].as_str().unwrap().to_owned();
    assert!(owner.contains(&format!("pid {}", daemon.pid())), "{owner}");
    let refused = async |what: &str| {
        let (code, said) = reset(&rig, &["--to-earliest"]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("MG4005") && said.contains(what), "{what} is not in: {said}");
    };
    refused(&format!("pid {} (partitions 0,1", daemon.pid())).await;
    let plan = stderr(&run(&rig, &["offsets", "reset", "--to-earliest"]).await);
    assert!(plan.contains("cannot be done now"), "{plan}");
    // Nobody's row is left, but Kafka still has the member.
    daemon.signal("STOP");
    rig.client.execute("DELETE FROM makegood.workers", &[]).await.unwrap();
    refused("member makegood-purchases").await;
    daemon.signal("CONT");
    daemon.stop();
    let other = rig.idle_member().await;
    refused("member rdkafka").await;
    drop(other);
    eventually("the group to be empty", || async {
        (reset(&rig, &["--to-earliest"]).await.0 == Some(0)).then_some(())
    })
    .await;
    read_all(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let again = rig.number("SELECT sum(duplicate)::bigint FROM makegood.consumer_positions").await;
    assert_eq!(again, 10);
}

/// Each flag where Kafka's own tool would go, tried on the same group.
#[tokio::test(flavor = "multi_thread")]
async fn the_flags_mean_what_they_mean_to_kafkas_own_tool() {
    let rig = Rig::new(2).await;
    // One record a minute from 2026-01-07T16:50:00Z on.
    for (minute, payment) in (0..10).zip(payments(10)) {
        let mut record = payment.record();
        record.timestamp_ms = Some(1_767_804_600_000 + minute * 60_000);
        rig.send_to(Some(0), &record).await;
    }
    read_all(&rig).await;
    assert_eq!(places(&rig).await.0, [(0, 10), (1, 0)]);
    let file = rig.path("offsets.csv");
    let file = file.to_str().unwrap();
    let exported = rig.group_tool(&[
        "--reset-offsets",
        "--topic",
        &format!("{}:0", rig.topic),
        "--to-offset",
        "3",
        "--export",
        "--dry-run",
    ]);
    let lines: Vec<&str> = exported.lines().filter(|line| line.contains(&rig.topic)).collect();
    assert_eq!(lines.len(), 1, "{exported}");
    fs::write(file, lines.join("\n")).unwrap();
    // Where a flag leaves room for two readings Kafka's tool is asked too; it takes its time.
    for (args, wanted, is_asked) in [
        (&["--to-offset", "6"][..], 6, false),
        (&["--shift-by", "-2"], 8, false),
        (&["--shift-by", "-100"], 0, true),
        (&["--to-datetime", "2026-01-07T16:53:30.000"], 4, true),
        (&["--to-datetime", "2026-01-07T16:59:00Z"], 9, false),
        (&["--by-duration", "P0DT1H0M0S"], 10, true),
        (&["--to-earliest"], 0, false),
        (&["--to-latest"], 10, false),
        (&["--to-current"], 10, false),
        (&["--from-file", file], 3, true),
    ] {
        let plan = told(&rig, &[&["reset"], args].concat()).await;
        assert_eq!(plan["partitions"][0]["new_offset"], wanted, "{args:?}");
        let topic = format!("{}:0", rig.topic);
        let mut theirs = vec!["--reset-offsets", "--dry-run"];
        if args[0] != "--from-file" {
            theirs.extend(["--topic", &topic]);
        }
        theirs.extend(args);
        if is_asked {
            let table = rig.group_tool(&theirs);
            let line = table.lines().find(|line| line.starts_with(&rig.group)).unwrap();
            assert_eq!(
                line.split_whitespace().last(),
                Some(wanted.to_string().as_str()),
                "{args:?}"
            );
        }
    }
    for (wrong, said) in [
        (&["--to-offset", "1", "--to-latest"][..], "cannot be used with"),
        (&[], "required"),
        (&["--to-latest", "--topic", "nowhere"], "no configured route reads topic nowhere"),
        (&["--to-latest", "--topic", &format!("{}:7", rig.topic)], "has no partition 7"),
        (&["--from-file", "/nowhere"], "/nowhere"),
    ] {
        let output = run(&rig, &[&["offsets", "reset"], wrong].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

/// Before its first start makegood has no position; a reset gives it one.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_to_be_taken_over_is_read_from_where_it_was_reset_to() {
    let rig = Rig::new(1).await;
    let paid = pay(&rig, 0, 12).await;
    rig.commit_as_another_worker(0, 9);
    let shown = told(&rig, &["show"]).await;
    assert_eq!(
        (&shown["offsets"][0]["position"], &shown["offsets"][0]["lag"]),
        (&Value::Null, &json!(3))
    );
    assert_eq!(reset(&rig, &["--to-earliest"]).await.0, Some(0));
    assert_eq!(places(&rig).await, (vec![(0, 0)], vec![(0, 0)]));
    let daemon = rig.daemon();
    rig.reads(&daemon).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.gaps").await, 0);
    assert_eq!(
        rig.number("SELECT count(*) FROM makegood.positions WHERE why LIKE 'reset by %'").await,
        1
    );
}
