//! What is in an unpacked batch, as far as it must be known before a client takes it apart.

/// How many records there are, as far as `most`: of Kafka's format 2, each behind its length, or of an older one,
/// each behind its offset and its length.
pub fn records(bytes: &[u8], most: usize) -> usize {
    // An older one begins with the high byte of an offset; a record of today is longer than nothing.
    let is_old = bytes.first() == Some(&0);
    let (mut rest, mut count) = (bytes, 0);
    while !rest.is_empty() && count < most {
        let Some(next) = (if is_old { behind_old(rest) } else { behind(rest) }) else { break };
        (rest, count) = (next, count + 1);
    }
    count
}

fn behind(bytes: &[u8]) -> Option<&[u8]> {
    let (value, rest) = varint(bytes)?;
    // Zigzag: negative lengths are odd.
    let length = (value % 2 == 0).then_some(value / 2)?;
    rest.get(usize::try_from(length).ok()?..)
}

fn behind_old(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.get(8..12)?.try_into().ok().map(u32::from_be_bytes)?;
    bytes.get(12..)?.get(usize::try_from(length).ok()?..)
}

/// What the blocks of a snappy-java stream say that they unpack to; `None` where they do not fit together.
pub fn snappy_java(bytes: &[u8]) -> Option<usize> {
    let (mut rest, mut total) = (bytes, 0_usize);
    while !rest.is_empty() {
        let length = rest.get(..4)?.try_into().ok().map(u32::from_be_bytes)?;
        let (block, next) = rest.get(4..)?.split_at_checked(usize::try_from(length).ok()?)?;
        total = total.checked_add(usize::try_from(varint(block)?.0).ok()?)?;
        rest = next;
    }
    Some(total)
}

/// A number in groups of seven bits, the low ones first, and what comes behind it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_as_far_as_there_are_whole_ones() {
        let seven = [14, 0, 0, 0, 1, 1, 0, 0];
        assert_eq!(records(&seven.repeat(5), 100), 5);
        assert_eq!(records(&seven.repeat(5), 3), 3);
        assert_eq!(records(&[&seven[..], &[14, 0]].concat(), 100), 1);
        assert_eq!(records(&[0xff; 30], 100), 0);
        assert_eq!(records(&[1, 0], 100), 0, "a negative length");
        let old = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 7, 7];
        assert_eq!(records(&old.repeat(4), 100), 4);
        assert_eq!(records(&[], 100), 0);
    }

    #[test]
    fn blocks_say_what_they_unpack_to() {
        let block = [0, 0, 0, 3, 0x80, 0x08, 0];
        assert_eq!(snappy_java(&block.repeat(2)), Some(2048));
        assert_eq!(snappy_java(&block[..6]), None);
        assert_eq!(snappy_java(&[0, 0, 0, 0]), None, "a block without a length");
    }
}
