//! What systemd hears (sd_notify(3)); nothing happens where nobody listens.

use sd_notify::NotifyState;

use super::route::Doing;
use rules::visible::visible;

/// The daemon has begun: the loops run, or it waits for its servers as it always will.
pub fn ready() {
    say(&[NotifyState::Ready]);
}

/// It drains and will end.
pub fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// It waits for a server, says so in a line, and goes on trying.
pub fn waiting(line: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(&one_line(line)), NotifyState::Watchdog]);
}

/// How all routes are doing. The keep-alive is left out while one is stuck through a fault of this
/// process: a thread that still runs is no evidence of anything.
pub(super) fn tell(routes: &[Doing]) {
    let line = line(routes);
    let status = NotifyState::Status(&line);
    if routes.iter().any(|route| route.is_stuck) {
        say(&[status]);
    } else {
        say(&[status, NotifyState::Watchdog]);
    }
}

fn line(routes: &[Doing]) -> String {
    let complaints: Vec<String> = (routes.iter())
        .filter_map(|route| Some(format!("{}: {}", route.route, route.complaint.as_ref()?)))
        .collect();
    if complaints.is_empty() {
        let partitions: usize = routes.iter().map(|route| route.partitions).sum();
        return format!(
            "nothing is stuck; routes: {}, partitions read: {partitions}",
            routes.len()
        );
    }
    one_line(&complaints.join("; "))
}

/// One line is one line, whatever a server said.
fn one_line(text: &str) -> String {
    visible(&text.replace('\n', " "), false)
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the supervisor could not be told");
    }
}
