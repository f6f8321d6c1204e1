//! What an operator is told about the outbox, and how they send again what Kafka refused.

use makegood::store::migrate::{self, Set};
use serde_json::Value;
use uuid::Uuid;

use super::commands::{run, stderr, stdout};
use super::set_aside::{limit, numbers, publish, settled};
use super::support::outbox::read_topic;
use super::support::rig::Rig;
use super::support::world::connect;
use super::support::{daemon, eventually};

/// The topic's limit in bytes, below what publish takes.
const LIMIT: &str = "20000";

/// The events of a list, by their key and state.
async fn listed(rig: &Rig, args: &[&str]) -> Vec<(String, String)> {
    let output = run(rig, &[&["outbox", "list", "-o", "jsonl"], args].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|event: Value| (text(&event, "key"), text(&event, "state")))
        .collect()
}

fn of(key: &str, state: &str) -> (String, String) {
    (key.to_owned(), state.to_owned())
}

/// The id of the one event in a state.
async fn id_of(rig: &Rig, reason: &str) -> String {
    let sql = format!("SELECT event_id FROM makegood.outbox_set_aside WHERE {reason} ORDER BY seq");
    rig.client.query(&sql, &[]).await.unwrap()[0].get::<_, Uuid>(0).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_listed_explained_and_sent_again_in_order() {
    let rig = Rig::new(1).await;
    limit(&rig, LIMIT).await;
    publish(&rig, "a", 0..4, &[1]).await;
    publish(&rig, "b", 0..2, &[0]).await;
    let relay = rig.daemon();
    settled(&rig, 5).await;
    drop(relay);
    eventually("the lease to run out", || async {
        (rig.number("SELECT relays FROM makegood.outbox_status").await == 0).then_some(())
    })
    .await;
    publish(&rig, "c", 0..2, &[]).await;

    let aside = [
        of("a", "refused"),
        of("a", "behind"),
        of("a", "behind"),
        of("b", "refused"),
        of("b", "behind"),
    ];
    let pending = [of("c", "pending"), of("c", "pending")];
    assert_eq!(listed(&rig, &[]).await, [&aside[..], &pending[..]].concat());
    assert_eq!(listed(&rig, &["--set-aside"]).await, aside);
    assert_eq!(listed(&rig, &["--pending"]).await, pending);
    assert_eq!(listed(&rig, &["--key", "b"]).await, aside[3..]);
    assert_eq!(listed(&rig, &["--limit", "6"]).await.len(), 6);
    let table = stdout(&run(&rig, &["outbox", "list"]).await);
    assert!(table.starts_with("STATE") && table.contains("MessageSizeTooLarge"), "{table}");

    let refused = id_of(&rig, "key = 'a' AND reason IS NOT NULL").await;
    let shown = stdout(&run(&rig, &["outbox", "show", &refused]).await);
    assert!(shown.contains("outbox retry a --execute") && shown.contains("filler"), "{shown}");
    let behind = id_of(&rig, "key = 'a' AND reason IS NULL").await;
    let shown = stdout(&run(&rig, &["outbox", "show", &behind]).await);
    assert!(shown.contains(&format!("outbox show {refused}")), "{shown}");

    // A plan changes nothing; an id stands for its key.
    let plan = run(&rig, &["outbox", "retry", &behind]).await;
    assert!(stderr(&plan).contains("3 events of 1 key would be sent again"), "{}", stderr(&plan));
    let asked = "SELECT count(*) FROM makegood.outbox_set_aside WHERE retry_at IS NOT NULL";
    assert_eq!(rig.number(asked).await, 0);
    limit(&rig, "1000000").await;
    let done = run(&rig, &["outbox", "retry", "a", "--execute"]).await;
    assert!(stderr(&done).contains("as soon as one does"), "{}", stderr(&done));
    let _relay = rig.daemon();
    settled(&rig, 2).await;
    let done = run(&rig, &["outbox", "retry", "--all", "--execute"]).await;
    assert!(stderr(&done).contains("sends them now"), "{}", stderr(&done));
    settled(&rig, 0).await;
    let held = read_topic(&rig);
    assert_eq!(numbers(&held, "a"), (0..4).collect::<Vec<_>>());
    assert_eq!(numbers(&held, "b"), (0..2).collect::<Vec<_>>());

    let shown = stdout(&run(&rig, &["outbox", "show", &refused]).await);
    assert!(shown.contains("published") && shown.contains("inbox show"), "{shown}");
    let nothing = run(&rig, &["outbox", "retry", "--all"]).await;
    assert!(nothing.status.success() && stderr(&nothing).contains("nothing is set aside"));
    let nothing = run(&rig, &["outbox", "retry", "a"]).await;
    assert_eq!(nothing.status.code(), Some(1), "{}", stderr(&nothing));
    let nobody = run(&rig, &["outbox", "show", "11111111-1111-4111-8111-111111111111"]).await;
    assert_eq!(nobody.status.code(), Some(1), "{}", stderr(&nobody));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_in_another_database_is_asked_there() {
    let rig = Rig::new(1).await;
    let name = format!("{}_payments", rig.database);
    let admin = connect(&rig.world.postgres.url("postgres")).await;
    admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    let url = rig.world.postgres.url(&name);
    let mut payments = connect(&url).await;
    migrate::up(&mut payments, &[Set::Outbox]).await.unwrap();
    let sql = "SELECT makegood.publish($1, 'k', 'T', '{}')";
    payments.query_one(sql, &[&rig.topic]).await.unwrap();
    let elsewhere =
        format!("[outbox]\ndatabase = \"payments\"\n[databases.payments]\nurl = \"{url}\"\n");
    let config = rig.config_file(&rig.url(), "", &elsewhere);
    let list = || {
        daemon::command().args(["outbox", "list", "-o", "json", "--config"]).arg(&config).output()
    };
    let pending = || {
        let output = list().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
        json["events"].as_array().unwrap().len()
    };
    assert_eq!(pending(), 1);
    let _daemon = daemon::Daemon::start(&config, 0);
    eventually("the event to be sent", || async { (pending() == 0).then_some(()) }).await;
    assert_eq!(rig.log_ends()[&0], 1);
}
