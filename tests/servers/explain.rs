//! Promise: whoever asks for a payment in the middle of an incident is told what is known, where it stopped, and what
//! could not be looked at; never more than that.

use uuid::Uuid;

use crate::commands::{run, stderr, stdout};
use crate::doctor::in_payments;
use crate::support::daemon::command;
use crate::support::events::payments;
use crate::support::http::{address, get};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Nobody listens there.
const AWAY: &str = "postgres://nobody@127.0.0.1:1/pay?sslmode=disable";

async fn explain(rig: &Rig, id: &str) -> String {
    let output = run(rig, &["explain", id]).await;
    stdout(&output) + &stderr(&output)
}

async fn sql(rig: &Rig, id: &str) -> Vec<(String, String)> {
    let rows = rig.client.query("SELECT part, what FROM makegood.explain($1)", &[&id]).await;
    rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_payment_stopped_is_told_while_nothing_works() {
    let rig = Rig::new(2).await;
    let paid = payments(4);
    let id = |at: usize| paid[at].id.to_string();
    in_payments(&rig, &paid).await;
    let daemon = rig.daemon();
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    drop(daemon);
    // One is only in Kafka, one only in the outbox, one has failed.
    rig.pay(&paid[1..2]).await;
    let publish = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb)";
    rig.client.query_one(publish, &[&rig.topic, &id(2), &paid[2].json()]).await.unwrap();
    let fails = "UPDATE payments SET status = 'FAILED' WHERE id = $1";
    rig.client.execute(fails, &[&paid[3].id]).await.unwrap();

    let told = explain(&rig, &id(1)).await;
    assert!(told.contains("waits in Kafka") && told.contains("offset"), "{told}");
    assert!(told.contains(&rig.topic), "{told}");
    let told = explain(&rig, &id(2)).await;
    assert!(told.contains("has not got to Kafka yet"), "{told}");
    assert!(sql(&rig, &id(2)).await.contains(&("outbox".to_owned(), "pending".to_owned())));
    let told = explain(&rig, &id(3)).await;
    assert!(told.contains("none is due") && told.contains("FAILED"), "{told}");
    let told = explain(&rig, &Uuid::new_v4().to_string()).await;
    assert!(told.contains("nothing is known of"), "{told}");
    let kafka = format!("[kafka]\nbootstrap_servers = \"{}\"", rig.world.kafka.bootstrap());
    let deaf = rig
        .config(&rig.url(), "", "")
        .replace(&kafka, "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"");
    let told = told_by(&rig, deaf, &id(1)).await;
    assert!(told.contains("not looked at: Kafka"), "{told}");
    assert!(!told.contains("waits in Kafka"), "{told}");

    // A file of the mapping is unfit: what it reads is not known, and the rest is.
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases RENAME purchased_at TO purchased_on")
        .await
        .unwrap();
    let told = explain(&rig, &id(0)).await;
    assert!(told.contains("not looked at: the purchase"), "{told}");
    assert!(told.contains("applied") && !told.contains("There is no purchase"), "{told}");
    let told = explain(&rig, &id(1)).await;
    assert!(told.contains("not known whether there is a purchase"), "{told}");
    assert!(told.contains("waits in Kafka"), "{told}");
    assert!(told.contains("succeeded"), "the payment is shown: {told}");
}

async fn told_by(rig: &Rig, config: String, id: &str) -> String {
    let path = rig.path(&format!("explain-{}.toml", Uuid::new_v4().simple()));
    std::fs::write(&path, config).unwrap();
    let id = id.to_owned();
    let wait = move || command().arg("explain").arg(id).arg("--config").arg(path).output();
    let output = tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
    stdout(&output) + &stderr(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payments_database_that_is_away_hides_the_payment_and_no_more() {
    let rig = Rig::new(1).await;
    let more = format!(
        "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\nsource = \"payments\"\n\
         [outbox]\ndatabase = \"payments\"\n[databases.payments]\nurl = \"{AWAY}\"\n"
    );
    let config = rig.config(&rig.url(), "", &more);
    let path = rig.path("away.toml");
    std::fs::write(&path, &config).unwrap();
    let daemon = crate::support::daemon::Daemon::start(&path, 0);
    let paid = payments(1);
    rig.pay(&paid).await;
    eventually("the purchase", || async { (ledger::count(&rig.client).await == 1).then_some(()) })
        .await;
    let id = paid[0].id.to_string();
    let told = told_by(&rig, config.clone(), &id).await;
    assert!(told.contains("There is a purchase"), "{told}");
    assert!(!told.contains("no payment for it"), "{told}");
    for unseen in ["not looked at: the payment", "not looked at: the outbox"] {
        assert!(told.contains(unseen), "{unseen}: {told}");
    }
    let page = get(&address(&daemon).await, &format!("/explain?id={id}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("There is a purchase"), "{}", page.body);
    assert!(page.body.contains("not looked at: the payment"), "{}", page.body);
    assert!(!page.body.contains("no payment for it"), "{}", page.body);
    let unknown = told_by(&rig, config, &Uuid::new_v4().to_string()).await;
    assert!(unknown.contains("where it could be looked"), "{unknown}");
}
