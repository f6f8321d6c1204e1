//! Who is in the group, and its offsets set from outside.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::super::raw;
use super::{Probe, Question};
use rules::checkup::group::Group;
use rules::ids::Offset;
use rules::problem::{Code, Problem};

/// Asks for a group. A broker that has just become its coordinator says so first, and knows it a moment later.
fn described<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    topic: &str,
    timeout: Duration,
) -> Result<Option<Group>, RDKafkaErrorCode> {
    let deadline = Instant::now() + timeout;
    loop {
        match raw::group(client, group, topic, timeout) {
            Err(RDKafkaErrorCode::CoordinatorLoadInProgress) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(100));
            }
            answer => return answer,
        }
    }
}

impl Probe {
    /// The group's state and members, with what they were given of this topic.
    pub fn group(&self) -> Result<Group, Problem> {
        let (group, topic) = (&self.group, &self.topic);
        let found = self.handle.ask(Question::Group, |client| {
            described(client.client(), group, topic, self.timeout).map_err(|code| {
                Problem::new(Code::Kafka, format!("cannot look at group {group}: {code}"))
                    .advice(super::super::advice(Some(code)))
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Sets offsets of the group, which Kafka allows only while it has no members.
    pub fn commit(&self, offsets: &BTreeMap<i32, Offset>) -> Result<(), Problem> {
        let list = self.list(offsets.iter().map(|(p, offset)| (*p, crate::at(*offset))));
        self.handle.ask(Question::Group, |client| {
            client.commit(&list, CommitMode::Sync).map_err(|error| {
                let problem =
                    super::super::problem(&error, "Kafka does not take the group's offsets");
                match error.rdkafka_error_code() {
                    Some(
                        RDKafkaErrorCode::UnknownMemberId
                        | RDKafkaErrorCode::IllegalGeneration
                        | RDKafkaErrorCode::RebalanceInProgress,
                    ) => problem.advice("the group has members: stop every worker in it first"),
                    _ => problem,
                }
            })
        })
    }
}
