//! Inbox rows stay for the retention and as long as Kafka may deliver their records again, and are then gone. What they
//! were needed for outlives them.

use std::time::Duration;

use crate::mapping_commands::checks;
use crate::reconcile::{found, job_section, recorded};
use crate::support::daemon::{self, Daemon};
use crate::support::events::Payment;
use crate::support::library::store;
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};
use makegood::store::inbox::{InboxTurn, next_turn};
use makegood::store::migrate;
use rules::record::Record;

const ROWS: &str = "SELECT count(*) FROM makegood.inbox";
const LONG: Duration = Duration::from_hours(24);
const AT_ONCE: Duration = Duration::from_millis(50);

/// Lets the turn at hand have lasted for a day.
async fn a_day_later(rig: &Rig) {
    let sql = "UPDATE makegood.inbox_turns SET began_at = began_at - interval '1 day'";
    rig.client.batch_execute(sql).await.unwrap();
}

/// The same events once more, as old as they were.
async fn again(rig: &Rig, paid: &[Payment]) {
    let old = |payment: &Payment| Record { timestamp_ms: Some(1), ..payment.record() };
    rig.send_all(None, &paid.iter().map(old).collect::<Vec<_>>()).await;
    rig.caught_up().await;
}

async fn outcomes(rig: &Rig) -> String {
    let sql = "SELECT coalesce(string_agg(outcome || ' ' || n, ', ' ORDER BY outcome), '')
               FROM (SELECT outcome, count(*) n FROM makegood.inbox GROUP BY outcome) o";
    rig.client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_end_when_kafka_has_their_records_no_more_and_what_they_kept_from_happening_still_does_not()
 {
    let rig = Rig::new(1).await;
    let settings = job_section("") + "[retention]\ninbox = \"4s\"\noutbox = \"2s\"\n";
    let config = rig.config_file(&rig.url(), "", &settings);
    let daemon = Daemon::start(&config, 0);
    rig.swept().await;
    let paid = recorded(&rig, 6).await;
    rig.pay(&paid[..5]).await;
    rig.caught_up().await;
    // Longer than the retention ago, but Kafka has them still.
    eventually("the rows to be held", || async {
        let sql =
            "SELECT held FROM makegood.inbox_turns WHERE held LIKE '%offset 4 is among them%'";
        rig.client.query_opt(sql, &[]).await.unwrap()
    })
    .await;
    assert_eq!(rig.number(ROWS).await, 5);
    assert!(daemon.log().contains("the inbox's oldest rows cannot be removed"), "{}", daemon.log());
    eventually("the doctor to say what is in the way", || async {
        let mut doctor = daemon::command();
        let doctor = doctor.args(["doctor", "-o", "json", "--config"]).arg(&config).output();
        let told = String::from_utf8(doctor.unwrap().stdout).unwrap();
        let why = "longer than they should: Kafka still has records";
        let found = checks(&told, "inbox.retention");
        found.iter().any(|(level, says)| level == "warn" && says.contains(why)).then_some(())
    })
    .await;
    rig.delete_records(0, 5).await;
    eventually("the rows to be gone", || async { (rig.number(ROWS).await == 0).then_some(()) })
        .await;
    ledger::assert_exactly(&rig.client, &paid[..5]).await;

    // One purchase is removed by the host. Neither its own event nor the reconciler makes it again.
    let sql = "DELETE FROM student_course_purchases WHERE payment_id = $1";
    assert_eq!(rig.client.execute(sql, &[&paid[0].id]).await.unwrap(), 1);
    again(&rig, &paid[..2]).await;
    let run = rig.reconcile("").await;
    assert_eq!((run.made_good, run.gone), (1, 1), "the sixth had none yet: {run:?}");
    ledger::assert_exactly(&rig.client, &paid[1..]).await;
    let counted = "SELECT duplicate FROM makegood.consumer_positions";
    assert_eq!(rig.number(counted).await, 2, "known by id and bytes");
    // An event that looks new is known by its payment.
    rig.pay(&paid[3..4]).await;
    rig.caught_up().await;
    assert!(outcomes(&rig).await.contains("already 1"), "{}", outcomes(&rig).await);
    ledger::assert_exactly(&rig.client, &paid[1..]).await;
    let life = "SELECT string_agg(what, ' ') FROM makegood.explain($1) WHERE part = 'inbox'";
    let life: String = rig.client.query_one(life, &[&paid[1].id.to_string()]).await.unwrap().get(0);
    assert!(life.contains("ended"), "{life}");
    assert_eq!(rig.findings().await, found(&[("gone open", 1), ("missing made_good", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_waits_for_the_batches_in_hand_and_whoever_comes_after_it_sees_their_rows() {
    let rig = Rig::new(1).await;
    let store = store(&rig.url());
    let row = "INSERT INTO makegood.inbox (event_id, route_id, digest, outcome, slot)
               SELECT gen_random_uuid(), 1, '\\x00', 'applied', current FROM makegood.inbox_slot()";
    for turn in 0..6 {
        a_day_later(&rig).await;
        let mut other = connect(&rig.url()).await;
        let batch = other.transaction().await.unwrap();
        batch.batch_execute(row).await.unwrap();
        let ended = next_turn(&store, LONG, AT_ONCE).await.unwrap();
        assert_eq!(ended, InboxTurn::Busy, "turn {turn} began in the middle of a batch");
        batch.commit().await.unwrap();
        assert_eq!(next_turn(&store, LONG, AT_ONCE).await.unwrap(), InboxTurn::Begun);
        assert_eq!(next_turn(&store, LONG, AT_ONCE).await.unwrap(), InboxTurn::Early);
        // The rows of the last two turns are there, and where the rows go now there are none.
        assert_eq!(rig.number(ROWS).await, 2.min(turn + 1));
        let sql = "SELECT count(*) FROM makegood.inbox i, makegood.inbox_slot() s WHERE i.slot = s.current";
        assert_eq!(rig.number(sql).await, 0);
        let sql = "SELECT count(*) FROM makegood.inbox i, makegood.inbox_slot() s WHERE i.slot = ANY (s.others)";
        assert_eq!(rig.number(sql).await, 2.min(turn + 1));
    }
    let noted = "SELECT count(*) FROM makegood.inbox_ended WHERE what = 'event'";
    assert_eq!(rig.number(noted).await, 4);

    // Rows that came after the noting are noted before they go.
    a_day_later(&rig).await;
    rig.client
        .batch_execute(
            "UPDATE makegood.inbox_turns SET noted_at = now(), newest_at = '-infinity' WHERE turn = 4",
        )
        .await
        .unwrap();
    assert_eq!(next_turn(&store, LONG, AT_ONCE).await.unwrap(), InboxTurn::Early);
    assert_eq!(rig.number(ROWS).await, 2);
    assert_eq!(next_turn(&store, LONG, AT_ONCE).await.unwrap(), InboxTurn::Begun);
    assert_eq!((rig.number(ROWS).await, rig.number(noted).await), (1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_noted_so_that_each_is_found_and_no_other() {
    let rig = Rig::new(1).await;
    let store = store(&rig.url());
    rig.client
        .batch_execute(
            "INSERT INTO makegood.inbox (event_id, route_id, digest, outcome, business_key, origin)
                 SELECT gen_random_uuid(), 1 + n % 2, sha256(n::text::bytea), CASE n % 5 WHEN 0 THEN 'ignored' ELSE 'applied' END,
                        'payment ' || n / 2, CASE WHEN n % 10 = 0 THEN 'reconcile' END
                 FROM generate_series(0, 20000) n;
             -- One payment of which a thousand events told.
             INSERT INTO makegood.inbox (event_id, route_id, digest, outcome, business_key)
                 SELECT gen_random_uuid(), 1, '\\x00', 'already', 'payment of many' FROM generate_series(1, 1000);
             CREATE TABLE before AS SELECT * FROM makegood.inbox",
        )
        .await
        .unwrap();
    for _ in 0..3 {
        a_day_later(&rig).await;
        assert_eq!(next_turn(&store, LONG, AT_ONCE).await.unwrap(), InboxTurn::Begun);
    }
    assert_eq!(rig.number(ROWS).await, 0);
    let wrong = "SELECT count(*) FROM before b, (VALUES (1), (2), (3)) r (id)
        WHERE makegood.has_ended(r.id::smallint, 'event', makegood.ended_key(uuid_send(b.event_id) || b.digest)) <> (b.route_id = r.id)";
    assert_eq!(rig.number(wrong).await, 0);
    let wrong = "SELECT count(*) FROM (SELECT DISTINCT business_key AS key FROM before) k, (VALUES (1), (2)) r (id)
        WHERE makegood.has_ended(r.id::smallint, 'had', makegood.ended_key(convert_to(k.key, 'UTF8')))
              <> EXISTS (SELECT FROM before b WHERE b.business_key = k.key AND b.route_id = r.id AND b.outcome <> 'ignored')
           OR makegood.has_ended(r.id::smallint, 'ignored', makegood.ended_key(convert_to(k.key, 'UTF8')))
              <> EXISTS (SELECT FROM before b WHERE b.business_key = k.key AND b.route_id = r.id AND b.outcome = 'ignored' AND b.origin = 'reconcile')";
    rig.client.batch_execute("CREATE INDEX ON before (business_key)").await.unwrap();
    assert_eq!(rig.number(wrong).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_before_becomes_the_first_of_three_without_being_rewritten() {
    let rig = Rig::new(1).await;
    let name = format!("{}_older", rig.database);
    let admin = connect(&rig.world.postgres.url("postgres")).await;
    admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    let url = rig.world.postgres.url(&name);
    let mut client = connect(&url).await;
    let whole = migrate::sql(&[migrate::Set::Inbox]);
    let (older, _) = whole.split_once("\n-- V10__").unwrap();
    let rows = "INSERT INTO makegood.inbox (event_id, route_id, digest, outcome, business_key)
                    SELECT gen_random_uuid(), 1, '\\x00', 'applied', n::text FROM generate_series(1, 1000) n;
                CREATE ROLE reads_inbox; GRANT SELECT ON makegood.inbox TO reads_inbox;";
    client
        .batch_execute(&format!("{older}\nCOMMIT; {}", rows.replace("reads_inbox", &name)))
        .await
        .unwrap();
    let file = "SELECT pg_relation_filenode($1::text::regclass)::bigint";
    let before: i64 = client.query_one(file, &[&"makegood.inbox"]).await.unwrap().get(0);
    let done = migrate::up(&mut client, &[migrate::Set::Inbox]).await.unwrap();
    assert!(!done.is_empty());
    let after: i64 = client.query_one(file, &[&"makegood.inbox_0"]).await.unwrap().get(0);
    assert_eq!(before, after, "the table was rewritten");
    let sql = "SELECT (SELECT count(*) FROM makegood.inbox WHERE slot = 0), (SELECT current FROM makegood.inbox_slot()),
                      has_table_privilege($1, 'makegood.inbox', 'SELECT')";
    let row = client.query_one(sql, &[&name]).await.unwrap();
    assert_eq!((row.get(0), row.get(1), row.get(2)), (1000_i64, 0_i16, true));
    let twice = "INSERT INTO makegood.inbox SELECT * FROM makegood.inbox LIMIT 1";
    client
        .batch_execute(twice)
        .await
        .expect_err("an event of the table of before was taken in again");
}
