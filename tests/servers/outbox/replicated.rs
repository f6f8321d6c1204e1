//! A publication FOR ALL TABLES, as Debezium makes by default, forbids what a table without a replica identity cannot
//! tell a subscriber: makegood updates and deletes rows all the same.

use crate::support::eventually;
use crate::support::outbox::Numbers;
use crate::support::payments::{Place, Site};

const ALL: &str = "CREATE PUBLICATION everything FOR ALL TABLES";

#[tokio::test(flavor = "multi_thread")]
async fn every_table_of_makegoods_can_tell_a_subscriber_which_row_it_is() {
    let site = Site::new(Place::Beside, 1).await;
    site.client.batch_execute(ALL).await.unwrap();
    let tables = "SELECT format('%I.%I', n.nspname, c.relname), a.attname::text
                  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  CROSS JOIN LATERAL (
                      SELECT attname FROM pg_attribute
                      WHERE attrelid = c.oid AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1
                  ) a
                  WHERE n.nspname = 'makegood' AND c.relkind IN ('r', 'p')";
    for row in site.client.query(tables, &[]).await.unwrap() {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        for sql in [
            format!("UPDATE {table} SET \"{column}\" = \"{column}\" WHERE false"),
            format!("DELETE FROM {table} WHERE false"),
        ] {
            let done = site.client.batch_execute(&sql).await;
            assert!(done.is_ok(), "{sql}: {done:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_of_a_database_that_publishes_all_its_tables_is_relayed_and_emptied() {
    let site = Site::new(Place::Beside, 1).await;
    site.client.batch_execute(ALL).await.unwrap();
    let mut numbers = Numbers::default();
    let mut written: Vec<_> = (0..3).map(|_| numbers.next("k")).collect();
    site.publish(&written).await;
    // As a restore leaves it: the rows of another server, which get new numbers.
    let sql = "UPDATE makegood.outbox_steps SET xid = '4'::xid8";
    site.client.batch_execute(sql).await.unwrap();
    let _daemon = site.daemon_with("", "[retention]\noutbox = \"2s\"\n");
    site.assert_relayed(&written).await;
    let more = numbers.next("k");
    site.publish(std::slice::from_ref(&more)).await;
    written.push(more);
    site.assert_relayed(&written).await;
    eventually("published rows to be removed", || async {
        (site.number("SELECT count(*) FROM makegood.outbox").await == 0).then_some(())
    })
    .await;
}
