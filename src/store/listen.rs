//! Notifications: hints that a row was written. One that is lost costs only the time until the next poll.

use std::time::Duration;

use tokio::sync::watch;
use tracing::debug;

use super::connect;
use crate::config::Postgres;

/// How often a connection that has ended is noticed, and opened again.
const LOOK: Duration = Duration::from_secs(5);

/// Listens on a channel for as long as the process runs, and counts what is heard. After every new
/// connection once for what may have been missed.
pub async fn listen(settings: Postgres, channel: &'static str, heard: watch::Sender<u64>) {
    loop {
        let count = heard.clone();
        let on = move || count.send_modify(|count| *count += 1);
        match connect::connect_listening(&settings, "makegood listen", on).await {
            Ok(client) => {
                if client.batch_execute(&format!("LISTEN {channel}")).await.is_ok() {
                    heard.send_modify(|count| *count += 1);
                    while !client.is_closed() {
                        tokio::time::sleep(LOOK).await;
                    }
                }
            }
            Err(problem) => debug!(%problem, channel, "nothing can be heard for now"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
