//! A purchase is made only for a payment that is there, succeeded and says the same. Whoever may write to the topic is
//! played here: a forger can neither make a purchase nor hold anybody up.

mod elsewhere;
mod forged;
mod keys;
mod late;

use std::collections::BTreeMap;

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::rig::Rig;

/// The default, said so that the rig leaves it.
pub const VERIFIED: &str = "verify_payment = true";

impl Rig {
    /// Starts a daemon that holds events against their payments.
    pub fn verifier(&self) -> Daemon {
        self.daemon_with(VERIFIED)
    }

    /// What was put away, by reason and state: `no_payment unverified`, `mismatch judged`.
    pub async fn doubted(&self) -> BTreeMap<String, i64> {
        let sql = "SELECT concat(reason, ' ', CASE WHEN resolved_at IS NOT NULL THEN resolution
                       ELSE coalesce(suspect, 'judged') END), count(*)
                   FROM makegood.quarantine GROUP BY 1";
        let rows = self.client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Waits until that is so.
    pub async fn doubts(&self, expected: &[(&str, i64)]) {
        let expected: BTreeMap<String, i64> =
            expected.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect();
        let mut last = BTreeMap::new();
        for _ in 0..1200 {
            last = self.doubted().await;
            if last == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("put away: {last:?}, expected {expected:?}");
    }

    /// Lets the minute pass in which a payment may only be late.
    pub async fn a_minute_passes(&self) {
        let sql =
            "UPDATE makegood.quarantine SET quarantined_at = quarantined_at - interval '2 minutes'
                   WHERE suspect = 'unverified'";
        self.client.execute(sql, &[]).await.unwrap();
        let left = "SELECT count(*) FROM makegood.quarantine WHERE suspect = 'unverified'";
        eventually("the events to be judged", || async {
            (self.number(left).await == 0).then_some(())
        })
        .await;
    }
}
