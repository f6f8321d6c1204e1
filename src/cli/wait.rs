//! Waiting for what a daemon does.

use super::print;
use rules::problem::{Code, Problem};

/// Waits for `what`, or until Ctrl-C, which ends the wait and nothing else: `goes_on` says what goes on without it, and
/// `follow` how it is followed. What `what` prints is printed when Ctrl-C is listened to already.
pub async fn until_ctrl_c<T>(
    what: impl Future<Output = Result<T, Problem>>,
    goes_on: &str,
    follow: &str,
) -> Result<T, Problem> {
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            print::leave_progress();
            Err(Problem::new(Code::Interrupted, format!("the wait was ended, and nothing else: {goes_on}")).advice(follow))
        }
        ended = Box::pin(what) => ended,
    }
}
