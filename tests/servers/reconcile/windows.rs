//! However the windows of a run fall, each payment is looked at once.

use super::found;
use crate::support::events::payments;
use crate::support::ledger;
use crate::support::load::chance;
use crate::support::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_any_size_look_at_each_payment_once_at_uneven_and_equal_times() {
    let mut rng = chance("windows");
    for window in [1, 3, 7] {
        let rig = Rig::new(1).await;
        let _daemon = rig.reconciler(&format!("window = {window}")).await;
        let paid = payments(60);
        // Rushes, long silences, and several payments of the same moment.
        let mut ago = 3.0 * 3600.0;
        for few in paid.chunks(4) {
            rig.record(few, ago).await;
            ago += [0.0, 0.000_001, 0.5, 900.0][rng.usize(..4)];
        }
        rig.client
            .batch_execute(
                "UPDATE payments SET updated_at = date_trunc('second', updated_at) WHERE random() < 0.5",
            )
            .await
            .unwrap();
        rig.by_hand(&paid[..20]).await;
        rig.client
            .batch_execute(&format!(
                "UPDATE student_course_purchases SET currency = 'EUR' WHERE payment_id = '{}';
                 UPDATE student_course_purchases p SET purchased_at = updated_at + interval '30 s'
                 FROM payments WHERE payments.id = payment_id AND random() < 0.5",
                paid[0].id
            ))
            .await
            .unwrap();
        for made_good in [40, 0] {
            let run = rig.reconcile("").await;
            let counts = (run.compared, run.missing, run.made_good, run.conflicts);
            assert_eq!(counts, (60, made_good, made_good, 1), "in windows of {window}: {run:?}");
        }
        assert_eq!(rig.findings().await, found(&[("currency open", 1), ("missing made_good", 40)]));
        assert_eq!(ledger::count(&rig.client).await, 60);
    }
}
