//! What a loop is at when the daemon stops: it may end it, and not wait for servers that say nothing.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a loop may go on with it after the stop. The drain as a whole has twenty seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Does some work; returns `None` if it takes longer than a moment after the stop. What it was at then is given up, as
/// if the process had been killed.
pub async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = late => None,
    }
}
