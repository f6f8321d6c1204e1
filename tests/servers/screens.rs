//! What people see: on a terminal of 80 columns and 24 rows, and as JSON.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::commands::{run, stdout};
use crate::support::daemon::Daemon;
use crate::support::events::{payments, raw};
use crate::support::rig::Rig;

/// What a person sees on a terminal of this size; `script` makes one.
async fn on_a_terminal(rig: &Rig, args: &str, variables: &str) -> String {
    let program = env!("CARGO_BIN_EXE_makegood");
    let config = rig.config_file(&rig.url(), "", "");
    let line = format!(
        "stty cols 80 rows 24; TERM=xterm {variables} {program} {args} 2> /dev/null --config {}",
        config.display()
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || script.output()).await.unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_fit_a_terminal_and_every_json_says_its_version() {
    let rig = Rig::new(20).await;
    let daemon = rig.daemon();
    rig.pay(&payments(3)).await;
    rig.send(&raw(Some(b"k"), Some(b"no json"))).await;
    rig.caught_up().await;
    let gone = "INSERT INTO makegood.workers (id, route_id, host, pid, version, seen_at, state)
        SELECT gen_random_uuid(), id, 'worker-of-long-ago-' || n, n, '0.1.0', now() - interval '3 hours', 'running'
        FROM makegood.routes, generate_series(1, 19) n";
    rig.client.batch_execute(gone).await.unwrap();
    let screen = on_a_terminal(&rig, "status", "NO_COLOR=1").await;
    assert!(
        screen.contains("19 daemons are gone") && screen.contains("partitions with less"),
        "{screen}"
    );
    let lines: Vec<&str> = screen.lines().collect();
    let sight = &lines[lines.len().saturating_sub(23)..];
    assert!(sight.contains(&lines[0]), "the verdict has scrolled away: {screen}");
    assert!(!screen.contains('\u{1b}'), "no colour: {screen}");
    let coloured = on_a_terminal(&rig, "status", "").await;
    assert!(coloured.starts_with("\u{1b}["), "{coloured}");
    for list in [
        &["status"][..],
        &["inbox", "list"],
        &["quarantine", "list"],
        &["offsets", "show"],
        &["reconcile", "list"],
        &["outbox", "list"],
        &["migrate", "status"],
        &["doctor"],
        &["mapping", "check", "--route", "purchases"],
        &["mapping", "try", "--route", "purchases"],
    ] {
        for format in ["json", "jsonl"] {
            let output = run(&rig, &[list, &["-o", format]].concat()).await;
            let text = stdout(&output);
            let documents: Vec<Value> = match format {
                "json" => vec![serde_json::from_str(&text).unwrap()],
                _ => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            };
            assert!(
                documents.iter().all(|d| d["schema_version"] == 1),
                "{list:?} {format}: {text}"
            );
        }
    }
    drop(daemon);
}

/// Payments, records and events with names, ids and reasons as long as people have them.
async fn busy(rig: &Rig) -> Daemon {
    let daemon = rig.reconciler("").await;
    rig.pay(&payments(3)).await;
    rig.send(&raw(Some(b"00000000-0000-4000-8000-000000000001"), Some(b"{ no json"))).await;
    rig.caught_up().await;
    let wrong = "INSERT INTO payments (id, student_id, course_id, amount, currency, updated_at)
        SELECT payment_id, student_id, course_id, amount + 1, currency, now() - interval '1 hour'
        FROM student_course_purchases";
    rig.client.batch_execute(wrong).await.unwrap();
    let done = run(rig, &["reconcile", "run", "--wait"]).await;
    assert!(done.status.success(), "{}", stdout(&done));
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_fit_80_columns_or_show_each_row_by_itself() {
    let rig = Rig::new(3).await;
    let daemon = busy(&rig).await;
    let payment: uuid::Uuid = rig
        .client
        .query_one("SELECT payment_id FROM student_course_purchases LIMIT 1", &[])
        .await
        .unwrap()
        .get(0);
    daemon.stop();
    let publish =
        "SELECT makegood.publish($1, gen_random_uuid()::text, 'PURCHASE_CONFIRMED', '{}'::jsonb)";
    rig.client.query(publish, &[&rig.topic]).await.unwrap();
    let explain = format!("explain {payment}");
    for list in [
        "inbox list",
        "outbox list",
        "quarantine list",
        "quarantine show 1",
        "offsets show",
        "reconcile list",
        "reconcile show",
        "reconcile show 1",
        "migrate status",
        &explain,
    ] {
        let screen = on_a_terminal(&rig, list, "NO_COLOR=1").await;
        assert!(screen.lines().count() > 1, "{list}: {screen}");
        // What has no space cannot be folded.
        let folds = |line: &&str| line.chars().count() > 80 && line[40..].contains(' ');
        assert_eq!(screen.lines().find(folds), None, "{list}: {screen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_is_watched_keeps_the_verdict_in_sight() {
    let rig = Rig::new(20).await;
    let _daemon = busy(&rig).await;
    let config = rig.config_file(&rig.url(), "", "");
    let line = format!(
        "stty cols 80 rows 24; TERM=xterm NO_COLOR=1 timeout -s INT 6 {} status --watch --config {}",
        env!("CARGO_BIN_EXE_makegood"),
        config.display()
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || script.output()).await.unwrap().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    // Each time from the first row, and what was there before is erased.
    let frames: Vec<&str> = shown.split("\u{1b}[H").skip(1).collect();
    assert!(frames.len() >= 2, "{shown:?}");
    for frame in frames {
        let frame = frame.replace("\u{1b}[K", "").replace("\u{1b}[J", "");
        let rows: usize = frame.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
        assert!(frame.starts_with("purchases: ") && rows <= 23, "{rows} rows: {frame}");
    }
}
