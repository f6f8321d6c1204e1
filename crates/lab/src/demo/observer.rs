//! Where makegood stands, as anybody can read it from its public views, and where the topic ends, as Kafka says.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_postgres::Client;

use super::shop::failed;
use kafka::probe::Probe;
use rules::problem::{Code, Problem};

/// What the views, the host's table and Kafka say now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DemoState {
    /// Events in the outbox that Kafka has not acknowledged.
    pub pending: usize,
    /// Events that it has, so far.
    pub published: usize,
    /// The offset that the next record will get, by partition.
    pub ends: BTreeMap<i32, i64>,
    /// The next offset to read, by partition; empty before the worker's first step.
    pub positions: BTreeMap<i32, i64>,
    /// Rows in the host's table of purchases.
    pub purchases: usize,
    /// Records in quarantine.
    pub quarantined: usize,
}

/// Whoever looks: a connection to the database, and a client that asks for the topic's ends.
pub struct DemoObserver {
    client: Client,
    probe: Arc<Probe>,
}

impl DemoObserver {
    /// Opens them.
    pub fn new(
        client: Client,
        bootstrap_servers: String,
        topic: &str,
        group: &str,
    ) -> Result<DemoObserver, Problem> {
        let kafka = config::Kafka {
            bootstrap_servers,
            properties: BTreeMap::new(),
            token_command: config::Program::default(),
            msk_region: None,
        };
        Ok(DemoObserver { client, probe: Arc::new(Probe::new(&kafka, topic, group)?) })
    }

    /// Looks in the order in which things flow, so that nothing is overlooked on its way from one place to the next.
    pub async fn look(&self) -> Result<DemoState, Problem> {
        let (mut look, probe) = (DemoState::default(), self.probe.clone());
        let sql = "SELECT pending, published FROM makegood.outbox_status";
        let row = self.client.query_one(sql, &[]).await.map_err(unseen)?;
        look.pending = count(&row, 0);
        look.published = count(&row, 1);
        look.ends = tokio::task::spawn_blocking(move || ends(&probe)).await.map_err(|e| {
            Problem::new(Code::System, format!("the look at the topic ended early: {e}"))
        })??;
        let sql = "SELECT partition, next_offset FROM makegood.consumer_positions";
        let rows = self.client.query(sql, &[]).await.map_err(unseen)?;
        look.positions = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let sql = "SELECT (SELECT count(*) FROM student_course_purchases), (SELECT count(*) FROM makegood.quarantine_open)";
        let row = self.client.query_one(sql, &[]).await.map_err(unseen)?;
        look.purchases = count(&row, 0);
        look.quarantined = count(&row, 1);
        Ok(look)
    }
}

impl DemoState {
    /// Whether the worker has taken anything in yet.
    pub fn has_begun(&self) -> bool {
        self.positions.values().any(|next| *next > 0)
    }

    /// How many records in the topic are not taken in yet.
    pub fn behind(&self) -> i64 {
        let behind = |(partition, end): (&i32, &i64)| {
            (end - self.positions.get(partition).copied().unwrap_or(0)).max(0)
        };
        self.ends.iter().map(behind).sum()
    }
}

fn ends(probe: &Probe) -> Result<BTreeMap<i32, i64>, Problem> {
    let end = |partition| Ok((partition, probe.watermarks(partition)?.high.0));
    probe.partitions()?.into_iter().map(end).collect()
}

fn count(row: &tokio_postgres::Row, column: usize) -> usize {
    usize::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

fn unseen(error: tokio_postgres::Error) -> Problem {
    failed(error, "looking")
}
