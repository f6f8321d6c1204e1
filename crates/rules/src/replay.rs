//! The machine of a record that was put away: who is at fault for its refusal, and what becomes of it. A refusal is the
//! record's own once something proves that the world takes others; until then it is a suspect, and nothing is held against
//! it. The record's row in quarantine holds the state; the loop writes what is decided with what was tried.

/// What a record is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It was refused, and whose fault that is is not known: it is tried again by itself.
    Suspect,
    /// The refusal is its own fault: it waits for a person, or for what it lacks.
    Judged,
    /// It has its purchase, or was given up.
    Closed,
}

/// What is known of the world at a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Something was applied with the mapping since it first refused this record.
    pub is_proven: bool,
    /// A person has said that refusals are the records' own fault for now.
    pub is_accepted: bool,
    /// Whether a record known to be sound was taken beside it, if one was tried.
    pub control_is_taken: Option<bool>,
}

impl Proof {
    /// Whether the world is shown to be well. A control tells more than what went before it.
    pub fn clears_the_world(self) -> bool {
        self.control_is_taken.unwrap_or(self.is_proven || self.is_accepted)
    }
}

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was applied.
    Applied,
    /// It was refused alone: as a suspect, or because a person asked for it.
    Refused(Proof),
    /// It was refused when it was tried untold, in case that it lacked something which is there by now.
    RefusedUntold,
    /// Its payment has a purchase that something else made.
    Purchased,
    /// A person gave it up.
    Discarded,
}

/// What is written of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// That the refusal is its own fault.
    Judge,
    /// That it waits for a proof.
    Wait,
    /// That it is over.
    Close,
}

/// What becomes of a record in `state`.
pub fn on(state: State, event: Event) -> (State, Option<Action>) {
    match (state, event) {
        (State::Suspect | State::Judged, Event::Applied | Event::Purchased | Event::Discarded) => {
            (State::Closed, Some(Action::Close))
        }
        (State::Suspect | State::Judged, Event::Refused(proof)) => match proof.clears_the_world() {
            true => (State::Judged, Some(Action::Judge)),
            false => (State::Suspect, Some(Action::Wait)),
        },
        (State::Suspect | State::Judged, Event::RefusedUntold) => (state, None),
        // A person may have one tried again that was given up; a refusal leaves it so.
        (
            State::Closed,
            Event::Applied
            | Event::Refused(_)
            | Event::RefusedUntold
            | Event::Purchased
            | Event::Discarded,
        ) => (state, None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tests::{arrow, drawn};

    const PROVEN: Proof = Proof { is_proven: true, is_accepted: false, control_is_taken: None };

    #[test]
    fn a_record_is_the_one_that_is_drawn() {
        let events = [
            ("applied", Event::Applied),
            ("refused", Event::Refused(Proof::default())),
            ("refused while others are applied", Event::Refused(PROVEN)),
            ("refused untold", Event::RefusedUntold),
            ("purchased otherwise", Event::Purchased),
            ("discarded", Event::Discarded),
        ];
        let mut arrows = BTreeSet::new();
        for state in [State::Suspect, State::Judged, State::Closed] {
            for (name, event) in events {
                let (to, _) = on(state, event);
                if to != state {
                    arrows.insert(arrow(state, to, name));
                }
            }
        }
        assert_eq!(arrows, drawn("record put away"));
    }

    #[test]
    fn a_control_that_is_refused_too_blames_the_world_whatever_was_applied_before() {
        let control = |taken| Proof { control_is_taken: Some(taken), ..PROVEN };
        assert!(!control(false).clears_the_world());
        assert!(control(true).clears_the_world());
        assert!(Proof { is_accepted: true, ..Proof::default() }.clears_the_world());
        assert!(!Proof::default().clears_the_world());
    }
}
