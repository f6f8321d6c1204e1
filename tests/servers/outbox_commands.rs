//! What an operator is told about the outbox, and how they send again what Kafka refused.

use std::path::Path;

use serde_json::{Value, json};
use uuid::Uuid;

use super::commands::{run, run_with, stderr, stdout};
use super::parked::{limit, numbers, publish, settled};
use super::support::daemon::command;
use super::support::events::payments;
use super::support::eventually;
use super::support::outbox::read_topic;
use super::support::payments::{Place, Site};
use super::support::rig::Rig;
use super::support::world::connect;

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
    let sql =
        format!("SELECT event_id FROM makegood.outbox_parked_events WHERE {reason} ORDER BY seq");
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
    // The last word of who is gone is not the present.
    let said = "UPDATE makegood.outbox_verdict SET verdict = 'parked', judged_at = now()";
    rig.client.execute(said, &[]).await.unwrap();
    let down = "SELECT count(*) FROM makegood.outbox_status WHERE verdict = 'down' AND starts_with(sentence, 'down')";
    assert_eq!(rig.number(down).await, 1);
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
    assert_eq!(listed(&rig, &["--parked"]).await, aside);
    assert_eq!(listed(&rig, &["--pending"]).await, pending);
    assert_eq!(listed(&rig, &["--key", "b"]).await, aside[3..]);
    assert_eq!(listed(&rig, &["--limit", "6"]).await.len(), 6);
    let table = stdout(&run(&rig, &["outbox", "list"]).await);
    assert!(table.starts_with("STATE") && table.contains("message size too large"), "{table}");

    let refused = id_of(&rig, "key = 'a' AND reason IS NOT NULL").await;
    let shown = stdout(&run(&rig, &["outbox", "show", &refused]).await);
    assert!(shown.contains("outbox retry a --execute") && shown.contains("filler"), "{shown}");
    let told = stdout(&run(&rig, &["explain", &refused]).await);
    assert!(told.contains("parked") && told.contains("message size too large"), "{told}");
    let told = stdout(&run(&rig, &["explain", "c"]).await);
    assert!(told.contains("has not got to Kafka yet") && told.contains("pending"), "{told}");
    let behind = id_of(&rig, "key = 'a' AND reason IS NULL").await;
    let shown = stdout(&run(&rig, &["outbox", "show", &behind]).await);
    assert!(shown.contains(&format!("outbox show {refused}")), "{shown}");

    // A plan changes nothing; an id stands for its key.
    let plan = run(&rig, &["outbox", "retry", &behind]).await;
    assert!(stderr(&plan).contains("3 events of 1 key would be sent again"), "{}", stderr(&plan));
    let asked = "SELECT count(*) FROM makegood.outbox_parked_events WHERE retry_at IS NOT NULL";
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
    let told = stdout(&run(&rig, &["explain", &refused]).await);
    assert!(told.contains("outbox") && told.contains("sent"), "{told}");
    let nothing = run(&rig, &["outbox", "retry", "--all"]).await;
    assert!(nothing.status.success() && stderr(&nothing).contains("nothing is parked"));
    let nothing = run(&rig, &["outbox", "retry", "a"]).await;
    assert_eq!(nothing.status.code(), Some(1), "{}", stderr(&nothing));
    let nobody = run(&rig, &["outbox", "show", "11111111-1111-4111-8111-111111111111"]).await;
    assert_eq!(nobody.status.code(), Some(1), "{}", stderr(&nobody));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_in_another_database_is_asked_there() {
    let site = Site::new(Place::Apart, 1).await;
    let sql = "SELECT makegood.publish($1, 'k', 'T', '{}')";
    site.client.query_one(sql, &[&site.rig.topic]).await.unwrap();
    let config = site.config("", "");
    assert_eq!(told(&config, "outbox list").await["events"].as_array().unwrap().len(), 1);
    let daemon = site.daemon();
    let outbox = eventually("the event to be sent", || async {
        let outbox = told(&config, "status").await["outbox"].clone();
        (outbox["published"] == 1 && outbox["pending"] == 0).then_some(outbox)
    })
    .await;
    assert_eq!(outbox["verdict"], "ok");
    assert_eq!(outbox["relays"][0]["pid"], daemon.pid());
    assert_eq!(told(&config, "outbox list").await["events"], json!([]));

    // With the payments' database gone, the purchases' still says how the routes are.
    let admin = connect(&site.rig.world.postgres.url("postgres")).await;
    let name = site.payments.rsplit_once('/').unwrap().1;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.batch_execute(&drop).await.unwrap();
    let status = told(&config, "status").await;
    assert!(status["sentence"].as_str().unwrap().starts_with("outbox: unreachable: "), "{status}");
    // Nothing of the route's own type has come.
    assert_eq!(
        (&status["ok"], &status["routes"][0]["verdict"]),
        (&json!(false), &json!("ignoring"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_the_outbox_among_what_has_to_work() {
    let rig = Rig::new(1).await;
    let route = "other_types = [\"*\"]";
    let first_line = async || {
        let output = run_with(&rig, route, &["status", "--exit-code"]).await;
        let line = stdout(&output).lines().next().unwrap_or_default().to_owned();
        (output.status.code(), line)
    };
    let says = async |what: &str, code: i32, start: &str| {
        eventually(what, || async {
            let (status, line) = first_line().await;
            (status == Some(code) && line.starts_with(start)).then_some(line)
        })
        .await
    };
    limit(&rig, LIMIT).await;
    // A purchase without its payment would be a finding of the first sweep.
    let paid = payments(1);
    rig.record(&paid, 0.0).await;
    let _relay = rig.daemon_with(route);
    rig.pay(&paid).await;
    publish(&rig, "first", 0..1, &[]).await;
    eventually("the first event to be sent", || async {
        (rig.number("SELECT published FROM makegood.outbox_status").await == 1).then_some(())
    })
    .await;
    says("status to find nothing wrong", 0, "ok: nothing is waiting").await;
    publish(&rig, "a", 0..3, &[0]).await;
    // Until the relay has come to the last of them, one may be counted as waiting to be sent.
    let refused = "outbox: parked: Kafka refused 1 event, and 2 wait behind";
    says("status to say what Kafka refused", 3, refused).await;
    let screen = stdout(&run(&rig, &["status"]).await);
    assert!(screen.contains("parked      3, of which Kafka refused 1"), "{screen}");
    let sql = "SELECT makegood.publish('nowhere-to-be-found', 'b', 'T', '{}')";
    rig.client.query_one(sql, &[]).await.unwrap();
    // Before Kafka says why, the relay may have said that it hears nothing.
    eventually("status to say why nothing is sent", || async {
        let (status, line) = first_line().await;
        let says_all =
            ["outbox: parked: ", "nowhere-to-be-found", "create it", "1 event is waiting"];
        (status == Some(3) && says_all.iter().all(|part| line.contains(part))).then_some(())
    })
    .await;
}

/// What a command says as JSON with this configuration.
async fn told(config: &Path, what: &str) -> Value {
    let mut command = command();
    command.args(what.split(' ')).args(["-o", "json", "--config"]).arg(config);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}
