use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::produce_error::Blame;
use crate::tests::{arrow, drawn};

#[derive(Clone, Debug)]
struct Message {
    seq: i64,
    topic: &'static str,
    key: &'static str,
}

impl RelayRow for Message {
    fn seq(&self) -> i64 {
        self.seq
    }

    fn topic(&self) -> &str {
        self.topic
    }

    fn key(&self) -> Option<&str> {
        Some(self.key)
    }

    fn bytes(&self) -> usize {
        1
    }
}

type OneTerm = Term<Message, i64>;

fn row(seq: i64, topic: &'static str, key: &'static str) -> (Message, i64) {
    (Message { seq, topic, key }, seq)
}

fn refused(blame: Blame) -> ProduceError {
    ProduceError { blame, reason: "why".to_owned(), advice: "what to do".to_owned() }
}

/// A term that has read these rows and handed over what may go.
fn term(rows: Vec<(Message, i64)>, now: Instant) -> OneTerm {
    let mut term = Term::begin(0, true, now);
    let read_to = rows.last().map_or(0, |(row, _)| row.seq);
    term.on(Event::Read { rows, read_to, more: false }, now, 0.5);
    hand_over(&mut term, now);
    term
}

/// Hands over what may go. Returns the numbers of the rows.
fn hand_over(term: &mut OneTerm, now: Instant) -> Vec<i64> {
    let mut seqs = Vec::new();
    while let Some((token, row)) = term.next_to_send(0, u64::MAX, now) {
        seqs.push(row.seq);
        term.handed_over(token, now);
        if term.state() == State::Careful {
            break;
        }
    }
    seqs
}

fn delivered(term: &mut OneTerm, token: u64, outcome: Result<(), ProduceError>, now: Instant) {
    term.on(Event::Delivered(token, outcome), now, 0.5);
}

/// Ends the client if that is due.
fn replace(term: &mut OneTerm, now: Instant) {
    if let Some(Task::Replace(pace)) = term.due(now) {
        term.on(Event::Replaced(pace), now, 0.5);
    }
}

/// A term in a state, with messages on their way where it lets any go.
fn in_state(state: State, now: Instant) -> OneTerm {
    let mut term = term(vec![row(1, "a", "x"), row(2, "b", "y")], now);
    let blame = match state {
        State::Pipelined => return term,
        State::Careful => Blame::Row,
        State::Failed | State::Paused => Blame::Client,
    };
    delivered(&mut term, 0, Err(refused(blame)), now);
    if state != State::Failed {
        replace(&mut term, now);
        hand_over(&mut term, now);
    }
    assert_eq!(term.state(), state);
    term
}

/// What can happen in any state, by name.
fn happen(name: &str, term: &mut OneTerm, now: Instant) {
    match name {
        "delivered" => delivered(term, 0, Ok(()), now),
        "refused for its own sake" => delivered(term, 0, Err(refused(Blame::Row)), now),
        "topic takes nothing" => delivered(term, 0, Err(refused(Blame::World)), now),
        "client failed" => delivered(term, 0, Err(refused(Blame::Client)), now),
        "client replaced" => replace(term, now),
        "suspects are through, client replaced" => {
            delivered(term, 0, Ok(()), now);
            replace(term, now);
        }
        "pause over" => drop(hand_over(term, now + Duration::from_secs(60))),
        _ => unreachable!("{name}"),
    }
}

const HAPPENINGS: [&str; 7] = [
    "delivered",
    "refused for its own sake",
    "topic takes nothing",
    "client failed",
    "client replaced",
    "suspects are through, client replaced",
    "pause over",
];

#[test]
fn sending_is_the_machine_that_is_drawn() {
    let now = Instant::now();
    let mut arrows = BTreeSet::new();
    for from in [State::Pipelined, State::Careful, State::Failed, State::Paused] {
        let through = |name: &&&str| name.starts_with("suspects");
        for name in HAPPENINGS.iter().filter(|name| !through(name) || from == State::Careful) {
            let mut term = in_state(from, now);
            happen(name, &mut term, now);
            if term.state() != from {
                arrows.insert(arrow(from, term.state(), name));
            }
        }
    }
    // Which client follows a failure is the failure's doing.
    for (blame, name) in [(Blame::Row, "refused row"), (Blame::World, "held topic")] {
        let mut term = in_state(State::Pipelined, now);
        delivered(&mut term, 0, Err(refused(blame)), now);
        replace(&mut term, now);
        arrows.insert(arrow(State::Failed, term.state(), &format!("client replaced, {name}")));
    }
    assert_eq!(arrows, drawn("relay"));
}

#[test]
fn nothing_overtakes_a_message_that_failed() {
    let now = Instant::now();
    let mut term = term(vec![row(1, "a", "x"), row(2, "a", "x"), row(3, "a", "y")], now);
    delivered(&mut term, 0, Err(refused(Blame::Client)), now);
    assert_eq!(hand_over(&mut term, now), Vec::<i64>::new());
    replace(&mut term, now);
    assert_eq!(hand_over(&mut term, now), Vec::<i64>::new(), "the client failed: after a pause");
    let later = now + Duration::from_secs(1);
    assert_eq!(hand_over(&mut term, later), [1, 3], "the second of a key waits for the first");
    delivered(&mut term, 0, Ok(()), later);
    assert_eq!(hand_over(&mut term, later), [2]);
}

#[test]
fn a_row_that_is_refused_three_times_is_parked_and_its_key_waits_behind_it() {
    let now = Instant::now();
    let mut term = term(vec![row(1, "a", "x"), row(2, "a", "x"), row(3, "a", "y")], now);
    for _ in 0..3 {
        delivered(&mut term, 0, Err(refused(Blame::Row)), now);
        replace(&mut term, now);
        hand_over(&mut term, now);
    }
    replace(&mut term, now);
    hand_over(&mut term, now);
    delivered(&mut term, 2, Ok(()), now);
    let step = term.step();
    let parked: Vec<(i64, bool)> =
        step.aside.parking.iter().map(|row| (row.seq, row.refusal.is_some())).collect();
    assert_eq!(parked, [(1, true), (2, false)]);
    assert_eq!((step.cursor, step.published), (3, 1));
    term.on(Event::Written(step), now, 0.5);
    let rows = vec![row(4, "a", "x"), row(5, "a", "z")];
    term.on(Event::Read { rows, read_to: 5, more: false }, now, 0.5);
    assert_eq!(hand_over(&mut term, now), [5]);
}

#[test]
fn a_topic_that_takes_nothing_parks_its_own_rows_and_is_tried_again() {
    let now = Instant::now();
    let mut term = term(vec![row(1, "gone", "x"), row(2, "b", "y")], now);
    delivered(&mut term, 0, Err(refused(Blame::World)), now);
    replace(&mut term, now);
    assert_eq!(hand_over(&mut term, now), [2]);
    delivered(&mut term, 1, Ok(()), now);
    let step = term.step();
    assert_eq!(
        step.aside.parking.iter().map(|row| (row.seq, row.by_topic)).collect::<Vec<_>>(),
        [(1, true)]
    );
    term.on(Event::Written(step), now, 0.5);
    let later = now + Duration::from_secs(1);
    assert_eq!(term.due(later), Some(Task::Try(vec!["gone".to_owned()])));
    let outcome = Some(Ok(()));
    let trial = TopicTrial { topic: "gone".to_owned(), key: None, seq: 1, outcome };
    term.on(Event::TrialEnded(trial), later, 0.5);
    term.on(Event::TrialOver, later, 0.5);
    let read = vec![row(3, "gone", "x")];
    term.on(Event::Read { rows: read, read_to: 3, more: false }, later, 0.5);
    assert_eq!(hand_over(&mut term, later), Vec::<i64>::new(), "what was parked goes first");
    let step = term.step();
    assert_eq!(step.aside.sent_again, [1]);
    assert_eq!(term.on(Event::Written(step), later, 0.5), [Action::ReadBlocked]);
    let (found, _) = row(3, "gone", "x");
    term.on(Event::Found(vec![found]), later, 0.5);
    assert_eq!(term.due(later), Some(Task::Send));
    assert_eq!(hand_over(&mut term, later), [3]);
}

#[test]
fn a_message_without_an_answer_holds_its_topic_once_later_ones_have_theirs() {
    let now = Instant::now();
    let mut term = term(vec![row(1, "a", "x")], now);
    let later = now + Duration::from_millis(1);
    term.on(Event::Read { rows: vec![row(2, "b", "y")], read_to: 2, more: false }, later, 0.5);
    hand_over(&mut term, later);
    delivered(&mut term, 1, Ok(()), later);
    let late = later + Duration::from_secs(20);
    assert_eq!(term.due(late), Some(Task::Replace(Pace::Pipelined)));
    let actions = term.on(Event::Replaced(Pace::Pipelined), late, 0.5);
    assert!(
        matches!(&actions[..], [Action::Held(topic, _, tokens)] if topic == "a" && *tokens == [0])
    );
}

#[test]
fn a_step_renews_the_lease_in_time_and_is_written_soon_after_an_acknowledgement() {
    let now = Instant::now();
    let mut term = term(vec![row(1, "a", "x")], now);
    assert!(term.wakes_at(now) <= now + LEASE / 3);
    delivered(&mut term, 0, Ok(()), now);
    assert!(term.wakes_at(now) <= now + Duration::from_millis(20));
}
