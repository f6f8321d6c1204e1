//! What waits in the topic for a route, and what an old worker has gone past.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config;
use crate::ingest::{self, Preview, Route};
use crate::kafka::probe::{PartitionReader, Probe};
use crate::stop::blocking;
use crate::store::Store;
use rules::ids::Offset;
use rules::offsets::Why;
use rules::problem::Problem;
use rules::record::Record;

/// How many records are read at a time, and how many of them are kept.
const PAGE: usize = 200;
const FOUND: usize = 10;

/// The records that a route would read next.
pub struct WaitingRecords {
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
) -> Result<WaitingRecords, Problem> {
    let settings = &route.settings;
    let probe = Arc::new(Probe::new(kafka, &settings.topic, &settings.group)?);
    let preview = ingest::preview(route, store, &probe).await?;
    let ranges: BTreeMap<i32, (Offset, Offset)> = (preview.starts.iter())
        .filter_map(|(p, start)| Some((*p, (start.offset, preview.ends.get(p)?.high))))
        .collect();
    let total = extent(&ranges);
    let records = blocking(move || probe.records_between(&ranges, limit)).await?;
    Ok(WaitingRecords { preview, records, total })
}

/// The records that are still in the log before the starts of a group that is taken over: at most about `limit`,
/// the newest of each partition; and how many offsets there are.
pub async fn passed(
    route: &Route,
    kafka: &config::Kafka,
    preview: &Preview,
    limit: usize,
) -> Result<(Vec<Record>, i64), Problem> {
    let taken_over = preview.starts.iter().filter(|(_, start)| start.why == Why::TakenOver);
    let mut ranges: BTreeMap<i32, (Offset, Offset)> = taken_over
        .filter_map(|(p, start)| start.gap.as_ref().map(|gap| (*p, (gap.start, gap.end))))
        .collect();
    let total = extent(&ranges);
    let each = i64::try_from(limit / ranges.len().max(1)).unwrap_or(i64::MAX).max(1);
    for (from, to) in ranges.values_mut() {
        *from = (*from).max(*to - each);
    }
    let probe = Probe::new(kafka, &route.settings.topic, &route.settings.group)?;
    let records = blocking(move || probe.records_between(&ranges, limit)).await?;
    Ok((records, total))
}

/// How many offsets there are in the ranges.
fn extent(ranges: &BTreeMap<i32, (Offset, Offset)>) -> i64 {
    ranges.values().map(|(from, to)| (*to - *from).max(0)).sum()
}

/// What a search in the records that wait has found.
pub struct Searched {
    /// The records.
    pub found: Vec<Record>,
    /// How many offsets were not looked at, for the time was up.
    pub left: i64,
}

/// Searches the records that a route has not read yet, for at most `patience`, without joining the group.
pub async fn search(
    route: &Arc<Route>,
    kafka: &config::Kafka,
    store: &Store,
    patience: Duration,
    is_wanted: impl Fn(&Record) -> bool + Send + 'static,
) -> Result<Searched, Problem> {
    let until = Instant::now() + patience;
    let settings = &route.settings;
    let probe = Arc::new(Probe::new(kafka, &settings.topic, &settings.group)?);
    let preview = ingest::preview(route, store, &probe).await?;
    if let Some(problem) = preview.left_out.into_values().next() {
        return Err(problem);
    }
    let ends = preview.ends;
    let ranges: Vec<(i32, Range<Offset>)> = (preview.starts.iter())
        .filter_map(|(p, start)| Some((*p, start.offset..ends.get(p)?.high)))
        .collect();
    let (kafka, topic, group) = (kafka.clone(), settings.topic.clone(), settings.group.clone());
    blocking(move || {
        let mut searched = Searched { found: Vec::new(), left: 0 };
        for (partition, range) in ranges {
            let (mut next, end) = (range.start, range.end);
            let mut reader = PartitionReader::open(&kafka, &topic, &group, partition, range)?;
            while next < end && Instant::now() < until {
                let records = reader.next(PAGE)?;
                next = records.last().map_or(end, |record| record.offset + 1);
                searched.found.extend(records.into_iter().filter(&is_wanted).take(FOUND));
            }
            searched.left += (end - next).max(0);
        }
        Ok(searched)
    })
    .await
}
