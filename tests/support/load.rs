//! Load and chance: payments that keep coming, from a seed that can be given again.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::events::Payment;
use super::rig::Rig;

/// A generator seeded by `MAKEGOOD_TEST_SEED`, or by chance; says which, so that a failure can be
/// played again as far as the machine's timing allows.
pub fn chance(what: &str) -> Rng {
    let given = std::env::var("MAKEGOOD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{what}: MAKEGOOD_TEST_SEED={seed}");
    Rng::with_seed(seed)
}

/// Payments that are sent until told to stop; about one event in ten is sent again later.
pub struct Load {
    stop: CancellationToken,
    task: JoinHandle<Vec<Payment>>,
}

impl Load {
    /// Starts sending a few payments every few milliseconds.
    pub fn start(rig: &Arc<Rig>, mut rng: Rng) -> Load {
        let (stop, rig) = (CancellationToken::new(), rig.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut paid: Vec<Payment> = Vec::new();
            // The pace of the load, about 300 a second.
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            while !stopped.is_cancelled() {
                pace.tick().await;
                let from = paid.len();
                paid.extend((0..rng.usize(1..12)).map(|n| Payment::new(from + n)));
                rig.pay(&paid[from..]).await;
                let again: Vec<Payment> =
                    paid[from..].iter().filter(|_| rng.u8(..10) == 0).cloned().collect();
                rig.pay(&again).await;
                if rng.u8(..10) == 0 {
                    let old = paid[rng.usize(..paid.len())].clone();
                    rig.pay(std::slice::from_ref(&old)).await;
                }
            }
            paid
        });
        Load { stop, task }
    }

    /// Stops, and returns everything that was paid.
    pub async fn stop(self) -> Vec<Payment> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}
