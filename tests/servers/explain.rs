//! Promise: whoever asks for a payment in the middle of an incident is told what is known, where it stopped, and what
//! could not be looked at; never more than that.

use makegood::store::mapping::FILES;
use serde_json::Value;
use uuid::Uuid;

use crate::commands::{run, stderr, stdout};
use crate::doctor::in_payments;
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::http::{address, get, get_with};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Nobody listens there.
const AWAY: &str = "postgres://nobody@127.0.0.1:1/pay?sslmode=disable";

async fn explain(rig: &Rig, id: &str) -> String {
    let output = run(rig, &["explain", id]).await;
    stdout(&output) + &stderr(&output)
}

async fn sql(rig: &Rig, id: &str) -> Vec<(String, String)> {
    let rows = rig.client.query("SELECT part, what FROM makegood.explain($1)", &[&id]).await;
    rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_payment_stopped_is_told_while_nothing_works() {
    let rig = Rig::new(2).await;
    let paid = payments(4);
    let id = |at: usize| paid[at].id.to_string();
    in_payments(&rig, &paid).await;
    let daemon = rig.daemon();
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    drop(daemon);
    // One is only in Kafka, one only in the outbox, one has failed.
    rig.pay(&paid[1..2]).await;
    let publish = "SELECT makegood.publish($1, $2, 'PURCHASE_CONFIRMED', $3::text::jsonb)";
    rig.client.query_one(publish, &[&rig.topic, &id(2), &paid[2].json()]).await.unwrap();
    let fails = "UPDATE payments SET status = 'FAILED' WHERE id = $1";
    rig.client.execute(fails, &[&paid[3].id]).await.unwrap();

    let told = explain(&rig, &id(1)).await;
    assert!(told.contains("waits in Kafka") && told.contains("offset"), "{told}");
    assert!(told.contains(&rig.topic), "{told}");
    let told = explain(&rig, &id(2)).await;
    assert!(told.contains("has not got to Kafka yet"), "{told}");
    assert!(sql(&rig, &id(2)).await.contains(&("outbox".to_owned(), "pending".to_owned())));
    let told = explain(&rig, &id(3)).await;
    assert!(told.contains("none is due") && told.contains("FAILED"), "{told}");
    let told = explain(&rig, &Uuid::new_v4().to_string()).await;
    assert!(told.contains("nothing is known of"), "{told}");
    let kafka = format!("[kafka]\nbootstrap_servers = \"{}\"", rig.world.kafka.bootstrap());
    let deaf = rig
        .config(&rig.url(), "", "")
        .replace(&kafka, "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"");
    let told = told_by(&rig, deaf, &id(1)).await;
    assert!(told.contains("not looked at: Kafka"), "{told}");
    assert!(!told.contains("waits in Kafka"), "{told}");

    // A file of the mapping is unfit: what it reads is not known, and the rest is.
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases RENAME purchased_at TO purchased_on")
        .await
        .unwrap();
    let told = explain(&rig, &id(0)).await;
    assert!(told.contains("not looked at: the purchase"), "{told}");
    assert!(told.contains("applied") && !told.contains("There is no purchase"), "{told}");
    let told = explain(&rig, &id(1)).await;
    assert!(told.contains("not known whether there is a purchase"), "{told}");
    assert!(told.contains("waits in Kafka"), "{told}");
    assert!(told.contains("succeeded"), "the payment is shown: {told}");
}

async fn told_by(rig: &Rig, config: String, id: &str) -> String {
    let path = rig.path(&format!("explain-{}.toml", Uuid::new_v4().simple()));
    std::fs::write(&path, config).unwrap();
    let id = id.to_owned();
    let wait = move || command().arg("explain").arg(id).arg("--config").arg(path).output();
    let output = tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
    stdout(&output) + &stderr(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payments_database_that_is_away_hides_the_payment_and_no_more() {
    let rig = Rig::new(1).await;
    let more = format!(
        "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\nsource = \"payments\"\n\
         [outbox]\ndatabase = \"payments\"\n[databases.payments]\nurl = \"{AWAY}\"\n"
    );
    let config = rig.config(&rig.url(), "", &more);
    let path = rig.path("away.toml");
    std::fs::write(&path, &config).unwrap();
    let daemon = crate::support::daemon::Daemon::start(&path, 0);
    let paid = payments(1);
    rig.pay(&paid).await;
    eventually("the purchase", || async { (ledger::count(&rig.client).await == 1).then_some(()) })
        .await;
    let id = paid[0].id.to_string();
    let told = told_by(&rig, config.clone(), &id).await;
    assert!(told.contains("There is a purchase"), "{told}");
    assert!(!told.contains("no payment for it"), "{told}");
    for unseen in ["not looked at: the payment", "not looked at: the outbox"] {
        assert!(told.contains(unseen), "{unseen}: {told}");
    }
    let page = get(&address(&daemon).await, &format!("/explain?id={id}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("There is a purchase"), "{}", page.body);
    assert!(page.body.contains("not looked at: the payment"), "{}", page.body);
    assert!(!page.body.contains("no payment for it"), "{}", page.body);
    let unknown = told_by(&rig, config, &Uuid::new_v4().to_string()).await;
    assert!(unknown.contains("where it could be looked"), "{unknown}");
}

const SUPPORT: &str = include_str!("../../examples/support/lookup.sql");
/// What the example's lookup.sql names, beside the usual tables.
const STUDENTS: &str = "CREATE TABLE students (id uuid PRIMARY KEY, email text NOT NULL);
    CREATE INDEX ON students (lower(email));
    CREATE TABLE invoices (number text PRIMARY KEY, payment_id uuid);
    CREATE INDEX ON payments (student_id)";

/// The shipped mapping with the example's lookup.sql, or another one; returns the setting that names it.
fn support(rig: &Rig, lookup: &str) -> String {
    let folder = rig.path("support");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in FILES {
        std::fs::write(folder.join(name), if name == "lookup.sql" { lookup } else { text })
            .unwrap();
    }
    format!("mapping = \"{}\"\nverify_payment = true\n", folder.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn support_finds_payments_by_student_e_mail_and_invoice_and_nobody_else_does() {
    let rig = Rig::new(1).await;
    rig.client.batch_execute(STUDENTS).await.unwrap();
    let mut paid = payments(25);
    let student = Uuid::new_v4();
    paid.iter_mut().for_each(|payment| payment.student = student);
    in_payments(&rig, &paid).await;
    let mail = "INSERT INTO students VALUES ($1, 'Maria@Example.org')";
    rig.client.execute(mail, &[&student]).await.unwrap();
    let invoice = "INSERT INTO invoices VALUES ('2026/17', $1)";
    rig.client.execute(invoice, &[&paid[3].id]).await.unwrap();
    rig.pay(&paid[..24]).await;
    let daemon = rig.daemon_with(&support(&rig, SUPPORT));
    rig.caught_up().await;
    let page = async |daemon: &Daemon, id: &str, token: Option<&str>| {
        let path = format!("/explain?id={}", id.replace('@', "%40").replace('/', "%2F"));
        let headers = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        get_with(&address(daemon).await, &path, &headers.unwrap_or_default()).await
    };
    // The page, as it is by default, knows payments by their own ids alone.
    assert_eq!(page(&daemon, &paid[3].id.to_string(), None).await.status, 200);
    for id in ["maria@example.org", "2026/17", &student.to_string()] {
        let answer = page(&daemon, id, None).await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.body);
        assert!(!answer.body.contains(&paid[3].id.to_string()), "{id}: {}", answer.body);
    }
    drop(daemon);
    let route = support(&rig, SUPPORT);
    let told = async |url: &str, id: &str| {
        let file = rig.config_file(url, &route, "");
        let id = id.to_owned();
        let run = move || {
            command()
                .args(["explain", "-o", "json", "--config"])
                .arg(file)
                .arg("--")
                .arg(id)
                .output()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
        let json: Value = serde_json::from_str(&stdout(&output)).unwrap_or_default();
        (json, stderr(&output))
    };
    // By a role that can only read.
    let joined = if rig.url().contains('?') { '&' } else { '?' };
    let reads = format!("{}{joined}options=-c%20default_transaction_read_only%3Don", rig.url());
    for id in ["maria@example.org", &student.to_string()] {
        let (json, said) = told(&reads, id).await;
        let route = &json["routes"][0];
        assert_eq!(route["payments"].as_array().map(Vec::len), Some(20), "{json} {said}");
        assert_eq!(route["more"], 5);
        let sentence = json["sentence"].as_str().unwrap();
        assert_eq!(sentence.matches("The payment has its purchase.").count(), 19, "{sentence}");
        let lacks = format!("{}: There is no purchase, and the payment is paid", paid[24].id);
        assert!(sentence.contains(&lacks) && sentence.contains("and 5 more"), "{sentence}");
        assert_eq!(json["unseen"].as_array().map(Vec::len), Some(0), "{json}");
    }
    let (json, _) = told(&reads, "2026/17").await;
    assert_eq!(json["sentence"], "The payment has its purchase.", "{json}");
    assert_eq!(json["routes"][0]["payments"][0]["business_key"], paid[3].id.to_string());
    // Whatever is typed is a value.
    for id in ["' OR true --", "'; DROP TABLE payments; --", "%", "Ünï@example.org", "--help"] {
        let (json, said) = told(&rig.url(), id).await;
        assert!(json.is_null() && said.contains("nothing is known of"), "{id}: {json} {said}");
    }
    let (json, said) = told(&rig.url(), &"a".repeat(201)).await;
    assert!(json.is_null() && said.contains("that is no id"), "{said}");
    // One that takes for ever hides only what it alone would find; one that finds too much is cut.
    let slow = SUPPORT.replace(
        "SELECT payment_id FROM invoices",
        "SELECT NULL::uuid FROM pg_sleep(600) UNION SELECT payment_id FROM invoices",
    );
    assert_ne!(slow, SUPPORT);
    support(&rig, &slow);
    let (json, said) = told(&rig.url(), &paid[3].id.to_string()).await;
    assert_eq!(json["sentence"], "The payment has its purchase.", "{json} {said}");
    assert!(json["unseen"][0].as_str().unwrap().contains("lookup.sql"), "{json}");
    // Whoever sits at a terminal sees what it is at; what is written then stands alone, and a pipe gets nothing of it.
    let line = format!(
        "stty cols 80 rows 24; {} explain {} --config {}",
        env!("CARGO_BIN_EXE_makegood"),
        paid[3].id,
        rig.config_file(&rig.url(), &route, "").display()
    );
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || script.output()).await.unwrap().unwrap();
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(screen.contains("looking PostgreSQL up, 3 s"), "{screen:?}");
    let (_, last) = screen.rsplit_once("\u{1b}[2K").unwrap();
    assert!(last.contains("has its purchase") || !last.contains(" s\r"), "{last:?}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let endless = "SELECT 'payment' AS part, gen_random_uuid()::text AS business_key, now() AS at, '{}'::jsonb AS contents
        FROM generate_series(1, 20000) WHERE $1::text IS NOT NULL";
    support(&rig, endless);
    let (json, said) = told(&rig.url(), "anything").await;
    assert_eq!(json["routes"][0]["payments"].as_array().map(Vec::len), Some(20), "{said}");
    assert!(json["sentence"].as_str().unwrap().contains("and at least "), "{json}");
    // Where the operator lets it, the page finds them for whoever has the token.
    let more = "[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef0123456789abcdef\"\nsearch = true\n";
    let config = rig.config(&rig.url(), &support(&rig, SUPPORT), "");
    let config = config.replace("[http]\nlisten = \"127.0.0.1:0\"\n", more);
    let file = rig.path("search.toml");
    std::fs::write(&file, config).unwrap();
    let daemon = Daemon::start(&file, 0);
    let answer = page(&daemon, "maria@example.org", Some("0123456789abcdef0123456789abcdef")).await;
    assert!(answer.status == 200 && answer.body.contains("and 5 more"), "{}", answer.body);
    assert_eq!(page(&daemon, "maria@example.org", None).await.status, 401);
}
