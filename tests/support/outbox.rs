//! The payment side's ledger of what it published, and what the topic then holds.

use std::collections::{BTreeMap, HashMap};

use rdkafka::message::{Headers, Message, OwnedMessage};
use tokio_postgres::Client;
use uuid::Uuid;

use super::rig::Rig;
use super::sending::read_back;

/// One event as the payment side wrote it down when its transaction had committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub id: Uuid,
    pub key: String,
    /// Counts the events of a key, in the order of their commits.
    pub number: u64,
}

/// What the topic holds of one event, each time it holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub id: Uuid,
    pub key: Option<String>,
    pub value: String,
    pub headers: BTreeMap<String, String>,
    pub partition: i32,
}

impl Written {
    /// The event's content, as jsonb writes it.
    pub fn payload(&self) -> String {
        format!(r#"{{"key": "{}", "number": {}}}"#, self.key, self.number)
    }

    /// Publishes it, in the transaction that `client` has open or in one of its own.
    pub async fn publish(&self, client: &Client, topic: &str) {
        let sql = "SELECT makegood.publish($1, $2, 'NUMBERED', $3::text::jsonb, event_id => $4)";
        client.query_one(sql, &[&topic, &self.key, &self.payload(), &self.id]).await.unwrap();
    }
}

/// Numbers the events of each key.
#[derive(Default)]
pub struct Numbers(HashMap<String, u64>);

impl Numbers {
    pub fn next(&mut self, key: &str) -> Written {
        let number = self.0.entry(key.to_owned()).or_default();
        *number += 1;
        Written { id: Uuid::new_v4(), key: key.to_owned(), number: *number }
    }
}

/// Everything in the rig's topic from the beginning, partition by partition, in order.
pub fn read_topic(rig: &Rig) -> Vec<Held> {
    let partitions = i32::try_from(rig.log_ends().len()).unwrap();
    held_in(&rig.world.kafka.bootstrap(), &rig.topic, partitions)
}

/// Everything in a topic from the beginning, partition by partition, in order.
pub fn held_in(bootstrap: &str, topic: &str, partitions: i32) -> Vec<Held> {
    let mut records = read_back(bootstrap, topic, partitions);
    records.sort_by_key(|record| (record.partition(), record.offset()));
    records.iter().map(held).collect()
}

fn held(record: &OwnedMessage) -> Held {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers: BTreeMap<String, String> = record
        .headers()
        .map(|h| h.iter().map(|h| (h.key.to_owned(), text(h.value.unwrap()))).collect())
        .unwrap_or_default();
    Held {
        id: headers["id"].parse().unwrap(),
        key: record.key().map(text),
        value: text(record.payload().unwrap()),
        headers,
        partition: record.partition(),
    }
}

/// Fails unless the topic holds exactly what was written: all of it, nothing else, the same bytes each
/// time, and the first occurrences of each key in order. Returns how many records are duplicates.
pub fn assert_relayed(written: &[Written], held: &[Held]) -> usize {
    let mut firsts: HashMap<Uuid, &Held> = HashMap::new();
    let mut order: HashMap<&str, u64> = HashMap::new();
    let known: HashMap<Uuid, &Written> = written.iter().map(|w| (w.id, w)).collect();
    let mut duplicates = 0;
    for one in held {
        let event = known.get(&one.id).unwrap_or_else(|| panic!("nobody published {one:?}"));
        if let Some(first) = firsts.insert(one.id, one) {
            assert_eq!(first, one, "an event was sent again with other bytes");
            duplicates += 1;
            continue;
        }
        assert_eq!(one.value, event.payload(), "an event changed on its way");
        let last = order.insert(&event.key, event.number).unwrap_or(0);
        assert_eq!(event.number, last + 1, "key {} lost its order", event.key);
    }
    for event in written {
        assert!(firsts.contains_key(&event.id), "never arrived: {event:?}");
    }
    duplicates
}
