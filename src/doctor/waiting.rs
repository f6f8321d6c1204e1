//! What waits in the topic for a route.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config;
use crate::ingest::{self, Preview, Route};
use crate::kafka::probe::Probe;
use crate::pure::problem::{Code, Problem};
use crate::pure::record::Record;
use crate::store::Store;

/// The records that a route would read next.
pub struct Waiting {
    /// Where its partitions stand and would start.
    pub preview: Preview,
    /// The first of them, in the order of partition and offset.
    pub records: Vec<Record>,
    /// How many offsets there are from the starts to the ends.
    pub total: i64,
}

/// Looks what waits, at most `limit` records, without joining the group.
pub async fn look(
    route: &Arc<Route>,
    kafka: &config::Kafka,
    store: &Store,
    limit: usize,
) -> Result<Waiting, Problem> {
    let settings = &route.settings;
    let probe = Arc::new(Probe::new(kafka, &settings.topic, &settings.group)?);
    let preview = ingest::preview(route, store, &probe).await?;
    let ranges: BTreeMap<i32, (i64, i64)> = (preview.starts.iter())
        .filter_map(|(p, start)| Some((*p, (start.offset, preview.ends.get(p)?.high))))
        .collect();
    let total = ranges.values().map(|(from, to)| (to - from).max(0)).sum();
    let read = tokio::task::spawn_blocking(move || probe.records_between(&ranges, limit));
    let records = read.await.unwrap_or_else(|e| {
        Err(Problem::new(Code::System, format!("a look at Kafka ended early: {e}")))
    })?;
    Ok(Waiting { preview, records, total })
}
