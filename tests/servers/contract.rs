//! Promise 4 for the operator's own SQL: a mapping that breaks its contract holds the route (or is not
//! used at all), and mending the file is enough.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rules::advice::runnable;
use rules::fields::{self, Body, Column};

use crate::reconcile::recorded;
use crate::support::corpus::with_field;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments, raw};
use crate::support::holding::{PUT_AWAY, held, held_for, made_good, pinned, running};
use crate::support::load::chance;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const BUILT_IN: &str = include_str!("../../sql/purchases/apply.sql");

/// A mapping's file in the test's own folder, and the setting that names the folder.
fn mapping(rig: &Rig, sql: &str) -> (PathBuf, String) {
    let folder = rig.path("mapping");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("apply.sql"), sql).unwrap();
    (folder.join("apply.sql"), format!("mapping = \"{}\"", folder.display()))
}

/// The shipped mapping, its answer replaced by another one made of it.
fn answering(select: &str) -> String {
    let at = BUILT_IN.rfind("SELECT g.event_id,").expect("the shipped mapping's answer");
    format!("{}, answer AS (\n{}\n)\n{select}", BUILT_IN[..at].trim_end(), &BUILT_IN[at..])
}

/// Sends SIGHUP and waits until the log has one more line with these words.
async fn hang_up(daemon: &Daemon, words: &str) {
    let count = || daemon.log().matches(words).count();
    let before = count();
    daemon.signal("HUP");
    eventually("the mapping to be read again", || async { (count() > before).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breach_holds_the_route_until_the_file_is_mended_and_sighup_sent() {
    let rig = Rig::new(1).await;
    let (file, setting) = mapping(&rig, BUILT_IN);
    let daemon = rig.daemon_with(&setting);
    let mut paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    for (breach, says) in [
        ("SELECT a.* FROM answer a, generate_series(1, 2)", "two rows for one event"),
        (
            "SELECT event_id, NULL::text AS outcome, business_key, detail FROM answer",
            "without an outcome (null)",
        ),
        (
            "SELECT event_id, 'done' AS outcome, business_key, detail FROM answer",
            "an outcome that is none of",
        ),
        (
            "SELECT event_id, outcome, NULL::text AS business_key, detail FROM answer",
            "`applied` without a business_key",
        ),
        (
            "SELECT gen_random_uuid() AS event_id, outcome, business_key, detail FROM answer",
            "an event_id it was not given",
        ),
        ("SELECT * FROM answer WHERE false", "returned no row for an event"),
    ] {
        fs::write(&file, answering(breach)).unwrap();
        hang_up(&daemon, "mapping reloaded").await;
        let behind = payments(20);
        rig.pay(&behind).await;
        let held = held(&rig).await;
        assert!(held.reason.contains(says), "{held:?} does not say {says}");
        assert!(held.advice.contains("apply.sql") && held.advice.contains("SIGHUP"), "{held:?}");
        fs::write(&file, BUILT_IN).unwrap();
        hang_up(&daemon, "mapping reloaded").await;
        rig.caught_up().await;
        running(&rig).await;
        paid.extend(behind);
        ledger::assert_exactly(&rig.client, &paid).await;
        assert_eq!(rig.number(PUT_AWAY).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_an_outcome_is_put_away_and_its_batch_is_applied() {
    let rig = Rig::new(1).await;
    let forgetful =
        "SELECT a.* FROM answer a JOIN event USING (event_id) WHERE event.currency <> 'XXX'";
    let (_, setting) = mapping(&rig, &answering(forgetful));
    let mut paid = payments(30);
    paid[11].currency = "XXX".to_owned();
    rig.pay(&paid).await;
    let _daemon = rig.daemon_with(&setting);
    rig.caught_up().await;
    paid.remove(11);
    ledger::assert_exactly(&rig.client, &paid).await;
    let sql = "SELECT \"offset\", reason FROM makegood.quarantine";
    let row = rig.client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (11, "no_outcome"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_is_not_used_and_the_old_mapping_stays() {
    let rig = Rig::new(1).await;
    let (file, setting) = mapping(&rig, BUILT_IN);
    let daemon = rig.daemon_with(&setting);
    let mut paid: Vec<Payment> = Vec::new();
    for (edit, says) in [
        ("SELECT 1".to_owned(), "no line names the business key"),
        (BUILT_IN.replace("purchases(payment_id) /", "purchases(course_id) /"), "no unique index"),
        (
            BUILT_IN.replace("field uuid /data/paymentId", "field id /data/paymentId"),
            "line 3: `id`",
        ),
        (BUILT_IN.replace("field text /", "field uuid /"), "takes (_uuid"),
        (
            BUILT_IN.replace("g.payment_id::text AS", "g.payment_id::text::varchar AS"),
            "business_key",
        ),
        (BUILT_IN.replacen("WITH event", "WITH, event", 1), "42601"),
    ] {
        let one = payments(1);
        rig.pay(&one).await;
        rig.caught_up().await;
        paid.extend(one);
        assert_ne!(edit, BUILT_IN);
        fs::write(&file, edit).unwrap();
        hang_up(&daemon, "the old mapping stays").await;
        let log = daemon.log();
        let refused: Vec<&str> =
            log.lines().filter(|line| line.contains("the old mapping stays")).collect();
        assert!(refused.last().is_some_and(|l| l.contains(says)), "{says} is not in {refused:?}");
        let more = payments(5);
        rig.pay(&more).await;
        rig.caught_up().await;
        paid.extend(more);
        ledger::assert_exactly(&rig.client, &paid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_cannot_be_used_holds_from_the_start_until_its_file_is_mended() {
    let rig = Rig::new(2).await;
    let of = |select: &str| {
        format!("-- makegood: business-key student_course_purchases(payment_id)\n{select}")
    };
    let unusable = [
        (
            answering("SELECT event_id, 1 AS outcome, business_key, detail FROM answer"),
            "outcome int4",
        ),
        (answering("SELECT event_id, outcome, business_key FROM answer"), "returns ("),
        (of("SELECT $1::uuid AS event_id, ''::text, ''::text, ''::text"), "takes (uuid)"),
        (BUILT_IN.replace("business-key ", "business-key nowhere."), "does not exist"),
        (BUILT_IN.replacen("WITH event", "WITH, event", 1), "42601"),
        ("SELECT 1".to_owned(), "no line names the business key"),
    ];
    let (file, setting) = mapping(&rig, &unusable[0].0);
    let mut daemon = rig.daemon_with(&setting);
    let paid = payments(4);
    rig.pay(&paid).await;
    held_for(&rig, unusable[0].1).await;
    for (sql, says) in unusable {
        fs::write(&file, sql).unwrap();
        hang_up(&daemon, "held: ").await;
        held_for(&rig, says).await;
    }
    assert!(daemon.log().contains("MG1101"), "{}", daemon.log());
    pinned(&rig).await;
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&daemon, "resumed").await;
    made_good(&rig, &mut daemon, &paid).await;
}

/// What only a person can mend beside the database ends the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_usable_mapping_ends_the_start() {
    let rig = Rig::new(1).await;
    for (sql, says) in [(None, "cannot read"), (Some("SELECT 1"), "no line names the business key")]
    {
        let (file, setting) = mapping(&rig, sql.unwrap_or_default());
        if sql.is_none() {
            fs::remove_file(file).unwrap();
        }
        let mut daemon = rig.daemon_with(&setting);
        let status = tokio::task::block_in_place(|| daemon.wait(Duration::from_secs(60)));
        assert_eq!(status.code(), Some(78), "{}", daemon.log());
        assert!(daemon.log().contains("error[MG1101]") && daemon.log().contains(says));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_without_a_unique_key_hold_the_route_and_the_way_out_is_told() {
    let rig = Rig::new(1).await;
    let drop_key = "ALTER TABLE student_course_purchases DROP CONSTRAINT student_course_purchases_payment_id_key";
    rig.client.batch_execute(drop_key).await.unwrap();
    let paid = payments(2);
    rig.pay(&paid).await;
    let mut daemon = rig.daemon();
    let advised = "CREATE UNIQUE INDEX CONCURRENTLY ON student_course_purchases (payment_id);";
    let held = held_for(&rig, "has no unique index on payment_id alone").await;
    for words in [
        advised,
        "SELECT payment_id, count(*) FROM student_course_purchases GROUP BY payment_id HAVING count(*) > 1;",
    ] {
        assert!(held.advice.contains(words), "no {words} in {held:?}");
    }
    assert!(daemon.log().contains("MG1102"), "{}", daemon.log());
    for (make, away) in [
        // Partial, of two columns, of an expression, deferrable.
        (
            "CREATE UNIQUE INDEX k ON student_course_purchases (payment_id) WHERE amount > 0",
            "DROP INDEX k",
        ),
        (
            "CREATE UNIQUE INDEX k ON student_course_purchases (payment_id, course_id)",
            "DROP INDEX k",
        ),
        ("CREATE UNIQUE INDEX k ON student_course_purchases ((payment_id::text))", "DROP INDEX k"),
        (
            "ALTER TABLE student_course_purchases ADD CONSTRAINT k UNIQUE (payment_id) DEFERRABLE",
            "ALTER TABLE student_course_purchases DROP CONSTRAINT k",
        ),
        // What a failed CREATE UNIQUE INDEX CONCURRENTLY leaves behind. All in one transaction, for a look
        // in between would find a good one.
        (
            "BEGIN; CREATE UNIQUE INDEX k ON student_course_purchases (payment_id);
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'k'::regclass; COMMIT",
            "DROP INDEX k",
        ),
    ] {
        rig.client.batch_execute(make).await.unwrap();
        hang_up(&daemon, "held: ").await;
        rig.client.batch_execute(away).await.unwrap();
    }
    pinned(&rig).await;
    // The advice works as it is printed.
    rig.client.batch_execute(advised).await.unwrap();
    made_good(&rig, &mut daemon, &paid).await;
}

/// A deploy with a mapping that does not fit, beside the daemon it is to replace.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_daemon_takes_no_partitions_from_one_that_runs_and_joins_when_that_one_is_gone() {
    let rig = Rig::new(2).await;
    let good = rig.daemon();
    rig.reads(&good).await;
    let (file, setting) = mapping(&rig, &answering("SELECT event_id, outcome FROM answer"));
    let mut bad = rig.daemon_with(&setting);
    held_for(&rig, "returns (").await;
    let mut paid = payments(20);
    rig.pay(&paid).await;
    rig.caught_up().await;
    eventually("it to say why it stays outside", || async {
        bad.log().contains("another daemon runs the route").then_some(())
    })
    .await;
    assert!(!bad.log().contains("partitions assigned"), "{}", bad.log());
    good.stop();
    eventually("it to join", || async {
        let worker = rig.worker(&bad).await?;
        (worker.state == "held" && worker.partitions.len() == 2).then_some(())
    })
    .await;
    let place = rig.positions().await;
    let behind = payments(20);
    rig.pay(&behind).await;
    assert_eq!(rig.committed(), place, "its place is Kafka's");
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&bad, "resumed").await;
    rig.caught_up().await;
    running(&rig).await;
    paid.extend(behind);
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(bad.ended(), None);
}

/// Waits until a daemon says that it is held and reads nothing.
async fn outside(rig: &Rig, daemon: &Daemon) {
    eventually("the held daemon to say that it reads nothing", || async {
        let worker = rig.worker(daemon).await?;
        (worker.state == "held" && worker.partitions.is_empty()).then_some(())
    })
    .await;
}

/// The good one comes second: it gets all partitions all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_daemon_that_came_first_gives_way_to_a_good_one_and_is_back_when_that_one_is_gone() {
    let rig = Rig::new(2).await;
    let (file, setting) = mapping(&rig, &answering("SELECT event_id, outcome FROM answer"));
    let mut bad = rig.daemon_with(&setting);
    held_for(&rig, "returns (").await;
    pinned(&rig).await;
    let mut paid = payments(20);
    rig.pay(&paid).await;
    let good = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    outside(&rig, &bad).await;
    good.stop();
    eventually("it to be back", || async {
        let worker = rig.worker(&bad).await?;
        (worker.state == "held" && worker.partitions.len() == 2).then_some(())
    })
    .await;
    let behind = payments(20);
    rig.pay(&behind).await;
    paid.extend(behind);
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&bad, "resumed").await;
    rig.caught_up().await;
    running(&rig).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(bad.ended(), None);
}

/// The incident's own: the tables changed under a daemon, and the one that fits them comes beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_the_tables_have_left_behind_gives_way_to_one_that_fits_them() {
    let rig = Rig::new(2).await;
    let mut old = rig.daemon();
    let mut paid = payments(20);
    rig.pay(&paid).await;
    rig.caught_up().await;
    let sql = "ALTER TABLE student_course_purchases RENAME purchased_at TO start_date";
    rig.client.batch_execute(sql).await.unwrap();
    let behind = payments(40);
    rig.pay(&behind).await;
    paid.extend(behind);
    held_for(&rig, "purchased_at").await;
    let (_, setting) = mapping(&rig, &BUILT_IN.replace("purchased_at", "start_date"));
    let mut new = rig.daemon_with(&setting);
    rig.caught_up().await;
    // What the old one was refused is tried with the mapping of the new one.
    eventually("nothing to wait for a verdict", || async {
        (rig.number(PUT_AWAY).await == 0).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    // What the old one is still given the new one makes good.
    let more = payments(20);
    rig.pay(&more).await;
    paid.extend(more);
    eventually("a purchase for each payment", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!((old.ended(), new.ended()), (None, None));
}

/// The same deploy: it stops no run and no replay either.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_daemon_leaves_runs_and_replays_to_one_that_runs_and_takes_them_when_that_one_is_gone()
 {
    let rig = Rig::new(2).await;
    let good = rig.reconciler("").await;
    let broken = with_field(&Payment::new(1).json(), "amount", "\"4-99\"");
    rig.send(&raw(None, Some(broken.as_bytes()))).await;
    rig.caught_up().await;
    let (file, setting) = mapping(&rig, &answering("SELECT event_id, outcome FROM answer"));
    let missing = include_str!("../../sql/purchases/missing.sql");
    fs::write(file.with_file_name("missing.sql"), missing).unwrap();
    let bad = rig.reconciler_with(&setting, "");
    held_for(&rig, "returns (").await;
    let mut paid = recorded(&rig, 5).await;
    assert_eq!(rig.reconcile("").await.made_good, 5);
    rig.number("SELECT count(makegood.replay(id)) FROM makegood.quarantine_open").await;
    let replayed = "SELECT count(*) FROM makegood.quarantine_decisions WHERE outcome = 'rejected'";
    eventually("the replay", || async { (rig.number(replayed).await == 1).then_some(()) }).await;
    let worker = rig.worker(&bad).await.unwrap();
    assert_eq!((worker.state.as_str(), worker.partitions.len()), ("held", 0), "{worker:?}");

    good.stop();
    paid.extend(recorded(&rig, 5).await);
    let run = rig.ask("").await;
    let why = eventually("the run to say why it waits", || async { rig.run(run).await.held }).await;
    assert!(why.contains("the route is held") && why.contains("returns ("), "{why}");
    fs::write(&file, BUILT_IN).unwrap();
    hang_up(&bad, "resumed").await;
    rig.run_is(run, &["done"]).await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// A date and time, mostly one that there is, by numbers that may be drawn.
fn time(mut random: impl FnMut(i64) -> i64) -> String {
    let (year, month, day) = (1 + random(9999), 1 + random(12), 1 + random(31));
    let (hour, minute, second) = (random(25), random(60), random(61));
    let part = match random(3) {
        0 => String::new(),
        1 => format!(".{:03}", random(1000)),
        _ => format!(".{:09}", random(1_000_000_000)),
    };
    let zone = match random(3) {
        0 => "Z".to_owned(),
        1 => format!("+{:02}:{:02}", random(17), random(60)),
        _ => format!("-{:02}{:02}", random(16), random(60)),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}{zone}")
}

/// A field that is read before it gets to PostgreSQL is read as PostgreSQL would.
#[tokio::test(flavor = "multi_thread")]
async fn times_of_events_are_those_that_postgresql_reads() {
    let rig = Rig::new(1).await;
    let sql = "CREATE FUNCTION as_time(given text) RETURNS timestamptz LANGUAGE plpgsql AS $$
               BEGIN RETURN given::timestamptz; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$";
    rig.client.batch_execute(sql).await.unwrap();
    let mut rng = chance("times of events");
    let texts: Vec<String> = (0..20_000).map(|_| time(|below| rng.i64(0..below))).collect();
    let payloads: Vec<String> = texts.iter().map(|text| format!("{{\"at\":\"{text}\"}}")).collect();
    let fields = ["timestamptz /at".parse().unwrap()];
    let bodies: Vec<Body<'_>> = payloads.iter().map(|text| Body::read(text, &fields)).collect();
    let found = fields::columns(&fields, &bodies.iter().collect::<Vec<_>>());
    let [Column::Timestamptz(times)] = found.columns.as_slice() else { panic!("{found:?}") };
    let sql = "SELECT (extract(epoch FROM as_time(given)) * 1000000)::bigint FROM unnest($1::text[]) WITH ORDINALITY AS g (given, place) ORDER BY place";
    let rows = rig.client.query(sql, &[&texts]).await.unwrap();
    for ((text, time), row) in texts.iter().zip(times).zip(rows) {
        assert_eq!(*time, row.get::<_, Option<i64>>(0), "{text}");
    }
    let read = times.iter().flatten().count();
    assert!((10_000..20_000).contains(&read), "{read} of 20,000 are times");
}

/// A mapping for carts whose apply.sql makes a row for each item of an event, and answers the key that `key` says.
fn of_items(key: &str) -> String {
    format!(
        "-- makegood: apply
-- makegood: business-key cart(payment_id, course_id) /paymentId /items/0/courseId
WITH event AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::jsonb[], $3::timestamptz[]) AS e (event_id, payload, at)
), made AS (
    INSERT INTO cart
    SELECT (payload ->> 'paymentId')::uuid, (item ->> 'courseId')::uuid FROM event, jsonb_array_elements(payload -> 'items') item
    ON CONFLICT (payment_id, course_id) DO NOTHING
)
SELECT event_id, 'applied' AS outcome, {key} AS business_key, NULL::text AS detail FROM event"
    )
}

fn cart(payment: u8, courses: u8) -> String {
    let id = |n: u8| format!("00000000-0000-4000-8000-0000000000{n:02}");
    let items: Vec<String> =
        (0..courses).map(|n| format!(r#"{{"courseId":"{}"}}"#, id(50 + n))).collect();
    format!(
        r#"{{"eventType":"PURCHASE_CONFIRMED","paymentId":"{}","items":[{}]}}"#,
        id(payment),
        items.join(",")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_makes_two_rows_is_refused_and_so_is_a_key_that_is_not_the_events() {
    let rig = Rig::new(1).await;
    let table = "CREATE TABLE cart (payment_id uuid, course_id uuid)";
    rig.client.batch_execute(table).await.unwrap();
    let good = "jsonb_build_array(payload ->> 'paymentId', payload #>> '{items,0,courseId}')::text";
    let (file, setting) = mapping(&rig, &of_items(good));
    let payments = file.with_file_name("payments.sql");
    let sql = format!(
        "SELECT business_key, at, 'paid' AS state, '{{}}'::jsonb AS terms, event
         FROM (SELECT 'k' AS business_key, now() - interval '1 minute' AS at, '{}'::jsonb AS event) p
         WHERE coalesce($1::timestamptz::text, $2::text, $3::timestamptz::text, $4::bigint::text, '') IS NOT NULL
               AND ($5::text[] IS NULL OR business_key = ANY ($5::text[]))",
        cart(1, 2)
    );
    fs::write(&payments, sql).unwrap();
    let daemon = rig.daemon_with(&setting);
    // There is a way to a key of two columns, and it is tried as it is printed.
    let held =
        held_for(&rig, "cart has no unique index on payment_id, course_id and nothing else").await;
    let create = "CREATE UNIQUE INDEX CONCURRENTLY ON cart (payment_id, course_id);";
    assert!(held.advice.contains(create), "{held:?}");
    let duplicates = runnable(&held.advice).into_iter().find(|text| text.starts_with("SELECT "));
    rig.client.batch_execute(duplicates.unwrap()).await.unwrap();
    rig.client.batch_execute(create).await.unwrap();
    // Where a payment shows it, at the check; otherwise with the event that does.
    held_for(&rig, "apply.sql made 2 rows of cart of 1 applied events").await;
    fs::remove_file(payments).unwrap();
    hang_up(&daemon, "resumed").await;
    for record in [cart(2, 1), cart(3, 2), cart(4, 1)] {
        rig.send(&raw(None, Some(record.as_bytes()))).await;
    }
    let case = "SELECT reason || ' ' || detail FROM makegood.quarantine_open WHERE business_key LIKE '[\"%03\", \"%50\"]'";
    eventually("the event to be put away", || async {
        let found = rig.client.query_opt(case, &[]).await.unwrap()?;
        found.get::<_, String>(0).contains("breach apply.sql made 2 rows of cart").then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT count(*) FROM cart").await, 2, "{}", daemon.log());
    let other = of_items("payload ->> 'paymentId' || '/' || (payload #>> '{items,0,courseId}')");
    fs::write(file, other).unwrap();
    hang_up(&daemon, "mapping reloaded").await;
    rig.send(&raw(None, Some(cart(5, 1).as_bytes()))).await;
    let suspect = "SELECT count(*) FROM makegood.quarantine
        WHERE detail LIKE 'apply.sql returned another business_key than stands in the event at /paymentId and /items/0/courseId%'";
    eventually("the event to be put away", || async {
        (rig.number(suspect).await == 1).then_some(())
    })
    .await;
    assert_eq!(rig.number("SELECT count(*) FROM cart").await, 2, "{}", daemon.log());
}
