//! Laws of the pure rules, tried on generated cases.
//!
//! Each run draws a new seed and prints it when a law breaks; `MAKEGOOD_TEST_SEED=N` replays it.
//! `MAKEGOOD_TEST_CASES` sets how many cases each law gets (default 300).

mod alarm;
mod fields;
mod framing;
mod stall;
mod trace;
mod window;

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use proptest::collection::{btree_set, hash_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};
use rules::backoff::Backoff;
use rules::batch::{Batcher, Limits};
use rules::envelope::{Envelope, Reader, Reason, Rules, reused_id};
use rules::error_policy::{Disposition, advice, disposition};
use rules::ids::Offset;
use rules::isolate::{EACH, Isolate, Try};
use rules::offsets::{Known, Policy, Why, start_at};
use rules::record::{Header, Record};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Tries a law on generated cases.
fn law<S: Strategy>(cases: S, holds: impl Fn(S::Value) -> TestCaseResult) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    let seed = number("MAKEGOOD_TEST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let config = Config {
        cases: number("MAKEGOOD_TEST_CASES").unwrap_or(300) as u32,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(broken) = TestRunner::new(config).run(&cases, holds) {
        panic!("{broken}\nreplay with MAKEGOOD_TEST_SEED={seed}");
    }
}

const TOPIC: Uuid = Uuid::from_u128(7);

fn rules() -> Rules {
    let places = |names: &[&str]| names.iter().map(|name| name.parse().expect("a place")).collect();
    Rules {
        envelopes: Vec::new(),
        id_from: places(&["header:id", "json:/eventId", "json:/data/0/id"]),
        type_from: places(&["header:type", "json:/eventType"]),
        event_type: None,
        max_bytes: 1 << 20,
    }
}

fn record(value: Vec<u8>) -> Record {
    Record { value: Some(value), ..Record::default() }
}

/// JSON objects of all shapes; texts may have any character, keys often collide with the places.
fn object() -> impl Strategy<Value = Map<String, Value>> {
    let key = || prop_oneof![Just("eventId".to_owned()), Just("data".to_owned()), ".{0,4}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a\0]{0,2}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            hash_map(key(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    hash_map(prop_oneof![Just("eventId".to_owned()), ".{0,4}"], value, 0..24)
        .prop_map(|map| map.into_iter().collect())
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[test]
fn every_json_object_is_an_event_with_its_own_text_unless_a_text_has_nul() {
    law(object(), |object| {
        let value = Value::Object(object);
        for text in [value.to_string(), format!(" {value:#}\n")] {
            let record = record(text.clone().into_bytes());
            match Reader::new(&rules(), &[]).decode(&record, TOPIC) {
                Envelope::Event(event) => {
                    prop_assert_eq!(event.body.text, text);
                    prop_assert!(!has_nul(&value));
                }
                Envelope::Rejected(rejection) => {
                    prop_assert_eq!(rejection.reason, Reason::NulInText);
                    prop_assert!(has_nul(&value));
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
        Ok(())
    });
}

#[test]
fn damaged_bytes_never_panic_and_what_is_accepted_is_a_json_object() {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4);
    law((object(), damage), |(object, damage)| {
        let mut bytes = Value::Object(object).to_string().into_bytes();
        for (at, byte, replace) in damage {
            let at = at.index(bytes.len());
            if replace { bytes[at] = byte } else { bytes.insert(at, byte) }
        }
        accepted_is_object(bytes)
    });
}

#[test]
fn any_bytes_never_panic_and_what_is_accepted_is_a_json_object() {
    let json_like = "[{}\\[\\]\",:0-9eE.+\\-\\\\ud8a-c ]{0,40}".prop_map(String::into_bytes);
    let cut = (object(), any::<prop::sample::Index>()).prop_map(|(object, at)| {
        let mut bytes = Value::Object(object).to_string().into_bytes();
        bytes.truncate(at.index(bytes.len()));
        bytes
    });
    law(prop_oneof![vec(any::<u8>(), 0..64), json_like, cut], accepted_is_object);
}

fn accepted_is_object(bytes: Vec<u8>) -> TestCaseResult {
    let record = record(bytes);
    if let Envelope::Event(event) = Reader::new(&rules(), &[]).decode(&record, TOPIC) {
        prop_assert!(serde_json::from_str::<Map<String, Value>>(&event.body.text).is_ok());
    }
    Ok(())
}

#[test]
fn headers_of_any_bytes_never_panic_and_ids_depend_on_nothing_else() {
    let name = prop_oneof![Just(b"id".to_vec()), Just(b"type".to_vec()), vec(any::<u8>(), 0..4)];
    let header = (name, prop::option::of(vec(any::<u8>(), 0..6)))
        .prop_map(|(name, value)| Header { name, value });
    law((vec(header, 0..8), any::<i64>()), |(headers, offset)| {
        let one = Record { headers, offset: Offset(offset), ..record(b"{}".to_vec()) };
        let again = Record { key: Some(b"k".to_vec()), timestamp_ms: Some(1), ..one.clone() };
        let rules = rules();
        let reader = Reader::new(&rules, &[]);
        prop_assert_eq!(reader.decode(&one, TOPIC), reader.decode(&again, TOPIC));
        Ok(())
    });
}

#[test]
fn a_key_that_comes_again_with_another_value_is_never_accepted() {
    law((object(), "[a-z]{1,3}", any::<u32>(), any::<u32>()), |(mut object, key, one, two)| {
        object.remove(&key);
        let rest: String =
            object.iter().map(|(k, v)| format!("{}:{v},", Value::from(k.as_str()))).collect();
        let text = format!("{{\"{key}\":{one},{rest}\"{key}\" : {two} }}");
        let record = record(text.into_bytes());
        let refused = matches!(Reader::new(&rules(), &[]).decode(&record, TOPIC),
            Envelope::Rejected(rejection) if rejection.reason == Reason::DuplicateKey);
        prop_assert_eq!(refused, one != two);
        Ok(())
    });
}

#[test]
fn different_bytes_under_one_id_are_different_events() {
    law((any::<u128>(), any::<[u8; 16]>(), any::<[u8; 16]>()), |(id, one, two)| {
        let id = Uuid::from_u128(id);
        prop_assert_eq!(reused_id(id, &one) == reused_id(id, &two), one == two);
        prop_assert_ne!(reused_id(id, &one), id);
        Ok(())
    });
}

#[test]
fn batches_keep_the_order_lose_nothing_and_hold_the_limits() {
    let sizes = vec((0usize..60, any::<bool>()), 0..80);
    law((1usize..9, 1usize..100, sizes), |(rows, bytes, items)| {
        let limits = Limits { rows, bytes, linger: Duration::from_millis(20) };
        let (mut batcher, start) = (Batcher::new(limits), Instant::now());
        let mut batches = Vec::new();
        for (n, (size, take)) in items.iter().enumerate() {
            batcher.push(n, *size, start + Duration::from_millis(n as u64));
            prop_assert!(batcher.deadline() >= Some(start));
            if *take {
                batches.push(batcher.take());
            }
        }
        while !batcher.is_empty() {
            batches.push(batcher.take());
        }
        for batch in &batches {
            let sum: usize = batch.iter().map(|n| items[*n].0).sum();
            prop_assert!(batch.len() <= rows && (sum <= bytes || batch.len() == 1));
            prop_assert!(!batch.is_empty());
        }
        prop_assert!(batches.concat().into_iter().eq(0..items.len()));
        Ok(())
    });
}

#[test]
fn a_batch_is_due_at_once_when_alone_or_full_and_else_a_linger_after_its_first() {
    law(vec((0usize..60, 0u64..30), 1..12), |items| {
        let limits = Limits { rows: 6, bytes: 100, linger: Duration::from_millis(20) };
        let (mut batcher, start) = (Batcher::new(limits), Instant::now());
        let (mut now, mut sum) = (start, 0);
        for (n, (size, later)) in items.iter().enumerate() {
            now += Duration::from_millis(*later);
            sum += size;
            batcher.push(n, *size, now);
            let first = start + Duration::from_millis(items[0].1);
            let at_once = n == 0 || n >= 5 || sum >= 100;
            let due = if at_once { first } else { first + limits.linger };
            prop_assert_eq!(batcher.deadline(), Some(due));
        }
        Ok(())
    });
}

#[test]
fn isolating_finds_exactly_the_refused_and_passes_the_rest_once_in_order() {
    let cases = (0usize..200, any::<bool>())
        .prop_flat_map(|(len, each)| (Just(len), Just(each), btree_set(0..len.max(1), 0..=len)));
    law(cases, |(len, can_each, refused)| {
        let refused: BTreeSet<usize> = refused.into_iter().filter(|n| *n < len).collect();
        let (mut isolate, mut seen, mut tries) = (Isolate::new(len, can_each), 0, 0);
        let mut alone = BTreeSet::new();
        while let Some(next) = isolate.next() {
            tries += 1;
            let (Try::Together(range) | Try::Each(range)) = next.clone();
            prop_assert_eq!(range.start, seen, "left to right");
            let bad: Vec<usize> = refused.range(range.clone()).copied().collect();
            match next {
                Try::Each(_) => {
                    prop_assert!(can_each && range.len() <= EACH);
                    isolate.passed(bad.len());
                }
                Try::Together(_) if bad.is_empty() => isolate.passed(0),
                Try::Together(_) if range.len() > 1 => {
                    isolate.failed();
                    continue;
                }
                Try::Together(_) => isolate.failed(),
            }
            seen = range.end;
            alone.extend(bad);
        }
        prop_assert_eq!(seen, len);
        prop_assert_eq!(&alone, &refused);
        let halvings = len.next_power_of_two().ilog2() as usize;
        prop_assert!(tries <= 1 + 2 * refused.len() * halvings.max(1));
        Ok(())
    });
}

#[test]
fn delays_stay_within_half_and_all_of_a_doubling_and_never_above_the_maximum() {
    let nanos = || any::<u64>().prop_map(Duration::from_nanos);
    law((nanos(), nanos(), any::<u32>(), 0.0..1.0f64), |(first, max, attempt, unit)| {
        let backoff = Backoff { first, max };
        let delay = backoff.delay(attempt, unit);
        prop_assert!(delay <= max && delay >= first.min(max) / 2);
        prop_assert!(delay <= backoff.delay(attempt.saturating_add(1), unit));
        prop_assert!(backoff.delay(0, unit) <= first);
        Ok(())
    });
}

/// Small numbers, so that the boundaries meet often.
fn known() -> impl Strategy<Value = Known> {
    let offset = || prop_oneof![8 => -2i64..14, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let at = move || prop::option::of(offset());
    (at(), at(), any::<bool>(), 0i64..6, 0i64..6, any::<bool>(), any::<bool>()).prop_map(
        |(postgres, kafka, recreated, low, length, anchor_broken, begun)| Known {
            postgres: postgres.filter(|at| *at >= 0).map(Offset),
            kafka: kafka.map(Offset),
            recreated,
            begun,
            low: Offset(low),
            high: Offset(low + length),
            anchor_broken,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::Earliest),
        Just(Policy::Latest),
        prop::option::of(-2i64..14).prop_map(|at| Policy::At(at.map(Offset))),
    ]
}

#[test]
fn a_start_lies_in_the_log_and_nothing_before_it_is_left_out_without_a_gap() {
    law((policy(), known()), |(policy, known)| {
        let start = start_at(policy, known);
        prop_assert!((known.low..=known.high).contains(&start.offset));
        if let Some(gap) = &start.gap {
            prop_assert!(Offset(0) <= gap.start && gap.start < gap.end && gap.end == start.offset);
        }
        let gap_from = start.gap.map_or(start.offset, |gap| gap.start);
        if let Some(position) = known.postgres {
            prop_assert!(gap_from <= position, "a position in Postgres is never jumped");
        } else {
            prop_assert!(gap_from <= known.low, "a first start tells what it leaves out");
        }
        Ok(())
    });
}

#[test]
fn kafkas_offset_moves_a_start_back_but_never_ahead_of_postgres() {
    law((policy(), known()), |(policy, known)| {
        let start = start_at(policy, known);
        let without = start_at(policy, Known { kafka: None, ..known });
        if known.postgres.is_some() || known.recreated {
            prop_assert!(start.offset <= without.offset);
            prop_assert_ne!(start.why, Why::TakenOver);
            prop_assert_eq!(
                start.offset < without.offset,
                start.why == Why::Rewound && without.offset > known.low
            );
        }
        if start.why == Why::FirstStart {
            prop_assert_eq!(start, without);
        }
        Ok(())
    });
}

#[test]
fn every_error_has_one_verdict_and_advice_of_one_sentence() {
    let code = prop_oneof!["[0-9A-Z]{5}", "(22|23|54|40|08|57)[0-9P]{3}", ".{0,6}"];
    law(prop::option::of(code), |code| {
        let class = code.as_deref().and_then(|code| code.get(..2));
        if matches!(class, Some("22" | "23" | "42" | "P0" | "XX")) {
            prop_assert_eq!(disposition(code.as_deref()), Disposition::Isolate);
        }
        prop_assert!(advice(code.as_deref()).ends_with('.'));
        Ok(())
    });
}

#[test]
fn reasons_have_names_of_their_own() {
    let all = [
        Reason::Empty,
        Reason::Oversize,
        Reason::SchemaFraming,
        Reason::NotUtf8,
        Reason::NotJson,
        Reason::NotAnObject,
        Reason::TooDeep,
        Reason::DuplicateKey,
        Reason::NulInText,
        Reason::BadText,
        Reason::NumberOutOfRange,
        Reason::NoType,
    ];
    let names: HashSet<_> = all.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), all.len());
}
