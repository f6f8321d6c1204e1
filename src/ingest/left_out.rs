//! Partitions that cannot be claimed or read: one without a leader, one whose last or next record is damaged. They
//! keep nobody else waiting: they are looked at by themselves, ever less often, and when one of them is well again
//! everything is claimed anew, the one way to begin reading.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::info;

use super::Ingest;
use super::claim;
use crate::store::workers::State;
use rules::diagnosis::Diagnosis;
use rules::ingest::Event;
use rules::problem::Problem;

impl Ingest {
    /// How the route is shown, if there are any.
    pub(super) fn state_of_left_out(&self) -> Option<State> {
        let first = self.left_out.values().next()?;
        let numbers: Vec<String> = self.left_out.keys().map(ToString::to_string).collect();
        let which = match numbers.as_slice() {
            [one] => format!("partition {one} is not read"),
            list => format!("partitions {} are not read", list.join(", ")),
        };
        let others = if self.machine.reads_others() { ", the others are" } else { "" };
        let reason = format!("{which}{others}: {}", first.reason);
        Some(State::Stalled(Diagnosis { reason, ..first.clone() }))
    }

    pub(super) fn look_after(&mut self, attempt: u64, pause: Duration, partitions: Vec<i32>) {
        let (route, store, probe) = (self.route.clone(), self.store.clone(), self.probe.clone());
        self.attempts.look(attempt, async move {
            tokio::time::sleep(pause).await;
            claim::still_left_out(&route, &store, &probe, &partitions).await
        });
    }

    pub(super) async fn on_looked(
        &mut self,
        attempt: u64,
        still: Result<BTreeMap<i32, Problem>, Problem>,
    ) -> Result<(), Problem> {
        let still = match still {
            Ok(still) if still.len() < self.left_out.len() => {
                info!(route = self.route.settings.name, "a partition can be read again");
                Some(still)
            }
            Ok(still) => {
                for problem in still.values() {
                    self.say(problem, "a partition is not read");
                }
                self.left_out = still.clone();
                Some(still)
            }
            Err(problem) => {
                self.say(&problem, "cannot look at partitions that are not read");
                None
            }
        };
        let still = still.map(|still| still.into_keys().collect());
        self.happen(Event::Looked { attempt, still }).await
    }
}
