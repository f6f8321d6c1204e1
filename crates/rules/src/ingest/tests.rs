use std::collections::BTreeMap;
use std::time::Instant;

use super::*;
use crate::batch::Limits;
use crate::ids::Offset;
use crate::ingest::lane::{Arrival, Ending, Lane};
use crate::tests::{arrow, drawn};

const LOG: Uuid = Uuid::from_u128(1);

fn assigned() -> Event {
    Event::Assigned { assignment: 7, partitions: vec![0, 1] }
}

fn claimed(ingest: &Ingest, left_out: &[i32], admitted: bool) -> Event {
    let left_out = left_out.iter().copied().collect();
    Event::Claimed { attempt: ingest.attempt, log: LOG, replaced: false, left_out, admitted }
}

/// A machine in a state, with partition 1 left out where something is claimed.
fn machine(state: State) -> Ingest {
    let mut ingest = Ingest::default();
    if state == State::Joining {
        return ingest;
    }
    ingest.on(assigned(), 0.5);
    if state != State::Claiming {
        let event = claimed(&ingest, &[1], state == State::Reading);
        ingest.on(event, 0.5);
    }
    assert_eq!(ingest.state(), state);
    ingest
}

/// One event of each kind that means something to this machine, by its name.
fn events(ingest: &Ingest) -> Vec<(&'static str, Event)> {
    let attempt = ingest.attempt;
    vec![
        ("assigned", assigned()),
        ("revoked", Event::Revoked),
        ("left", Event::Left),
        ("stopped", Event::Stopped { moved: false, unreadable: false }),
        ("outdated", Event::Outdated { moved: false, suspicious: false }),
        ("claimed", claimed(ingest, &[], true)),
        ("claimed, not admitted", claimed(ingest, &[], false)),
        ("unclaimed", Event::Unclaimed { attempt, moved: false }),
        ("readable again", Event::Looked { attempt, still: Some(BTreeSet::new()) }),
        ("admitted", Event::Admitted),
    ]
}

#[test]
fn the_machine_is_the_one_that_is_drawn() {
    let mut arrows = BTreeSet::new();
    for state in State::ALL {
        let from = machine(state);
        for (name, event) in events(&from) {
            let mut to = from.clone();
            to.on(event, 0.5);
            if to.state() != state {
                arrows.insert(arrow(state, to.state(), name));
            }
        }
    }
    assert_eq!(arrows, drawn("ingest"));
}

#[test]
fn a_lane_is_the_one_that_is_drawn() {
    let now = Instant::now();
    let arrival = |record| {
        let (offset, follows) = (Offset(record), Offset(record));
        Arrival { generation: 1, partition: 0, offset, follows, bytes: 1, is_anchor: None, record }
    };
    let lane = |state| {
        let limits = Limits { rows: 1, bytes: 100, linger: Duration::ZERO };
        let mut lane = Lane::<i64, &str>::new(limits);
        let from = BTreeMap::from([(0, Offset(0))]);
        lane.on(lane::Event::Adopted { generation: 1, from }, now, 0.5);
        if state != lane::State::Idle {
            lane.on(lane::Event::Arrived(arrival(0)), now, 0.5);
        }
        if matches!(state, lane::State::Applying | lane::State::Waiting) {
            lane.on(lane::Event::Due, now, 0.5);
        }
        if state == lane::State::Waiting {
            lane.on(lane::Event::Ended(Ending::Hold("drift")), now, 0.5);
        }
        assert_eq!(lane.state(), state);
        lane
    };
    let events = [
        ("adopted", lane::Event::Adopted { generation: 2, from: BTreeMap::new() }),
        ("dropped", lane::Event::Dropped),
        ("arrived", lane::Event::Arrived(arrival(0))),
        ("due", lane::Event::Due),
        ("done", lane::Event::Ended(Ending::Done)),
        ("more", lane::Event::Ended(Ending::More)),
        ("again", lane::Event::Ended(Ending::Again("gone"))),
        ("hold", lane::Event::Ended(Ending::Hold("drift"))),
        ("collided", lane::Event::Ended(Ending::Collided)),
    ];
    let mut arrows = BTreeSet::new();
    for state in lane::State::ALL {
        for (name, event) in &events {
            // A second arrival at one offset is out of order, which drops everything: that is "out of order".
            let is_next = *name == "arrived" && state != lane::State::Idle;
            let event = if is_next { lane::Event::Arrived(arrival(1)) } else { event.clone() };
            let mut to = lane(state);
            to.on(event, now, 0.5);
            if to.state() != state {
                arrows.insert(arrow(state, to.state(), name));
            }
            let mut to = lane(state);
            to.on(lane::Event::Arrived(arrival(5)), now, 0.5);
            if to.state() != state {
                arrows.insert(arrow(state, to.state(), "out of order"));
            }
        }
    }
    assert_eq!(arrows, drawn("lane"));
}

#[test]
fn the_end_of_an_attempt_that_was_replaced_changes_nothing() {
    for state in State::ALL {
        let mut ingest = machine(state);
        ingest.attempt += 1;
        let before = ingest.clone();
        let stale = ingest.attempt - 1;
        let none = BTreeSet::new();
        let events = [
            Event::Claimed {
                attempt: stale,
                log: LOG,
                replaced: false,
                left_out: none.clone(),
                admitted: true,
            },
            Event::Unclaimed { attempt: stale, moved: true },
            Event::Looked { attempt: stale, still: Some(none) },
        ];
        for event in events {
            assert_eq!(ingest.on(event, 0.5), []);
            assert_eq!(ingest, before);
        }
    }
}

#[test]
fn partitions_that_are_taken_back_are_let_go_of_before_the_group_is_answered() {
    for state in State::ALL {
        let actions = machine(state).on(Event::Revoked, 0.5);
        assert_eq!(actions, [Action::EndAttempts, Action::Drop, Action::Release], "{state:?}");
    }
}

#[test]
fn a_topic_made_anew_is_read_by_a_new_member_only() {
    let mut ingest = machine(State::Reading);
    ingest.on(Event::Outdated { moved: false, suspicious: false }, 0.5);
    let Event::Claimed { attempt, left_out, .. } = claimed(&ingest, &[], true) else { panic!() };
    let log = Uuid::from_u128(2);
    let anew = Event::Claimed { attempt, log, replaced: true, left_out, admitted: true };
    let actions = ingest.on(anew, 0.5);
    assert_eq!(actions, [Action::EndAttempts, Action::Drop, Action::Rejoin]);
    assert_eq!(ingest.state(), State::Joining);
}

#[test]
fn pauses_grow_until_a_position_moves() {
    let mut ingest = machine(State::Reading);
    let mut pause = |moved| {
        let actions = ingest.on(Event::Outdated { moved, suspicious: false }, 1.0);
        match actions.last() {
            Some(Action::Claim { pause, .. }) => *pause,
            other => panic!("{other:?}"),
        }
    };
    let first = pause(false);
    assert!(pause(false) > first);
    assert_eq!(pause(true), first);
}
