//! The servers: a private PostgreSQL, a broker and the worker, up in this order and down in the other.

use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::interrupted;
use super::screen::Screen;
use super::shop::{connect, make_database};
use super::worker::Worker;
use crate::servers::postgres::PrivatePostgres;
use rules::problem::{Code, Problem};
use store::migrate;

/// The topic of the default configuration.
pub const TOPIC: &str = "purchase-confirmed";
/// The group of the default configuration.
pub const GROUP: &str = "purchase-creation-workers";
/// The shop's database.
const DATABASE: &str = "shop";
const PARTITIONS: i32 = 3;

/// Everything that runs. Dropping it stops all and removes the folders; that may block for seconds.
#[derive(Debug)]
pub struct DemoServers {
    // Dropped in this order: the worker leaves its group while there is a broker to tell.
    /// The worker.
    pub worker: Worker,
    /// The broker.
    pub broker: Broker,
    /// PostgreSQL.
    pub postgres: PrivatePostgres,
}

impl DemoServers {
    /// Starts everything, each step with a line about it. Ends early, with nothing left, once `stop` is cancelled.
    pub async fn start(
        kafka: bool,
        screen: &mut Screen,
        stop: &CancellationToken,
    ) -> Result<DemoServers, Problem> {
        let postgres = unless_stopped(stop, || PrivatePostgres::start(false)).await?;
        let url = postgres.url(DATABASE);
        make_database(&postgres.url("postgres"), DATABASE, &url).await?;
        // Before the worker, which would do it too, so that the shop can publish at once.
        migrate::up(&mut connect(&url).await?, migrate::BOTH).await?;
        screen.step(&format!(
            "PostgreSQL: a private server on 127.0.0.1:{}, with the tables payments and student_course_purchases, and the schema makegood",
            postgres.port()
        ));
        let start = if kafka { Broker::apache } else { Broker::in_process };
        let broker = unless_stopped(stop, move || start(TOPIC, PARTITIONS)).await?;
        let kind = match &broker {
            Broker::InProcess(_) => "broker: librdkafka's own, inside this process",
            Broker::Apache(_) => "broker: Apache Kafka, a private server",
        };
        let bootstrap = broker.bootstrap();
        screen.step(&format!("{kind}, on {bootstrap}, topic {TOPIC} with {PARTITIONS} partitions"));
        let worker = unless_stopped(stop, move || Worker::start(&url, &bootstrap)).await?;
        screen.step(&format!(
            "worker: `makegood run`, process {}, group {GROUP}, log in {}",
            worker.pid(),
            worker.log().display()
        ));
        Ok(DemoServers { worker, broker, postgres })
    }

    /// The connection string of the shop's database.
    pub fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }
}

/// Runs a blocking start. A stop that comes in the meantime waits for its end, so that what was started is known and
/// goes again; a start that failed because Ctrl-C reached it too is no failure of its own.
async fn unless_stopped<T: Send + 'static>(
    stop: &CancellationToken,
    start: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let started = tokio::task::spawn_blocking(start)
        .await
        .unwrap_or_else(|e| Err(Problem::new(Code::System, format!("a start ended early: {e}"))));
    if stop.is_cancelled() { Err(interrupted()) } else { started }
}
