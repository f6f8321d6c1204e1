//! Whatever isolation level a database begins transactions with, makegood's own are READ COMMITTED: what it promises
//! rests on that, and serializable ones of its own could fail those of payments.

use makegood::config::{Pooler, Postgres};
use makegood::store::Store;

use super::support::events::Payment;
use super::support::eventually;
use super::support::ledger;
use super::support::rig::Rig;
use super::support::world::connect;

/// A rig whose database begins serializable transactions where nobody says otherwise.
async fn strict() -> Rig {
    let rig = Rig::new(1).await;
    let sql = "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'";
    rig.client.batch_execute(&sql.replace("{}", &rig.database)).await.unwrap();
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_read_committed_also_behind_a_pooler() {
    let rig = strict().await;
    for pooler in [Pooler::None, Pooler::Transaction] {
        let settings = Postgres { pooler, ..Postgres::from_url(&rig.url()).unwrap() };
        let store = Store::open(&settings, "makegood test", 1).unwrap();
        let sql = "SHOW transaction_isolation";
        let tx = store.begin("test").await.unwrap();
        let within: String = tx.query(sql, &[]).await.unwrap()[0].get(0);
        tx.rollback().await;
        let alone: String = store.query(sql, &[]).await.unwrap()[0].get(0);
        assert_eq!((within.as_str(), alone.as_str()), ("read committed", "read committed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_serializable_transaction_published_becomes_a_purchase_and_nothing_stands_in_its_way()
 {
    let rig = strict().await;
    // While it is open, PostgreSQL remembers what serializable transactions read that overlap with it.
    let onlooker = connect(&rig.url()).await;
    onlooker.batch_execute("BEGIN; SELECT FROM makegood.outbox_turns").await.unwrap();
    let _daemon = rig.daemon();
    let paid = [Payment::new(1), Payment::new(2)];
    let service = connect(&rig.url()).await;
    let sql = "SELECT makegood.publish($1, 'k', 'PURCHASE_CONFIRMED', $2::text::jsonb)";
    for payment in &paid {
        service.query_one(sql, &[&rig.topic, &payment.json()]).await.unwrap();
    }
    eventually("the published events to become purchases", || async {
        (ledger::count(&rig.client).await == paid.len()).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let reads = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity a USING (pid)
                 WHERE mode = 'SIReadLock' AND datname = current_database()
                       AND application_name LIKE 'makegood%'";
    assert_eq!(rig.number(reads).await, 0, "makegood's own transactions are serializable");
    let others = "SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock'";
    assert!(rig.number(others).await > 0, "nothing was looked for");
}
