//! Promise: alerts and dashboard are about metrics that there are, they say what to do, and they fire.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::commands::run;
use crate::support::daemon::command;
use crate::support::events::{payments, raw};
use crate::support::eventually;
use crate::support::http::{address, get};
use crate::support::prometheus::{Prometheus, tool};
use crate::support::rig::Rig;

const RULES: &str = include_str!("../../deploy/prometheus/makegood.rules.yml");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboards/makegood.json");

/// The values of a key in the rules, which have each on a line of its own.
fn values(key: &str) -> Vec<&'static str> {
    let lines = RULES.lines().map(|line| line.trim().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect()
}

/// The metrics that an expression names.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("makegood_") || word.starts_with("process_"));
    names.map(str::to_owned).collect()
}

#[test]
fn the_alerts_are_sound_fire_when_they_should_and_have_a_runbook() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus");
    for (verb, file) in [("check", "makegood.rules.yml"), ("test", "makegood.test.yml")] {
        let promtool = Command::new(tool("promtool"))
            .args([verb, "rules", file])
            .current_dir(folder)
            .output()
            .expect("promtool runs; bin/test fetches it");
        let said = String::from_utf8_lossy(&promtool.stdout).into_owned()
            + &String::from_utf8_lossy(&promtool.stderr);
        assert!(promtool.status.success(), "{verb}: {said}");
    }
    let alerts = values("alert");
    assert!(alerts.len() > 10);
    for key in ["expr", "summary", "description", "labels"] {
        assert_eq!(values(key).len(), alerts.len(), "each alert has one {key}");
    }
    let tests = include_str!("../../deploy/prometheus/makegood.test.yml");
    for (alert, runbook) in alerts.iter().zip(values("runbook_url")) {
        assert_eq!(runbook, format!("docs/runbook.md#{}", alert.to_lowercase()));
        assert!(RUNBOOK.contains(&format!("\n## {alert}\n")), "{alert} has no section");
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "nothing tests {alert}");
    }
    for section in RUNBOOK.split("\n## ").skip(1) {
        for part in
            ["**Symptom.**", "**Check.**", "**Fix.**", "**You know it is well again when** "]
        {
            assert!(section.contains(part), "{part} is not in {section}");
        }
    }
}

#[test]
fn the_runbooks_commands_are_there() {
    // A command may be broken over two lines.
    let text = RUNBOOK.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted = text.split('`').skip(1).step_by(2).filter(|text| text.starts_with("makegood "));
    let commands: BTreeSet<&str> = quoted.collect();
    assert!(commands.len() > 10, "{commands:?}");
    for text in commands {
        let is_placeholder = |word: &str| word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let words = text.split(' ').skip(1);
        let args = words.map(|word| if is_placeholder(word) { "1" } else { word });
        let output = command().args(args).arg("--help").output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_finds_every_metric_and_fills_every_panel() {
    let rig = Rig::new(2).await;
    let daemon = rig.reconciler("").await;
    let at = address(&daemon).await;
    let prometheus = Prometheus::start(&at);
    rig.send(&raw(Some(b"key"), Some(b"\xff"))).await;
    run(&rig, &["reconcile", "run", "--wait"]).await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels: Vec<&Value> =
        dashboard["panels"].as_array().unwrap().iter().filter(|p| p["type"] != "row").collect();
    for panel in &panels {
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{panel} has no unit");
    }
    // A shop at work, so that rates are not empty.
    let publish = "SELECT makegood.publish($1, 'k', 'OTHER', '{}'::jsonb)";
    let work = async {
        loop {
            rig.pay(&payments(5)).await;
            rig.client.query(publish, &[&rig.topic]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let empty = Mutex::default();
    let looking = eventually("every panel to show something", || async {
        let mut still = Vec::new();
        for panel in &panels {
            if !shows(&prometheus, panel).await {
                still.push(panel["title"].to_string());
            }
        }
        let is_done = still.is_empty();
        *empty.lock().unwrap() = still;
        is_done.then_some(())
    });
    tokio::select! {
        done = timeout(Duration::from_secs(80), looking) => {
            assert!(done.is_ok(), "these panels are empty: {:?}", empty.lock().unwrap());
        }
        () = work => {}
    }
    let exported = get(&at, "/metrics").await.body;
    let mut expressions = values("expr");
    expressions.extend(panels.iter().flat_map(|panel| {
        panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap())
    }));
    let notes = dashboard["annotations"]["list"].as_array().unwrap();
    expressions.extend(notes.iter().map(|note| note["expr"].as_str().unwrap()));
    for expression in expressions {
        for name in metrics_in(expression) {
            let is_there = exported.contains(&format!("\n{name}{{"))
                || exported.contains(&format!("\n{name} "));
            assert!(is_there, "{expression} names {name}, which is not exported");
        }
        let plain = expression.trim_matches('\'').replace("''", "'");
        prometheus.query(&filled(&plain)).await.unwrap();
    }
}

/// An expression with the dashboard's variables filled in.
fn filled(expression: &str) -> String {
    expression.replace("$job", "makegood").replace("$__rate_interval", "10s")
}

async fn shows(prometheus: &Prometheus, panel: &Value) -> bool {
    for target in panel["targets"].as_array().unwrap() {
        let found = prometheus.query(&filled(target["expr"].as_str().unwrap())).await;
        if found.is_ok_and(|values| !values.is_empty()) {
            return true;
        }
    }
    false
}
