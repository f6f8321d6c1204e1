//! What is done about a member that is stuck or broken.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::warn;

use super::{Ingest, Route};
use crate::config::{self, Inbox as Settings};
use crate::kafka::consumer::{Command, Event, GroupMember};
use crate::kafka::login;
use crate::progress::Remedy;
use crate::stop::{blocking, unless_stopped};
use rules::ingest::Event::Left;
use rules::problem::{Code, Problem};

/// A member that breaks sooner than this after its start is not replaced by another: the process is.
const SOON: Duration = Duration::from_secs(10);
/// How long the lanes may take to let go before a new member is made, or the process ends. A later batch is fenced.
pub(super) const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// The present member of the group.
pub(super) struct GroupClient {
    pub member: GroupMember,
    /// What it tells; events of a replaced one are dropped.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// Where the group waits for an answer to its revoke.
    pub revoked: Option<std_mpsc::SyncSender<()>>,
    /// Counts the members, from 1.
    number: u32,
    since: Instant,
    /// Which reading of the login it has.
    login: u64,
}

impl GroupClient {
    /// Joins the group as a route's member number `number`.
    pub(super) async fn join(
        route: &Arc<Route>,
        kafka: &config::Kafka,
        number: u32,
    ) -> Result<GroupClient, Problem> {
        let login = login::version();
        let name = &route.settings.name;
        let client_id = match number {
            1 => format!("makegood-{name}"),
            _ => format!("makegood-{name}-{number}"),
        };
        let Settings { topic, group, .. } = route.settings.clone();
        let kafka = kafka.clone();
        let (member, events) =
            blocking(move || GroupMember::join(&kafka, &topic, &group, &client_id)).await?;
        Ok(GroupClient { member, events, revoked: None, number, since: Instant::now(), login })
    }

    /// Answers a revoke: no batch of its partitions is in flight any more.
    pub(super) fn release(&mut self) {
        if let Some(done) = self.revoked.take() {
            let _: Result<(), std_mpsc::TrySendError<()>> = done.try_send(());
        }
    }
}

impl Ingest {
    pub(super) async fn on_remedy(&mut self, remedy: Remedy) -> Result<(), Problem> {
        match remedy {
            Remedy::Reclaim => {
                // The claim finds out whether what comes next can be read at all.
                self.restart("nothing moved though records wait", true).await
            }
            Remedy::Rebuild => {
                self.client.member.retire();
                self.rebuild("it is stuck").await
            }
        }
    }

    /// The member said that it cannot go on. One that breaks at once may break for ever.
    pub(super) async fn broken(&mut self, problem: &Problem) -> Result<(), Problem> {
        if self.client.since.elapsed() < SOON {
            return Err(Problem { code: Code::GaveUp, ..problem.clone() });
        }
        self.client.member.retire();
        self.rebuild(&problem.reason).await
    }

    /// A member whose login is refused is replaced once there is another one.
    pub(super) async fn renew_login(&mut self) -> Result<(), Problem> {
        self.forget_old_bar();
        if self.client.member.is_refused() && login::is_newer_than(self.client.login) {
            self.client.member.retire();
            self.rebuild("the login to Kafka is another").await?;
        }
        Ok(())
    }

    /// Joins as a new member; the old one, if it still listens, leaves.
    pub(super) async fn rebuild(&mut self, why: &str) -> Result<(), Problem> {
        let left = self.machine.on(Left, fastrand::f64());
        match tokio::time::timeout(DROP_PATIENCE, self.carry_out(left, None)).await {
            Ok(left) => left?,
            Err(_) => {
                warn!(route = self.route.settings.name, "a batch is still in flight; it is fenced")
            }
        }
        self.rejoin(why).await
    }

    /// The same when everything was let go of before.
    pub(super) async fn rejoin(&mut self, why: &str) -> Result<(), Problem> {
        let number = self.client.number + 1;
        warn!(route = self.route.settings.name, why, number, "the Kafka client is replaced");
        self.client.member.tell(Command::Close);
        let joining = GroupClient::join(&self.route, &self.kafka, number);
        let Some(client) = unless_stopped(&self.stop, joining).await else { return Ok(()) };
        self.client = client?;
        self.vitals.client(self.client.member.pulse.clone());
        self.vitals.rebuilds.fetch_add(1, Ordering::Relaxed);
        self.show_state();
        Ok(())
    }
}
