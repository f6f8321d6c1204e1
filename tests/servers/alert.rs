//! Promise: somebody is told when makegood cannot do its work, again while it stays so, and when it is well
//! again; whatever else is away at that time.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::http::{address, get};
use crate::support::proxy::Proxy;
use crate::support::receiver::Receiver;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const BREAKS: &str = "ALTER TABLE student_course_purchases RENAME purchased_at TO start_date";
const MENDS: &str = "ALTER TABLE student_course_purchases RENAME start_date TO purchased_at";

/// The patience of the tests, with who is told.
fn alert(through: &str) -> String {
    format!(
        "[alert]\n{through}\nafter = \"1s\"\nrepeat = \"2s\"\n[log]\nlevel = \"info,makegood=debug\"\n"
    )
}

/// What the webhook was told, in order.
fn told(receiver: &Receiver) -> Vec<Value> {
    let requests = receiver.requests();
    requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

fn count(told: &[Value], event: &str) -> usize {
    told.iter().filter(|one| one["event"] == event).count()
}

/// Waits until the daemons work, and whoever was told of their start has been told of its end. Returns how
/// often that was.
async fn quiet(daemons: &[&Daemon], receiver: &Receiver) -> usize {
    for daemon in daemons {
        let at = address(daemon).await;
        eventually("the daemon to be ready", || async {
            (get(&at, "/readyz").await.status == 200).then_some(())
        })
        .await;
    }
    eventually("an end of what the start looked like", || async {
        let told = told(receiver);
        (count(&told, "bad") == count(&told, "well")).then_some(told.len())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_of_a_held_route_again_and_again_and_of_its_end() {
    let (rig, receiver) = (Rig::new(1).await, Receiver::start().await);
    let through = format!("webhook = \"{}\"", receiver.url("/hooks/canary"));
    let daemon = Daemon::start(&rig.config_file(&rig.url(), "", &alert(&through)), 0);
    let before = quiet(&[&daemon], &receiver).await;
    let paid = payments(3);
    receiver.answer(500);
    rig.client.batch_execute(BREAKS).await.unwrap();
    rig.pay(&paid).await;
    // Whoever does not take it is told once more, the same.
    let first = eventually("a second try", || async {
        let told = told(&receiver);
        (told.len() >= before + 2).then(|| told[before].clone())
    })
    .await;
    receiver.answer(204);
    assert_eq!((&first["event"], &first["verdict"]), (&"bad".into(), &"suspect".into()));
    assert_eq!(first["ok"], false);
    let sentence = first["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("purchases: suspect") && sentence.contains("42703"), "{sentence}");
    assert!(first["text"].as_str().unwrap().ends_with(sentence));
    assert!(first["advice"].as_str().unwrap().contains("its column purchased_at back"), "{first}");
    assert_eq!(first["host"], makegood::store::workers::host());
    assert!(first["since"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let whole = first.to_string();
    assert!(paid.iter().all(|one| !whole.contains(&one.id.to_string())), "{whole}");
    eventually("a repetition", || async {
        (count(&told(&receiver)[before..], "still_bad") >= 1).then_some(())
    })
    .await;
    rig.client.batch_execute(MENDS).await.unwrap();
    let last = eventually("the all-clear", || async {
        told(&receiver)[before..].iter().find(|one| one["event"] == "well").cloned()
    })
    .await;
    assert_eq!(
        (&last["ok"], &last["verdict"], &last["advice"]),
        (&true.into(), &"ok".into(), &"".into())
    );
    let text = last["text"].as_str().unwrap();
    assert!(text.contains("well again: ok: nothing is waiting"), "{text}");
    let request = receiver.requests().pop().unwrap();
    assert_eq!(request.line, "POST /hooks/canary HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(!daemon.log().contains("canary"), "a webhook's path is a secret");
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_daemons_one_calls_and_each_of_them_when_the_database_is_away() {
    let (rig, receiver) = (Rig::new(2).await, Receiver::start().await);
    let proxy = Proxy::start(rig.world.postgres.port()).await.unwrap();
    let through = format!("webhook = \"{}\"", receiver.url("/"));
    let config = rig.config_file(&proxy.url(&rig.url()), "", &alert(&through));
    let daemons = [Daemon::start(&config, 0), Daemon::start(&config, 1)];
    let before = quiet(&[&daemons[0], &daemons[1]], &receiver).await;
    rig.client.batch_execute(BREAKS).await.unwrap();
    rig.pay(&payments(4)).await;
    let held = eventually("two repetitions", || async {
        let told = told(&receiver).split_off(before);
        (count(&told, "still_bad") >= 2).then_some(told)
    })
    .await;
    assert_eq!(count(&held, "bad"), 1, "{held:?}");
    proxy.refuse(true);
    proxy.cut_all();
    let away = eventually("a word from each", || async {
        let told = told(&receiver).split_off(before);
        (count(&told, "bad") == 2 && count(&told, "worse") == 1).then_some(told)
    })
    .await;
    let of_the_database = away.iter().filter(|one| one["verdict"] == "unreachable");
    assert!(of_the_database.count() >= 2, "{away:?}");
    proxy.refuse(false);
    rig.client.batch_execute(MENDS).await.unwrap();
    eventually("an all-clear from each", || async {
        (count(&told(&receiver)[before..], "well") == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_while_kafka_is_away_and_again_when_it_fails() {
    let rig = Rig::new(1).await;
    let (script, heard, tried) = (rig.path("page"), rig.path("heard"), rig.path("tried"));
    let [heard_at, tried_at] = [&heard, &tried].map(|path| path.display().to_string());
    let body = format!(
        "#!/bin/sh\nif [ ! -e {tried_at} ]; then touch {tried_at}; echo 'no line today' >&2; exit 3; fi\n\
         {{ cat; echo; echo \"$1 $MAKEGOOD_ALERT_EVENT $MAKEGOOD_ALERT_VERDICT\"; env; }} >{heard_at}.new\n\
         mv {heard_at}.new {heard_at}\n"
    );
    fs::write(&script, body).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let through = format!("command = [\"{}\", \"on call\"]", script.display());
    let right = rig.config(&rig.url(), "", &alert(&through));
    let config = rig.path("away.toml");
    fs::write(&config, right.replace(&rig.world.kafka.bootstrap(), "127.0.0.1:1")).unwrap();
    let daemon = Daemon::start_with(&config, 0, &[("PGPASSWORD", "canary")]);
    let text =
        eventually("the command to be run", || async { fs::read_to_string(&heard).ok() }).await;
    let lines: Vec<&str> = text.lines().collect();
    let told: Value = serde_json::from_str(lines[0]).unwrap();
    assert_ne!(told["verdict"], "ok");
    let event = told["event"].as_str().unwrap();
    assert_eq!(lines[1], format!("on call {event} {}", told["verdict"].as_str().unwrap()));
    assert!(!text.contains("canary"), "a command gets none of makegood's secrets: {text}");
    let said = "page ended with exit status: 3: no line today";
    assert!(daemon.log().contains(said), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_counts_by_its_own_end_whatever_it_leaves_running() {
    let rig = Rig::new(1).await;
    let script = rig.path("page");
    // What it leaves behind has its standard error, and ends with the test's folder.
    let body = "#!/bin/sh\n(while [ -e \"$0\" ]; do sleep 1; done) &\nexit 0\n";
    fs::write(&script, body).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let through = format!("command = [\"{}\"]", script.display());
    let right = rig.config(&rig.url(), "", &alert(&through));
    let config = rig.path("away.toml");
    fs::write(&config, right.replace(&rig.world.kafka.bootstrap(), "127.0.0.1:1")).unwrap();
    let daemon = Daemon::start(&config, 0);
    eventually("somebody to have been told", || async {
        daemon.log().contains("somebody has been told").then_some(())
    })
    .await;
    assert!(!daemon.log().contains("nobody could be told"), "{}", daemon.log());
}
