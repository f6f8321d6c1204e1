//! What a loop is at when the daemon stops: it may end it, and not wait for servers that say nothing, nor for calls that
//! do not come back.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use rules::problem::{Code, Problem};

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

/// Runs a call into Kafka's client where waiting is allowed. Opening a client is one: it waits for its threads, for a
/// minute if the clock jumps meanwhile.
pub async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|e| {
        Err(Problem::new(Code::System, format!("a call to Kafka's client ended early: {e}")))
    })
}
