//! The payment side with the rights of roles.sql: the payment service may publish and nothing else, and the daemon
//! that relays has enough, in a database that has nothing but payments.

use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate::{self, Set};
use tokio_postgres::Client;

use super::support::daemon::Daemon;
use super::support::eventually;
use super::support::rig::Rig;
use super::support::world::connect;

const ROLES: &str = include_str!("../../deploy/roles.sql");
/// Roles are a whole cluster's, so the test has one of its own.
const PEOPLE: &str = "\
    CREATE ROLE shop LOGIN PASSWORD 'pw' IN ROLE makegood_publisher;
    CREATE ROLE viewer LOGIN PASSWORD 'pw' IN ROLE makegood_reader;
    ALTER ROLE makegood_app PASSWORD 'pw';
    CREATE TABLE orders (id bigint PRIMARY KEY);
    GRANT INSERT ON orders TO shop";

async fn refused(client: &Client, sql: &str) {
    let error = client.batch_execute(sql).await.expect_err(sql);
    assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{sql}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_rights_are_enough_to_publish_and_to_relay() {
    let rig = Rig::new(1).await;
    let postgres =
        tokio::task::spawn_blocking(|| PrivatePostgres::start(false)).await.unwrap().unwrap();
    let owner = connect(&postgres.url("postgres")).await;
    owner.batch_execute(ROLES).await.unwrap();
    let mut migrator = connect(&postgres.url("postgres")).await;
    migrator.batch_execute("SET ROLE makegood_owner").await.unwrap();
    migrate::up(&mut migrator, &[Set::Outbox]).await.unwrap();
    owner.batch_execute(ROLES).await.unwrap();
    owner.batch_execute(PEOPLE).await.unwrap();
    let url = |role: &str| format!("postgres://{role}:pw@127.0.0.1:{}/postgres", postgres.port());

    let shop = connect(&url("shop")).await;
    let publish = format!(
        "BEGIN; INSERT INTO orders VALUES (1); SELECT makegood.publish('{}', 'k', 'T', '{{}}'); COMMIT",
        rig.topic
    );
    shop.batch_execute(&publish).await.unwrap();
    for forbidden in [
        "SELECT FROM makegood.outbox",
        "INSERT INTO makegood.outbox_turns VALUES (7)",
        "SELECT nextval('makegood.outbox_seq')",
        "SELECT FROM makegood.outbox_status",
        "DELETE FROM makegood.outbox_steps",
        "TRUNCATE makegood.outbox_0",
    ] {
        refused(&shop, forbidden).await;
    }

    // A short retention, so that tables are emptied while the test looks.
    let elsewhere = format!(
        "[migrate]\nmode = \"check\"\n[retention]\noutbox = \"1s\"\n[outbox]\ndatabase = \"payments\"\n\
         [databases.payments]\nurl = \"{}\"\n",
        url("makegood_app")
    );
    let _daemon = Daemon::start(&rig.config_file(&rig.url(), "", &elsewhere), 0);
    let viewer = connect(&url("viewer")).await;
    let number = async |client: &Client, sql: &str| {
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    eventually("the event to be sent", || async {
        (number(&viewer, "SELECT published FROM makegood.outbox_status").await == 1).then_some(())
    })
    .await;
    eventually("the sent event's table to be emptied", || async {
        (number(&owner, "SELECT count(*) FROM makegood.outbox").await == 0).then_some(())
    })
    .await;
    assert_eq!(rig.log_ends()[&0], 1);
    refused(&viewer, "SELECT FROM makegood.outbox").await;
    refused(&viewer, "SELECT makegood.publish('t', 'k', 'T', '{}')").await;
    refused(&connect(&url("makegood_app")).await, "CREATE TABLE makegood.mine ()").await;
}
