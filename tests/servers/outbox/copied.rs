//! A server into which somebody put rows that it never wrote itself: copies, dumps, parts of dumps. Only what the
//! server's own transaction numbers say counts, whatever it says of its identity.

use std::process::Command;
use std::time::Duration;

use lab::servers::postgres::PrivatePostgres;

use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site};
use crate::support::rig::Rig;
use crate::support::standby::{at, dump_and_restore, standby};
use crate::support::world::connect;

/// The next events, of a few keys.
fn next(numbers: &mut Numbers, count: usize) -> Vec<Written> {
    (0..count).map(|n| numbers.next(&format!("k{}", n % 3))).collect()
}

/// Lets so many transactions pass.
async fn pass(site: &Site, transactions: usize) {
    let sql = format!(
        "DO $$ BEGIN FOR n IN 1..{transactions} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    );
    site.client.batch_execute(&sql).await.unwrap();
}

/// Relays until all is in the topic; returns how many records are duplicates.
async fn relayed(site: &Site, written: &[Written]) -> usize {
    let mut daemon = site.daemon();
    let again = site.assert_relayed(written).await;
    daemon.signal("TERM");
    tokio::task::block_in_place(|| daemon.wait(Duration::from_secs(60)));
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_dump_restored_into_a_physical_copy_of_the_server_goes_on_where_it_was() {
    let home =
        tokio::task::spawn_blocking(|| PrivatePostgres::start(false)).await.unwrap().unwrap();
    let mut site = Site::on(&home, Rig::new(1).await, Place::Beside).await;
    let mut numbers = Numbers::default();
    let mut copy = tokio::task::block_in_place(|| standby(&home));
    tokio::task::block_in_place(|| copy.stop_fast().unwrap());
    std::fs::remove_file(copy.folder().join("data/standby.signal")).unwrap();
    tokio::task::block_in_place(|| copy.start_again().unwrap());

    pass(&site, 3000).await;
    let mut written = next(&mut numbers, 20);
    site.publish(&written).await;
    relayed(&site, &written).await;
    let unsent = next(&mut numbers, 3);
    site.publish(&unsent).await;
    written.extend(unsent);

    let url = at(&site.payments, copy.port());
    let (server, name) = url.rsplit_once('/').unwrap();
    let admin = connect(&format!("{server}/postgres")).await;
    admin.batch_execute(&format!("DROP DATABASE {name}")).await.unwrap();
    admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    dump_and_restore(&site.payments, &url);
    site.client = connect(&url).await;
    site.payments.clone_from(&url);
    let new = next(&mut numbers, 4);
    site.publish(&new).await;
    written.extend(new);
    assert_eq!(relayed(&site, &written).await, 0, "what was sent is sent again");
}

/// Rows alone, without the cursor: makegood was installed first, then the old data was loaded.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_server_that_is_ahead_arrive_from_a_dump_without_its_cursor() {
    let mut site = Site::new(Place::Beside, 1).await;
    let home = site.payments.clone();
    let written = next(&mut Numbers::default(), 6);
    site.publish(&written[..3]).await;
    let sql = "UPDATE makegood.outbox SET xid = (xid::text::bigint + 5000000)::text::xid8";
    site.client.batch_execute(sql).await.unwrap();
    let other = Site::new(Place::Beside, 1).await;
    let script = format!(
        "pg_dump --data-only -t 'makegood.outbox*' -d {home} | psql -q -o /dev/null -d {}",
        other.payments
    );
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    site.payments.clone_from(&other.payments);
    site.client = other.client;
    let sql = "SELECT count(*) FROM makegood.outbox";
    assert_eq!(site.number(sql).await, 3);
    site.publish(&written[3..]).await;
    assert_eq!(relayed(&site, &written).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_works_where_nobody_may_ask_for_the_servers_identity() {
    let home =
        tokio::task::spawn_blocking(|| PrivatePostgres::start(false)).await.unwrap().unwrap();
    let site = Site::on(&home, Rig::new(1).await, Place::Apart).await;
    let role = format!("payer_{}", site.rig.database);
    let sql = format!(
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC;
         CREATE ROLE {role} LOGIN PASSWORD 'pw';
         GRANT USAGE ON SCHEMA makegood TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA makegood TO {role};
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA makegood TO {role}"
    );
    site.client.batch_execute(&sql).await.unwrap();
    let config = site.config("", "");
    let text = std::fs::read_to_string(&config).unwrap();
    let (_, after) = site.payments.split_once('@').unwrap();
    let as_role = format!("postgres://{role}:pw@{after}");
    std::fs::write(&config, text.replace(&site.payments, &as_role)).unwrap();
    let written = next(&mut Numbers::default(), 3);
    site.publish(&written).await;
    let _daemon = crate::support::daemon::Daemon::start(&config, 0);
    site.assert_relayed(&written).await;
}
