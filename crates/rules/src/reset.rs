//! Where a person wants positions to be, as `kafka-consumer-groups` lets them say it.

use std::collections::BTreeMap;

use crate::ids::Offset;

/// A wish for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The oldest record there is.
    Earliest,
    /// The end of the log.
    Latest,
    /// Where it is; the other side is set to the same.
    Current,
    /// An offset.
    Offset(Offset),
    /// So many records on, or back.
    Shift(i64),
    /// The first record of a time or younger; `None` when all are older: the end.
    At(Option<Offset>),
}

/// The offset a wish comes to in a log from `low` to `high`, for a partition at `current`; beyond its
/// ends it is the nearest there is, and the answer's second half says so.
pub fn resolve(target: Target, current: Offset, low: Offset, high: Offset) -> (Offset, bool) {
    let wanted = match target {
        Target::Earliest => low,
        Target::Latest | Target::At(None) => high,
        Target::Current => current,
        Target::Offset(offset) | Target::At(Some(offset)) => offset,
        Target::Shift(by) => Offset(current.0.saturating_add(by)),
    };
    let offset = wanted.clamp(low, high.max(low));
    (offset, offset != wanted)
}

/// Reads `TOPIC` or `TOPIC:0,2`. A topic's name has no colon.
pub fn topic_spec(text: &str) -> Result<(String, Vec<i32>), String> {
    let Some((topic, list)) = text.split_once(':') else {
        return Ok((text.to_owned(), Vec::new()));
    };
    let number = |part: &str| {
        let bad = || format!("`{part}` is no partition; write TOPIC:0,2");
        part.trim().parse::<u32>().ok().and_then(|n| i32::try_from(n).ok()).ok_or_else(bad)
    };
    Ok((topic.to_owned(), list.split(',').map(number).collect::<Result<_, _>>()?))
}

/// Reads lines of `topic,partition,offset`, as `kafka-consumer-groups --export` writes them for one
/// group, or with the group first, as it does for several; offsets of other topics and groups are left out.
pub fn from_csv(text: &str, group: &str, topic: &str) -> Result<BTreeMap<i32, Offset>, String> {
    let mut found = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = || format!("line {number} is not TOPIC,PARTITION,OFFSET: `{line}`");
        // Neither topics nor numbers have commas or quotes; a group with one cannot be told apart.
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let (of, place) = match cells.as_slice() {
            [topic, partition, offset] => (None, [*topic, *partition, *offset]),
            [group, topic, partition, offset] => (Some(*group), [*topic, *partition, *offset]),
            _ => return Err(bad()),
        };
        let partition: u32 = place[1].parse().map_err(|_| bad())?;
        let partition = i32::try_from(partition).map_err(|_| bad())?;
        let offset: Offset =
            place[2].parse().ok().filter(|offset| *offset >= Offset(0)).ok_or_else(bad)?;
        if place[0] == topic
            && of.is_none_or(|of| of == group)
            && found.insert(partition, offset).is_some()
        {
            return Err(format!("line {number} names partition {partition} once more"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_comes_to_an_offset_within_the_log() {
        let at = |target| {
            let (offset, is_moved) = resolve(target, Offset(40), Offset(10), Offset(100));
            (offset.0, is_moved)
        };
        assert_eq!(at(Target::Earliest), (10, false));
        assert_eq!(at(Target::Latest), (100, false));
        assert_eq!(at(Target::Current), (40, false));
        assert_eq!(at(Target::Offset(Offset(7))), (10, true));
        assert_eq!(at(Target::Offset(Offset(101))), (100, true));
        assert_eq!(at(Target::Shift(-5)), (35, false));
        assert_eq!(at(Target::Shift(i64::MAX)), (100, true));
        assert_eq!(at(Target::Shift(i64::MIN)), (10, true));
        assert_eq!(at(Target::At(Some(Offset(50)))), (50, false));
        assert_eq!(at(Target::At(None)), (100, false));
    }

    #[test]
    fn a_topic_may_name_its_partitions() {
        assert_eq!(topic_spec("pay"), Ok(("pay".to_owned(), vec![])));
        assert_eq!(topic_spec("pay:0,2"), Ok(("pay".to_owned(), vec![0, 2])));
        for wrong in ["pay:", "pay:x", "pay:-1", "pay:1,", "pay:99999999999"] {
            assert!(topic_spec(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_kafkas_tool_exports_is_read() {
        let offsets = BTreeMap::from([(0, Offset(7)), (2, Offset(0))]);
        let exported = "\"pay\",0,7\npay,2,0\n\nother,1,5\n";
        assert_eq!(from_csv(exported, "g", "pay"), Ok(offsets.clone()));
        let several = "\"g\",\"pay\",0,7\ng,pay,2,0\nh,pay,1,9\n";
        assert_eq!(from_csv(several, "g", "pay"), Ok(offsets));
        for wrong in ["pay,0", "pay,x,1", "pay,0,-1", "pay,0,1,2,3", "pay,0,1\npay,0,2"] {
            assert!(from_csv(wrong, "g", "pay").is_err(), "{wrong}");
        }
    }
}
