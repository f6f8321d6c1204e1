//! `[outbox] database`: each database gets its part of makegood's schema, by the daemon and by the commands.

use std::path::Path;
use std::process::Output;

use tokio_postgres::Client;

use crate::support::daemon::command;
use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site};
use crate::support::world::{HOST_TABLES, connect};

fn migrate(config: &Path, action: &[&str]) -> Output {
    let done = command().arg("migrate").args(action).arg("--config").arg(config).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The tables of makegood's schema.
async fn tables(client: &Client) -> Vec<String> {
    let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'makegood' ORDER BY 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn assert_each_has_its_part(site: &Site) {
    let is_outbox = |name: &String| name.starts_with("outbox");
    let shop = tables(&connect(&site.purchases).await).await;
    let pay = tables(&connect(&site.payments).await).await;
    match site.place {
        Place::Beside => {
            assert_eq!(shop, pay);
            assert!(shop.iter().any(is_outbox) && !shop.iter().all(is_outbox), "{shop:?}");
        }
        Place::Apart => {
            assert!(!shop.is_empty() && !shop.iter().any(is_outbox), "{shop:?}");
            // Both keep on record who decided what.
            let is_its = |name: &String| is_outbox(name) || name == "audit_entries";
            assert!(!pay.is_empty() && pay.iter().all(is_its), "{pay:?}");
        }
    }
}

/// Waits for a view of the last migration of a set.
async fn has(client: &Client, view: &str) {
    crate::support::eventually("the schema", || async {
        let sql = "SELECT to_regclass($1) IS NOT NULL";
        client.query_one(sql, &[&view]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
}

/// A site whose databases are empty but for the host's tables.
async fn bare(place: Place) -> Site {
    let mut site = Site::new(place, 3).await;
    let admin = connect(&site.rig.world.postgres.url("postgres")).await;
    let create = async |what: &str| {
        let name = format!("{}_{what}", site.rig.database);
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
        let url = site.rig.world.postgres.url(&name);
        connect(&url).await.batch_execute(HOST_TABLES).await.unwrap();
        url
    };
    let purchases = create("bare").await;
    let payments = match place {
        Place::Beside => purchases.clone(),
        Place::Apart => create("barepay").await,
    };
    site.client = connect(&payments).await;
    (site.purchases, site.payments) = (purchases, payments);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_gives_each_database_its_part_and_relays() {
    for place in [Place::Beside, Place::Apart] {
        let site = bare(place).await;
        let _daemon = site.daemon();
        has(&site.client, "makegood.outbox_status").await;
        has(&connect(&site.purchases).await, "makegood.gaps_open").await;
        assert_each_has_its_part(&site).await;
        let mut numbers = Numbers::default();
        let written: Vec<Written> =
            (0..100).map(|n| numbers.next(&format!("k{}", n % 7))).collect();
        site.publish(&written).await;
        site.assert_relayed(&written).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_reach_kafka_while_the_database_of_the_purchases_is_away() {
    let mut site = Site::new(Place::Apart, 1).await;
    site.purchases = "postgres://nobody@127.0.0.1:1/away".to_owned();
    let _daemon = site.daemon();
    let event = Numbers::default().next("k");
    site.publish(std::slice::from_ref(&event)).await;
    site.assert_relayed(&[event]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_acts_on_each_database() {
    for place in [Place::Beside, Place::Apart] {
        let site = bare(place).await;
        let config = site.config("", "[migrate]\nmode = \"check\"\n");
        let before = stdout(&migrate(&config, &["status", "-o", "json"]));
        assert!(before.contains("V1__outbox") && before.contains("V1__inbox"), "{before}");
        assert!(!before.contains("true"), "{before}");
        migrate(&config, &["up"]);
        assert_each_has_its_part(&site).await;
        let after = stdout(&migrate(&config, &["status", "-o", "json"]));
        assert!(!after.contains("false"), "{after}");
        // Which is all that a daemon wants that may only check.
        let _daemon = crate::support::daemon::Daemon::start(&config, 0);
        let event = Numbers::default().next("k");
        site.publish(std::slice::from_ref(&event)).await;
        site.assert_relayed(&[event]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_sql_is_what_a_person_may_run_instead() {
    for place in [Place::Beside, Place::Apart] {
        let site = bare(place).await;
        let config = site.config("", "[migrate]\nmode = \"check\"\n");
        let text = stdout(&migrate(&config, &["sql"]));
        let scripts: Vec<&str> = match place {
            Place::Beside => vec![&text],
            Place::Apart => {
                let at = text.rfind("-- for ").unwrap();
                assert!(text[at..].contains(site.payments.rsplit_once('/').unwrap().1), "{text}");
                vec![&text[..at], &text[at..]]
            }
        };
        let databases = [&site.purchases, &site.payments];
        for (script, url) in scripts.iter().zip(databases) {
            connect(url).await.batch_execute(script).await.unwrap();
        }
        assert_each_has_its_part(&site).await;
        assert_eq!(stdout(&migrate(&config, &["sql", "--missing"])), "");
        let _daemon = crate::support::daemon::Daemon::start(&config, 0);
        let event = Numbers::default().next("k");
        site.publish(std::slice::from_ref(&event)).await;
        site.assert_relayed(&[event]).await;
    }
}
