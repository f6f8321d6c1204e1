//! What keeps the outbox from its duties is told by everybody who may be asked: status, readyz and doctor.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Client;

use crate::support::daemon::command;
use crate::support::eventually;
use crate::support::http::{address, get};
use crate::support::outbox::Numbers;
use crate::support::payments::{Place, Site};
use crate::support::world::connect;

/// What a command prints, whatever it thinks of it.
async fn told(config: &std::path::Path, args: &[&str]) -> String {
    let mut command = command();
    command.args(args).arg("--config").arg(config);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until a command says all of this.
async fn says(config: &std::path::Path, args: &[&str], parts: &[&str]) {
    let mut last = String::new();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while std::time::Instant::now() < deadline {
        last = told(config, args).await;
        if parts.iter().all(|part| last.contains(part)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{args:?} does not say {parts:?}:\n{last}");
}

/// A role with the rights of roles.sql on the outbox, and the configuration that uses it.
async fn as_app(site: &Site) -> (String, std::path::PathBuf) {
    let role = format!("app_{}", site.rig.database);
    let sql = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'pw';
         GRANT USAGE ON SCHEMA makegood TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA makegood TO {role};
         GRANT EXECUTE ON FUNCTION makegood.outbox_unsent() TO {role}"
    );
    site.client.batch_execute(&sql).await.unwrap();
    let config = site.config("", "");
    let text = std::fs::read_to_string(&config).unwrap();
    let (_, after) = site.payments.split_once('@').unwrap();
    let url = format!("postgres://{role}:pw@{after}");
    std::fs::write(&config, text.replace(&site.payments, &url)).unwrap();
    (role, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_refused_is_told_with_its_reason_and_mended_without_a_restart() {
    let site = Site::new(Place::Apart, 1).await;
    let (role, config) = as_app(&site).await;
    site.client
        .batch_execute(&format!("REVOKE INSERT ON makegood.outbox_steps FROM {role}"))
        .await
        .unwrap();
    let event = Numbers::default().next("k");
    site.publish(std::slice::from_ref(&event)).await;
    let daemon = crate::support::daemon::Daemon::start(&config, 0);
    let at = address(&daemon).await;
    let why = "permission denied for table outbox_steps";
    let readyz = eventually("readyz to name the refusal", || async {
        let answer = get(&at, "/readyz?verbose").await;
        let text = answer.json().to_string();
        text.contains(why).then_some((answer.status, text))
    })
    .await;
    assert_eq!(readyz.0, 503);
    says(&config, &["status"], &["held: ", why]).await;
    assert!(!told(&config, &["status"]).await.contains("start one with"));
    // One judge: who reads SQL is told the same, and not that no daemon runs.
    let said = format!(
        "SELECT count(*) FROM makegood.outbox_status WHERE verdict = 'held' AND sentence LIKE '%{why}%'"
    );
    eventually("the view to say so", || async { (site.number(&said).await == 1).then_some(()) })
        .await;
    says(&config, &["doctor"], &["outbox.claim", why]).await;
    let grant = format!("GRANT INSERT ON makegood.outbox_steps TO {role}");
    site.client.batch_execute(&grant).await.unwrap();
    site.assert_relayed(&[event]).await;
    eventually("the API to find nothing wrong with the outbox", || async {
        let told: Value = get(&at, "/api/v1/status").await.json();
        (told["outbox"]["verdict"] == "ok").then_some(())
    })
    .await;
}

/// A session that has used the outbox and is idle in its transaction.
async fn idle(site: &Site) -> (Client, i32) {
    let client = connect(&site.payments).await;
    client.batch_execute("SET application_name = 'somebody'; BEGIN").await.unwrap();
    client.query("SELECT FROM makegood.outbox LIMIT 1", &[]).await.unwrap();
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    (client, pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_the_outbox_from_being_emptied_is_named() {
    let site = Site::new(Place::Beside, 1).await;
    let config = site.config("", "[retention]\noutbox = \"2s\"\n");
    let _daemon = crate::support::daemon::Daemon::start(&config, 0);
    site.publish(&[Numbers::default().next("k")]).await;
    site.drained().await;
    let (client, pid) = idle(&site).await;
    let pid = format!("pid {pid}");
    says(&config, &["status"], &["overdue: ", &pid, "somebody"]).await;
    says(&config, &["doctor"], &["outbox.retention", &pid]).await;
    client.batch_execute("COMMIT").await.unwrap();
    eventually("it to be told no more", || async {
        let sql =
            "SELECT count(*) FROM makegood.outbox_status WHERE remark IS NULL AND verdict = 'ok'";
        (site.number(sql).await == 1).then_some(())
    })
    .await;
}

/// The queue holds eight gigabytes, so the test has the server say that it is nearly full: in this database only.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_of_notifications_fails_nobody_and_is_told() {
    let site = Site::new(Place::Beside, 1).await;
    let asleep = "UPDATE makegood.outbox_steps SET xid = pg_current_xact_id(), lease_until = clock_timestamp() + interval '5 seconds',
                  sleeps_until = clock_timestamp() + interval '5 seconds'";
    let heard = async |filled: f64, calls: &str| {
        let full = format!(
            "CREATE OR REPLACE FUNCTION pg_catalog.pg_notification_queue_usage() RETURNS float8
             LANGUAGE sql VOLATILE PARALLEL RESTRICTED AS 'SELECT {filled}::float8'"
        );
        site.client.batch_execute(&full).await.unwrap();
        let (client, mut connection) =
            tokio_postgres::connect(&site.payments, tokio_postgres::NoTls).await.unwrap();
        let (send, mut heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|cx| connection.poll_message(cx)).await
            {
                if let tokio_postgres::AsyncMessage::Notification(told) = message {
                    let _ = send.send(told.channel().to_owned());
                }
            }
        });
        let listen = "LISTEN makegood_outbox; LISTEN makegood_reconcile; LISTEN makegood_replay";
        client.batch_execute(listen).await.unwrap();
        client.batch_execute(asleep).await.unwrap();
        client.batch_execute(calls).await.unwrap();
        // What was committed before is delivered before the answer to the next statement.
        client.batch_execute("SELECT 1").await.unwrap();
        let mut channels = Vec::new();
        while let Ok(channel) = heard.try_recv() {
            channels.push(channel);
        }
        channels
    };
    let publish = "SELECT makegood.publish('t', 'k', 'T', '{}')";
    assert_eq!(heard(0.1, publish).await, ["makegood_outbox"]);
    assert_eq!(heard(0.9, publish).await, Vec::<String>::new());
    let job = "INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('r', 't', 'g');
               INSERT INTO makegood.jobs (name, route_id) SELECT 'j', id FROM makegood.routes";
    site.client.batch_execute(job).await.unwrap();
    let ask = "SELECT makegood.reconcile('j')";
    assert_eq!(heard(0.1, ask).await, ["makegood_reconcile"]);
    assert_eq!(heard(0.9, ask).await, Vec::<String>::new());
    let config = site.config("", "");
    says(&config, &["status"], &["queue of notifications is 90 % full"]).await;
    says(&config, &["doctor"], &["outbox.notify", "90 %"]).await;
}
