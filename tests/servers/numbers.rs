//! makegood's own numbers are not trusted: a sequence may be behind its table's rows, after an upgrade by logical
//! replication, a setval or an ALTER SEQUENCE.

use crate::support::events::{payments, raw};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Sets every sequence of makegood's tables back to its beginning.
async fn set_back(rig: &Rig) -> usize {
    let sql = "SELECT format('ALTER TABLE makegood.%I ALTER %I RESTART', table_name, column_name)
               FROM information_schema.columns
               WHERE table_schema = 'makegood' AND is_identity = 'YES' AND table_name NOT LIKE 'outbox%'";
    let statements = rig.client.query(sql, &[]).await.unwrap();
    for row in &statements {
        rig.client.batch_execute(row.get(0)).await.unwrap();
    }
    statements.len()
}

async fn quarantined(rig: &Rig, count: i64) {
    let sql = "SELECT count(*) FROM makegood.quarantine";
    eventually(&format!("{count} records in quarantine"), || async {
        (rig.number(sql).await == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_is_behind_loses_no_record_no_run_and_no_decision() {
    let rig = Rig::new(1).await;
    let broken = |n: usize| raw(None, Some(format!("not json {n}").as_bytes()));
    for n in 0..4 {
        rig.send(&broken(n)).await;
    }
    let _daemon = rig.reconciler("").await;
    quarantined(&rig, 4).await;
    let run = rig.reconcile_number().await;
    let decided = "SELECT makegood.replay(min(id)) FROM makegood.quarantine";
    let decision = rig.number(decided).await;
    assert!(set_back(&rig).await >= 6);
    for n in 4..8 {
        rig.send(&broken(n)).await;
    }
    quarantined(&rig, 8).await;
    let again = rig.reconcile_number().await;
    assert!(again > run, "run {again} after run {run}");
    let decided = "SELECT makegood.replay(max(id)) FROM makegood.quarantine";
    assert!(rig.number(decided).await > decision);
    let paid = payments(2);
    rig.record(&paid, 60.0).await;
    rig.reconcile("").await;
    set_back(&rig).await;
    let more = payments(2);
    rig.record(&more, 60.0).await;
    rig.reconcile("").await;
    ledger::assert_exactly(&rig.client, &[paid, more].concat()).await;
    assert_eq!(
        rig.number("SELECT count(DISTINCT finding) FROM makegood.reconcile_findings").await,
        4
    );
}

impl Rig {
    async fn reconcile_number(&self) -> i64 {
        let run = self.ask("").await;
        self.run_is(run, &["done"]).await;
        run
    }
}

/// The key of a route is a small number, and a daemon may be started every minute for a month.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_used_up_by_a_start() {
    let rig = Rig::new(1).await;
    let used = "SELECT sum(coalesce(last_value, 0))::bigint FROM pg_sequences WHERE schemaname = 'makegood'";
    let mut before = None;
    for _ in 0..3 {
        let daemon = rig.daemon();
        rig.reads(&daemon).await;
        daemon.stop();
        let now = rig.number(used).await;
        assert!(before.is_none_or(|before| before == now), "{before:?} numbers, then {now}");
        before = Some(now);
    }
}
