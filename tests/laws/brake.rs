//! Laws of the brake on bad records: what gets past it never is too much, and what is not too much gets past.

use std::collections::BTreeMap;

use makegood::pure::brake::{Brake, Stretch};
use proptest::collection::vec;
use proptest::prelude::*;

use super::law;

/// What a partition has read, record by record: whether each is bad.
type Read = BTreeMap<i32, Vec<bool>>;

/// The same as the brake is told it, counted from the records. Offsets begin anywhere.
fn told(read: &Read) -> BTreeMap<i32, Stretch> {
    let stretch = |(partition, records): (&i32, &Vec<bool>)| {
        let begin = i64::from(*partition) * 1000;
        let bad = (begin..).zip(records).filter(|(_, bad)| **bad).map(|(at, _)| at);
        let (read, next) = (records.len() as u64, begin + records.len() as i64);
        (*partition, Stretch { read, next, bad: bad.collect() })
    };
    read.iter().map(stretch).collect()
}

/// Bad ones among the last of each partition, and how many those are.
fn count(read: &Read, last: usize) -> (u64, u64) {
    let tails = read.values().map(|records| &records[records.len().saturating_sub(last)..]);
    tails.fold((0, 0), |(bad, of), tail| {
        (bad + tail.iter().filter(|bad| **bad).count() as u64, of + tail.len() as u64)
    })
}

/// Whether too much is bad, by counting slowly: in one partition, or in the smallest equal tails of all
/// that are enough records together.
fn is_too_much(brake: Brake, read: &Read) -> bool {
    let window = brake.share_from as usize;
    let over =
        |(bad, of): (u64, u64)| of >= brake.share_from && bad * 100 > of * u64::from(brake.share);
    let one = |(p, records): (&i32, &Vec<bool>)| count(&[(*p, records.clone())].into(), window);
    let enough = (1..=window).map(|last| count(read, last)).find(|c| c.1 >= brake.share_from);
    read.iter().map(one).any(over) || enough.is_some_and(over)
}

fn brake() -> impl Strategy<Value = Brake> {
    (0u8..=100, 1u64..25).prop_map(|(share, share_from)| Brake { share, share_from })
}

#[test]
fn the_brake_holds_exactly_when_too_much_is_bad_however_the_records_come_in() {
    let batches = vec((0i32..4, vec(any::<bool>(), 1..20)), 0..30);
    law((brake(), batches), |(brake, batches)| {
        let mut read = Read::new();
        for (partition, records) in batches {
            let before = told(&read).remove(&partition).unwrap_or_default();
            let mut then = read.clone();
            then.entry(partition).or_default().extend(&records);
            let whole = told(&then);
            let (next, bad) = (whole[&partition].next, &whole[&partition].bad);
            let mut after = told(&read);
            // Also what was known before may be told once more.
            after.insert(partition, before.after(records.len() as u64, next, bad));
            prop_assert_eq!(&after, &whole);
            prop_assert_eq!(brake.excess(&after).is_some(), is_too_much(brake, &then));
            if brake.excess(&after).is_none() {
                read = then;
            }
            // Nothing but the records decides, so a restart between any two lets no more through.
            prop_assert!(!is_too_much(brake, &read));
        }
        Ok(())
    });
}

#[test]
fn few_records_never_hold_and_a_share_of_all_never_does() {
    let read = vec(vec(any::<bool>(), 0..30), 1..5);
    law((brake(), read), |(brake, read)| {
        let read: Read = (0..).zip(read).collect();
        let all: u64 = read.values().map(|records| records.len() as u64).sum();
        prop_assert!(all >= brake.share_from || brake.excess(&told(&read)).is_none());
        prop_assert_eq!(Brake { share: 100, ..brake }.excess(&told(&read)), None);
        Ok(())
    });
}

#[test]
fn of_a_flood_of_bad_records_over_all_partitions_a_share_of_one_window_gets_past() {
    let window =
        (1i32..5, 10u64..20).prop_map(|(partitions, each)| (partitions, each * partitions as u64));
    law((0u8..=50, window, 0usize..40), |(share, (partitions, share_from), good)| {
        let brake = Brake { share, share_from };
        let mut read: Read = (0..partitions).map(|p| (p, vec![false; good + 20])).collect();
        let mut past = 0;
        for n in 0..500 {
            let mut then = read.clone();
            then.entry(n % partitions).or_default().push(true);
            if brake.excess(&told(&then)).is_none() {
                (read, past) = (then, past + 1);
            }
        }
        let most = share_from * u64::from(share) / 100;
        prop_assert!(past <= most, "{past} got past, {most} may");
        Ok(())
    });
}

#[test]
fn no_numbers_overflow() {
    let stretch = (any::<u64>(), any::<i64>(), vec(any::<i64>(), 0..4))
        .prop_map(|(read, next, bad)| Stretch { read, next, bad });
    let cases = (any::<u8>(), any::<u64>(), vec(stretch, 0..4));
    law(cases, |(share, share_from, stretches)| {
        let brake = Brake { share, share_from };
        let stretches = (0..).zip(stretches).collect();
        if let Some(excess) = brake.excess(&stretches) {
            prop_assert!(excess.bad <= excess.of && excess.of >= share_from);
        }
        Ok(())
    });
}
