//! Who is in the group, and its offsets set from outside.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::super::raw;
use super::{Probe, Question};
use rules::assignment;
use rules::checkup::group as checkup;
use rules::ids::Offset;
use rules::problem::{Code, Problem};

/// A group, as Kafka describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Kafka's word for its state: `Empty`, `Stable`, `Dead` and so on; empty where no broker knows it.
    pub state: String,
    /// The assigner in use; empty while there is none.
    pub protocol: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The partitions of the topic that it was given.
    pub partitions: Vec<i32>,
}

impl Group {
    /// The group as the rules see it.
    pub fn as_seen(self) -> checkup::Group {
        let member = |m: Member| checkup::Member { client_id: m.client_id, host: m.host };
        let members = self.members.into_iter().map(member).collect();
        checkup::Group { state: self.state, protocol: self.protocol, members }
    }
}

/// Asks for a group. A broker that has just become its coordinator says so first, and knows it a moment later.
fn described<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> Result<Option<raw::Group>, RDKafkaErrorCode> {
    let deadline = Instant::now() + timeout;
    loop {
        match raw::group(client, group, timeout) {
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
        let found = self.handle.ask(Question::Group, |client| {
            described(client.client(), &self.group, self.timeout).map_err(|code| {
                Problem::new(Code::Kafka, format!("cannot look at group {}: {code}", self.group))
                    .advice(super::super::advice(Some(code)))
            })
        })?;
        let Some(found) = found else { return Ok(Group::default()) };
        let member = |member: raw::Member| {
            let given = assignment::read(&member.assignment).unwrap_or_default();
            let partitions = given.get(&self.topic).cloned().unwrap_or_default();
            Member { client_id: member.client_id, host: member.host, partitions }
        };
        let members = found.members.into_iter().map(member).collect();
        Ok(Group { state: found.state, protocol: found.protocol, members })
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
