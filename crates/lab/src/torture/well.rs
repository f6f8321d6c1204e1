//! The quiet phase: waiting until nothing waits any more, by the host's tables, the log and the probe.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::task::block_in_place;

use super::daemon::Daemon;
use super::environment::{Environment, TOPIC};
use rules::problem::{Code, Problem};

/// After this the judge is asked all the same, and says what still waits.
const PATIENCE: Duration = Duration::from_secs(80);
const PAUSE: Duration = Duration::from_millis(250);
/// What waits, in words; empty when nothing does.
const WAITS: &str = "\
    SELECT concat_ws(', ', \
        (SELECT nullif(count(*), 0) || ' payments without a purchase' FROM payments p WHERE p.status = 'succeeded' AND NOT EXISTS \
            (SELECT FROM student_course_purchases s WHERE s.payment_id = p.id)), \
        (SELECT nullif(count(*), 0) || ' events in the outbox' FROM makegood.outbox_unsent()), \
        (SELECT nullif(count(*), 0) || ' suspects' FROM makegood.quarantine \
            WHERE resolved_at IS NULL AND suspect IN ('unproven', 'proven')), \
        (SELECT nullif(count(*), 0) || ' gaps' FROM makegood.gaps WHERE covered_at IS NULL))";
const POSITIONS: &str = "\
    SELECT DISTINCT ON (partition) partition, next_offset FROM makegood.positions \
    WHERE topic_id = (SELECT topic_id FROM makegood.positions ORDER BY written_at DESC LIMIT 1) \
    ORDER BY partition, step DESC";

/// What payments, purchases and the judge stand on.
const SCHEMA: &str = "\
    SELECT to_regclass('makegood.inbox') IS NOT NULL AND to_regproc('makegood.publish') IS NOT NULL \
        AND to_regproc('makegood.outbox_unsent') IS NOT NULL";

/// Waits until the database has its schema, whoever makes it.
pub async fn has_schema(environment: &Environment) -> Result<(), Problem> {
    let began = Instant::now();
    let client = environment.client().await?;
    loop {
        let made = client.query_one(SCHEMA, &[]).await;
        let made = made.map_err(|e| crate::demo::shop::failed(e, "looking for the schema"))?;
        if made.get(0) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(Problem::new(Code::System, "no daemon made the schema"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How the waiting ended.
pub struct Waited {
    /// After how long; nothing where it was in vain.
    pub seconds: f64,
    /// What still waited then.
    pub waits: String,
}

/// Waits until all is well.
pub async fn wait(environment: &Environment) -> Result<Waited, Problem> {
    let began = Instant::now();
    let looker: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", environment.bootstrap())
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|e| Problem::new(Code::Kafka, format!("cannot make a Kafka client: {e}")))?;
    loop {
        let mut waits = look(environment, &looker).await.unwrap_or_else(|p| p.reason);
        if waits.is_empty()
            && !environment.daemons.lock().await.first().is_some_and(Daemon::is_ready)
        {
            waits = "the daemon is not ready".to_owned();
        }
        let seconds = began.elapsed().as_secs_f64();
        if waits.is_empty() || began.elapsed() > PATIENCE {
            return Ok(Waited { seconds, waits });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(environment: &Environment, looker: &BaseConsumer) -> Result<String, Problem> {
    let asking = |e| crate::demo::shop::failed(e, "looking what waits");
    let client = environment.client().await?;
    let waits: String = client.query_one(WAITS, &[]).await.map_err(asking)?.get(0);
    if !waits.is_empty() {
        return Ok(waits);
    }
    let rows = client.query(POSITIONS, &[]).await.map_err(asking)?;
    let positions: Vec<(i32, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    block_in_place(|| {
        let patience = Duration::from_secs(5);
        let failed = |e| Problem::new(Code::Kafka, format!("looking where the log ends: {e}"));
        let metadata = looker.fetch_metadata(Some(TOPIC), patience).map_err(failed)?;
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let end = looker.fetch_watermarks(TOPIC, partition.id(), patience).map_err(failed)?.1;
            let at = positions.iter().find(|(p, _)| *p == partition.id()).map_or(0, |(_, at)| *at);
            // What lies before the end may be the mark of a transaction, which no reader gets; the judge knows.
            if end - at > 2 * MARKS {
                return Ok(format!("partition {} at {at} of {end}", partition.id()));
            }
        }
        Ok(String::new())
    })
}

/// So many marks of transactions may stand at the end of a log.
const MARKS: i64 = 20;
