//! Rows that wait: many at once, one that is late, one whose transaction does not end.

use makegood::config::Postgres;
use makegood::store::outbox::{ClaimOutcome, OutboxSession, Shard};
use uuid::Uuid;

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::outbox::{Numbers, Written, assert_relayed, read_topic};
use crate::support::payments::{Place, Site};
use crate::support::world::connect;

/// More than the relay reads at once, by far.
const MANY: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_arrives_and_what_is_rolled_back_does_not() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 3).await;
        let _daemon = site.daemon();
        let (mut numbers, mut written): (Numbers, Vec<Written>) = Default::default();
        for round in 0..50 {
            let event = numbers.next(&format!("k{}", round % 7));
            site.publish(std::slice::from_ref(&event)).await;
            written.push(event);
            site.client.batch_execute("BEGIN").await.unwrap();
            site.publish(&[Numbers::default().next("lost")]).await;
            site.client.batch_execute("ROLLBACK").await.unwrap();
        }
        assert_eq!(site.assert_relayed(&written).await, 0, "duplicates without a fault");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_arrives_and_delays_nobody() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 3).await;
        let _daemon = site.daemon();
        let late = connect(&site.payments).await;
        late.batch_execute("BEGIN").await.unwrap();
        let mut numbers = Numbers::default();
        let early = numbers.next("late");
        early.publish(&late, &site.rig.topic).await;
        let mut written: Vec<Written> = (0..100).map(|n| numbers.next(&format!("k{n}"))).collect();
        site.publish(&written).await;
        // With that transaction open all others arrive, and the outbox counts as empty.
        assert_eq!(site.assert_relayed(&written).await, 0);
        late.batch_execute("COMMIT").await.unwrap();
        written.push(early);
        assert_eq!(site.assert_relayed(&written).await, 0);
    }
}

/// Publishes many rows in one transaction: one delta, whatever the relay does.
async fn publish_many(site: &Site, numbers: &mut Numbers) -> Vec<Written> {
    let written: Vec<Written> = (0..MANY).map(|n| numbers.next(&format!("k{}", n % 50))).collect();
    let (mut ids, mut keys, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
    for event in &written {
        ids.push(event.id);
        keys.push(event.key.as_str());
        payloads.push(event.payload());
    }
    let sql =
        "SELECT count(makegood.publish($1, w.key, 'NUMBERED', w.payload::jsonb, event_id => w.id))
               FROM unnest($2::uuid[], $3::text[], $4::text[]) AS w (id, key, payload)";
    site.client.query_one(sql, &[&site.rig.topic, &ids, &keys, &payloads]).await.unwrap();
    written
}

/// Rows whose numbers lie far apart: most of what the relay passes by is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_far_before_a_large_delta_arrives_with_it() {
    let site = Site::new(Place::Beside, 3).await;
    let mut numbers = Numbers::default();
    let late = connect(&site.payments).await;
    late.batch_execute("BEGIN").await.unwrap();
    let early = numbers.next("late");
    early.publish(&late, &site.rig.topic).await;
    // The cursor's snapshot knows of the late one, too.
    let mut written = vec![numbers.next("first")];
    let daemon = site.daemon();
    site.publish(&written).await;
    site.assert_relayed(&written).await;
    daemon.stop();
    let skip = "SELECT setval('makegood.outbox_seq', 1000000)";
    site.client.batch_execute(skip).await.unwrap();
    written.extend(publish_many(&site, &mut numbers).await);
    late.batch_execute("COMMIT").await.unwrap();
    written.push(early);
    let _daemon = site.daemon();
    assert_eq!(site.assert_relayed(&written).await, 0);
}

/// Waits until the cursor is within a delta, and past some of its rows.
async fn half_way(site: &Site, daemon: &Daemon) {
    let sql = "SELECT count(*) FROM makegood.outbox_cursor WHERE last_seq > 0";
    eventually("the cursor to be within a delta", || async {
        assert!(!daemon.log().contains("the relay begins anew"), "{}", daemon.log());
        (site.number(sql).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_in_the_middle_of_a_large_delta_is_followed_where_it_was() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 3).await;
        let mut numbers = Numbers::default();
        let mut written = publish_many(&site, &mut numbers).await;
        let mut daemon = site.daemon();
        half_way(&site, &daemon).await;
        daemon.kill();
        assert!(site.number("SELECT pending FROM makegood.outbox_status").await > 0, "too late");
        // What is new by then is for the delta after it.
        let new: Vec<Written> = (0..50).map(|n| numbers.next(&format!("k{n}"))).collect();
        site.publish(&new).await;
        written.extend(new);
        let _daemon = site.daemon();
        let again = site.assert_relayed(&written).await;
        assert!(again <= 8000, "{again} duplicates are more than were on their way");
    }
}

/// Fifty transactions sleep, each with one row that it published before everybody else's.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_stay_open_neither_delay_others_nor_lose_their_own() {
    let site = Site::new(Place::Beside, 3).await;
    let _daemon = site.daemon();
    let mut numbers = Numbers::default();
    let mut sleepers = Vec::new();
    for n in 0..50 {
        let client = connect(&site.payments).await;
        client.batch_execute("BEGIN").await.unwrap();
        let event = numbers.next(&format!("sleeper{n}"));
        event.publish(&client, &site.rig.topic).await;
        sleepers.push((client, event));
    }
    let mut written = publish_many(&site, &mut numbers).await;
    assert_eq!(site.assert_relayed(&written).await, 0);
    // The last to begin ends first, and every fourth gives up.
    for (n, (client, event)) in sleepers.into_iter().enumerate().rev() {
        let keeps = n % 4 != 0;
        client.batch_execute(if keeps { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
        if keeps {
            written.push(event);
        }
    }
    site.drained().await;
    assert_eq!(assert_relayed(&written, &read_topic(&site.rig)), 0);
}

/// A delta is measured in pieces of about so many rows, however its transactions are numbered: no statement takes longer
/// than the lease, and none looks where nothing is.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_measured_in_pieces_that_go_by_its_rows() {
    const ROWS: usize = 120_000;
    let site = Site::new(Place::Beside, 1).await;
    let sql =
        "CREATE PROCEDURE fill(transactions int, many int, unused int) LANGUAGE plpgsql AS $$ BEGIN
            FOR n IN 1..unused LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP;
            FOR n IN 1..transactions LOOP
                PERFORM makegood.publish('t', 'k' || i, 'T', '{}') FROM generate_series(1, many) i;
                COMMIT;
            END LOOP;
        END $$";
    site.client.batch_execute(sql).await.unwrap();
    let postgres = Postgres::from_url(&site.payments).unwrap();
    let session = OutboxSession::open(&postgres, Shard::ONLY).await.unwrap();
    let ClaimOutcome::Won { cursor, .. } = session.claim(Uuid::new_v4()).await.unwrap() else {
        panic!("somebody else has this outbox");
    };
    // More unused numbers than rows, and a handful of these after them: one statement finds all.
    site.client.batch_execute("CALL fill(10, 1, 8000)").await.unwrap();
    let delta = session.delta(&cursor).await.unwrap();
    assert!(delta.is_measured(), "it looked where nothing is");
    assert_eq!(delta.rows, 10);
    site.client.batch_execute("CALL fill(120, 1000, 0)").await.unwrap();
    let mut delta = session.delta(&cursor).await.unwrap();
    let mut before = 0;
    loop {
        let piece = delta.rows - before;
        assert!(piece <= ROWS / 2, "{piece} rows of {ROWS} in one piece");
        if delta.is_measured() {
            break;
        }
        before = delta.rows;
        delta = session.measure(delta, cursor.last_seq).await.unwrap();
    }
    assert_eq!(delta.rows, ROWS + 10);
    assert_eq!((delta.first_seq, delta.last_seq), (1, ROWS as i64 + 10));
}
