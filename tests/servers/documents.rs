//! What the documents tell a reader to type is typed, in its order, and does what they say.
//!
//! `MAKEGOOD_TEST_DOCUMENT=tutorial` types only those documents whose name has that in it, and what they go on from.

use std::fs;
use std::sync::OnceLock;

use lab::servers::postgres::PrivatePostgres;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio_postgres::Client;

use super::support::document::{commands, root};
use super::support::eventually;
use super::support::reader::Machine;
use super::support::world::{HOST_TABLES, connect, world};

/// What a document's reader has before the first line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// Servers, and an empty database.
    Empty,
    /// A database with the shop's tables.
    Shop,
    /// What README.md leads to.
    Installed,
    /// The same without a daemon, and with a kafkajs worker that has made a purchase.
    Worker,
}

/// Every document with commands that can be typed here, in the order in which they are typed.
const TYPED: &[(&str, Begins)] = &[
    ("docs/tutorial.md", Begins::Empty),
    ("docs/how-to/debian.md", Begins::Shop),
    ("README.md", Begins::Shop),
    ("docs/how-to/payment-side.md", Begins::Installed),
    ("docs/how-to/take-over.md", Begins::Worker),
    ("docs/how-to/quarantine.md", Begins::Installed),
    ("docs/how-to/backfill-a-day.md", Begins::Installed),
    ("docs/how-to/two-daemons.md", Begins::Installed),
    ("docs/how-to/upgrade.md", Begins::Installed),
    ("docs/how-to/restore.md", Begins::Installed),
    ("docs/how-to/second-event.md", Begins::Installed),
    ("docs/how-to/support.md", Begins::Installed),
    ("docs/how-to/rights.md", Begins::Installed),
    ("docs/how-to/reset-offsets.md", Begins::Installed),
    ("docs/runbook.md", Begins::Installed),
];

const TOPIC: &str = "purchase-confirmed";
/// The reader's shell knows where the servers are.
const KNOWN: &str = "
    export DATABASE_URL=postgres://makegood_app:PASSWORD@localhost/shop KAFKA_BOOTSTRAP_SERVERS=localhost:9092";
/// The service runs.
const STARTED: &str = "
    systemctl start makegood
    for again in $(seq 200); do case $(makegood status) in ok:*) break ;; esac; sleep 0.1; done";
/// The worker runs, and has made the purchase of a payment.
const WORKS: &str = r#"
    systemctl start purchase-worker
    ID=44444444-4444-4444-8444-444444444444
    psql -q -d shop -c "INSERT INTO payments (id, student_id, course_id, amount, currency) VALUES ('$ID', '$ID', '$ID', 499.00, 'INR')"
    node -e "
      const { Kafka, Partitioners } = require('kafkajs');
      const kafka = new Kafka({ brokers: ['localhost:9092'] });
      const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
      const data = { paymentId: '$ID', studentId: '$ID', courseId: '$ID', amount: '499.00', currency: 'INR' };
      const value = JSON.stringify({ eventType: 'PURCHASE_CONFIRMED', eventId: '$ID', occurredAt: new Date(), data });
      producer.connect().then(() => producer.send({ topic: 'purchase-confirmed', messages: [{ key: '$ID', value }] }))
        .then(() => producer.disconnect());"
    for again in $(seq 200); do grep -q "^made" worker.log && break; sleep 0.1; done; grep "^made" worker.log"#;
/// What makes the `Installed` of those behind it.
const INSTALLS: &str = "README.md";

/// A cluster of the documents' own, for roles are a whole cluster's.
async fn postgres() -> &'static PrivatePostgres {
    static POSTGRES: OnceLock<PrivatePostgres> = OnceLock::new();
    let start = || POSTGRES.get_or_init(|| PrivatePostgres::start(false).expect("a PostgreSQL"));
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Puts the servers into the state that a document begins with.
async fn begin(admin: &Client, begins: Begins) {
    let rows = admin.query(
        "SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template.*|installed)$'",
        &[],
    );
    for row in rows.await.unwrap() {
        let drop = format!("DROP DATABASE \"{}\" WITH (FORCE)", row.get::<_, String>(0));
        admin.batch_execute(&drop).await.unwrap();
    }
    if matches!(begins, Begins::Installed | Begins::Worker) {
        eventually("a copy of the installed database", || async {
            admin.batch_execute("CREATE DATABASE shop TEMPLATE installed").await.ok()
        })
        .await;
        return topic_anew(true).await;
    }
    let roles = "SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$)'";
    for row in admin.query(roles, &[]).await.unwrap() {
        let role: String = row.get(0);
        admin.batch_execute(&format!("DROP ROLE \"{role}\"")).await.unwrap();
    }
    admin.batch_execute("CREATE DATABASE shop").await.unwrap();
    if begins == Begins::Shop {
        let shop = postgres().await.url("shop");
        connect(&shop).await.batch_execute(HOST_TABLES).await.unwrap();
    }
    topic_anew(begins == Begins::Shop).await;
}

/// The topic without a message, if it is there already.
async fn topic_anew(there: bool) {
    let kafka: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", world().await.kafka.bootstrap())
        .create()
        .unwrap();
    let options = AdminOptions::new();
    let _ = kafka.delete_topics(&[TOPIC], &options).await;
    let _ = kafka.delete_groups(&["purchase-creation-workers"], &options).await;
    if !there {
        return;
    }
    eventually("the topic anew", || async {
        let topic = NewTopic::new(TOPIC, 3, TopicReplication::Fixed(1));
        let made = kafka.create_topics([&topic], &options).await.unwrap();
        made[0].as_ref().is_ok().then_some(())
    })
    .await;
}

/// Types a document, and says where it is not as it says.
fn type_out(machine: &Machine, name: &str, begins: Begins) -> Result<(), String> {
    let text = fs::read_to_string(root().join(name)).unwrap();
    let mut shell = machine.shell();
    let before: &[&str] = match begins {
        Begins::Installed => &[KNOWN, STARTED],
        Begins::Worker => &[KNOWN, WORKS],
        Begins::Empty | Begins::Shop => &[],
    };
    for commands in before {
        let (worked, said) = shell.types(commands);
        if !worked {
            return Err(said);
        }
    }
    let started = std::time::Instant::now();
    for block in commands(&text).iter().filter(|block| block.not_run().is_none()) {
        shell.follows(block).map_err(|why| {
            let log = fs::read_to_string(machine.clone.join("makegood.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            format!("{name}:{}: {why}\n{}", block.line, tail.join("\n"))
        })?;
    }
    println!("{name} took {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_works_as_typed() {
    let wanted = std::env::var("MAKEGOOD_TEST_DOCUMENT").unwrap_or_default();
    let (postgres, kafka) = (postgres().await, &world().await.kafka);
    let admin = connect(&postgres.url("postgres")).await;
    let mut wrong = Vec::new();
    for (name, begins) in TYPED {
        let needed = *name == INSTALLS && !"tutorial debian".contains(&wanted);
        if !needed && !name.contains(&wanted) {
            continue;
        }
        begin(&admin, *begins).await;
        let machine = Machine::new(&postgres.url(""), &kafka.bootstrap());
        let (name, begins) = (*name, *begins);
        let typed = tokio::task::spawn_blocking(move || type_out(&machine, name, begins));
        wrong.extend(typed.await.unwrap().err());
        if name == INSTALLS {
            // Whoever was connected is gone with the shell, or is about to be.
            eventually("the installed database to be put aside", || async {
                let rename = "ALTER DATABASE shop RENAME TO installed";
                admin.batch_execute(rename).await.ok()
            })
            .await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
