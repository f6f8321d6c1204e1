//! More relays than one: each has the keys of its shard, and their number may change under load.

use std::time::Duration;

use crate::support::eventually;
use crate::support::load::chance;
use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site, Writers};

/// Waits until so many shards are relayed, and no more.
async fn relayed(site: &Site, shards: i64) {
    let sql = "SELECT count(*) FROM makegood.outbox_cursor
               WHERE lease_until > clock_timestamp() AND shards = $1::bigint
               HAVING count(*) = (SELECT count(*) FROM makegood.outbox_cursor)";
    eventually("all shards to be relayed", || async {
        let found = site.client.query_opt(sql, &[&shards]).await.unwrap()?;
        (found.get::<_, i64>(0) == shards).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_shards_relay_everything_once_and_in_order() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 3).await;
        let _daemon = site.daemon_with("shards = 3", "");
        relayed(&site, 3).await;
        let mut numbers = Numbers::default();
        let written: Vec<Written> =
            (0..2000).map(|n| numbers.next(&format!("k{}", n % 31))).collect();
        site.publish(&written).await;
        assert_eq!(site.assert_relayed(&written).await, 0);
        let sql = "SELECT min(published) FROM makegood.outbox_cursor";
        assert!(site.number(sql).await > 0, "a shard had nothing to do");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_changes_under_load() {
    let mut rng = chance("shards");
    let site = Site::new(Place::Beside, 3).await;
    let writers = Writers::start(&site, 3, Duration::from_millis(10), &mut rng).await;
    let mut daemon = site.daemon();
    relayed(&site, 1).await;
    // Most leave in order, one crashes; each is still there when the next one starts.
    for (shards, how) in [(3, "TERM"), (2, "KILL"), (8, "TERM"), (1, "TERM")] {
        let published = "SELECT sum(published)::bigint FROM makegood.outbox_cursor";
        let before = site.number(published).await;
        eventually("the relay to go on", || async {
            (site.number(published).await > before).then_some(())
        })
        .await;
        let next = site.daemon_with(&format!("shards = {shards}"), "");
        daemon.signal(how);
        relayed(&site, shards).await;
        daemon.kill();
        daemon = next;
    }
    let written = writers.stop().await;
    let again = site.assert_relayed(&written).await;
    eprintln!("{} events, {again} duplicates", written.len());
}

/// Whoever may create in a schema that is searched could have code of theirs run by the relay's role.
#[tokio::test(flavor = "multi_thread")]
async fn operators_that_somebody_created_are_not_what_the_relay_runs() {
    let site = Site::new(Place::Beside, 3).await;
    // One for each pair of types that PostgreSQL has none for, and would cast.
    let trap = "DO $$
        DECLARE types text[] := '{smallint,integer,bigint,real,double precision,numeric,text,varchar,name}';
                op text; l text; r text;
        BEGIN
            FOREACH l IN ARRAY types LOOP FOREACH r IN ARRAY types LOOP
                EXECUTE format('CREATE FUNCTION public.trap(%s, %s) RETURNS bigint LANGUAGE plpgsql
                                AS $f$BEGIN RAISE EXCEPTION $x$trapped$x$; END$f$', l, r);
                FOREACH op IN ARRAY '{^,%,+,-,*,/,||}'::text[] LOOP
                    CONTINUE WHEN to_regoperator(format('pg_catalog.%s(%s,%s)', op, l, r)) IS NOT NULL;
                    EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.trap)', op, l, r);
                END LOOP;
            END LOOP; END LOOP;
        END $$";
    site.client.batch_execute(trap).await.unwrap();
    let error = site.client.query_one("SELECT 2::bigint ^ 32", &[]).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("trapped"), "{error:?}");
    let daemon = site.daemon_with("shards = 3", "");
    eventually("all shards to be relayed, or somebody to be trapped", || async {
        let sql =
            "SELECT count(*) FROM makegood.outbox_cursor WHERE lease_until > clock_timestamp()";
        assert!(!daemon.log().contains("trapped"), "{}", daemon.log());
        (site.number(sql).await == 3).then_some(())
    })
    .await;
    let mut numbers = Numbers::default();
    let written: Vec<Written> = (0..200).map(|n| numbers.next(&format!("k{}", n % 31))).collect();
    site.publish(&written).await;
    assert_eq!(site.assert_relayed(&written).await, 0);
    assert!(!daemon.log().contains("trapped"), "{}", daemon.log());
}
