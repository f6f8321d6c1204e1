//! Who is in the consumer group, and whether makegood can be.

use super::Check;

/// The assigners that librdkafka knows. kafkajs calls its own `RoundRobinAssigner`, and members without a
/// common one cannot be in one group.
const OURS: [&str; 3] = ["range", "roundrobin", "cooperative-sticky"];
/// How many members are named.
const SHOWN: usize = 5;

/// A member; names are whatever the client chose, made readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The partitions of the topic that it was given.
    pub partitions: Vec<i32>,
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

/// What to do about workers of another kind.
const STOP_THEM: &str = "stop all of these workers (kafkajs ones, by the assigner's name), and makegood goes on at the group's \
     offsets by itself; one that was killed is gone only after its session time-out";

/// Judges who is in `name`.
pub fn check(name: &str, group: &Group) -> Check {
    let others = others(group);
    let Group { state, members, .. } = group;
    if members.is_empty() {
        let state = if state.is_empty() { "Dead" } else { state };
        return Check::pass("kafka.group", format!("nobody is in group {name} ({state})"));
    }
    let ours = members.len() - others.len();
    if is_foreign(group) {
        return Check::fail(
            "kafka.group",
            format!(
                "{}; Kafka refuses makegood beside {} (INCONSISTENT_GROUP_PROTOCOL)",
                foreign(name, group),
                if others.len() == 1 { "it" } else { "them" }
            ),
            STOP_THEM,
        );
    }
    if !others.is_empty() {
        return Check::warn(
            "kafka.group",
            format!(
                "{} besides makegood's {ours} in group {name} ({state}): {}; they get some of the partitions, \
                 and makegood never sees those events",
                counted(others.len()),
                listed(&others)
            ),
            "stop them, or give them a group of their own",
        );
    }
    Check::pass("kafka.group", format!("{} in group {name}, all makegood ({state})", counted(ours)))
}

/// Who keeps a member of ours out of `name`, and what to do about it; `None` where the group explains nothing.
pub fn in_the_way(name: &str, group: &Group) -> Option<(String, &'static str)> {
    is_foreign(group).then(|| (foreign(name, group), STOP_THEM))
}

/// Whether the members have no assigner that librdkafka knows.
fn is_foreign(group: &Group) -> bool {
    !group.members.is_empty()
        && !group.protocol.is_empty()
        && !OURS.contains(&group.protocol.as_str())
}

fn foreign(name: &str, group: &Group) -> String {
    let Group { state, protocol, .. } = group;
    let others = others(group);
    format!(
        "{} of another kind {} in group {name} ({state}, assigner {protocol}): {}",
        counted(others.len()),
        if others.len() == 1 { "is" } else { "are" },
        listed(&others)
    )
}

fn others(group: &Group) -> Vec<&Member> {
    group.members.iter().filter(|member| !member.client_id.starts_with("makegood")).collect()
}

/// The first of them.
fn listed(members: &[&Member]) -> String {
    // Brokers write a slash before an address that has no name.
    let one = |m: &&Member| format!("{} from {}", m.client_id, m.host.trim_start_matches('/'));
    let shown: Vec<String> = members.iter().take(SHOWN).map(one).collect();
    let more = match members.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    shown.join(", ") + &more
}

fn counted(count: usize) -> String {
    format!("{count} member{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::Level;

    fn group(state: &str, protocol: &str, clients: &[&str]) -> Group {
        let member = |client: &&str| {
            let (client_id, host) = ((*client).to_owned(), "/h".to_owned());
            Member { client_id, host, partitions: Vec::new() }
        };
        Group {
            state: state.to_owned(),
            protocol: protocol.to_owned(),
            members: clients.iter().map(member).collect(),
        }
    }

    fn level(state: &str, protocol: &str, clients: &[&str]) -> Level {
        check("g", &group(state, protocol, clients)).level
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

    #[test]
    fn those_who_keep_us_out_are_named_and_others_are_not_accused() {
        let old = group("Stable", "RoundRobinAssigner", &["a", "b", "c", "d", "e", "f"]);
        let (who, advice) = in_the_way("g", &old).expect("they are in the way");
        assert_eq!(
            who,
            "6 members of another kind are in group g (Stable, assigner RoundRobinAssigner): \
             a from h, b from h, c from h, d from h, e from h and 1 more"
        );
        assert!(advice.contains("session time-out"));
        assert_eq!(in_the_way("g", &group("Stable", "range", &["rdkafka"])), None);
        assert_eq!(in_the_way("g", &group("Empty", "", &[])), None);
    }
}
