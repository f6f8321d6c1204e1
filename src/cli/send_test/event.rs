//! The event to send: from a file, or a copy of the topic's last one.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::{fs, io};

use uuid::Uuid;

use crate::config;
use crate::kafka::probe::Probe;
use crate::store::test_events;
use rules::problem::{Code, Problem};
use rules::record::Record;
use rules::test_event::{self, UnfitRecord};

/// How many records of each partition are looked through for an event that is no test itself.
const DEPTH: i64 = 20;

/// The event in a file, which must be one that the route takes.
pub fn from_file(file: &Path, route: &config::Inbox, id: Uuid) -> Result<Record, Problem> {
    let mut value = Vec::new();
    let read = if file.as_os_str() == "-" {
        io::stdin().read_to_end(&mut value).map(|_| ())
    } else {
        fs::read(file).map(|bytes| value = bytes)
    };
    let name = file.display();
    read.map_err(|e| Problem::new(Code::Usage, format!("cannot read {name}: {e}")))?;
    let record = Record { value: Some(value), ..Record::default() };
    test_event::with_id(&record, Uuid::nil(), &route.rules(), id).map_err(|unfit| {
        let why = match unfit {
            UnfitRecord::OtherType => "it is of another event type".to_owned(),
            UnfitRecord::NoEvent(why) => why,
        };
        let cause = format!("the route {} would not take the event in {name}: {why}", route.name);
        Problem::new(Code::Usage, cause).advice(like_this(route))
    })
}

/// A copy of the newest event at the end of the topic.
pub async fn from_topic(
    kafka: &config::Kafka,
    route: &config::Inbox,
    id: Uuid,
) -> Result<Record, Problem> {
    let (kafka, wanted) = (kafka.clone(), route.clone());
    let found = tokio::task::spawn_blocking(move || newest(&kafka, &wanted, id))
        .await
        .map_err(|e| Problem::new(Code::System, format!("the look at Kafka failed: {e}")))??;
    found.ok_or_else(|| {
        let cause = format!("the topic {} has no event to make a test of", route.topic);
        Problem::new(Code::NotFound, cause)
            .advice(format!("give one: --event FILE; {}", like_this(route)))
    })
}

fn newest(
    kafka: &config::Kafka,
    route: &config::Inbox,
    id: Uuid,
) -> Result<Option<Record>, Problem> {
    let probe = Probe::new(kafka, &route.topic, &route.group)?;
    let rules = route.rules();
    let mut ends = BTreeMap::new();
    for partition in probe.partitions()? {
        ends.insert(partition, probe.watermarks(partition)?);
    }
    // Mostly the first look suffices.
    probe.look_back(&ends, DEPTH, |records| {
        let copies = records.into_values().filter_map(|record| {
            let copy = test_event::with_id(&record, Uuid::nil(), &rules, id).ok()?;
            test_events::marked(&record).is_none().then_some((record.timestamp_ms, copy))
        });
        copies.max_by_key(|(at, _)| *at).map(|(_, copy)| copy)
    })
}

fn like_this(route: &config::Inbox) -> String {
    let kind = route.event_type.as_deref().unwrap_or("PURCHASE_CONFIRMED");
    format!(
        "as shipped, the mapping takes events like this one:\n\
         {{\"eventId\":\"0c7f9f0e-5d0c-4b8e-9f3d-2f6f1c1f7a10\",\"eventType\":\"{kind}\",\n \
         \"occurredAt\":\"2026-01-07T16:55:09Z\",\n \
         \"data\":{{\"paymentId\":\"5b8f1c9e-1f0a-4c57-9a55-0d7a3a1f2c44\",\n  \
         \"studentId\":\"f2a4b1f6-7a7e-4f2b-8d0a-3f0d0c1f9b21\",\n  \
         \"courseId\":\"9d1e3c52-6f4b-4f6e-a1a7-8f7f5b2c6d33\",\n  \
         \"amount\":\"499.00\",\"currency\":\"INR\"}}}}"
    )
}
