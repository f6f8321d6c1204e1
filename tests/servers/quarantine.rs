//! Promise 4, its first half: a broken record is put away with its exact bytes, and neither blocks nor
//! drops a good one; and the way back, when people decide.

mod brake;
mod commands;
mod replay;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use makegood::kafka::topic_config;
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use rules::record::{Header, Record};
use tokio_postgres::Row;

use crate::support::corpus::{Fate, corpus, with_field};
use crate::support::events::{Payment, payments, raw};
use crate::support::eventually;
use crate::support::holding::held;
use crate::support::ledger;
use crate::support::rig::Rig;
use crate::support::wire;

const PATIENCE: Duration = Duration::from_secs(5);
/// Half of what the shipped unit gives the daemon.
pub const MOST_KIB: u64 = 512 * 1024;

/// A mapping of the test's own, which it changes while a daemon runs.
pub struct Mapping {
    folder: std::path::PathBuf,
}

/// A change after which apply.sql rejects every event.
pub const REFUSES_ALL: (&str, &str) = (
    "CASE\n               WHEN e.fault IS NOT NULL",
    "CASE WHEN true THEN 'nobody knows this shape'\n               WHEN e.fault IS NOT NULL",
);

impl Mapping {
    /// The shipped one.
    pub fn new(rig: &Rig) -> Mapping {
        let mapping = Mapping { folder: rig.path("mapping") };
        std::fs::create_dir_all(&mapping.folder).unwrap();
        let missing = include_str!("../../sql/purchases/missing.sql");
        std::fs::write(mapping.folder.join("missing.sql"), missing).unwrap();
        mapping.restore();
        mapping
    }

    /// A route's settings with this mapping and others.
    pub fn route(&self, settings: &str) -> String {
        format!("mapping = \"{}\"\n{settings}", self.folder.display())
    }

    /// Replaces texts in the shipped apply.sql; the daemon takes it at its next start or SIGHUP.
    pub fn change(&self, changes: &[(&str, &str)]) {
        let mut text = include_str!("../../sql/purchases/apply.sql").to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "apply.sql has no {from}");
            text = text.replace(from, to);
        }
        std::fs::write(self.folder.join("apply.sql"), text).unwrap();
    }

    /// Takes every change back.
    pub fn restore(&self) {
        self.change(&[]);
    }
}

/// Changes that let the mapping take a currency in small letters, and INR for none.
pub const TAKES_ANY_CURRENCY: [(&str, &str); 2] = [
    ("e.amount, e.currency,", "e.amount, coalesce(upper(e.currency), 'INR') AS currency,"),
    ("e.currency IS NULL OR e.currency !~", "coalesce(upper(e.currency), 'INR') !~"),
];

/// Finished decisions as `kind outcome: number`.
pub async fn decisions(rig: &Rig) -> Vec<String> {
    let sql =
        "SELECT format('%s %s: %s', kind, outcome, count(*)) FROM makegood.quarantine_decisions
               WHERE state = 'done' GROUP BY kind, outcome ORDER BY 1";
    rig.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// What quarantine has, by offset, with each row checked against the record that was sent there.
async fn quarantined(rig: &Rig, sent: &BTreeMap<i64, Record>) -> BTreeMap<i64, Row> {
    let sql = "SELECT \"offset\", reason, sqlstate, detail, key, value, header_names, header_values, topic,
                      topic_id, partition, record_at IS NULL FROM makegood.quarantine";
    let topic_id = rig.probe().topic_id().unwrap();
    let mut rows = BTreeMap::new();
    for row in rig.client.query(sql, &[]).await.unwrap() {
        let offset: i64 = row.get(0);
        let record = &sent[&offset];
        let (names, values): (Vec<Vec<u8>>, Vec<Option<Vec<u8>>>) =
            record.headers.iter().cloned().map(|h| (h.name, h.value)).unzip();
        assert_eq!(row.get::<_, Option<Vec<u8>>>("key"), record.key, "key at {offset}");
        assert_eq!(row.get::<_, Option<Vec<u8>>>("value"), record.value, "value at {offset}");
        assert_eq!(row.get::<_, Vec<Vec<u8>>>("header_names"), names, "names at {offset}");
        assert_eq!(row.get::<_, Vec<Option<Vec<u8>>>>("header_values"), values, "at {offset}");
        assert_eq!(row.get::<_, &str>("topic"), rig.topic);
        assert_eq!(row.get::<_, uuid::Uuid>("topic_id"), topic_id);
        assert_eq!(row.get::<_, i32>("partition"), 0);
        assert!(rows.insert(offset, row).is_none(), "two rows for offset {offset}");
    }
    rows
}

/// Sends records one by one, in order, to the only partition; returns them by offset.
async fn send_all(rig: &Rig, records: &[Record]) -> BTreeMap<i64, Record> {
    let mut sent = BTreeMap::new();
    for record in records {
        let (_, offset) = rig.send(record).await;
        sent.insert(offset, record.clone());
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_record_meets_its_fate_and_the_good_ones_between_them_are_applied() {
    let corpus = corpus();
    let numbers: BTreeSet<u32> = corpus.numbers.iter().copied().collect();
    assert!(numbers.into_iter().eq(1..=132), "the whole catalogue");
    for test in &corpus.elsewhere {
        assert!(is_a_test(test), "{test} is no test");
    }
    let rig = Rig::new(1).await;
    let (mut paid, mut expected) = (payments(0), BTreeMap::new());
    let mut records = Vec::new();
    for case in corpus.cases {
        let good = Payment::new(records.len());
        records.extend([case.record, good.record()]);
        paid.extend(case.pays);
        paid.push(good);
        expected.insert(records.len() as i64 - 2, (case.name, case.fate));
    }
    let sent = send_all(&rig, &records).await;
    let mut daemon = rig.daemon_with("batch = { rows = 16 }");
    rig.caught_up().await;
    assert!(daemon.peak_kib() < MOST_KIB, "{} KiB", daemon.peak_kib());
    assert_eq!(daemon.ended(), None);

    let put_away = quarantined(&rig, &sent).await;
    let inbox = rig.client.query("SELECT \"offset\", outcome FROM makegood.inbox", &[]).await;
    let outcomes: BTreeMap<i64, String> =
        inbox.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut wrong = Vec::new();
    for (offset, (name, fate)) in &expected {
        let found = match (put_away.get(offset), outcomes.get(offset).map(String::as_str)) {
            (Some(row), None) => {
                let (reason, sqlstate): (&str, Option<&str>) = (row.get(1), row.get(2));
                match (reason, sqlstate) {
                    ("rejected", None) => format!("Rejected({:?})", row.get::<_, &str>(3)),
                    (reason, None) => format!("Unreadable({reason:?})"),
                    other => format!("{other:?}"),
                }
            }
            (None, Some("applied")) => "Applied".to_owned(),
            (None, Some(outcome)) => format!("Kept({outcome:?})"),
            (None, None) => "Counted".to_owned(),
            (Some(_), Some(outcome)) => format!("quarantined and {outcome}"),
        };
        if found != format!("{fate:?}") {
            wrong.push(format!("{name}: {found} instead of {fate:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    ledger::assert_exactly(&rig.client, &paid).await;

    let counted = "SELECT other_type, tombstone, duplicate FROM makegood.consumer_positions";
    let row = rig.client.query_one(counted, &[]).await.unwrap();
    let counters: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
    assert_eq!(counters, [4, 0, 1], "other types, tombstones, duplicates");
    assert!(expected.values().filter(|(_, fate)| *fate == Fate::Applied).count() > 30);
}

/// Whether the tests of this program have one of that name.
fn is_a_test(name: &str) -> bool {
    fn is_in(folder: &Path, words: &str) -> bool {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().any(|path| match path.is_dir() {
            true => is_in(&path, words),
            false => std::fs::read_to_string(&path).is_ok_and(|text| text.contains(words)),
        })
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    is_in(&folder, &format!("async fn {name}()"))
}

#[tokio::test(flavor = "multi_thread")]
async fn header_names_that_are_no_text_neither_stop_nor_lose_anything() {
    let rig = Rig::new(1).await;
    let payment = Payment::new(1);
    let strange = |value: &[u8], timestamp_ms| Record {
        headers: vec![
            Header { name: b"caf\xe9 \xff\xfe".to_vec(), value: Some(vec![0xff, 0]) },
            Header { name: b"\xc0\xaf".to_vec(), value: None },
            Header { name: Vec::new(), value: Some(Vec::new()) },
        ],
        timestamp_ms,
        ..raw(Some(b"\xffkey"), Some(value))
    };
    // The second has no timestamp either, which brokers take as -1.
    let records =
        [strange(payment.json().as_bytes(), Some(1_767_804_909_000)), strange(b"broken", None)];
    wire::produce(&rig.world.kafka.bootstrap(), &rig.topic, 0, &records[..1]);
    wire::produce(&rig.world.kafka.bootstrap(), &rig.topic, 0, &records[1..]);
    let behind = Payment::new(2);
    rig.pay(std::slice::from_ref(&behind)).await;

    let mut daemon = rig.daemon();
    rig.caught_up().await;
    let [first, second] = records;
    let put_away = quarantined(&rig, &BTreeMap::from([(0, first), (1, second)])).await;
    assert!(put_away.keys().eq([&1]), "{:?}", put_away.keys());
    assert!(put_away[&1].get::<_, bool>(11), "a record without a timestamp has none");
    ledger::assert_exactly(&rig.client, &[payment, behind]).await;
    assert_eq!(daemon.ended(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_refuses_is_found_among_good_records_and_the_rest_is_applied_in_order() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases
                 ADD CONSTRAINT dear CHECK (amount < 1000),
                 ADD COLUMN made bigint GENERATED ALWAYS AS IDENTITY,
                 ALTER COLUMN currency TYPE varchar(3);
             CREATE TABLE courses (id uuid PRIMARY KEY);
             CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 -- Stands for a column that got too narrow for some values.
                 IF NEW.currency = 'WWW' THEN NEW.currency := 'WIDE'; END IF;
                 -- And for a conversion that some values do not pass.
                 IF NEW.currency = 'NNN' THEN PERFORM NEW.currency::integer; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER fill BEFORE INSERT ON student_course_purchases
                 FOR EACH ROW EXECUTE FUNCTION fill()",
        )
        .await
        .unwrap();
    let mut paid = payments(120);
    let culprits = BTreeMap::from([
        (0, "23514"),
        (1, "23503"),
        (37, "22001"),
        (38, "22P02"),
        (64, "23514"),
        (101, "23503"),
        (118, "22001"),
    ]);
    for (at, sqlstate) in &culprits {
        match *sqlstate {
            "23514" => paid[*at].amount = "1000.00".to_owned(),
            "22001" => paid[*at].currency = "WWW".to_owned(),
            "22P02" => paid[*at].currency = "NNN".to_owned(),
            _ => {}
        }
    }
    for (at, payment) in paid.iter().enumerate() {
        if culprits.get(&at) != Some(&"23503") {
            let sql = "INSERT INTO courses VALUES ($1)";
            rig.client.execute(sql, &[&payment.course]).await.unwrap();
        }
    }
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases ADD FOREIGN KEY (course_id) REFERENCES courses",
        )
        .await
        .unwrap();
    let records: Vec<Record> = paid.iter().map(Payment::record).collect();
    let sent = send_all(&rig, &records).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;

    let found: BTreeMap<usize, String> = quarantined(&rig, &sent)
        .await
        .iter()
        .map(|(offset, row)| {
            assert_eq!(row.get::<_, &str>("reason"), "refused");
            (*offset as usize, row.get::<_, String>("sqlstate"))
        })
        .collect();
    assert!(found.iter().map(|(at, s)| (*at, s.as_str())).eq(culprits.clone()), "{found:?}");
    let good: Vec<Payment> = (0..paid.len())
        .filter(|at| !culprits.contains_key(at))
        .map(|at| paid[at].clone())
        .collect();
    ledger::assert_exactly(&rig.client, &good).await;
    // What stands on either side of a culprit is in the order it was sent.
    let made: BTreeMap<uuid::Uuid, i64> = rig
        .client
        .query("SELECT payment_id, made FROM student_course_purchases", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let order = |at: usize| made[&paid[at].id];
    assert!((2..37).all(|at| order(at) < order(39)), "37 and 38 are between them");
    assert!((39..64).all(|at| order(at) < order(65)));
    assert!((65..101).all(|at| order(at) < order(102)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_in_quarantine_already_is_no_second_case() {
    let rig = Rig::new(1).await;
    let (rejected, refused) = (Payment::new(1), Payment::new(2));
    let bad = [
        with_field(&rejected.json(), "amount", "\"-1\""),
        with_field(&refused.json(), "courseId", "\"c-17\""),
    ]
    .map(|value| raw(None, Some(value.as_bytes())));
    let paid = payments(3);
    let mut daemon = rig.daemon();
    for (round, good) in paid.iter().enumerate() {
        // The first two times to the same daemon, in two batches; then to its successor.
        if round == 2 {
            // In order: one that is killed may read some of them again.
            daemon.stop();
            daemon = rig.daemon();
        }
        send_all(&rig, &bad).await;
        rig.pay(std::slice::from_ref(good)).await;
        rig.caught_up().await;
        assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 2, "{round}");
    }
    ledger::assert_exactly(&rig.client, &paid).await;
    let counters = "SELECT quarantined * 100 + duplicate FROM makegood.consumer_positions";
    assert_eq!(rig.number(counters).await, 204, "two are in quarantine, four came again");
    // Once somebody has resolved it, the next one is a case again.
    let resolve = "UPDATE makegood.quarantine SET resolved_at = now(), resolution = 'discarded'";
    rig.client.batch_execute(resolve).await.unwrap();
    send_all(&rig, &bad).await;
    rig.caught_up().await;
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_nothing_but_poison_blocks_nobody() {
    let rig = Rig::new(1).await;
    let poison: Vec<Record> =
        (0..600).map(|n| raw(None, Some(format!("poison {n}").as_bytes()))).collect();
    let paid = payments(2);
    let daemon = rig.daemon_with("batch = { rows = 100 }");
    rig.pay(&paid[..1]).await;
    let sent = send_all(&rig, &poison).await;
    rig.pay(&paid[1..]).await;
    rig.caught_up().await;
    assert_eq!(quarantined(&rig, &sent).await.len(), 600);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert!(!daemon.log().contains("held:"), "poison is no reason to hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_among_old_ones_is_judged_once_another_partition_makes_a_purchase() {
    let rig = Rig::new(2).await;
    let paid = payments(30);
    rig.pay_to(Some(0), &paid[..20]).await;
    let daemon = rig.daemon();
    rig.caught_up().await;
    daemon.stop();
    // Read again, every good record is known; so nothing in the batch can show that the world works.
    let bad = &paid[20];
    let check = format!(
        "ALTER TABLE student_course_purchases ADD CONSTRAINT c CHECK (course_id <> '{}')",
        bad.course
    );
    rig.client.batch_execute(&check).await.unwrap();
    rig.pay_to(Some(0), std::slice::from_ref(bad)).await;
    rig.commit_as_another_worker(0, 0);
    let _daemon = rig.daemon();
    let why = held(&rig).await;
    assert!(why.reason.contains("23514"), "{why:?}");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 0);
    rig.pay_to(Some(1), &paid[21..]).await;
    eventually("the bad record to be judged", || async {
        (rig.number("SELECT count(*) FROM makegood.quarantine_open").await == 1).then_some(())
    })
    .await;
    rig.caught_up().await;
    let good: Vec<_> = paid.iter().filter(|p| p.id != bad.id).cloned().collect();
    ledger::assert_exactly(&rig.client, &good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_value_is_a_tombstone_only_where_the_log_is_compacted() {
    let rig = Rig::new(1).await;
    let _daemon = rig.daemon();
    rig.send(&raw(Some(b"k"), None)).await;
    rig.caught_up().await;
    let row = rig.client.query_one("SELECT reason, detail FROM makegood.quarantine_open", &[]);
    let row = row.await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "no_value");
    assert!(row.get::<_, &str>(1).contains("cleanup.policy = delete"), "{row:?}");
    // A replay does not wish it away.
    rig.client
        .query("SELECT makegood.replay(id) FROM makegood.quarantine_open", &[])
        .await
        .unwrap();
    let ended = "SELECT count(*) FROM makegood.decisions WHERE finished_at IS NOT NULL";
    eventually("the replay", || async { (rig.number(ended).await == 1).then_some(()) }).await;
    let open = "SELECT count(*) FROM makegood.quarantine_open";
    assert_eq!(rig.number(open).await, 1);
    let verdict = "SELECT count(*) FROM makegood.status WHERE verdict = 'quarantine'";
    eventually("the verdict", || async { (rig.number(verdict).await == 1).then_some(()) }).await;
    let topic = AlterConfig::new(ResourceSpecifier::Topic(&rig.topic));
    let both = topic.set("cleanup.policy", "compact,delete");
    rig.admin().alter_configs([&both], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    eventually("the broker to say so", || async {
        let settings = topic_config::settings(&rig.kafka(), &rig.topic, PATIENCE).await.unwrap();
        settings["cleanup.policy"].contains("compact").then_some(())
    })
    .await;
    rig.send(&raw(Some(b"k"), None)).await;
    rig.caught_up().await;
    let counted = "SELECT tombstone FROM makegood.consumer_positions";
    assert_eq!((rig.number(counted).await, rig.number(open).await), (1, 1));
}
