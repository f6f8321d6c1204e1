//! Promise: behind PgBouncer in transaction mode the same things hold, and nothing of makegood's is left
//! in a connection that somebody else gets next. Debian's version of it knows no prepared statements.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::daemon::{Daemon, command};
use crate::support::events::{Payment, payments};
use crate::support::load::{Load, chance};
use crate::support::pgbouncer::{PgBouncer, SERVERS};
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};

const QUICK: &str =
    "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\nevery = \"1h\"\ngrace = \"1s\"\n";

/// A configuration that reaches the database through the pooler. `more` goes below `[postgres]`.
fn config(rig: &Rig, bouncer: &PgBouncer, more: &str, sections: &str) -> PathBuf {
    let log = format!("{QUICK}\n{sections}\n[log]\nlevel = \"info,makegood=debug\"\n");
    let text = rig.config(&bouncer.url(&rig.database), "batch = { rows = 40 }", &log);
    let pooled = format!("pooler = \"transaction\"\n{more}\n[kafka]\n");
    let path = rig.path("pooled.toml");
    fs::write(&path, text.replacen("[kafka]\n", &pooled, 1)).unwrap();
    path
}

/// What doctor finds, and its exit code.
fn doctor(config: &Path) -> (Option<i32>, String) {
    let output = command().args(["doctor", "--config"]).arg(config).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Each server connection as the next client finds it.
async fn assert_left_as_found(rig: &Rig, bouncer: &PgBouncer) {
    let mut clients = Vec::new();
    for _ in 0..SERVERS {
        let client = connect(&bouncer.url(&rig.database)).await;
        client.batch_execute("BEGIN").await.unwrap();
        clients.push(client);
    }
    let sql = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
                      current_setting('jit'), current_setting('plan_cache_mode'),
                      (SELECT count(*) FROM pg_prepared_statements)";
    for client in clients {
        let row = client.query_typed_one(sql, &[]).await.unwrap();
        let found: Vec<String> = (0..4).map(|at| row.get(at)).collect();
        assert_eq!(found, ["0", "0", "on", "auto"]);
        assert_eq!(row.get::<_, i64>(4), 0, "a prepared statement was left behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_pauses_and_dies_loses_nothing_and_keeps_nothing() {
    let rig = Arc::new(Rig::new(3).await);
    let mut bouncer = PgBouncer::start(&rig.url()).unwrap();
    let direct = format!("direct_url = \"{}\"", rig.url());
    let path = config(&rig, &bouncer, &direct, "");
    let mut daemon = Daemon::start(&path, 0);
    let load = Load::start(&rig, chance("pooler"));
    let more = async |what: &str| {
        let before = ledger::count(&rig.client).await;
        eventually(what, || async {
            (ledger::count(&rig.client).await > before + 200).then_some(())
        })
        .await;
    };
    more("purchases through the pooler").await;
    let console = bouncer.console().await.unwrap();
    console.simple_query("PAUSE").await.unwrap();
    eventually("clients to wait for the paused pooler", || async {
        (PgBouncer::waiting(&console).await.unwrap() > 0).then_some(())
    })
    .await;
    console.simple_query("RESUME").await.unwrap();
    more("purchases after a pause").await;
    bouncer.kill().unwrap();
    eventually("the daemon to say what it waits for", || async {
        daemon.log().contains("PostgreSQL is out of reach").then_some(())
    })
    .await;
    bouncer.start_again().unwrap();
    more("purchases after the pooler's death").await;
    let mut paid = load.stop().await;

    let missed = Payment::new(1_000_000);
    rig.record(std::slice::from_ref(&missed), 3600.0).await;
    let made =
        command().args(["reconcile", "run", "--wait", "--config"]).arg(&path).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    paid.push(missed);
    let published = Payment::new(1_000_001);
    let sql = "SELECT makegood.publish($1, 'k', 'PURCHASE_CONFIRMED', $2::text::jsonb)";
    rig.client.query_one(sql, &[&rig.topic, &published.json()]).await.unwrap();
    paid.push(published);
    eventually("the published event to become a purchase", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    let payment = paid[0].id.to_string();
    for (args, says) in [
        (&["explain", &payment][..], "applied"),
        (&["status"], "purchases"),
        (&["mapping", "check"], "PASS"),
        (&["offsets", "show"], "workers-"),
        (&["inbox", "list"], "applied"),
        (&["outbox", "list"], ""),
        (&["quarantine", "list"], ""),
        (&["reconcile", "list"], "done"),
        (&["migrate", "status"], "yes"),
        (&["send-test"], ""),
        (&["doctor"], "is the way past it"),
    ] {
        let output = command().args(args).arg("--config").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(says), "{args:?}: {output:?}");
    }
    assert_left_as_found(&rig, &bouncer).await;
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_direct_url_what_needs_a_session_is_refused_and_the_rest_goes_on() {
    let rig = Rig::new(1).await;
    let bouncer = PgBouncer::start(&rig.url()).unwrap();
    let refused = command()
        .args(["config", "check", "--config"])
        .arg(config(&rig, &bouncer, "", ""))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("postgres.direct_url") && said.contains("relay"), "{said}");

    let path = config(&rig, &bouncer, "", "[outbox]\nenabled = false");
    let daemon = Daemon::start(&path, 0);
    let mut paid = payments(200);
    rig.pay(&paid).await;
    let missed = Payment::new(1_000_000);
    rig.record(std::slice::from_ref(&missed), 3600.0).await;
    // Nobody hears the notification; the row is found all the same.
    rig.client.query_one("SELECT makegood.reconcile()", &[]).await.unwrap();
    paid.push(missed);
    rig.caught_up().await;
    eventually("the missed payment to be made good", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert!(daemon.log().contains("no notification passes a pooler"), "{}", daemon.log());
    let status = command().args(["status", "--config"]).arg(&path).output().unwrap();
    assert!(status.status.success(), "{status:?}");
    let migrate = command().args(["migrate", "up", "--config"]).arg(&path).output().unwrap();
    assert_eq!(migrate.status.code(), Some(78), "{migrate:?}");
    assert!(String::from_utf8_lossy(&migrate.stderr).contains("direct_url"), "{migrate:?}");
    let (_, found) = doctor(&path);
    assert!(found.contains("no way past it"), "{found}");
    assert_left_as_found(&rig, &bouncer).await;
    daemon.stop();
    nobody_spoke_of_it(&rig, &bouncer, &path, paid).await;
}

/// Without the setting doctor finds the pooler, and a daemon may come to grief; with it everything is taken in.
async fn nobody_spoke_of_it(rig: &Rig, bouncer: &PgBouncer, known: &Path, mut paid: Vec<Payment>) {
    let unknown = rig.config_file(&bouncer.url(&rig.database), "", "[outbox]\nenabled = false\n");
    let (code, found) = doctor(&unknown);
    assert_eq!(code, Some(1), "{found}");
    assert!(found.contains("set postgres.pooler = \"transaction\""), "{found}");
    let daemon = Daemon::start(&unknown, 0);
    let more = payments(400);
    rig.pay(&more).await;
    paid.extend(more);
    eventually("statements to get lost, or purchases all the same", || async {
        let log = daemon.log();
        let lost = ["26000", "42P05"].iter().any(|state| log.contains(state));
        (lost || ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    drop(daemon);
    let daemon = Daemon::start(known, 1);
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    daemon.stop();
}
