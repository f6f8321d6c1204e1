//! What a group's member was given, as every client of the classic protocol writes it.

use std::collections::BTreeMap;

/// The topics and partitions of a member's assignment: a version, then an array of topic and array of
/// partition numbers, all big-endian. `None` for bytes that are no such thing; other kinds of groups
/// (Kafka Connect's, for one) have other contents.
pub fn read(bytes: &[u8]) -> Option<BTreeMap<String, Vec<i32>>> {
    let mut rest = bytes;
    let _version = take(&mut rest, 2)?;
    let topics = count(&mut rest)?;
    let mut found = BTreeMap::new();
    for _ in 0..topics {
        let length: [u8; 2] = take(&mut rest, 2)?.try_into().ok()?;
        let name = take(&mut rest, usize::from(u16::from_be_bytes(length)))?;
        let partitions = count(&mut rest)?;
        let mut numbers = Vec::new();
        for _ in 0..partitions {
            numbers.push(i32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?));
        }
        found.insert(String::from_utf8_lossy(name).into_owned(), numbers);
    }
    Some(found)
}

fn count(rest: &mut &[u8]) -> Option<u32> {
    let count = u32::from_be_bytes(take(rest, 4)?.try_into().ok()?);
    // Every item has bytes of its own; a larger number is none.
    (count as usize <= rest.len()).then_some(count)
}

fn take<'b>(rest: &mut &'b [u8], bytes: usize) -> Option<&'b [u8]> {
    let (first, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_anything_else_is_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 3, b'p', b'a', b'y', 0, 0, 0, 2];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 7]);
        let found = read(&[bytes.as_slice(), &[0, 0, 0, 0]].concat()).unwrap();
        assert_eq!(found, BTreeMap::from([("pay".to_owned(), vec![0, 7])]));
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), None, "{end} bytes of it");
        }
        assert_eq!(read(&[0, 0, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(read(&[0, 0, 0, 0, 0, 0]), Some(BTreeMap::new()));
    }
}
