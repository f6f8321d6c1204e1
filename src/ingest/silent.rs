//! Partitions that cannot be claimed or read: one without a leader, one whose last or next record is damaged. They
//! keep nobody else waiting: they are looked at by themselves, ever less often, and when one of them is well again
//! everything is claimed anew, the one way to begin reading.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::claim;
use super::{ClaimEnd, Ingest, Outcome};
use crate::kafka::consumer::Command;
use crate::store::workers::State;
use rules::backoff::Backoff;
use rules::problem::Problem;

/// Pauses between looks.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) };

/// What is known of them.
#[derive(Default)]
pub(super) struct Silent {
    why: BTreeMap<i32, Problem>,
    /// Whether others are read.
    others: bool,
    looks: u32,
    /// The next look; dropping it ends it.
    looking: Option<AbortOnDropHandle<()>>,
}

impl Silent {
    /// How the route is shown, if there are any.
    pub(super) fn state(&self) -> Option<State> {
        let first = self.why.values().next()?;
        let numbers: Vec<String> = self.why.keys().map(ToString::to_string).collect();
        let which = match numbers.as_slice() {
            [one] => format!("partition {one} is not read"),
            list => format!("partitions {} are not read", list.join(", ")),
        };
        let others = if self.others { ", the others are" } else { "" };
        let reason = format!("{which}{others}: {}", first.cause);
        Some(State::Stalled { reason, advice: first.hint.clone() })
    }

    /// They are somebody else's now.
    pub(super) fn forget(&mut self) {
        *self = Silent::default();
    }

    /// Looks no more: a claim is under way, and will tell.
    pub(super) fn wait(&mut self) {
        self.looking = None;
    }
}

impl Ingest {
    /// Notes which partitions a claim has left out.
    pub(super) fn note_silent(&mut self, why: BTreeMap<i32, Problem>) {
        for problem in why.values() {
            self.say(problem, "a partition is not read");
        }
        if why.is_empty() {
            self.silent.forget();
            return;
        }
        self.silent.others = why.len() < self.owned.len();
        self.silent.why = why;
        self.look_again();
    }

    fn look_again(&mut self) {
        let pause = BACKOFF.delay(self.silent.looks, fastrand::f64());
        self.silent.looks = self.silent.looks.saturating_add(1);
        let partitions: Vec<i32> = self.silent.why.keys().copied().collect();
        let attempt = self.attempt;
        let (route, store, probe, claims) =
            (self.route.clone(), self.store.clone(), self.probe.clone(), self.claims.clone());
        let task = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let looked = claim::still_silent(&route, &store, &probe, &partitions).await;
            let _ = claims.send(ClaimEnd { attempt, outcome: Outcome::Looked(looked) });
        });
        self.silent.looking = Some(AbortOnDropHandle::new(task));
    }

    pub(super) async fn on_looked(&mut self, still: Result<BTreeMap<i32, Problem>, Problem>) {
        match still {
            Ok(still) if still.len() < self.silent.why.len() => {
                info!(route = self.route.settings.name, "a partition can be read again");
                self.member.tell(Command::Unfetch);
                self.drop_all().await;
                self.vitals.reads(None);
                self.claim_after(Duration::ZERO, None);
            }
            Ok(still) => {
                for problem in still.values() {
                    self.say(problem, "a partition is not read");
                }
                self.silent.why = still;
                self.look_again();
                self.show_state();
            }
            Err(problem) => {
                self.say(&problem, "cannot look at partitions that are not read");
                self.look_again();
            }
        }
    }
}
