//! Promise 1: effects happen once per event id and once per business key, whatever is delivered how
//! often.

use std::time::Duration;

use rules::envelope::digest;
use uuid::Uuid;

use crate::quarantine::Mapping;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments, raw, with_header};
use crate::support::eventually;
use crate::support::ledger;
use crate::support::load::chance;
use crate::support::rig::Rig;
use crate::support::world::connect;

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_purchase_is_made_once_however_often_its_event_comes() {
    let rig = Rig::new(3).await;
    let paid = payments(500);
    rig.pay(&paid).await;
    rig.pay(&paid).await;
    let _daemon = rig.daemon();
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(counted(&rig, "duplicate").await, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_topic_again_from_its_beginning_changes_no_row() {
    let rig = Rig::new(3).await;
    let paid = read_once(&rig).await;
    let before = everything(&rig).await;
    // With the position gone too, nothing but the operator's word tells where to start.
    rig.client.batch_execute("DELETE FROM makegood.positions").await.unwrap();
    rig.reset_offsets(&["--to-earliest"]);
    read_again(&rig).await;
    assert_eq!(counted(&rig, "duplicate").await, 300);
    assert_eq!(everything(&rig).await, before);
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_set_back_to_the_beginning_is_read_again_and_changes_no_row() {
    let rig = Rig::new(3).await;
    let paid = read_once(&rig).await;
    let before = everything(&rig).await;
    rig.reset_offsets(&["--to-earliest"]);
    read_again(&rig).await;
    assert_eq!(counted(&rig, "duplicate").await, 300);
    assert_eq!(counted(&rig, "applied").await, 300);
    assert_eq!(everything(&rig).await, before);
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_made_by_hand_at_the_same_moment_leaves_one_row_and_no_error() {
    let rig = Rig::new(3).await;
    let mut rng = chance("a purchase made by hand");
    let paid = payments(1000);
    let hand = connect(&rig.url()).await;
    // Some before the daemon comes, so that both orders are certain to happen.
    by_hand(&hand, &paid[..50]).await;
    let _daemon = rig.daemon_with("batch = { rows = 20 }");
    rig.pay(&paid[..100]).await;
    rig.caught_up().await;
    let mut rest = paid[100..].to_vec();
    rng.shuffle(&mut rest);
    tokio::join!(rig.pay(&paid[100..]), by_hand(&hand, &rest));
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let (applied, already) = (counted(&rig, "applied").await, counted(&rig, "already").await);
    assert_eq!(applied + already, 1000, "{applied} applied, {already} already");
    assert!(applied >= 50 && already >= 50, "no race: {applied} applied, {already} already");
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.inbox").await, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_somebody_else_takes_in_at_the_same_moment_starts_the_batch_over() {
    let rig = Rig::new(1).await;
    let paid = payments(30);
    let daemon = rig.daemon();
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    let backend = "SELECT FROM pg_stat_activity WHERE datname = current_database() \
        AND query ILIKE '%makegood.inbox%' AND wait_event_type = 'Lock'";
    // Another daemon's transaction: not to be seen yet when the batch looks for known events.
    let other = connect(&rig.url()).await;
    other.batch_execute("BEGIN").await.unwrap();
    for p in &paid[10..20] {
        let sql = "INSERT INTO makegood.inbox (event_id, route_id, digest, outcome, business_key) \
            SELECT $1, id, $2, 'ignored', $3 FROM makegood.routes";
        let digest = digest(p.json().as_bytes());
        let key = p.id.to_string();
        other.execute(sql, &[&p.event, &digest.as_slice(), &key]).await.unwrap();
    }
    rig.pay(&paid[1..]).await;
    eventually("the batch to wait for the other's inbox row", || async {
        (!rig.client.query(backend, &[]).await.unwrap().is_empty()).then_some(())
    })
    .await;
    other.batch_execute("COMMIT").await.unwrap();
    rig.caught_up().await;
    // The other said `ignored`: a purchase of one of its events would be an effect without an inbox row.
    let ours: Vec<Payment> = [&paid[..10], &paid[20..]].concat();
    ledger::assert_exactly(&rig.client, &ours).await;
    assert_eq!((counted(&rig, "applied").await, counted(&rig, "duplicate").await), (20, 10));
    assert_eq!(rig.number("SELECT count(*) FROM makegood.inbox").await, 30);
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    assert!(!daemon.log().contains("held"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_made_by_hand_with_another_amount_is_a_conflict_for_people() {
    let rig = Rig::new(1).await;
    let paid = payments(3);
    let mistyped = Payment { amount: "499.00".to_owned(), ..paid[1].clone() };
    by_hand(&rig.client, std::slice::from_ref(&mistyped)).await;
    rig.pay(&paid).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    let sql =
        "SELECT event_id, business_key, detail FROM makegood.inbox WHERE outcome = 'conflict'";
    let row = rig.client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, Uuid>(0), paid[1].event);
    assert_eq!(row.get::<_, String>(1), paid[1].id.to_string());
    assert_eq!(row.get::<_, String>(2), "the purchase has another amount");
    // What the person wrote stays.
    ledger::assert_exactly(&rig.client, &[paid[0].clone(), mistyped, paid[2].clone()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_id_used_for_two_payments_loses_neither() {
    let rig = Rig::new(1).await;
    let first = Payment::new(1);
    let second = Payment { event: first.event, ..Payment::new(2) };
    let together = Payment { event: first.event, ..Payment::new(3) };
    let _daemon = rig.daemon();
    rig.pay(std::slice::from_ref(&first)).await;
    rig.caught_up().await;
    // One that comes later, one in the same batch, and each of them again.
    let paid = [first, second, together];
    rig.pay(&paid[1..]).await;
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(counted(&rig, "id_reused").await, 2);
    assert_eq!(counted(&rig, "duplicate").await, 3);
    let sql = "SELECT count(*) FROM makegood.inbox WHERE reused_id IS NOT NULL";
    assert_eq!(rig.number(sql).await, 2);
}

/// Batches of 300 records, but for a first lone one, which is applied at once, and the last.
const LARGE_BATCHES: &str = "batch = { rows = 300, linger = \"2s\" }";

/// How often a batch that was applied without a look had to start over with one.
fn started_over(daemon: &Daemon) -> usize {
    let log = daemon.log();
    log.lines().filter(|l| l.contains("the inbox has one of these") && l.contains("false")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_in_the_middle_of_a_backlog_is_known_without_a_look_at_each_batch() {
    let rig = Rig::new(1).await;
    let mut paid = payments(1650);
    rig.pay(&paid[..1050]).await;
    rig.pay(&paid[..150]).await;
    rig.pay(&paid[1050..1649]).await;
    // Another payment under an id that was used long ago.
    paid[1649].event = paid[0].event;
    rig.pay(&paid[1649..]).await;
    let daemon = rig.daemon_with(LARGE_BATCHES);
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!((counted(&rig, "applied").await, counted(&rig, "duplicate").await), (1650, 150));
    assert_eq!(counted(&rig, "id_reused").await, 1);
    assert!((1..=2).contains(&started_over(&daemon)), "{}", daemon.log());
    assert_eq!(rig.number("SELECT count(*) FROM makegood.inbox").await, 1650);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_long_ago_is_not_rejected_when_it_comes_again_in_a_backlog() {
    let rig = Rig::new(1).await;
    let mapping = Mapping::new(&rig);
    let paid = payments(600);
    let daemon = rig.daemon_with(&mapping.route(""));
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    daemon.stop();
    let first = format!("WHEN e.payment_id = '{}' THEN 'no more'", paid[0].id);
    mapping.change(&[("WHEN e.amount < 0.0 THEN 'data.amount is negative'", &first)]);
    rig.pay(&paid[1..]).await;
    rig.pay(&paid[..1]).await;
    let daemon = rig.daemon_with(&mapping.route(LARGE_BATCHES));
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!((counted(&rig, "applied").await, counted(&rig, "duplicate").await), (600, 1));
    assert_eq!(rig.number("SELECT count(*) FROM makegood.quarantine").await, 0);
    assert_eq!(started_over(&daemon), 1, "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_known_by_the_id_in_its_header_as_well() {
    let rig = Rig::new(1).await;
    let paid = payments(2);
    rig.pay(&paid).await;
    for payment in &paid {
        rig.send(&with_header(payment.record(), "id", &payment.event.to_string())).await;
    }
    let _daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    assert_eq!(counted(&rig, "duplicate").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_among_good_records_is_put_away_and_blocks_nobody() {
    let rig = Rig::new(1).await;
    let paid = payments(50);
    rig.pay(&paid[..25]).await;
    rig.send(&raw(Some(b"k"), Some(b"not json"))).await;
    rig.pay(&paid[25..]).await;
    let _daemon = rig.daemon();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let row =
        rig.client.query_one("SELECT value, reason FROM makegood.quarantine", &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, &[u8]>(0), row.get::<_, &str>(1)),
        (b"not json".as_slice(), "not_json")
    );
}

/// Has a daemon make 300 purchases and stop.
async fn read_once(rig: &Rig) -> Vec<Payment> {
    let paid = payments(300);
    rig.pay(&paid).await;
    read_again(rig).await;
    paid
}

/// Has a daemon read what there is and stop.
async fn read_again(rig: &Rig) {
    let mut daemon = rig.daemon();
    rig.reads(&daemon).await;
    rig.caught_up().await;
    daemon.signal("TERM");
    assert!(daemon.wait(DEADLINE).success());
}

/// A digest of every column of every purchase and every inbox row.
async fn everything(rig: &Rig) -> (String, String) {
    let digest = async |table: &str| {
        let sql =
            format!("SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {table} t");
        rig.client.query_one(&sql, &[]).await.unwrap().get(0)
    };
    (digest("student_course_purchases").await, digest("makegood.inbox").await)
}

/// What a person would type for each payment without a purchase, one statement each.
async fn by_hand(client: &tokio_postgres::Client, paid: &[Payment]) {
    let sql =
        "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)
               VALUES ($1, $2, $3, $4::text::numeric, $5) ON CONFLICT (payment_id) DO NOTHING";
    let payment = "INSERT INTO payments (id, student_id, course_id, amount, currency)
                   VALUES ($1, $2, $3, $4::text::numeric, $5)";
    let insert = client.prepare(sql).await.unwrap();
    for p in paid {
        // Of a payment that there is: a first start asks about others.
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&p.id, &p.student, &p.course, &p.amount, &p.currency];
        client.execute(payment, &row).await.unwrap();
        client.execute(&insert, &row).await.unwrap();
    }
}

/// The sum of one of the position's counters.
async fn counted(rig: &Rig, counter: &str) -> i64 {
    rig.number(&format!("SELECT sum({counter})::bigint FROM makegood.consumer_positions")).await
}
