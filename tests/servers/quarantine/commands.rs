//! `makegood quarantine replay|discard`, run as a person runs them.

use serde_json::Value;

use super::{Mapping, TAKES_ANY_CURRENCY, decisions};
use crate::commands::{run, stderr, stdout};
use crate::support::corpus::with_field;
use crate::support::events::{Payment, payments, raw};
use crate::support::ledger;
use crate::support::rig::Rig;

fn outcomes(output: &std::process::Output) -> Vec<(i64, String)> {
    let json: Value = serde_json::from_str(&stdout(output)).unwrap();
    let records = json["records"].as_array().unwrap();
    let one = |r: &Value| {
        let word = r["replay"]["outcome"].as_str().or(r["replay"]["state"].as_str());
        (r["id"].as_i64().unwrap(), word.unwrap().to_owned())
    };
    records.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_is_rehearsed_then_done_by_a_daemon_and_discard_is_confirmed() {
    let rig = Rig::new(1).await;
    let [odd, worse, twin] = [1, 2, 3].map(Payment::new);
    let good = payments(2);
    let text = |bytes: &str| raw(None, Some(bytes.as_bytes()));
    let bad = [
        text(&with_field(&odd.json(), "currency", "null")),
        text(&with_field(&worse.json(), "amount", "\"-1\"")),
        text("poison"),
        text(&with_field(&twin.json(), "currency", "null")),
    ];
    let mapping = Mapping::new(&rig);
    let mut daemon = rig.daemon_with(&mapping.route(""));
    for record in &bad {
        rig.send(record).await;
    }
    rig.pay(&good).await;
    // Somebody made this one by hand meanwhile.
    rig.by_hand(std::slice::from_ref(&twin)).await;
    rig.caught_up().await;
    daemon.kill();
    rig.client.batch_execute("DELETE FROM makegood.workers").await.unwrap();
    mapping.change(&TAKES_ANY_CURRENCY);
    let config = rig.config_file(&rig.url(), &mapping.route(""), "");
    let config = config.to_str().unwrap();
    let with = async |args: &[&str]| {
        let args = [&["quarantine"], args].concat();
        let file = config.to_owned();
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let ran = move || {
            crate::support::daemon::command().args(args).arg("--config").arg(file).output().unwrap()
        };
        tokio::task::spawn_blocking(ran).await.unwrap()
    };

    let none = with(&["replay"]).await;
    assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));
    let unknown = with(&["replay", "--id", "4711"]).await;
    assert_eq!(unknown.status.code(), Some(1), "{}", stderr(&unknown));
    let plan = with(&["replay", "--all", "-o", "json"]).await;
    assert!(plan.status.success(), "{}", stderr(&plan));
    let would = outcomes(&plan);
    let words: Vec<&str> = would.iter().map(|one| one.1.as_str()).collect();
    assert_eq!(words, ["applied", "rejected", "undecodable", "already"]);
    assert!(stderr(&plan).contains("4 records: 1 already, 1 applied"), "{}", stderr(&plan));
    assert_eq!(ledger::count(&rig.client).await, 3, "a rehearsal made a purchase");
    assert_eq!(decisions(&rig).await, [""; 0]);

    // No daemon: the request is written down, and nobody is kept waiting.
    let id = would[0].0.to_string();
    let asked = with(&["replay", "--id", &id, "--execute", "--why", "mended"]).await;
    assert!(asked.status.success(), "{}", stderr(&asked));
    assert!(stderr(&asked).contains("no daemon runs the route purchases"), "{}", stderr(&asked));
    assert_eq!(ledger::count(&rig.client).await, 3);

    let _daemon = rig.daemon_with(&mapping.route(""));
    crate::support::holding::running(&rig).await;
    let sql = "SELECT count(*) FROM makegood.workers WHERE state = 'running'";
    crate::support::eventually("the daemon", || async {
        (rig.number(sql).await == 1).then_some(())
    })
    .await;
    let all = with(&["replay", "--all", "--execute", "-o", "json"]).await;
    assert_eq!(all.status.code(), Some(1), "two stay: {}", stderr(&all));
    assert!(stderr(&all).contains("the daemon on "), "{}", stderr(&all));
    assert!(stderr(&all).contains("those stay in quarantine"), "{}", stderr(&all));
    let paid = [&good[..], &[odd.clone(), twin]].concat();
    ledger::assert_exactly(&rig.client, &paid).await;
    let again = with(&["replay", "--all"]).await;
    assert!(stderr(&again).contains("2 records: 1 rejected, 1 undecodable"), "{}", stderr(&again));

    // Giving up wants a name and a reason.
    let poison = ["discard", "--reason", "not_json"];
    let plan = with(&poison).await;
    assert!(plan.status.success() && stderr(&plan).contains("would be given up"));
    let unconfirmed = with(&[&poison[..], &["--execute", "--why", "noise"]].concat()).await;
    assert_eq!(unconfirmed.status.code(), Some(5), "{}", stderr(&unconfirmed));
    let silent = with(&[&poison[..], &["--execute", "--confirm", "purchases"]].concat()).await;
    assert_eq!(silent.status.code(), Some(2), "{}", stderr(&silent));
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 2);
    let done = [&poison[..], &["--execute", "--confirm", "purchases", "--why", "noise"]].concat();
    let done = with(&done).await;
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 1);
    let audited = "SELECT count(*) FROM makegood.quarantine_decisions
                   WHERE kind = 'discard' AND decided_by = session_user AND decided_via = 'cli' AND reason = 'noise'";
    assert_eq!(rig.number(audited).await, 1);

    let explained = run(&rig, &["explain", &odd.id.to_string(), "-o", "json"]).await;
    let told: Value = serde_json::from_str(&stdout(&explained)).unwrap();
    let decision = told["events"].as_array().unwrap().iter().find(|e| e["part"] == "decision");
    let contents = &decision.expect("explain shows the decision")["contents"];
    assert_eq!(
        (contents["reason"].as_str(), contents["outcome"].as_str()),
        (Some("mended"), Some("applied"))
    );
}
