//! Times without a time zone in the host's tables: refused with the fix, and right once it is made.

use std::fs;
use std::sync::Arc;

use jiff::Timestamp;
use makegood::store::mapping::{Mapping, Unfit};
use makegood::store::payments::Looker;

use super::elsewhere::{rows, walk};
use super::recorded;
use crate::support::daemon::Daemon;
use crate::support::library::store;
use crate::support::load::chance;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const ROUNDS: usize = 8;

/// Columns of the host's tables become `timestamp`s of an Indian clock, or `timestamptz` again.
fn columns_to(type_name: &str) -> String {
    [("payments", "updated_at"), ("student_course_purchases", "purchased_at")]
        .map(|(table, column)| {
            format!("ALTER TABLE {table} ALTER {column} TYPE {type_name} USING {};", zoned(column))
        })
        .concat()
}

fn zoned(expression: &str) -> String {
    format!("{expression} AT TIME ZONE 'Asia/Kolkata'")
}

/// Where the shipped statements need a zone, in braces: where a column is selected, and where it is compared.
const PLACES: [&str; 12] = [
    "SELECT id, {updated_at} AS at",
    "SELECT id, {updated_at}\n",
    "SELECT {updated_at} AS at",
    "SELECT {purchased_at}, payment_id",
    "greatest({p.updated_at}, {s.purchased_at})",
    "{p.updated_at} AS at",
    "{s.purchased_at},\n",
    "{s.purchased_at} AS at,\n",
    "{$1::timestamptz}",
    "{$3::timestamptz}",
    "{(SELECT first FROM span)}",
    "{(SELECT last FROM span)}",
];

/// The shipped mapping with the zone declared.
fn mapping_with_zone() -> Mapping {
    let declared = |sql: &str| {
        PLACES.iter().fold(sql.to_owned(), |sql, place| {
            let declared = place.replace('{', "").replace('}', &zoned(""));
            sql.replace(&place.replace(['{', '}'], ""), &declared)
        })
    };
    let mut mapping = Mapping::load(None).unwrap();
    let looks = &mut mapping.looks;
    let all = [&mut looks.missing, &mut looks.conflicts, &mut looks.lookup, &mut looks.strangers];
    for sql in all {
        *sql = sql.as_deref().map(declared);
    }
    mapping
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_over_times_without_a_zone_are_right_in_a_session_of_any_zone() {
    let mut rng = chance("zones");
    let rig = Rig::new(1).await;
    let store = store(&rig.url());
    let shipped = Arc::new(Mapping::load(None).unwrap());
    let shipped = Looker::new(shipped, None).unwrap();
    let with_zone = Arc::new(mapping_with_zone());
    let declared = Looker::new(with_zone.clone(), None).unwrap();
    let until: Timestamp = "2026-01-01T00:00:05Z".parse().unwrap();
    for _ in 0..ROUNDS {
        rig.client.batch_execute("TRUNCATE payments, student_course_purchases").await.unwrap();
        rig.client.batch_execute(&rows(&mut rng)).await.unwrap();
        let whole = walk(&store, &shipped, 1000, until, "UTC").await;
        rig.client.batch_execute(&columns_to("timestamp")).await.unwrap();
        with_zone.check_looks(&store, None).await.unwrap();
        for zone in ["UTC", "America/New_York", "Pacific/Auckland"] {
            let size = rng.i64(1..12);
            let found = walk(&store, &declared, size, until, zone).await;
            assert_eq!(found, whole, "in windows of {size} and a session of {zone}");
        }
        rig.client.batch_execute(&columns_to("timestamptz")).await.unwrap();
    }
}

/// Waits until a daemon has taken a mapping in so many times after its start.
async fn hears_of(daemon: &Daemon, times: usize) {
    eventually("the mapping to be read again", || async {
        (daemon.log().matches("mapping reloaded").count() >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_without_a_zone_is_refused_with_the_fix_and_made_good_after_it() {
    let rig = Rig::new(1).await;
    rig.client.batch_execute(&columns_to("timestamp")).await.unwrap();
    let store = store(&rig.url());
    let shipped = Mapping::load(None).unwrap();
    for source in [None, Some(&store)] {
        let Err(Unfit::Broken(problem)) = shipped.check_looks(&store, source).await else {
            panic!("a column without a zone was taken");
        };
        assert!(problem.advice.contains("updated_at AT TIME ZONE 'UTC'"), "{problem}");
    }
    // The daemon says it too, and makes nothing good in windows that would be hours off.
    let folder = rig.path("mapping");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, sql: &str| fs::write(folder.join(name), sql).unwrap();
    write("apply.sql", &shipped.apply);
    write("missing.sql", shipped.looks.missing.as_deref().unwrap());
    let daemon = rig.reconciler_with(&format!("mapping = \"{}\"", folder.display()), "window = 2");
    let paid = recorded(&rig, 5).await;
    let run = rig.ask("until => now() + interval '1 day'").await;
    let sql = "SELECT notice FROM makegood.jobs WHERE notice LIKE '%AT TIME ZONE%'";
    eventually("the job to say why it waits", || async {
        rig.client.query_opt(sql, &[]).await.unwrap()
    })
    .await;
    assert_eq!(ledger::count(&rig.client).await, 0);
    let declared = mapping_with_zone().looks.missing.unwrap();
    // Selected with its zone and compared without one: windows would begin before they ended, for ever.
    let half = |sql: &str, compared: &str| sql.replace(&zoned(compared), compared);
    write("missing.sql", &half(&half(&declared, "$1::timestamptz"), "$3::timestamptz"));
    daemon.signal("HUP");
    let stopped = rig.run_is(run, &["failed"]).await;
    assert!(stopped.error.unwrap().contains("another zone"));
    write("missing.sql", &declared);
    daemon.signal("HUP");
    hears_of(&daemon, 2).await;
    rig.reconcile("").await;
    ledger::assert_exactly(&rig.client, &paid).await;
}
