//! The servers all tests share, started by the first that asks.

use std::sync::OnceLock;

use lab::servers::kafka::PrivateKafka;
use lab::servers::postgres::PrivatePostgres;
use makegood::store::migrate;
use tokio_postgres::NoTls;

/// The payment service's tables.
pub const HOST_TABLES: &str = include_str!("../../sql/demo/host_tables.sql");
/// The database that each test's own is cloned from: host tables and makegood's schema.
pub const TEMPLATE: &str = "makegood_template";

/// The servers.
pub struct World {
    pub postgres: PrivatePostgres,
    pub kafka: PrivateKafka,
}

/// The shared servers. They end with the process, however it ends.
pub async fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    static TEMPLATE_MADE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let start = || {
        WORLD.get_or_init(|| World {
            postgres: PrivatePostgres::start(false).expect("a private PostgreSQL"),
            kafka: PrivateKafka::start().expect("a private Kafka"),
        })
    };
    let world = tokio::task::spawn_blocking(start).await.unwrap();
    TEMPLATE_MADE.get_or_init(|| make_template(&world.postgres)).await;
    world
}

async fn make_template(postgres: &PrivatePostgres) {
    connect(&postgres.url("postgres"))
        .await
        .batch_execute(&format!("CREATE DATABASE {TEMPLATE}"))
        .await
        .unwrap();
    prepare(&postgres.url(TEMPLATE)).await;
}

/// Gives a database the host's tables and makegood's schema.
pub async fn prepare(url: &str) {
    let mut client = connect(url).await;
    client.batch_execute(HOST_TABLES).await.unwrap();
    migrate::up(&mut client, migrate::BOTH).await.unwrap();
}

/// A connection of the test's own.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
