//! Promise: whatever becomes of the database, nothing is parked, the fault has a name while it lasts,
//! and soon after its end everything is taken in, by the same daemon, without help.

use std::time::Duration;

use lab::servers::postgres::PrivatePostgres;
use makegood::config::Postgres;
use makegood::store::Store;
use tokio_postgres::NoTls;

use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::http::{address, get};
use crate::support::payments::{Place, Site};
use crate::support::proxy::Proxy;
use crate::support::rig::Rig;
use crate::support::standby::{at, both, replayed, standby};
use crate::support::ward::{TinyDisk, Ward, signal_all};
use crate::support::world::connect;
use crate::support::{eventually, ledger};

const AWAY: &str = "PostgreSQL is out of reach";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stops_refuses_and_fills_up_is_waited_for_by_name() {
    let mut ward = Ward::new(&["max_connections=30"]).await;
    let files = ward.daemon.open_files();
    stopped(&mut ward).await;
    sessions_ended(&mut ward).await;
    password_changed(&mut ward).await;
    no_connection_left(&mut ward).await;
    slow(&mut ward).await;
    disk_full(&mut ward).await;
    nothing_leaks(&ward, files).await;
}

async fn stopped(ward: &mut Ward) {
    let pid = ward.postgres.pid().unwrap().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success()
    );
    eventually("the server to let nobody in", || async {
        tokio_postgres::connect(&ward.postgres.url("postgres"), NoTls).await.is_err().then_some(())
    })
    .await;
    // A smart stop waits for the sessions, and they go on working.
    ward.behind(60).await;
    ward.rig.caught_up().await;
    ward.postgres.stop_fast().unwrap();
    ward.behind(60).await;
    ward.says(AWAY).await;
    let (said, code) = ward.status().await;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("MG2001"), "{said}");
    ward.postgres.start_again().unwrap();
    ward.recovers("a smart and a fast stop").await;

    ward.behind(60).await;
    ward.postgres.stop_immediate().unwrap();
    ward.behind(60).await;
    ward.says(AWAY).await;
    ward.postgres.start_again().unwrap();
    ward.recovers("an immediate stop").await;
}

async fn sessions_ended(ward: &mut Ward) {
    let admin = ward.admin().await;
    for _ in 0..10 {
        ward.behind(60).await;
        eventually("sessions to end", || async {
            (Ward::terminate(&admin).await > 0).then_some(())
        })
        .await;
    }
    ward.recovers("ended sessions").await;
}

async fn password_changed(ward: &mut Ward) {
    let admin = ward.admin().await;
    admin.batch_execute("ALTER ROLE worker PASSWORD 'two'").await.unwrap();
    Ward::terminate(&admin).await;
    ward.behind(60).await;
    ward.says("28P01").await;
    let (said, code) = ward.status().await;
    assert!(code == Some(4) && said.contains("password"), "{said}");
    admin.batch_execute("ALTER ROLE worker PASSWORD 'one'").await.unwrap();
    ward.recovers("another password").await;
}

async fn no_connection_left(ward: &mut Ward) {
    let admin = ward.admin().await;
    ward.behind(60).await;
    let url = ward.postgres.url("postgres");
    let mut taken = Vec::new();
    while taken.len() < 30 {
        while let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
            tokio::spawn(connection);
            taken.push(client);
        }
        // What the daemon lets go of is taken too.
        Ward::terminate(&admin).await;
        let log = ward.daemon.log();
        if log.contains("held: ") && log.contains("53300") {
            break;
        }
    }
    ward.behind(60).await;
    ward.says("53300").await;
    let (said, code) = ward.status().await;
    assert!(code == Some(4) && said.contains("max_connections"), "{said}");
    drop((taken, admin));
    ward.recovers("connections that ran out").await;
}

async fn slow(ward: &mut Ward) {
    ward.proxy.delay(Duration::from_millis(500));
    ward.behind(200).await;
    // Slow is no fault: everything is taken in while it lasts.
    ward.recovers("the beginning of slowness").await;
    ward.proxy.delay(Duration::ZERO);
    ward.behind(60).await;
    ward.recovers("slowness").await;
}

async fn disk_full(ward: &mut Ward) {
    let Some(disk) = TinyDisk::new() else {
        eprintln!("not tried: a full disk, for this user may not mount one");
        return;
    };
    let admin = ward.admin().await;
    let create = format!("CREATE TABLESPACE tiny LOCATION '{}'", disk.path().display());
    admin.batch_execute(&create).await.unwrap();
    admin.batch_execute("ALTER TABLE student_course_purchases SET TABLESPACE tiny").await.unwrap();
    disk.fill(true);
    ward.behind(1000).await;
    let sql = "SELECT reason || advice FROM makegood.workers WHERE state = 'held'";
    let said: String = eventually("the route to be held", || async {
        admin.query_opt(sql, &[]).await.unwrap().map(|row| row.get(0))
    })
    .await;
    assert!(said.contains("53100") && said.contains("disk is full"), "{said}");
    let (said, _) = ward.status().await;
    assert!(said.contains("held") && said.contains("53100"), "{said}");
    disk.fill(false);
    ward.recovers("a full disk").await;
    admin
        .batch_execute("ALTER TABLE student_course_purchases SET TABLESPACE pg_default")
        .await
        .unwrap();
    admin.batch_execute("DROP TABLESPACE tiny").await.unwrap();
}

/// After all of it: as many connections and files as before, and no transaction left open.
async fn nothing_leaks(ward: &Ward, files: Option<usize>) {
    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE usename = 'worker' AND xact_start < clock_timestamp() - interval '5 seconds'";
    eventually("no transaction to be left open", || async {
        (ward.rig.number(open).await == 0).then_some(())
    })
    .await;
    let sessions = "SELECT string_agg(application_name, ', ' ORDER BY application_name), count(*)
                    FROM pg_stat_activity WHERE usename = 'worker'";
    let row = ward.rig.client.query_one(sessions, &[]).await.unwrap();
    let (names, sessions): (String, i64) = (row.get(0), row.get(1));
    // Two lanes, three for the route and three for the job; the relay's, the listener's, the watchdog's, and two for status.
    assert!(sessions <= 13, "{sessions} sessions: {names}");
    ward.daemon.assert_no_more_files_than(files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_frozen_or_swallows_everything_is_named_and_recovered_from() {
    let mut ward = Ward::new(&[]).await;
    signal_all(&ward.postgres, "STOP");
    ward.behind(60).await;
    ward.says("does not answer").await;
    let (said, code) = ward.status().await;
    assert!(code == Some(4) && said.contains("does not answer"), "{said}");
    signal_all(&ward.postgres, "CONT");
    ward.recovers("a frozen server").await;

    ward.proxy.silence(true);
    ward.behind(60).await;
    ward.says("does not answer").await;
    ward.proxy.silence(false);
    ward.recovers("a network that swallows everything").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: only time tells that a statement is never answered"]
async fn a_statement_that_is_never_answered_is_given_up() {
    let mut ward = Ward::new(&[]).await;
    let admin = ward.admin().await;
    admin.batch_execute("BEGIN; LOCK TABLE student_course_purchases").await.unwrap();
    ward.behind(60).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE usename = 'worker' AND wait_event_type = 'Lock'";
    eventually("a batch to be in a statement", || async {
        (admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0).then_some(())
    })
    .await;
    ward.proxy.silence(true);
    admin.batch_execute("ROLLBACK").await.unwrap();
    ward.says("no answer to a statement").await;
    ward.proxy.silence(false);
    ward.recovers("a statement without an answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_goes_to_the_host_that_takes_writes_also_when_the_first_one_is_frozen() {
    let (primary, second) = tokio::task::spawn_blocking(|| {
        let primary = PrivatePostgres::start(false).unwrap();
        let second = standby(&primary);
        (primary, second)
    })
    .await
    .unwrap();
    let mut site = Site::on(&primary, Rig::new(2).await, Place::Beside).await;
    // First a host that takes connections and never answers, then the standby.
    let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let survivor = at(&site.purchases, second.port());
    let first = at(&survivor, frozen.local_addr().unwrap().port());
    let url = both(&both(&first, second.port()), primary.port());
    let url = format!("{url}?connect_timeout=1");
    site.rig.client = connect(&site.purchases).await;
    let config = site.rig.config_file(&url, "", "[log]\nlevel = \"info,makegood=debug\"\n");
    let daemon = Daemon::start(&config, 0);
    let mut paid = payments(60);
    site.rig.pay(&paid).await;
    site.rig.caught_up().await;
    ledger::assert_exactly(&site.rig.client, &paid).await;

    // The primary takes no more writes, and nobody's session ends.
    let fence = "ALTER SYSTEM SET default_transaction_read_only = on";
    site.client.batch_execute(fence).await.unwrap();
    site.client.query_one("SELECT pg_reload_conf()", &[]).await.unwrap();
    replayed(&site.client, &survivor).await;
    let more = payments(60);
    site.rig.pay(&more).await;
    paid.extend(more);
    let says = async |what: &str| {
        eventually(&format!("the daemon to say {what}"), || async {
            let log = daemon.log();
            log.lines().any(|l| l.contains("held: ") && l.contains(what)).then_some(())
        })
        .await;
    };
    says("does not allow writes").await;
    let client = connect(&survivor).await;
    client.query_one("SELECT pg_promote()", &[]).await.unwrap();
    site.rig.client = client;
    site.rig.caught_up().await;
    ledger::assert_exactly(&site.rig.client, &paid).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'makegood'";
    eventually("the daemon to let go of the old primary", || async {
        let row = site.client.query_one(sessions, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_host_that_vanishes_keeps_nobody_from_the_second_one() {
    let rig = Rig::new(1).await;
    let first = Proxy::start(rig.world.postgres.port()).await.unwrap();
    // With the connect time-out that everybody has who sets none.
    let url = both(&first.url(&rig.url()), rig.world.postgres.port());
    let config = rig.config_file(&url, "", "[log]\nlevel = \"info,makegood=debug\"\n");
    let daemon = Daemon::start(&config, 0);
    let address = address(&daemon).await;
    let ready = async || (get(&address, "/readyz").await.status == 200).then_some(());
    eventually("the daemon to be ready", ready).await;
    let row = rig.client.query_one("SELECT clock_timestamp()::text", &[]).await.unwrap();
    first.silence(true);
    first.cut_all();
    let since = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'makegood status'
         AND datname = current_database() AND backend_start > '{}'",
        row.get::<_, String>(0)
    );
    eventually("the look at how everything stands to go by the second host", || async {
        (rig.number(&since).await > 0).then_some(())
    })
    .await;
    eventually("the daemon to be ready again", ready).await;
    let paid = payments(20);
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let mut status = command();
    status.args(["status", "--config"]).arg(&config);
    let said = tokio::task::spawn_blocking(move || status.output().unwrap()).await.unwrap();
    assert!(said.status.success(), "{said:?}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_the_login_and_then_says_nothing_is_given_up() {
    let rig = Rig::new(1).await;
    let proxy = Proxy::start(rig.world.postgres.port()).await.unwrap();
    let store =
        Store::open(&Postgres::from_url(&proxy.url(&rig.url())).unwrap(), "test", 1).unwrap();
    proxy.withhold(Some("SET statement_timeout"));
    let asked = tokio::time::timeout(Duration::from_secs(60), store.query("SELECT 1", &[])).await;
    let fault = asked.expect("an end of the wait").unwrap_err();
    assert!(fault.to_string().contains("took the login"), "{fault}");
    proxy.withhold(None);
    store.query("SELECT 1", &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_while_the_schema_is_made_is_waited_for() {
    // The first lock stops who reads what was migrated, the second one who writes it.
    for lock in ["ACCESS EXCLUSIVE", "SHARE"] {
        let mut rig = Rig::new(1).await;
        rig.client
            .batch_execute(
                "CREATE SCHEMA bare; ALTER TABLE makegood.inbox_migrations SET SCHEMA bare;
                 DROP SCHEMA makegood CASCADE; ALTER SCHEMA bare RENAME TO makegood;
                 DELETE FROM makegood.inbox_migrations",
            )
            .await
            .unwrap();
        let holder = connect(&rig.url()).await;
        let hold = format!("BEGIN; LOCK makegood.inbox_migrations IN {lock} MODE");
        holder.batch_execute(&hold).await.unwrap();
        let proxy = Proxy::start(rig.world.postgres.port()).await.unwrap();
        let log = "[outbox]\nenabled = false\n[log]\nlevel = \"info,makegood=debug\"\n";
        let mut daemon = Daemon::start(&rig.config_file(&proxy.url(&rig.url()), "", log), 0);
        let migrating = "FROM pg_stat_activity WHERE application_name = 'makegood migrate'
                         AND datname = current_database() AND wait_event_type = 'Lock'";
        let waits = async || {
            let count = format!("SELECT count(*) {migrating}");
            (rig.number(&count).await > 0).then_some(())
        };
        eventually("the daemon to be migrating", waits).await;
        let end = format!("SELECT count(pg_terminate_backend(pid)) {migrating}");
        rig.number(&end).await;
        eventually("the daemon to say what it waits for", || async {
            daemon.log().contains("57P01").then_some(())
        })
        .await;
        eventually("the daemon to be migrating again", waits).await;
        proxy.cut_all();
        eventually("the daemon to say that the connection is lost", || async {
            let says = |l: &str| l.contains("waiting: ") && l.contains("out of reach");
            daemon.log().lines().any(says).then_some(())
        })
        .await;
        holder.batch_execute("ROLLBACK").await.unwrap();
        let paid = payments(20);
        rig.pay(&paid).await;
        rig.client = connect(&rig.url()).await;
        eventually("the schema", || async {
            let sql = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('makegood.positions')";
            (rig.number(sql).await > 0).then_some(())
        })
        .await;
        rig.caught_up().await;
        ledger::assert_exactly(&rig.client, &paid).await;
        assert_eq!(daemon.ended(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_may_not_be_read_is_waited_for_and_keeps_no_purchase_from_being_made() {
    let mut site = Site::new(Place::Apart, 1).await;
    let role = format!("relay_{}", site.rig.database);
    let create = format!("CREATE ROLE {role} LOGIN PASSWORD 'one'");
    site.client.batch_execute(&create).await.unwrap();
    let (_, place) = site.payments.rsplit_once('@').unwrap();
    site.payments = format!("postgres://{role}:one@{place}");
    site.rig.client = connect(&site.purchases).await;
    let mut daemon = site.daemon();
    eventually("the daemon to say what it waits for", || async {
        let says = |l: &str| l.contains("waiting: ") && l.contains("42501");
        daemon.log().lines().any(says).then_some(())
    })
    .await;
    let mut paid = payments(21);
    let published = paid.pop().unwrap();
    site.rig.pay(&paid).await;
    site.rig.caught_up().await;
    ledger::assert_exactly(&site.rig.client, &paid).await;
    let sql = "SELECT makegood.publish($1, 'k', 'PURCHASE_CONFIRMED', $2::text::jsonb)";
    site.client.query_one(sql, &[&site.rig.topic, &published.json()]).await.unwrap();
    site.client.batch_execute(&format!("ALTER ROLE {role} SUPERUSER")).await.unwrap();
    site.drained().await;
    site.rig.caught_up().await;
    paid.push(published);
    ledger::assert_exactly(&site.rig.client, &paid).await;
    assert_eq!(daemon.ended(), None);
}
