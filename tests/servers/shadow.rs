//! A shadow stands beside a worker for as long as a team likes, changes nothing anywhere, and says what it would have done
//! otherwise; it is well only where something was compared and nothing differs.

use std::collections::BTreeMap;
use std::time::Duration;

use makegood::kafka::probe::Probe;
use makegood::store::mapping::FILES;
use serde_json::Value;
use uuid::Uuid;

use crate::commands::stdout;
use crate::support::daemon::{Daemon, command};
use crate::support::events::{Payment, payments};
use crate::support::eventually;
use crate::support::http::{address, get};
use crate::support::old_worker::{OldWorker, OnError};
use crate::support::rig::Rig;

impl Rig {
    /// The contents of every table that is not PostgreSQL's own.
    async fn contents(&self) -> BTreeMap<String, String> {
        let tables = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'S', 'm')
            AND relnamespace::regnamespace::text !~ '^pg_|^information_schema$' AND NOT relispartition";
        let mut contents = BTreeMap::new();
        for row in self.client.query(tables, &[]).await.unwrap() {
            let table: String = row.get(0);
            let all = format!(
                "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t"
            );
            contents.insert(table, self.client.query_one(&all, &[]).await.unwrap().get(0));
        }
        contents
    }
}

/// What `makegood health` says of a shadow.
async fn run_health(config: &std::path::Path, at: &str) -> String {
    let (config, url) = (config.to_owned(), format!("http://{at}"));
    let run = move || command().args(["health", "--url", &url, "--config"]).arg(config).output();
    stdout(&tokio::task::spawn_blocking(run).await.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_beside_a_kafkajs_worker_finds_what_it_drops_and_writes_nothing_anywhere() {
    let rig = Rig::new(2).await;
    // It needs nothing of makegood's, and a role that can only read.
    rig.client.batch_execute("DROP SCHEMA makegood CASCADE").await.unwrap();
    let joined = if rig.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{joined}options=-c%20default_transaction_read_only%3Don", rig.url());
    let job = "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\ngrace = \"1s\"\nevery = \"1s\"\n";
    let config = rig.config_file(&url, "verify_payment = true\nother_types = [\"*\"]", job);
    let file = rig.path("report.json");
    let shadow =
        Daemon::shadow(&config, 0, &["--report", file.to_str().unwrap(), "--report-every", "1s"]);
    let at = address(&shadow).await;
    let ready = async || {
        let answer = get(&at, "/readyz").await;
        (
            answer.status,
            answer.json()["checks"][0]["detail"].as_str().unwrap_or_default().to_owned(),
        )
    };
    // Where nothing was compared nothing is well.
    let (status, detail) = ready().await;
    assert!(status == 503 && detail.contains("nothing was compared yet"), "{detail}");
    assert_eq!(get(&at, "/readyz").await.json()["mode"], "shadow");

    let worker = OldWorker::reading(&rig, "shop-worker", OnError::Skip).await;
    let paid = payments(8);
    rig.record(&paid, 60.0).await;
    let drops = format!(
        "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.payment_id = '{}' THEN RAISE 'it does not fit'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER drops BEFORE INSERT ON student_course_purchases FOR EACH ROW EXECUTE FUNCTION drops()",
        paid[3].id
    );
    rig.client.batch_execute(&drops).await.unwrap();
    rig.pay(&paid).await;
    worker.dealt_with(8).await;
    assert_eq!(worker.failed(), [paid[3].id]);
    // A second event of a payment, which it does not bear out, makes its purchase no worse.
    let forged = Payment { amount: "0.01".to_owned(), event: Uuid::new_v4(), ..paid[0].clone() };
    rig.pay(&[forged]).await;
    worker.dealt_with(9).await;
    let stranger = Uuid::new_v4();
    let by_hand =
        "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)
        VALUES ($1, $1, $1, 1, 'INR')";
    rig.client.execute(by_hand, &[&stranger]).await.unwrap();
    let other = "UPDATE student_course_purchases SET amount = 0.5 WHERE payment_id = $1";
    rig.client.execute(other, &[&paid[5].id]).await.unwrap();
    let (before, committed) = (rig.contents().await, rig.committed());

    eventually("what differs", || async {
        let (status, detail) = ready().await;
        let is_all = detail.contains("9 events") && detail.contains("3 would have differed");
        (status == 503 && is_all).then_some(())
    })
    .await;
    let health = run_health(&config, &at).await;
    assert!(health.contains("not ready") && health.contains("shadow: 9 events"), "{health}");
    // By signal, in the log and in the file.
    let told = || shadow.log().matches("3 would have differed").count();
    let so_far = told();
    shadow.signal("USR1");
    eventually("another report", || async { (told() > so_far).then_some(()) }).await;
    let report: Value = eventually("the report", || async {
        let report: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).unwrap();
        (report["routes"][0]["differing"] == 3).then_some(report)
    })
    .await;
    let of = |kind: &str| report["routes"][0]["differences"][kind].clone();
    for (kind, key) in [
        ("missing", paid[3].id.to_string()),
        ("differs", paid[5].id.to_string()),
        ("no_event", stranger.to_string()),
    ] {
        assert_eq!(of(kind)["count"], 1, "{report:#}");
        assert_eq!(of(kind)["examples"][0]["key"], key, "{report:#}");
    }
    assert_eq!((&report["ok"], &report["mode"]), (&Value::from(false), &Value::from("shadow")));
    let page = get(&at, "/").await.body;
    assert!(page.contains(&paid[3].id.to_string()) && page.contains("missing 1"), "{page}");

    // Nothing was written, committed or joined, and the worker noticed nothing.
    assert_eq!(rig.contents().await, before);
    assert_eq!(rig.committed(), committed);
    let own = Probe::new(&rig.kafka(), &rig.topic, &format!("{}-shadow", rig.group)).unwrap();
    let partitions = own.partitions().unwrap();
    assert_eq!(own.committed(&partitions).unwrap().heard().unwrap(), BTreeMap::new());
    assert!(own.group().unwrap().members.is_empty());
    assert_eq!(rig.probe().group().unwrap().members.len(), 1);
    assert_eq!(worker.log().matches("reads\n").count(), 1, "{}", worker.log());

    // What is mended differs no more, and only then it is well.
    let mend = format!(
        "DROP TRIGGER drops ON student_course_purchases;
         DELETE FROM student_course_purchases WHERE payment_id = '{stranger}';
         UPDATE student_course_purchases s SET amount = p.amount FROM payments p WHERE p.id = s.payment_id;
         INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)
         SELECT id, student_id, course_id, amount, currency FROM payments WHERE id = '{}'",
        paid[3].id
    );
    rig.client.batch_execute(&mend).await.unwrap();
    eventually("nothing to differ", || async {
        let (status, detail) = ready().await;
        (status == 200 && detail.contains("0 would have differed")).then_some(())
    })
    .await;
    assert!(run_health(&config, &at).await.contains("ready, as a shadow"));
    // What would keep makegood from making a purchase is foreseen, though apply.sql is never run.
    let add = "ALTER TABLE student_course_purchases ADD COLUMN tenant integer NOT NULL DEFAULT 7;
        ALTER TABLE student_course_purchases ALTER COLUMN tenant DROP DEFAULT";
    rig.client.batch_execute(add).await.unwrap();
    eventually("the column that makegood does not set", || async {
        let (status, detail) = ready().await;
        (status == 503
            && detail.contains("makegood could not make a purchase now")
            && detail.contains("tenant"))
        .then_some(())
    })
    .await;
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases DROP COLUMN tenant")
        .await
        .unwrap();
    eventually("well again", || async { (ready().await.0 == 200).then_some(()) }).await;
    // The last report tells of the very end.
    worker.stop();
    let late = payments(1);
    rig.record(&late, 60.0).await;
    rig.pay(&late).await;
    eventually("the last event to be missed", || async {
        (ready().await.1.contains("1 would have differed")).then_some(())
    })
    .await;
    shadow.signal("TERM");
    let out = config.with_extension("0.out");
    let mut shadow = shadow;
    assert!(shadow.wait(Duration::from_secs(30)).success(), "{}", shadow.log());
    let said = std::fs::read_to_string(out).unwrap();
    assert!(said.contains("missing 1") && said.contains(&late[0].id.to_string()), "{said}");

    // Even a mapping that would write cannot, whatever its role may do.
    rig.client.batch_execute("CREATE SEQUENCE taken").await.unwrap();
    let folder = rig.path("writes");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in FILES {
        let writes =
            text.replace(" AS terms\n", " || jsonb_build_object('n', nextval('taken')) AS terms\n");
        std::fs::write(folder.join(name), if name == "purchases.sql" { &writes } else { text })
            .unwrap();
        assert!(name != "purchases.sql" || writes != text);
    }
    let route = format!("mapping = \"{}\"\nverify_payment = true", folder.display());
    // While the tables are not there it says so, and goes on by itself.
    rig.client.batch_execute("ALTER TABLE payments RENAME TO away").await.unwrap();
    let config = rig.config_file(&rig.url(), &route, job);
    let shadow = Daemon::shadow(&config, 1, &[]);
    let at = address(&shadow).await;
    eventually("what is missing", || async {
        let answer = get(&at, "/readyz").await;
        (answer.status == 503 && answer.body.contains("payments")).then_some(())
    })
    .await;
    rig.client.batch_execute("ALTER TABLE away RENAME TO payments").await.unwrap();
    eventually("the write to be refused", || async {
        let answer = get(&at, "/readyz").await;
        (answer.status == 503 && answer.body.contains("in a read-only transaction")).then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT count(*) FROM taken WHERE NOT is_called").await, 1);
}

/// Without purchases.sql nobody can tell what is missing, and so nothing is said to be, nor to be well.
#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_cannot_see_purchases_misses_none_and_is_not_well() {
    let rig = Rig::new(1).await;
    let paid = payments(3);
    rig.record(&paid, 60.0).await;
    rig.by_hand(&paid).await;
    rig.pay(&paid).await;
    let folder = rig.path("mapping");
    std::fs::create_dir(&folder).unwrap();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/purchases");
    for file in std::fs::read_dir(shipped).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "purchases.sql" {
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
    let route = format!(
        "verify_payment = true\nother_types = [\"*\"]\nmapping = {:?}",
        folder.display().to_string()
    );
    let job = "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\ngrace = \"1s\"\nevery = \"1s\"\n";
    let file = rig.path("blind.json");
    let shadow = Daemon::shadow(
        &rig.config_file(&rig.url(), &route, job),
        0,
        &["--report", file.to_str().unwrap(), "--report-every", "1s"],
    );
    let at = address(&shadow).await;
    // The events were read, and are older than the grace.
    eventually("reports after the grace", || async {
        (shadow.log().matches("no purchases.sql").count() > 5).then_some(())
    })
    .await;
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        report["routes"][0]["differences"]["missing"]["count"].as_u64().unwrap_or(0),
        0,
        "{report:#}"
    );
    assert_eq!(get(&at, "/readyz").await.status, 503);
    assert!(report.to_string().contains("no purchases.sql"), "{report:#}");
}
