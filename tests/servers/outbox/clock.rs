//! The database's clock was ahead for a while and is right again: what it wrote then says nothing about now.

use rules::relay::LEASE;

use crate::support::eventually;
use crate::support::outbox::Numbers;
use crate::support::payments::{Place, Site};

/// What a daemon and a person wrote while the clock was ahead.
async fn written_ahead(site: &Site, by: &str) {
    let sql = format!(
        "UPDATE makegood.outbox_steps SET lease_until = now() + interval '{by}', sleeps_until = now() + interval '{by}',
             written_at = now() + interval '{by}', epoch = 7, holder = gen_random_uuid(), host = 'dead', pid = 1,
             xid = pg_current_xact_id();
         UPDATE makegood.outbox SET created_at = now() + interval '{by}';
         UPDATE makegood.outbox_turns SET began_at = now() + interval '{by}'"
    );
    site.client.batch_execute(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_goes_on_at_once_when_a_clock_that_was_ahead_is_right_again() {
    for by in ["1 hour", "2 days"] {
        let site = Site::new(Place::Beside, 1).await;
        let mut numbers = Numbers::default();
        let mut written = vec![numbers.next("k")];
        site.publish(&written).await;
        written_ahead(&site, by).await;
        let status = "SELECT relays FROM makegood.outbox_status";
        assert_eq!(site.number(status).await, 0, "a lease longer than a lease is somebody's");
        let ages = "SELECT count(*) FROM makegood.outbox_status WHERE seen_at > now() OR oldest_age < interval '0'";
        assert_eq!(site.number(ages).await, 0, "what was written ahead counts as seen");
        // Nobody is woken by a word that no relay waits for.
        site.client.batch_execute("LISTEN makegood_outbox").await.unwrap();
        let more = numbers.next("k");
        site.publish(std::slice::from_ref(&more)).await;
        written.push(more);
        let _daemon = site.daemon_with("", "[retention]\noutbox = \"2s\"\n");
        site.assert_relayed(&written).await;
        eventually("published rows to be removed", || async {
            (site.number("SELECT count(*) FROM makegood.outbox").await == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_asked_for_while_the_clock_was_ahead_is_done_now() {
    let site = Site::new(Place::Beside, 1).await;
    let sql = "INSERT INTO makegood.outbox_parked
                   (seq, created_at, bytes, id, aggregatetype, aggregateid, type, payload, headers, reason, retry_at)
               SELECT 1, now(), 2, gen_random_uuid(), $1, 'k', 'T', '{}', '{}', 'refused', now() + interval '1 hour'";
    site.client.execute(sql, &[&site.rig.topic]).await.unwrap();
    let _daemon = site.daemon();
    eventually("it to be sent", || async {
        (site.number("SELECT count(*) FROM makegood.outbox_parked").await == 0).then_some(())
    })
    .await;
}

/// The view knows the length of a lease too.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_agrees_how_long_a_lease_is() {
    let site = Site::new(Place::Beside, 1).await;
    for (seconds, relays) in [(LEASE.as_secs_f64() - 1.0, 1), (LEASE.as_secs_f64() + 1.0, 0)] {
        let sql = "UPDATE makegood.outbox_steps SET lease_until = clock_timestamp() + make_interval(secs => $1), xid = pg_current_xact_id()";
        site.client.execute(sql, &[&seconds]).await.unwrap();
        assert_eq!(site.number("SELECT relays FROM makegood.outbox_status").await, relays);
    }
}
