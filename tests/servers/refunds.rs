//! Another event and another table: a refund closes an enrolment, and paid, refunded and paid again come to the same in
//! every order and however often, by the mapping in `examples/refunds`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use uuid::Uuid;

use crate::commands::{run, stderr, stdout};
use crate::support::daemon::{Daemon, command};
use crate::support::events::raw;
use crate::support::eventually;
use crate::support::http::{address, get};
use crate::support::rig::Rig;

const TABLES: &str = include_str!("../../examples/refunds/tables.sql");
const PURCHASE: &str = include_str!("../../sql/purchases/apply.sql");
const REFUND: &str = include_str!("../../examples/refunds/apply.sql");

/// What happened to a student's course, in any order and however often; and which payments' enrolments are open then.
const TRUTH: [(&str, &[&str]); 7] = [
    ("paid", &["first"]),
    ("refunded", &[]),
    ("paid again", &["second"]),
    ("paid, refunded", &[]),
    ("paid, paid again", &["first", "second"]),
    ("refunded, paid again", &["second"]),
    ("paid, refunded, paid again", &["second"]),
];
const EVENTS: [&str; 3] = ["paid", "refunded", "paid again"];

/// A student's course: what happened, one after the other.
#[derive(Clone)]
struct History {
    events: Vec<&'static str>,
    student: Uuid,
    first: Uuid,
    second: Uuid,
}

impl History {
    fn has(&self, event: &str) -> bool {
        self.events.contains(&event)
    }

    fn payment(&self, event: &str) -> Uuid {
        if event == "paid again" { self.second } else { self.first }
    }

    /// Each repetition is an event of its own id.
    fn json(&self, event: &str, id: Uuid) -> String {
        let name = if event == "refunded" { "REFUND_CONFIRMED" } else { "PURCHASE_CONFIRMED" };
        format!(
            r#"{{"eventId":"{id}","eventType":"{name}","occurredAt":"2026-01-07T16:55:09Z","data":{{"paymentId":"{}","studentId":"{}","courseId":"{}","amount":"499.00","currency":"INR"}}}}"#,
            self.payment(event),
            self.student,
            self.student
        )
    }

    /// Which of its payments' enrolments the truth table says are open.
    fn open(&self) -> BTreeSet<Uuid> {
        let facts: Vec<&str> = EVENTS.into_iter().filter(|event| self.has(event)).collect();
        let facts = facts.join(", ");
        let truth = TRUTH.iter().find(|(happened, _)| *happened == facts);
        let which = truth.unwrap_or_else(|| panic!("no truth for {facts}")).1.iter();
        which.map(|which| if *which == "first" { self.first } else { self.second }).collect()
    }
}

/// Every order of so many events, repetitions included.
fn histories(lengths: impl Iterator<Item = u32>) -> Vec<History> {
    let history = |length: u32, number: usize| {
        let event = |at: u32| EVENTS[number / 3_usize.pow(at) % 3];
        let [student, first, second] = [(); 3].map(|()| Uuid::new_v4());
        History { events: (0..length).map(event).collect(), student, first, second }
    };
    lengths
        .flat_map(|length| (0..3_usize.pow(length)).map(move |n| (length, n)))
        .map(|(length, number)| history(length, number))
        .collect()
}

/// The open enrolments of each student.
async fn open(rig: &Rig) -> BTreeMap<Uuid, BTreeSet<Uuid>> {
    let rows = rig.client.query("SELECT student_id, payment_id FROM open_enrolments", &[]).await;
    let mut open: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
    for row in rows.unwrap() {
        open.entry(row.get(0)).or_default().insert(row.get(1));
    }
    open
}

fn right(histories: &[History]) -> BTreeMap<Uuid, BTreeSet<Uuid>> {
    let open = histories.iter().map(|history| (history.student, history.open()));
    open.filter(|(_, open)| !open.is_empty()).collect()
}

/// Runs a mapping's statement on events of one kind, as one batch; returns the outcomes.
async fn apply(rig: &Rig, event: &str, batch: &[&History]) -> Vec<String> {
    let ids: Vec<Uuid> = batch.iter().map(|_| Uuid::new_v4()).collect();
    let payments: Vec<Uuid> = batch.iter().map(|history| history.payment(event)).collect();
    let students: Vec<Uuid> = batch.iter().map(|history| history.student).collect();
    let (amounts, currencies) = (vec!["499.00"; batch.len()], vec!["INR"; batch.len()]);
    let (faults, times): (Vec<Option<&str>>, _) =
        (vec![None; batch.len()], vec![std::time::SystemTime::UNIX_EPOCH; batch.len()]);
    // The test's client knows no numeric.
    let rows = match event {
        "refunded" => {
            let sql = REFUND.replace("$5::numeric[]", "$5::text[]::numeric[]");
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                [&ids, &times, &faults, &payments, &amounts, &currencies, &times];
            rig.client.query(&sql, &params).await
        }
        _ => {
            let sql = PURCHASE.replace("$7::numeric[]", "$7::text[]::numeric[]");
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
                &ids,
                &times,
                &faults,
                &payments,
                &students,
                &students,
                &amounts,
                &currencies,
                &times,
            ];
            rig.client.query(&sql, &params).await
        }
    };
    let rows = rows.unwrap();
    assert_eq!(rows.len(), batch.len(), "a row for each event");
    rows.iter().map(|row| row.get("outcome")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_paid_refunded_and_paid_again_comes_to_what_the_truth_table_says() {
    let rig = Rig::new(1).await;
    rig.client.batch_execute(TABLES).await.unwrap();
    // One event at a time.
    let alone = histories(1..=5);
    assert_eq!(alone.len(), 363);
    for history in &alone {
        for (at, event) in history.events.iter().enumerate() {
            let outcomes = apply(&rig, event, &[history]).await;
            let is_new = !history.events[..at].contains(event);
            assert_eq!(outcomes, [if is_new { "applied" } else { "already" }]);
        }
    }
    assert_eq!(open(&rig).await, right(&alone));
    // The same events in batches: what all students have at one place, and then all of it twice in one batch.
    let together = histories(4..=4);
    for (place, twice) in (0..4).map(|at| (at..at + 1, 1)).chain([(0..4, 2)]) {
        for event in EVENTS {
            let batch: Vec<&History> = (together.iter())
                .flat_map(|h| place.clone().map(move |at| (h, h.events[at])))
                .filter(|(_, is)| *is == event)
                .flat_map(|(history, _)| vec![history; twice])
                .collect();
            apply(&rig, event, &batch).await;
        }
    }
    let all: Vec<History> = alone.into_iter().chain(together).collect();
    assert_eq!(open(&rig).await, right(&all));
}

/// The commands in the example's configuration, and its folder, as a reader follows them.
async fn mappings(rig: &Rig) -> (String, String) {
    let purchases = rig.path("purchases");
    let into = purchases.to_str().unwrap().to_owned();
    let written = run(rig, &["mapping", "new", "--into", &into]).await;
    assert!(written.status.success(), "{}", stderr(&written));
    let text = include_str!("../../examples/refunds/makegood.toml");
    let sed = text.lines().find_map(|line| line.strip_prefix("#   sed ")).unwrap();
    let sed = format!("sed {}", sed.replace("purchases/apply.sql", &format!("{into}/apply.sql")));
    assert!(std::process::Command::new("sh").args(["-ec", &sed]).status().unwrap().success());
    let edited = fs::read_to_string(purchases.join("apply.sql")).unwrap();
    assert!(edited.contains("payments(status) succeeded, refunded\n"), "{edited}");
    assert!(!edited.contains("makegood: refunded"), "{edited}");
    (into, format!("{}/examples/refunds", env!("CARGO_MANIFEST_DIR")))
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_close_enrolments_over_one_topic_and_over_their_own_and_what_was_lost_is_found() {
    let rig = Rig::new(2).await;
    rig.client.batch_execute(TABLES).await.unwrap();
    let own = format!("{}-refunds", rig.topic);
    let topic = NewTopic::new(&own, 1, TopicReplication::Fixed(1));
    rig.admin().create_topics([&topic], &AdminOptions::new()).await.unwrap();
    let (purchases, refunds) = mappings(&rig).await;
    let route = |name: &str, topic: &str| {
        format!(
            "[[inbox]]\nname = \"{name}\"\ntopic = \"{topic}\"\ngroup = \"{}-{name}\"\n\
             event_type = \"REFUND_CONFIRMED\"\nother_types = [\"*\"]\nmapping = \"{refunds}\"\n",
            rig.group
        )
    };
    let more = route("refunds", &rig.topic) + &route("own", &own);
    let first = format!("mapping = \"{purchases}\"\nverify_payment = true\nother_types = [\"*\"]");
    let config = rig.config_file(&rig.url(), &first, &more);
    let mut all = histories(1..=3);
    for history in &all {
        pay(&rig, history).await;
    }
    let daemon = Daemon::start(&config, 0);
    for (number, history) in all.iter().enumerate() {
        for event in &history.events {
            let json = history.json(event, Uuid::new_v4());
            match number % 2 {
                0 => _ = rig.send(&raw(None, Some(json.as_bytes()))).await,
                // By the outbox, the refunds into their own topic.
                _ => {
                    let is_refund = *event == "refunded";
                    let topic = if is_refund { &own } else { &rig.topic };
                    let kind = if is_refund { "REFUND_CONFIRMED" } else { "PURCHASE_CONFIRMED" };
                    let sql = "SELECT makegood.publish($1, $2, $3, $4::text::jsonb)";
                    let key = history.student.to_string();
                    rig.client.query(sql, &[topic, &key, &kind, &json]).await.unwrap();
                }
            }
        }
    }
    come_to(&rig, &all).await;
    // Of these no event came at all: their payments' own words are found, by the job of each route, which nobody configured.
    let lost = histories(2..=2);
    for history in &lost {
        pay(&rig, history).await;
    }
    all.extend(lost);
    rig.client
        .batch_execute("UPDATE payments SET updated_at = updated_at - interval '1 hour'")
        .await
        .unwrap();
    for job in ["purchases", "refunds"] {
        rig.client.query("SELECT makegood.reconcile($1)", &[&job]).await.unwrap();
    }
    come_to(&rig, &all).await;
    let closed = rig.number("SELECT count(*) FROM makegood.findings WHERE kind = 'missing' AND job IN ('refunds', 'own') AND resolution = 'made_good'");
    assert!(closed.await > 0, "{}", daemon.log());
    let contradictions =
        "SELECT count(*) FROM makegood.findings WHERE kind NOT IN ('missing', 'gone')";
    assert_eq!(rig.number(contradictions).await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 0);
    // Nobody has to know which route to ask; each tells of its own row.
    let of = |facts: &[&str]| all.iter().find(|history| history.events == facts).unwrap();
    for (history, opened, closed) in [
        (
            of(&["paid"]),
            "purchases: The payment has its purchase.",
            "refunds: There is no closure, and none is due (succeeded).",
        ),
        (
            of(&["paid", "refunded"]),
            "purchases: The payment has its purchase.",
            "refunds: The payment has its closure.",
        ),
    ] {
        let output = explain(&config, &history.first.to_string()).await;
        assert!(output.contains(opened) && output.contains(closed), "{output}");
        let page = get(&address(&daemon).await, &format!("/explain?id={}", history.first)).await;
        assert!(page.body.contains(opened) && page.body.contains(closed), "{}", page.body);
    }
    let waiting = histories(1..=1).remove(1);
    pay(&rig, &waiting).await;
    drop(daemon);
    let json = waiting.json("refunded", Uuid::new_v4());
    rig.send(&raw(None, Some(json.as_bytes()))).await;
    let output = explain(&config, &waiting.first.to_string()).await;
    assert!(output.contains("refunds: There is no closure: its event waits in Kafka"), "{output}");
    let lacks = "purchases: There is no purchase, and the payment is paid (refunded): the reconciler makes it good; at once with `makegood reconcile run --job purchases --wait`.";
    assert!(output.contains(lacks), "{output}");
    let _daemon = Daemon::start(&config, 1);
    // A refund of a part closes nothing, and is put away for people.
    let part = histories(1..=1).remove(0);
    pay(&rig, &part).await;
    let json = part.json("refunded", Uuid::new_v4()).replace("499.00", "100.00");
    rig.send(&raw(None, Some(json.as_bytes()))).await;
    eventually("the part to be put away", || async {
        (rig.number("SELECT count(*) FROM makegood.quarantine").await == 1).then_some(())
    })
    .await;
    let closed = "SELECT count(*) FROM enrolment_closures WHERE amount <> 499";
    assert_eq!(rig.number(closed).await, 0);
}

/// What `makegood explain` says without being told a route.
async fn explain(config: &std::path::Path, id: &str) -> String {
    let (config, id) = (config.to_owned(), id.to_owned());
    let run = move || command().args(["explain", &id, "--config"]).arg(config).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    stdout(&output) + &stderr(&output)
}

/// Writes the payments of a history as they stand at its end.
async fn pay(rig: &Rig, history: &History) {
    let status = if history.has("refunded") { "refunded" } else { "succeeded" };
    let is_first = history.has("paid") || history.has("refunded");
    let rows = [
        (is_first, history.first, status),
        (history.has("paid again"), history.second, "succeeded"),
    ];
    for (_, id, status) in rows.into_iter().filter(|(is, ..)| *is) {
        let sql = "INSERT INTO payments (id, student_id, course_id, amount, currency, status) VALUES ($1, $2, $2, 499, 'INR', $3)";
        rig.client.execute(sql, &[&id, &history.student, &status]).await.unwrap();
    }
}

async fn come_to(rig: &Rig, histories: &[History]) {
    let right = right(histories);
    let refunded: i64 = histories.iter().filter(|history| history.has("refunded")).count() as i64;
    eventually("the enrolments to be as the truth table says", || async {
        let closed = rig.number("SELECT count(*) FROM enrolment_closures").await;
        (closed == refunded && open(rig).await == right).then_some(())
    })
    .await;
}
