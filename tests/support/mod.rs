//! What the promises are tested with: shared servers, a rig per test, the real program, a ledger.

pub mod alone;
pub mod authority;
pub mod browser;
pub mod corpus;
pub mod daemon;
pub mod document;
pub mod events;
pub mod golden;
pub mod holding;
pub mod http;
pub mod ledger;
pub mod library;
pub mod load;
pub mod old_member;
pub mod old_worker;
#[cfg(feature = "otel")]
pub mod otlp;
pub mod outbox;
pub mod payments;
pub mod prometheus;
pub mod quick;
pub mod reader;
pub mod receiver;
pub mod rig;
pub mod secured;
pub mod sending;
pub mod standby;
pub mod topic;
pub mod transactions;
pub mod traps;
pub mod ward;
pub mod watched;
pub mod wire;
pub mod world;

pub use lab::servers::{pgbouncer, proxy};

use std::future::Future;
use std::time::{Duration, Instant};

/// Waits until `ready` gives a value; panics with `what` after a minute and a half.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ready: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        if let Some(value) = ready().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        // A poll's pace, not a wait for a time.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
