//! Notifications: hints that a row was written. One that is lost costs only the time until the next poll.

use std::time::Duration;

use tokio::sync::watch;
use tracing::debug;

use super::connect;
use config::Postgres;
use rules::numfmt::list;

/// The pause before a connection that has ended is opened again.
const PAUSE: Duration = Duration::from_secs(5);

/// Listens on channels for as long as the process runs, and counts what is heard. After every new
/// connection once for what may have been missed.
pub async fn listen(
    settings: Postgres,
    channels: &'static [&'static str],
    heard: watch::Sender<u64>,
) {
    loop {
        match connect::listener(&settings, "makegood listen").await {
            Ok((client, told)) => {
                let listen = channels.iter().map(|channel| format!("LISTEN {channel};"));
                let listening = client.batch_execute(&listen.collect::<String>()).await;
                while listening.is_ok() && !client.is_closed() {
                    heard.send_modify(|count| *count += 1);
                    told.notified().await;
                    #[cfg(feature = "failpoints")]
                    match failpoints::reached("notify.heard").await {
                        None => {}
                        Some(failpoints::Failure::Error) => break,
                        Some(failpoints::Failure::Drop) => told.notified().await,
                    }
                }
            }
            Err(problem) => {
                debug!(%problem, channels = list(channels), "nothing can be heard for now")
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
