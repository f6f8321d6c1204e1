//! Promise: what a daemon answers by HTTP is the truth that `makegood status` tells, it costs the servers
//! nothing, and it is answered whatever they and the caller do.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::commands::{run, stdout};
use crate::support::daemon::{Daemon, command};
use crate::support::events::{payments, raw};
use crate::support::http::{address, converse, get, scrape};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Waits until the daemon says that the work is being done.
async fn ready(address: &str) {
    eventually("the daemon to be ready", || async {
        (get(address, "/readyz").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_status_are_answered_with_what_the_commands_say() {
    let rig = Rig::new(2).await;
    let mut daemon = rig.daemon();
    let at = address(&daemon).await;
    rig.pay(&payments(20)).await;
    rig.caught_up().await;
    ready(&at).await;
    assert_eq!(get(&at, "/livez").await.json(), serde_json::json!({ "ok": true, "silent": [] }));
    let told = eventually("the snapshot to have all records", || async {
        let told = get(&at, "/api/v1/status").await.json();
        (told["routes"][0]["counts"]["applied"] == 20).then_some(told)
    })
    .await;
    let shown: Value =
        serde_json::from_str(&stdout(&run(&rig, &["status", "-o", "json"]).await)).unwrap();
    assert_eq!(told["schema_version"], shown["schema_version"]);
    assert_eq!(told["routes"][0]["verdict"], shown["routes"][0]["verdict"]);
    assert_eq!(told["routes"][0]["counts"], shown["routes"][0]["counts"]);
    assert_eq!(told["outbox"]["verdict"], shown["outbox"]["verdict"]);
    let health = |flag: &str, at: &str| {
        let url = format!("http://{at}");
        command().args(["health", flag, "--url", &url]).output().unwrap()
    };
    assert_eq!(stdout(&health("--ready", &at)), "ready\n");
    assert_eq!(stdout(&health("--live", &at)), "live\n");
    let pid = i32::try_from(daemon.pid()).unwrap();
    assert_eq!(told["routes"][0]["workers"][0]["pid"], pid);
    watched_until_ctrl_c(&rig).await;
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    assert_eq!(health("--live", &at).status.code(), Some(1), "nobody answers any more");
}

/// `status --watch` shows it again and again, and ends well on Ctrl-C.
async fn watched_until_ctrl_c(rig: &Rig) {
    let file = rig.path("watched.txt");
    let mut watch = command()
        .args(["status", "--watch", "--config"])
        .arg(rig.config_file(&rig.url(), "", ""))
        .stdout(std::fs::File::create(&file).unwrap())
        .spawn()
        .unwrap();
    eventually("status to be shown twice", || async {
        let shown = std::fs::read_to_string(&file).unwrap();
        (shown.matches("route purchases (topic").count() >= 2).then_some(())
    })
    .await;
    let pid = watch.id().to_string();
    std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap();
    assert!(watch.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_bounded_keeps_to_itself_and_logs_no_probe() {
    let rig = Rig::new(1).await;
    let daemon = rig.daemon();
    let at = address(&daemon).await;
    let found = get(&at, "/readyz").await;
    for header in [
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'",
    ] {
        assert!(found.head.contains(header), "{header} is not in {}", found.head);
    }
    assert!(found.json()["checks"][0].get("detail").is_none(), "details are for ?verbose");
    assert!(get(&at, "/readyz?verbose").await.json()["checks"][0]["detail"].is_string());
    assert_eq!(get(&at, "/etc/passwd").await.status, 404);
    let close = "Host: localhost\r\nConnection: close\r\n";
    for (request, status) in [
        (format!("POST /api/v1/status HTTP/1.1\r\n{close}Content-Length: 0\r\n\r\n"), "405"),
        (format!("GET /livez HTTP/1.1\r\n{close}X: {}\r\n\r\n", "x".repeat(40_000)), "431"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = converse(&at, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
    // More connections than there may be, each of which says nothing: they are let go, and a probe gets through.
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(tokio::net::TcpStream::connect(&at).await.unwrap());
    }
    assert_eq!(get(&at, "/livez").await.status, 200);
    assert!(!daemon.log().contains("livez") && !daemon.log().contains("readyz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_stops_no_payment_and_is_had_when_it_is_free() {
    let rig = Rig::new(1).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let text = std::fs::read_to_string(rig.config_file(&rig.url(), "", "")).unwrap();
    let file = rig.path("taken.toml");
    std::fs::write(&file, text.replace("127.0.0.1:0", &at)).unwrap();
    let daemon = Daemon::start(&file, 0);
    let paid = payments(10);
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert!(daemon.log().contains("payments are not affected"), "{}", daemon.log());
    drop(taken);
    assert_eq!(address(&daemon).await, at);
    ready(&at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_exported_as_documented_and_a_scrape_asks_nobody() {
    let rig = Rig::new(2).await;
    let daemon = rig.reconciler("").await;
    let at = address(&daemon).await;
    rig.pay(&payments(30)).await;
    rig.send(&raw(Some(b"key"), Some(b"\xff"))).await;
    let publish = "SELECT makegood.publish($1, 'k', 'OTHER', '{}'::jsonb)";
    rig.client.query(publish, &[&rig.topic]).await.unwrap();
    rig.caught_up().await;
    run(&rig, &["reconcile", "run", "--wait"]).await;
    let names = |text: &str| -> BTreeSet<String> {
        let described = text.lines().filter(|line| line.starts_with("# TYPE makegood_"));
        described.map(|line| line["# TYPE ".len()..].to_owned()).collect()
    };
    let golden = include_str!("../golden/metrics.txt");
    let missing = Mutex::default();
    let found = async {
        eventually("every metric to have a value", || async {
            let body = get(&at, "/metrics").await.body;
            let lacks: Vec<String> = names(golden).difference(&names(&body)).cloned().collect();
            let is_whole = lacks.is_empty();
            *missing.lock().unwrap() = lacks;
            is_whole.then_some(body)
        })
        .await
    };
    let patience = Duration::from_secs(60);
    let text = timeout(patience, found).await.unwrap_or_else(|_| panic!("{missing:?}"));
    let described: BTreeSet<&str> =
        text.lines().filter(|line| line.starts_with("# ") && line.contains(" makegood_")).collect();
    let wanted: BTreeSet<&str> = golden.lines().collect();
    assert_eq!(described, wanted, "MAKEGOOD_TEST_BLESS=1 cargo test --test metrics");
    let samples = scrape(&at).await;
    let applied = "makegood_inbox_events_total{route=\"purchases\",result=\"applied\"}";
    assert_eq!(samples[applied], 30.0, "{samples:?}");
    assert!(samples["process_resident_memory_bytes"] > 1e6);
}
