//! Envelopes of any content, nested in any order and damaged: nothing panics, and nothing is unpacked beyond the limit.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use proptest::collection::vec;
use proptest::prelude::*;
use rules::envelope::{Envelope, Reader, Rules};
use rules::framing::{ALL, Framing, unwrap};
use serde_json::{Value, json};

use crate::{TOPIC, law, object, record, rules};

const MOST: usize = 4096;

/// A value in one envelope.
fn wrapped(framing: Framing, inside: &[u8]) -> Vec<u8> {
    let text = || String::from_utf8_lossy(inside).into_owned();
    let value = || serde_json::from_slice::<Value>(inside).unwrap_or(Value::Null);
    let json = |value: Value| value.to_string().into_bytes();
    match framing {
        Framing::Gzip => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(inside).expect("memory takes it");
            packed.finish().expect("memory takes it")
        }
        Framing::Glue => {
            let mut packed =
                ZlibEncoder::new([vec![3, 5], vec![7; 16]].concat(), Compression::fast());
            packed.write_all(inside).expect("memory takes it");
            packed.finish().expect("memory takes it")
        }
        Framing::Confluent => [&[0; 5], inside].concat(),
        Framing::Apicurio => [&[0; 9], inside].concat(),
        Framing::JsonText => json(Value::String(text())),
        Framing::ArrayOfOne => [b"[", inside, b"]"].concat(),
        Framing::JsonConverter => json(json!({ "schema": {}, "payload": value() })),
        Framing::CloudEvents => json(
            json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": value() }),
        ),
        Framing::Debezium => {
            json(json!({ "before": null, "after": value(), "source": {}, "op": "c" }))
        }
        Framing::OutboxRow => json(
            json!({ "id": "1", "aggregatetype": "t", "aggregateid": "k", "type": "t", "payload": value() }),
        ),
    }
}

#[test]
fn nothing_is_unpacked_beyond_the_limit_and_nothing_panics() {
    let layers = vec(prop::sample::select(ALL.to_vec()), 0..5);
    let damage = vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..3);
    // Some are bombs: they pack to little.
    let bomb = (0..20usize).prop_map(|size| json!({ "a": " ".repeat(size * 4096) }));
    let event = prop_oneof![3 => object().prop_map(Value::Object), 1 => bomb];
    let order = vec(prop::sample::select(ALL.to_vec()), 0..5);
    law((event, layers, damage, order), |(event, layers, damage, order)| {
        let mut bytes = event.to_string().into_bytes();
        for framing in &layers {
            bytes = wrapped(*framing, &bytes);
        }
        for (at, byte, how) in damage {
            let at = at.index(bytes.len().max(1));
            match how {
                0 => bytes.insert(at.min(bytes.len()), byte),
                1 => bytes.truncate(at),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = byte),
            }
        }
        let expected: Vec<Framing> = layers.into_iter().rev().collect();
        for envelopes in [expected, order] {
            if let Ok(inside) = unwrap(&bytes, &envelopes, MOST) {
                let size = inside.value.map_or(0, |value| value.len());
                prop_assert!(size <= MOST.max(bytes.len()), "{} of {}", size, bytes.len());
            }
            let rules = Rules { envelopes, max_bytes: MOST, ..rules() };
            if let Envelope::Event(event) =
                Reader::new(&rules, &[]).decode(&record(bytes.clone()), TOPIC)
            {
                prop_assert!(event.body.text.len() <= MOST);
                prop_assert!(serde_json::from_str::<Value>(&event.body.text).is_ok());
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_wrapped_and_not_damaged_is_the_event_that_it_was() {
    let text = "[a-z]{0,8}";
    let event =
        (text, text).prop_map(|(id, more)| json!({ "eventId": id, "data": { "more": more } }));
    law((event, prop::sample::select(ALL.to_vec())), |(event, framing)| {
        let bytes = wrapped(framing, event.to_string().as_bytes());
        let inside = unwrap(&bytes, &[framing], MOST)
            .map_err(|no| TestCaseError::fail(format!("{framing:?}: {no:?}")))?;
        let value = inside.value.ok_or_else(|| TestCaseError::fail("nothing"))?;
        prop_assert_eq!(serde_json::from_slice::<Value>(&value).ok(), Some(event), "{:?}", framing);
        Ok(())
    });
}
