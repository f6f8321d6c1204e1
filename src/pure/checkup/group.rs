//! Who is in the consumer group, and whether makegood can be.

use super::Check;

/// The assigners that librdkafka knows. kafkajs calls its own `RoundRobinAssigner`, and members without a
/// common one cannot be in one group.
const OURS: [&str; 3] = ["range", "roundrobin", "cooperative-sticky"];

/// A member; names are whatever the client chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

/// A consumer group, as its coordinator describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `Stable`, `Empty`, `PreparingRebalance` and so on; `Dead` or nothing for one that does not exist.
    pub state: String,
    /// The assigner in use; empty while there is none.
    pub protocol: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// Judges who is in `name`.
pub fn check(name: &str, group: &Group) -> Check {
    let (ours, others): (Vec<_>, Vec<_>) =
        group.members.iter().partition(|member| member.client_id.starts_with("makegood"));
    let Group { state, protocol, .. } = group;
    if group.members.is_empty() {
        let state = if state.is_empty() { "Dead" } else { state };
        return Check::pass("kafka.group", format!("nobody is in group {name} ({state})"));
    }
    let who: Vec<String> =
        others.iter().take(5).map(|m| format!("{} from {}", m.client_id, m.host)).collect();
    let who = who.join(", ");
    if !protocol.is_empty() && !OURS.contains(&protocol.as_str()) {
        return Check::fail(
            "kafka.group",
            format!(
                "{} of another kind are in group {name} ({state}, assigner {protocol}): {who}; Kafka would \
                 refuse makegood in it (INCONSISTENT_GROUP_PROTOCOL)",
                members(others.len())
            ),
            "stop all of these workers (kafkajs ones, by the assigner's name), then start makegood in the same \
             group: it goes on at the group's offsets",
        );
    }
    if !others.is_empty() {
        return Check::warn(
            "kafka.group",
            format!(
                "{} besides makegood's {} in group {name} ({state}): {who}; they get some of the partitions, \
                 and makegood never sees those events",
                members(others.len()),
                ours.len()
            ),
            "stop them, or give them a group of their own",
        );
    }
    Check::pass(
        "kafka.group",
        format!("{} in group {name}, all makegood ({state})", members(ours.len())),
    )
}

fn members(count: usize) -> String {
    format!("{count} member{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::checkup::Level;

    fn level(state: &str, protocol: &str, clients: &[&str]) -> Level {
        let member =
            |client: &&str| Member { client_id: (*client).to_owned(), host: "/h".to_owned() };
        let group = Group {
            state: state.to_owned(),
            protocol: protocol.to_owned(),
            members: clients.iter().map(member).collect(),
        };
        check("g", &group).level
    }

    #[test]
    fn only_members_that_are_not_ours_are_in_the_way() {
        assert_eq!(level("", "", &[]), Level::Pass);
        assert_eq!(level("Empty", "", &[]), Level::Pass);
        assert_eq!(level("Stable", "range", &["makegood-a", "makegood-a"]), Level::Pass);
        assert_eq!(level("Stable", "range", &["makegood-a", "rdkafka"]), Level::Warn);
        assert_eq!(level("PreparingRebalance", "", &["kafkajs"]), Level::Warn);
        assert_eq!(level("Stable", "RoundRobinAssigner", &["kafkajs"]), Level::Fail);
    }
}
