//! `[[inbox]]`: a route from a topic to a mapping.

use std::path::PathBuf;
use std::time::Duration;

use rules::envelope::Rules;
use rules::field_path::FieldPath;
use rules::framing::Framing;

use super::SECOND;
use crate::declare::section;
use crate::kinds::{count, folder, list, maybe, size, start, text, truth, within};

section! {
    /// One table for each route from a topic to a mapping. Given one, this default route is gone; name,
    /// topic and group are then required, and event_type unset takes every record.
    pub struct Inbox(Clone, Debug, PartialEq, Eq) {
        /// A name of its own, of a-z, 0-9 and -.
        name: String = "purchase-confirmed", text().of_the_default_table();
        /// The topic to read.
        topic: String = "purchase-confirmed", text().of_the_default_table();
        /// The consumer group.
        group: String = "purchase-creation-workers", text().of_the_default_table();
        /// The type of event to apply; others are ignored and counted.
        event_type: Option<String> = "PURCHASE_CONFIRMED", maybe().of_the_default_table();
        /// Types of this topic that are none of its business, or ["*"] for all. One that is ignored and stands not here is a
        /// finding: it may be a paid event under another name.
        other_types: Vec<String> = [], list("[\"REFUND_CONFIRMED\"]");
        /// The folder of the mapping's SQL, relative to this file: it must exist. Unset: the compiled-in mapping.
        mapping: Option<PathBuf> = "", folder().example("\"purchases\"");
        /// Where a partition without any position starts: "earliest", or a time such as
        /// 2026-01-07T00:00:00Z. "latest" skips paid events, and needs allow_skip = true.
        /// Both are for a topic that the group has never read: a partition that is added later, or a topic that is made anew,
        /// is read from its first record.
        start: Start = "earliest", start();
        /// Whether a start that leaves out paid events is allowed.
        allow_skip: bool = false, truth();
        /// What is taken off a value before it is read, in this order, each if it is there: "gzip", "glue", "confluent" and
        /// "apicurio" (the prefix of a schema registry before plain JSON), "json_text" (JSON that holds JSON as a text),
        /// "array_of_one", "json_converter" ({schema, payload}), "cloudevents" (structured), "debezium" (the row after a change)
        /// and "outbox_row" (the row's column payload). A record that needs one is quarantined, and its detail has this line.
        envelopes: Vec<Framing> = [], list("[\"gzip\", \"json_text\"]");
        /// Where the event's id is looked for; the first place that holds a value wins.
        id_from: Vec<FieldPath> = ["header:id", "header:ce_id", "header:event-id", "json:/eventId"],
            list("[\"header:id\", \"json:/eventId\"]");
        /// The same for its type.
        type_from: Vec<FieldPath> = ["header:type", "header:ce_type", "json:/eventType", "json:/type"],
            list("[\"header:type\", \"json:/type\"]");
        /// A larger record is quarantined.
        max_record: usize = "1MiB", size(LARGEST_RECORD);
        /// A record that PostgreSQL refuses is a suspect until another one is applied: then it is tried once more, and goes
        /// through or to quarantine. With so many suspects and nothing applied since, the world is taken to be broken: the route
        /// is held, which means slow, and tries one more record of each partition now and then.
        suspects: usize = 10, count(10_000);
        /// A purchase is made only for a payment that is there, succeeded, and has the same amount, currency, student and course.
        /// payments.sql of the mapping finds it, in this database or in the job's source. An event that its payment does not bear
        /// out is tried again by itself for a minute, then goes to quarantine as no_payment or mismatch, and still makes its
        /// purchase once the payment says so. Off, or without payments that can be read, events are believed; status says so.
        verify_payment: bool = true, truth();
        /// Whether a job looks for payments whose event never came, also where no [[reconcile]] names this route. false is for
        /// events that no payment tells of: what is lost of them stays lost.
        reconcile: bool = true, truth();
        /// How much of the database's disk the quarantine may take. What is put away beyond that is noted as a gap of offsets
        /// alone, which the reconciler covers from the payments.
        max_quarantine: u64 = "1GiB", size(LARGEST_QUARANTINE);
        /// How many partitions are applied at the same time, each on a connection of its own.
        lanes: usize = 4, count(64);
        /// A batch is one transaction; it ends at the first limit it reaches.
        batch: Batch;
    }
}

section! {
    /// The limits of one batch, whichever is reached first.
    pub struct Batch(Clone, Debug, PartialEq, Eq) {
        /// At most so many records.
        rows: usize = 4000, count(MOST_ROWS);
        /// At most so many bytes of records.
        bytes: usize = "4MiB", size(LARGEST_BATCH);
        /// Wait at most so long for more records.
        linger: Duration = "1ms", within(Duration::ZERO, 10 * SECOND);
    }
}

/// Room for so many rows is made in advance.
const MOST_ROWS: u64 = 100_000;
/// What is longer is not kept as a whole, not even in quarantine.
const LARGEST_RECORD: u64 = 16 << 20;
/// What a batch may hold in memory, as PostgreSQL's messages also are.
const LARGEST_BATCH: u64 = 64 << 20;
/// Larger than any disk.
const LARGEST_QUARANTINE: u64 = 1 << 50;

/// Where a partition starts that has a position neither in PostgreSQL nor in Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At its first record.
    #[default]
    Earliest,
    /// After its last record; only with [`Inbox::allow_skip`].
    Latest,
    /// At the first record of this time or later.
    At(jiff::Timestamp),
}

impl Inbox {
    /// Whether the operator knows that the route ignores this type.
    pub fn ignores(&self, event_type: &str) -> bool {
        self.other_types.iter().any(|known| known == "*" || known == event_type)
    }

    /// How its records are read.
    pub fn rules(&self) -> Rules {
        Rules {
            envelopes: self.envelopes.clone(),
            id_from: self.id_from.clone(),
            type_from: self.type_from.clone(),
            event_type: self.event_type.clone(),
            max_bytes: self.max_record,
        }
    }
}
