//! The events of quarantined records, each with an id of its own.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use uuid::Uuid;

use super::super::batch::Fresh;
use super::super::entry::{Entry, Kind};
use super::super::fault::ApplyFault;
use super::super::make_good::look_fault;
use super::super::seen::seen;
use super::super::slot;
use super::{Replay, Replayed};
use crate::Tx;
use crate::payments::{Looker, Missing, Scope};
use crate::quarantine::{Refusal, StoredCase};
use rules::decode_error::Reason;
use rules::envelope::{Reader, digest, reused_id};
use rules::fields::Body;
use rules::ids::RouteId;
use rules::outcome::Attempted;

/// The payments among the cases that are still missing their purchase; `None` if the mapping cannot tell.
pub(super) async fn still_missing(
    tx: &Tx,
    replay: &Replay<'_>,
    cases: &[StoredCase],
) -> Result<Option<BTreeMap<String, Missing>>, ApplyFault> {
    let payments = cases.iter().filter(|case| case.place().is_none() && !case.is_settled());
    let keys: Vec<String> = payments.filter_map(|case| case.business_key.clone()).collect();
    let Some(looker) = Looker::new(replay.mapping.clone(), replay.source.cloned()) else {
        return Ok(None);
    };
    if keys.is_empty() {
        return Ok(None);
    }
    let found = looker.missing(tx, Scope::Keys(&keys)).await.map_err(look_fault)?;
    Ok(Some(found.items.into_iter().map(|m| (m.key.clone(), m)).collect()))
}

/// A case that was read.
pub(super) enum Read<'a> {
    /// Its event, for the mapping.
    Event(Fresh<'a>),
    /// What came of it without one.
    Done(Replayed),
}

pub(super) fn read<'a>(
    replay: &Replay<'_>,
    case: &'a StoredCase,
    at: usize,
    missing: Option<&'a BTreeMap<String, Missing>>,
    refusal: Option<&Refusal>,
) -> Read<'a> {
    if case.is_settled() {
        return Read::Done(Replayed::new(case, Attempted::Settled));
    }
    if let Some(refusal) = refusal {
        // What a person has given up is no suspect: it stays as it was.
        let is_suspect = refusal.is_suspect && !case.is_discarded();
        return Read::Done(Replayed::refused(
            case,
            Attempted::Refused,
            Refusal { is_suspect, ..refusal.clone() },
        ));
    }
    let fields = &replay.mapping.fields;
    let time = case.record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = time.unwrap_or(replay.now);
    let Some(topic_id) = case.topic_id else {
        let key = case.business_key.as_deref().unwrap_or_default();
        let payload = match missing {
            Some(missing) => missing.get(key).map(|m| m.event.as_str()),
            None => case.record.value.as_deref().and_then(|bytes| str::from_utf8(bytes).ok()),
        };
        let Some(payload) = payload else {
            return Read::Done(Replayed::new(case, Attempted::Healed));
        };
        let (digest, body) = (digest(payload.as_bytes()), Body::read(payload, fields));
        return Read::Event(Fresh::new(at, case.event_id, digest, Cow::Owned(body), time));
    };
    let entry = Entry::decode(&case.record, topic_id, &Reader::new(replay.rules, fields));
    match entry.kind {
        Kind::Event(body) => {
            Read::Event(Fresh::new(at, entry.event_id, entry.digest, Cow::Owned(body), time))
        }
        Kind::Undecodable(refusal) => {
            Read::Done(Replayed::refused(case, Attempted::Undecodable, refusal))
        }
        Kind::Tombstone => {
            let refusal = Refusal::own(Reason::NoValue.as_str(), "there is no value".to_owned());
            Read::Done(Replayed::refused(case, Attempted::Undecodable, refusal))
        }
        Kind::OtherType(_) | Kind::Test(..) => {
            Read::Done(Replayed::new(case, Attempted::OtherType))
        }
    }
}

/// A twin's case and the id of the event it repeats.
pub(super) type Twin = (usize, Uuid);

/// Gives each event an id of its own and tells whether the inbox has it: the same id with other bytes is
/// another event, and with the same bytes the same one, which then goes through the mapping once.
pub(super) async fn tell_apart<'a>(
    tx: &Tx,
    route: RouteId,
    events: Vec<Fresh<'a>>,
) -> Result<(Vec<(Fresh<'a>, bool)>, Vec<Twin>), ApplyFault> {
    let mut both = events.clone();
    both.iter_mut().for_each(|event| event.id = reused_id(event.id, &event.digest));
    both.extend(events.iter().cloned());
    let known = seen(tx, route, &slot::ALL, both.iter()).await.map_err(ApplyFault::Engine)?;
    let mut ours: HashMap<Uuid, [u8; 16]> = HashMap::new();
    let (mut fresh, mut twins) = (Vec::with_capacity(events.len()), Vec::new());
    for mut event in events {
        let is_other = |digest: &[u8]| digest != event.digest.as_slice();
        let taken = known.get(&event.id).is_some_and(|digest| is_other(digest))
            || ours.get(&event.id).is_some_and(|digest| is_other(digest));
        if taken {
            event.reused = Some(event.id);
            event.id = reused_id(event.id, &event.digest);
        }
        match ours.insert(event.id, event.digest) {
            Some(_) => twins.push((event.entry, event.id)),
            None => {
                let is_new = !known.contains_key(&event.id);
                fresh.push((event, is_new));
            }
        }
    }
    Ok((fresh, twins))
}
