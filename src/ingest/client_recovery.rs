//! What is done about a member that is stuck or broken.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::warn;

use super::{Ingest, Route};
use crate::config;
use crate::kafka::consumer::{Command, Event, Member};
use crate::kafka::login;
use crate::progress::Remedy;
use rules::problem::{Code, Problem};

/// A member that breaks sooner than this after its start is not replaced by another: the process is.
const SOON: Duration = Duration::from_secs(10);
/// How long the lanes may take to let go before a new member is made. A later batch is fenced.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// Joins the group as a route's member number `number`.
pub(super) fn join(
    route: &Arc<Route>,
    kafka: &config::Kafka,
    number: u32,
) -> Result<(Member, mpsc::UnboundedReceiver<Event>), Problem> {
    let name = &route.settings.name;
    let client_id = match number {
        1 => format!("makegood-{name}"),
        _ => format!("makegood-{name}-{number}"),
    };
    Member::join(kafka, &route.settings.topic, &route.settings.group, &client_id)
}

impl Ingest {
    pub(super) async fn on_remedy(&mut self, remedy: Remedy) -> Result<(), Problem> {
        match remedy {
            Remedy::Reclaim => {
                // The claim finds out whether what comes next can be read at all.
                self.careful = true;
                self.restart("nothing moved though records wait").await;
                Ok(())
            }
            Remedy::Rebuild => {
                self.member.retire();
                self.rebuild("it is stuck").await
            }
        }
    }

    /// The member said that it cannot go on. One that breaks at once may break for ever.
    pub(super) async fn broken(&mut self, problem: &Problem) -> Result<(), Problem> {
        if self.member_since.elapsed() < SOON {
            return Err(Problem { code: Code::GaveUp, ..problem.clone() });
        }
        self.member.retire();
        self.rebuild(&problem.cause).await
    }

    /// A member whose login is refused is replaced once there is another one.
    pub(super) async fn renew_login(&mut self) -> Result<(), Problem> {
        self.forget_old_bar();
        if self.member.is_refused() && login::is_newer_than(self.login) {
            self.member.retire();
            self.rebuild("the login to Kafka is another").await?;
        }
        Ok(())
    }

    /// Joins as a new member; the old one, if it still listens, leaves.
    pub(super) async fn rebuild(&mut self, why: &str) -> Result<(), Problem> {
        self.member_number += 1;
        let number = self.member_number;
        warn!(route = self.route.settings.name, why, number, "the Kafka client is replaced");
        self.vitals.assigned(None);
        if tokio::time::timeout(DROP_PATIENCE, self.forget_partitions()).await.is_err() {
            warn!(route = self.route.settings.name, "a batch is still in flight; it is fenced");
        }
        self.member.tell(Command::Close);
        self.login = login::version();
        (self.member, self.events) = join(&self.route, &self.kafka, number)?;
        self.member_since = Instant::now();
        self.vitals.client(self.member.pulse.clone());
        self.vitals.rebuilds.fetch_add(1, Ordering::Relaxed);
        self.show_state();
        Ok(())
    }
}
