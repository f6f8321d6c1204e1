//! A row that Kafka refuses for its own sake is parked and its key waits, also for the next relay.

use std::time::Duration;

use lab::servers::postgres::PrivatePostgres;
use makegood::config::Postgres;
use makegood::store::outbox::{ClaimOutcome, Lost, OutboxSession, Saying, Shard};
use rules::diagnosis::{Code, Diagnosis};
use rules::relay::{Aside, CursorStep, Parking};
use uuid::Uuid;

use crate::parked::limit;
use crate::support::eventually;
use crate::support::load::chance;
use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site, Writers};
use crate::support::rig::Rig;

async fn parked(site: &Site, refused: i64, all: i64) {
    let sql = "SELECT count(*) FROM makegood.outbox_parked_events HAVING count(*) = $1 AND count(reason) = $2";
    eventually("rows to be parked", || async {
        site.client.query_opt(sql, &[&all, &refused]).await.unwrap().map(|_| ())
    })
    .await;
}

/// What `makegood outbox retry` does.
async fn retry(site: &Site) {
    let sql = "UPDATE makegood.outbox_parked SET retry_at = now(); NOTIFY makegood_outbox";
    site.client.batch_execute(sql).await.unwrap();
}

/// A key that makes a record too large, and does not compress.
fn large() -> String {
    std::iter::repeat_with(|| Uuid::new_v4().simple().to_string()).take(50).collect()
}

/// The next events of a key.
fn events(numbers: &mut Numbers, key: &str, count: usize) -> Vec<Written> {
    (0..count).map(|_| numbers.next(key)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_a_refused_row_survives_the_relay() {
    let site = Site::new(Place::Beside, 3).await;
    limit(&site.rig, "1500").await;
    let mut numbers = Numbers::default();
    let large = large();
    let mut written = Vec::new();
    for round in 0..3 {
        let mut daemon = site.daemon();
        let new = [events(&mut numbers, &large, 10), events(&mut numbers, "k", 10)].concat();
        site.publish(&new).await;
        written.extend(new);
        parked(&site, 1, 10 * (round + 1)).await;
        daemon.kill();
    }
    limit(&site.rig, "20000000").await;
    retry(&site).await;
    let _daemon = site.daemon();
    parked(&site, 0, 0).await;
    site.assert_relayed(&written).await;
}

/// Nobody heard the word, and there is nothing that would wake the relay: transactions can be prepared here.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_was_asked_for_while_nobody_relayed_is_seen_under_load() {
    let prepares = ["max_prepared_transactions=20"];
    let postgres =
        tokio::task::spawn_blocking(move || PrivatePostgres::start_with(false, &prepares));
    let postgres = postgres.await.unwrap().unwrap();
    let site = Site::on(&postgres, Rig::new(3).await, Place::Beside).await;
    limit(&site.rig, "1500").await;
    let mut written = events(&mut Numbers::default(), &large(), 2);
    let mut daemon = site.daemon();
    site.publish(&written).await;
    parked(&site, 1, 2).await;
    daemon.kill();
    limit(&site.rig, "20000000").await;
    retry(&site).await;
    let writers = Writers::start(&site, 2, Duration::from_millis(20), &mut chance("retry")).await;
    let _daemon = site.daemon();
    parked(&site, 0, 0).await;
    written.extend(writers.stop().await);
    site.assert_relayed(&written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_lost_its_shard_changes_nothing_about_what_was_parked() {
    let site = Site::new(Place::Beside, 1).await;
    site.publish(&events(&mut Numbers::default(), "k", 2)).await;
    let postgres = Postgres::from_url(&site.payments).unwrap();
    let claimed = async || {
        let session = OutboxSession::open(&postgres, Shard::ONLY).await.unwrap();
        let claim = session.claim(Uuid::new_v4()).await.unwrap();
        let ClaimOutcome::Won { step, cursor, .. } = claim else { panic!("{claim:?}") };
        (session, step, cursor)
    };
    let (first, step, cursor) = claimed().await;
    let refused = |seq| Parking {
        seq,
        refusal: Some(Diagnosis::new(Code::Kafka, "reason").advice("advice")),
        by_topic: false,
    };
    let behind = Parking { seq: 2, refusal: None, by_topic: false };
    let aside = Aside { parking: vec![refused(1), behind], ..Aside::default() };
    let says = |aside, cursor| Saying::from(CursorStep { aside, ..CursorStep::at(cursor) });
    let last = Saying { leaving: true, ..says(aside, cursor.clone()) };
    let step = first.step(step, &last).await.unwrap().unwrap();
    retry(&site).await;

    let (next, next_step, next_cursor) = claimed().await;
    for late in [
        Aside { sent_again: vec![1], ..Aside::default() },
        Aside { refused_again: vec![refused(1)], ..Aside::default() },
    ] {
        let moved = first.step(step, &says(late.clone(), cursor.clone())).await.unwrap();
        assert_eq!(moved, Err(Lost));
        let asked = next.retries(10, 1000, &[]).await.unwrap();
        assert_eq!(asked.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2], "{late:?}");
    }
    let sent = Aside { sent_again: vec![1], ..Aside::default() };
    let moved = next.step(next_step, &says(sent, next_cursor.clone())).await.unwrap();
    assert_eq!(moved, Ok(next_step.next()));
    assert_eq!(
        next.retries(10, 1000, &[]).await.unwrap()[0].seq,
        2,
        "what waits behind it is next"
    );
}

/// Three rows of a key are parked like this, and somebody asks for all of them. Returns the relay's session, and the topic.
async fn asked_for(site: &Site, parking: Vec<Parking>) -> (OutboxSession, String) {
    let written = events(&mut Numbers::default(), "k", 3);
    site.publish(&written).await;
    let postgres = Postgres::from_url(&site.payments).unwrap();
    let session = OutboxSession::open(&postgres, Shard::ONLY).await.unwrap();
    let claim = session.claim(Uuid::new_v4()).await.unwrap();
    let ClaimOutcome::Won { step, cursor, .. } = claim else { panic!("{claim:?}") };
    let aside = Aside { parking, ..Aside::default() };
    session
        .step(step, &CursorStep { aside, ..CursorStep::at(cursor) }.into())
        .await
        .unwrap()
        .unwrap();
    retry(site).await;
    let sql = "SELECT DISTINCT aggregatetype FROM makegood.outbox_parked";
    let topic = site.client.query_one(sql, &[]).await.unwrap().get(0);
    (session, topic)
}

fn waits(seq: i64, refusal: Option<Diagnosis>, by_topic: bool) -> Parking {
    Parking { seq, refusal, by_topic }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_goes_before_one_of_its_key_that_waits_for_its_topic() {
    let site = Site::new(Place::Beside, 1).await;
    let refused = Some(Diagnosis::new(Code::Kafka, "reason").advice("advice"));
    let rows = vec![waits(1, refused, true), waits(2, None, false), waits(3, None, false)];
    let (session, topic) = asked_for(&site, rows).await;
    let seqs = async |topics: &[String]| -> Vec<i64> {
        let found = session.retries(10, 1000, topics).await.unwrap();
        found.iter().map(|row| row.seq).collect()
    };
    assert_eq!(seqs(&[]).await, Vec::<i64>::new());
    assert_eq!(seqs(&[topic]).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_topic_is_tried_with_a_row_behind_one_that_somebody_asked_for() {
    let site = Site::new(Place::Beside, 1).await;
    let refused = || Some(Diagnosis::new(Code::Kafka, "reason").advice("advice"));
    let rows =
        vec![waits(1, refused(), false), waits(2, refused(), true), waits(3, refused(), true)];
    let (session, topic) = asked_for(&site, rows).await;
    assert_eq!(session.oldest_of(&topic).await.unwrap(), None);
    let found = session.retries(10, 1000, &[topic]).await.unwrap();
    assert_eq!(found.iter().map(|row| row.seq).collect::<Vec<_>>(), [1]);
}
