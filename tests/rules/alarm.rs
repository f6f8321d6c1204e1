//! When somebody is called: for every trouble that lasts, for none that does not, and never too often.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rules::alarm::{Alarm, Call, Patience};

use super::law;

const AFTER: Duration = Duration::from_secs(60);
const REPEAT: Duration = Duration::from_secs(3600);
const PATIENCE: Patience = Patience { after: AFTER, repeat: REPEAT };
/// Levels are 0 to 3, 0 being well.
const LEVELS: usize = 3;

/// Sights: the seconds since the one before, and how bad it is.
fn sights() -> impl Strategy<Value = Vec<(u64, u8)>> {
    let pause = prop_oneof![8 => 1..4_u64, 2 => 20..100_u64, 1 => 1000..5000_u64];
    // Runs of one level, as the world has them, and flapping.
    let run = (0..=LEVELS as u8, vec(pause, 1..40));
    vec(run, 1..30).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(level, pauses)| pauses.into_iter().map(move |p| (p, level)))
            .collect()
    })
}

fn level(number: u8) -> Option<u8> {
    (number > 0).then_some(number)
}

/// Every sight with its time and what was called.
fn played(sights: &[(u64, u8)], mine: bool) -> Vec<(Duration, u8, Option<Call>)> {
    let mut alarm = Alarm::new(PATIENCE);
    let mut now = Duration::ZERO;
    let see = |(pause, number): &(u64, u8)| {
        now += Duration::from_secs(*pause);
        (now, *number, alarm.see(now, level(*number), mine))
    };
    sights.iter().map(see).collect()
}

#[test]
fn words_come_in_order_and_not_too_often() {
    law(sights(), |sights| {
        let mut raised: Option<(Duration, usize)> = None;
        for (now, _, call) in played(&sights, true) {
            let Some(call) = call else { continue };
            raised = match (call, raised) {
                (Call::Bad, None) => Some((now, 0)),
                (Call::Worse, Some((_, worse))) => {
                    prop_assert!(worse + 1 < LEVELS, "worse too often");
                    Some((now, worse + 1))
                }
                (Call::Still, Some((last, worse))) => {
                    prop_assert!(now - last >= REPEAT);
                    Some((now, worse))
                }
                (Call::Well, Some(_)) => None,
                (call, raised) => {
                    return Err(TestCaseError::fail(format!("{call:?} while {raised:?}")));
                }
            };
        }
        Ok(())
    });
}

#[test]
fn nobody_is_called_for_less_than_was_asked_for() {
    law(sights(), |sights| {
        let played = played(&sights, true);
        let (mut bad_for, mut before) = (Duration::ZERO, None);
        for (now, number, call) in played {
            if let Some((then, true)) = before {
                bad_for += now - then;
            }
            before = Some((now, number > 0));
            match call {
                Some(Call::Bad) => prop_assert!(bad_for >= AFTER && number > 0),
                Some(Call::Well) => prop_assert!(number == 0),
                Some(Call::Worse | Call::Still) => prop_assert!(number > 0),
                None => {}
            }
            if call == Some(Call::Well) {
                bad_for = Duration::ZERO;
            }
        }
        Ok(())
    });
}

#[test]
fn every_trouble_that_lasts_is_told_and_repeated_and_so_is_its_end() {
    law((sights(), 1..=LEVELS as u8), |(mut sights, bad)| {
        let start = sights.len();
        // Whatever was before: bad for two hours, a look every twenty seconds, then well.
        sights.extend(std::iter::repeat_n((20, bad), 366));
        let end = sights.len();
        sights.extend(std::iter::repeat_n((2, 0), 32));
        let played = played(&sights, true);
        let calls = |from: usize, to: usize| played[from..to].iter().filter_map(|sight| sight.2);
        let raised_before = played[..start].iter().filter_map(|sight| sight.2).next_back();
        let first: Vec<Call> = calls(start, start + 5).collect();
        if matches!(raised_before, None | Some(Call::Well)) {
            prop_assert_eq!(first, [Call::Bad]);
        }
        let stills = calls(start, end).filter(|call| *call == Call::Still).count();
        prop_assert!((1..=3).contains(&stills), "{} times in two hours", stills);
        let last: Vec<Call> = calls(end, played.len()).collect();
        prop_assert_eq!(last, [Call::Well]);
        Ok(())
    });
}

#[test]
fn a_trouble_that_comes_and_goes_calls_once() {
    // Bad for 50 seconds, well for 5, over and over: a day of it.
    let sights: Vec<(u64, u8)> =
        (0..24 * 60).flat_map(|_| std::iter::repeat_n((5, 1), 10).chain([(5, 0)])).collect();
    let calls: Vec<Call> = played(&sights, true).into_iter().filter_map(|sight| sight.2).collect();
    assert_eq!(calls[0], Call::Bad);
    assert!(calls[1..].iter().all(|call| *call == Call::Still), "{calls:?}");
    assert!((20..=24).contains(&calls.len()), "{}", calls.len());
    // Bad for a blink each ten minutes: nobody is called, ever.
    let sights: Vec<(u64, u8)> = (0..144)
        .flat_map(|_| [(2, 1)].into_iter().chain(std::iter::repeat_n((2, 0), 299)))
        .collect();
    assert!(played(&sights, true).iter().all(|sight| sight.2.is_none()));
}

#[test]
fn whoever_is_not_to_call_is_silent_until_it_is_and_then_says_it_at_once() {
    law(sights(), |sights| {
        prop_assert!(played(&sights, false).iter().all(|sight| sight.2.is_none()));
        Ok(())
    });
    let mut alarm = Alarm::new(PATIENCE);
    let mut see = |second, mine| alarm.see(Duration::from_secs(second), Some(1_u8), mine);
    assert_eq!((see(0, false), see(100, false), see(102, true)), (None, None, Some(Call::Bad)));
}

#[test]
fn a_word_that_reached_nobody_comes_again_before_the_repetition_is_due() {
    let mut alarm = Alarm::new(PATIENCE);
    let mut second = 0;
    let mut next = |level: u8, reached: Option<bool>| {
        second += AFTER.as_secs();
        let call = alarm.see(Duration::from_secs(second), (level > 0).then_some(level), true);
        if let Some(reached) = reached {
            alarm.settle(reached);
        }
        call
    };
    assert_eq!(next(1, None), None);
    assert_eq!(next(1, Some(false)), Some(Call::Bad));
    assert_eq!(next(1, Some(true)), Some(Call::Bad));
    assert_eq!(next(2, None), None);
    assert_eq!(next(2, Some(false)), Some(Call::Worse));
    let again = [next(2, None), next(2, Some(true))];
    assert!(again.contains(&Some(Call::Worse)), "{again:?}");
    assert_eq!(next(0, None), None);
    assert_eq!(next(0, Some(false)), Some(Call::Well));
    assert_eq!(next(0, Some(true)), Some(Call::Well));
    assert_eq!(next(0, None), None);
    // What was heard is over with it: the next trouble is a new one.
    assert_eq!(next(1, None), None);
    assert_eq!(next(1, Some(true)), Some(Call::Bad));
}
