//! The last bound on a wait for the server.
//!
//! Statements have time-outs of the server's own, and a dead peer is noticed by the kernel. Neither helps
//! where something takes the bytes and nobody answers: a frozen server, or a pooler before a dead one.

use std::time::Duration;

use super::Fault;

/// Longer than the server's own `statement_timeout`, so that this speaks only where that cannot.
pub(super) const ANSWER: Duration = Duration::from_secs(40);

/// Waits for an answer, [`ANSWER`] at most. The caller then gives the connection up.
pub(super) async fn answer<T, E: Into<Fault>>(
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answered) => answered.map_err(Into::into),
        Err(_) => {
            let cause = format!("no answer to a statement within {} s", ANSWER.as_secs());
            Err(Fault::unanswered(cause))
        }
    }
}
