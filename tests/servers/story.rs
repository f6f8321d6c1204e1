//! The story makegood comes from: an insert broken by schema drift, a group without any offset, purchases made by
//! hand. Nothing may be skipped or doubled, anybody who looks must see what is wrong, and once the table is
//! mended every purchase is made without help.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use makegood::store::mapping;
use uuid::Uuid;

use crate::commands::stdout;
use crate::reconcile::job_section;
use crate::support::daemon::{Daemon, command};
use crate::support::events::{Payment, payments};
use crate::support::holding::{PUT_AWAY, held_for, pinned, running};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const DRIFT: &str = "ALTER TABLE student_course_purchases RENAME COLUMN purchased_at TO start_date";
const MEND: &str = "ALTER TABLE student_course_purchases RENAME COLUMN start_date TO purchased_at";

/// The worker's insert named `start_date`, and then the schema was changed.
const INCIDENT: &str = "ALTER TABLE student_course_purchases ADD COLUMN start_date date;
                        ALTER TABLE student_course_purchases RENAME COLUMN start_date TO course_start_date";
/// What its log would have said, had it said anything.
const SAYS: &str = r#"column "start_date" of relation "student_course_purchases" does not exist"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_incident_ends_with_each_purchase_made_once_and_everybody_could_see_why_it_waited() {
    let rig = Rig::new(3).await;
    let config = of_the_worker(&rig);
    rig.client.batch_execute(INCIDENT).await.unwrap();
    let paid = payments(8);
    rig.record(&paid, 3600.0).await;
    rig.pay_to(Some(0), &paid[..1]).await;
    rig.pay_to(Some(2), &paid[1..7]).await;
    // The event of the last payment was never emitted. Somebody has made three purchases by hand, one of
    // them with an id that no payment has.
    let invented = Payment { id: Uuid::new_v4(), ..paid[3].clone() };
    rig.by_hand(&[paid[1].clone(), paid[2].clone(), invented.clone()]).await;
    let by_hand = purchase_ids(&rig).await;
    eventually("Kafka to say that the group has no offset", || async {
        rig.probe().committed(&[0, 1, 2]).ok()?.heard().ok()?.is_empty().then_some(())
    })
    .await;
    let doctor = says(&config, &["doctor"]).await;
    assert!(doctor.contains(SAYS) && doctor.contains(&invented.id.to_string()), "{doctor}");

    let mut daemon = Daemon::start(&config, 0);
    let seen = tokio::time::timeout(Duration::from_secs(60), async {
        eventually("kafka-consumer-groups to show an offset for each partition", || async {
            let seen = described(&rig);
            (seen.len() == 3 && seen.values().all(|row| row.is_known())).then_some(seen)
        })
        .await
    });
    let seen = seen.await.expect("real offsets within the first minute");
    for (partition, end) in [(0, 1), (1, 0), (2, 6)] {
        assert_eq!(seen[&partition], Row::new(0, end, end), "partition {partition}");
    }
    held_for(&rig, SAYS).await;
    pinned(&rig).await;
    let waits =
        "SELECT count(*) FROM makegood.reconcile_runs WHERE held LIKE 'the route is held: %'";
    eventually("the first sweep to hold with the route", || async {
        (rig.number(waits).await > 0).then_some(())
    })
    .await;
    assert_eq!(purchase_ids(&rig).await, by_hand);
    let status = says(&config, &["status"]).await;
    assert!(status.starts_with("purchases: held for ") && status.contains(SAYS), "{status}");
    assert!(daemon.log().contains("RENAME COLUMN course_start_date TO start_date"));

    // What it printed is what mends the table, and then what links the purchase made by hand.
    rig.client.batch_execute(statement(&status, "ALTER TABLE")).await.unwrap();
    held_for(&rig, &invented.id.to_string()).await;
    pinned(&rig).await;
    assert_eq!(purchase_ids(&rig).await, by_hand);
    let status = says(&config, &["status"]).await;
    assert!(status.contains("makegood run --confirm purchases"), "{status}");
    rig.client.batch_execute(statement(&status, "UPDATE ")).await.unwrap();

    rig.caught_up().await;
    running(&rig).await;
    rig.swept().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let now = purchase_ids(&rig).await;
    assert!(by_hand.iter().all(|id| now.contains(id)), "a purchase made by hand was replaced");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    let unpurchased = "SELECT count(*) FROM makegood.paid_not_purchased";
    eventually("no payment to be without its purchase", || async {
        (rig.number(unpurchased).await == 0).then_some(())
    })
    .await;
    eventually("kafka-consumer-groups to show no lag", || async {
        let seen = described(&rig);
        let wanted = [(0, 1), (1, 0), (2, 6)].map(|(p, end)| (p, Row::new(end, end, 0)));
        (seen == BTreeMap::from(wanted)).then_some(())
    })
    .await;
    assert_eq!(daemon.ended(), None, "it was the same daemon all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_the_drift_ends_in_the_same() {
    let rig = Rig::new(3).await;
    let first = rig.quick_daemon("");
    rig.reads(&first).await;
    rig.client.batch_execute(DRIFT).await.unwrap();
    let paid = payments(5);
    rig.pay(&paid[..3]).await;
    assert_held(&rig).await;
    // Restarted the hard way and the soft way, as people do when something does not work.
    drop(first);
    let mut second = rig.quick_daemon("");
    eventually("the reason in the log", || async {
        second.log().contains("purchased_at").then_some(())
    })
    .await;
    rig.pay(&paid[3..]).await;
    second.signal("TERM");
    assert!(second.wait(Duration::from_secs(20)).success());
    let third = rig.quick_daemon("");
    assert_held(&rig).await;
    eventually("the daemon to be a member with all partitions", || async {
        let worker = rig.worker(&third).await?;
        (worker.state == "held" && worker.partitions.len() == 3).then_some(())
    })
    .await;
    assert_eq!(ledger::count(&rig.client).await, 0);
    rig.client.batch_execute(MEND).await.unwrap();
    rig.caught_up().await;
    running(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    rig.reads(&third).await;
    eventually("Kafka to know", || async { (rig.committed() == rig.log_ends()).then_some(()) })
        .await;
    assert_eq!(rig.number(PUT_AWAY).await, 0);
}

/// Red, with the column named; nothing made, nothing judged.
async fn assert_held(rig: &Rig) {
    let why = held_for(rig, "purchased_at").await;
    assert!(why.advice.contains("start_date"), "the advice names no column: {why:?}");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine_open").await, 0);
    assert_eq!(ledger::count(&rig.client).await, 0);
}

/// A configuration with a mapping that inserts what the worker of the story did.
fn of_the_worker(rig: &Rig) -> PathBuf {
    let folder = rig.path("mapping");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in mapping::FILES {
        let text = match name {
            "apply.sql" => text
                .replace("event_id, purchased_at)", "event_id, purchased_at, start_date)")
                .replace(
                    "event_id, purchased_at\n    FROM good",
                    "event_id, purchased_at, purchased_at::date AS start_date\n    FROM good",
                ),
            _ => text.to_owned(),
        };
        assert!(name != "apply.sql" || text.matches("start_date").count() == 2);
        std::fs::write(folder.join(name), text).unwrap();
    }
    let route = format!("mapping = \"{}\"", folder.display());
    rig.config_file(&rig.url(), &route, &job_section(""))
}

/// What a command prints.
async fn says(config: &Path, args: &[&str]) -> String {
    let mut command = command();
    command.args(args).arg("--config").arg(config);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    stdout(&output)
}

/// The first statement in a text that begins so.
fn statement<'a>(text: &'a str, begins: &str) -> &'a str {
    let from = text.find(begins).unwrap_or_else(|| panic!("no {begins} in {text}"));
    let rest = &text[from..];
    &rest[..=rest.find(';').unwrap()]
}

async fn purchase_ids(rig: &Rig) -> Vec<Uuid> {
    let rows = rig.client.query("SELECT id FROM student_course_purchases ORDER BY id", &[]).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// A partition as `kafka-consumer-groups --describe` shows it; `None` for `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    current: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    has_member: bool,
}

impl Row {
    fn new(current: i64, end: i64, lag: i64) -> Row {
        Row { current: Some(current), end: Some(end), lag: Some(lag), has_member: true }
    }

    fn is_known(&self) -> bool {
        self.current.is_some() && self.has_member
    }
}

/// Runs Kafka's own tool, and reads what a person would.
fn described(rig: &Rig) -> BTreeMap<i32, Row> {
    let said = tokio::task::block_in_place(|| rig.group_tool(&["--describe"]));
    eprintln!("{said}");
    let mut seen = BTreeMap::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [group, topic, partition, current, end, lag, member, ..] = words[..]
            && group == rig.group
            && topic == rig.topic
        {
            let row = Row {
                current: current.parse().ok(),
                end: end.parse().ok(),
                lag: lag.parse().ok(),
                has_member: member.starts_with("makegood-"),
            };
            seen.insert(partition.parse().unwrap(), row);
        }
    }
    seen
}
