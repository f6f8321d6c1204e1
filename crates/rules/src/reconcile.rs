//! The machine of a reconciler's run: what its steps find, and what becomes of it. The run's row in PostgreSQL holds the
//! state, so another daemon goes on with it; the loop does one step, and writes what is decided in the step's transaction.

use super::schedule::Brake;
use super::states::Phase;

/// What a run is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Windows of payments are compared with purchases.
    Comparing,
    /// What was found missing is made good, chunk by chunk.
    MakingGood,
    /// Windows of contradictions are looked for.
    Checking,
    /// It waits for a person's approval, and goes on where it was.
    Held,
    /// It is over.
    Ended,
}

impl From<Phase> for State {
    fn from(phase: Phase) -> State {
        match phase {
            Phase::Compare => State::Comparing,
            Phase::MakeGood => State::MakingGood,
            Phase::Conflicts => State::Checking,
        }
    }
}

/// A run that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRules {
    /// What it is at.
    pub phase: Phase,
    /// Whether it only reports.
    pub dry_run: bool,
    /// Whether a person let it go on without the brake.
    pub approved: bool,
    /// Whether it looks at all payments there are, whenever they became paid.
    pub is_sweep: bool,
    /// What it may make good without an approval.
    pub brake: Brake,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A window of payments was compared.
    Compared {
        /// Payments that the run has looked at by now.
        compared: u64,
        /// Those of them that are missing a purchase.
        missing: u64,
        /// Whether it was the last window.
        is_last: bool,
    },
    /// A chunk was made good, or there was none left.
    MadeGood {
        /// Whether there may be more.
        is_last: bool,
    },
    /// A window of contradictions was looked at.
    Checked {
        /// Whether it was the last window.
        is_last: bool,
    },
    /// Something keeps the step from being done that passes, or that somebody must mend.
    Hindered(String),
    /// The run cannot be done.
    Impossible(String),
}

/// What is written with the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The run begins this phase, from its beginning.
    Begin(Phase),
    /// It waits for an approval, for this reason.
    Hold(String),
    /// It tells why it waits; the same step is tried again.
    Wait(String),
    /// It ends.
    Finish {
        /// Why it failed, if it did.
        error: Option<String>,
        /// Why it would be held if it were not a dry run.
        held: Option<String>,
    },
    /// The gaps that it has covered are closed.
    Cover,
}

impl RunRules {
    /// What becomes of the run, and what is written.
    pub fn on(&self, event: Event) -> (State, Vec<Action>) {
        let same = State::from(self.phase);
        match (self.phase, event) {
            (Phase::Compare, Event::Compared { compared, missing, is_last }) => {
                self.compared(compared, missing, is_last)
            }
            (Phase::MakeGood, Event::MadeGood { is_last: true }) => begin(Phase::Conflicts),
            (Phase::Conflicts, Event::Checked { is_last: true }) => self.finish(None),
            // Whatever keeps it from that ends the run with that word, for the next one has payments to make good.
            (Phase::Conflicts, Event::Hindered(why) | Event::Impossible(why)) => {
                self.finish(Some(format!("all is done but to look for contradictions: {why}")))
            }
            (Phase::Compare | Phase::MakeGood, Event::Hindered(why)) => {
                (same, vec![Action::Wait(why)])
            }
            (Phase::Compare | Phase::MakeGood, Event::Impossible(why)) => {
                (State::Ended, vec![Action::Finish { error: Some(why), held: None }])
            }
            // More windows, or a word of another phase.
            (Phase::Compare, Event::MadeGood { .. } | Event::Checked { .. })
            | (Phase::MakeGood, Event::MadeGood { .. })
            | (Phase::MakeGood, Event::Compared { .. } | Event::Checked { .. })
            | (Phase::Conflicts, Event::Checked { .. })
            | (Phase::Conflicts, Event::Compared { .. } | Event::MadeGood { .. }) => {
                (same, Vec::new())
            }
        }
    }

    fn compared(&self, compared: u64, missing: u64, is_last: bool) -> (State, Vec<Action>) {
        let too_much = match (self.approved, is_last) {
            (true, _) => None,
            (false, true) => self.brake.in_all(compared, missing),
            (false, false) => self.brake.so_far(missing),
        };
        let next = if self.dry_run { Phase::Conflicts } else { Phase::MakeGood };
        let (state, mut actions) =
            if is_last { begin(next) } else { (State::Comparing, Vec::new()) };
        let Some(why) = too_much else { return (state, actions) };
        if self.dry_run {
            let held = Some(format!("it would be held: {why}"));
            actions.push(Action::Finish { error: None, held });
            return (State::Ended, actions);
        }
        actions.push(Action::Hold(why));
        (State::Held, actions)
    }

    /// Only a whole sweep covers gaps: one that begins later may miss a payment whose event waited in the outbox for long.
    fn finish(&self, error: Option<String>) -> (State, Vec<Action>) {
        let mut actions = vec![Action::Finish { error, held: None }];
        if self.is_sweep && !self.dry_run {
            actions.push(Action::Cover);
        }
        (State::Ended, actions)
    }
}

fn begin(phase: Phase) -> (State, Vec<Action>) {
    (State::from(phase), vec![Action::Begin(phase)])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tests::{arrow, drawn};

    const PHASES: [Phase; 3] = [Phase::Compare, Phase::MakeGood, Phase::Conflicts];

    fn run(phase: Phase) -> RunRules {
        let brake = Brake { rows: 5, share: 50, share_from: 4 };
        RunRules { phase, dry_run: false, approved: false, is_sweep: true, brake }
    }

    fn events() -> Vec<(&'static str, Event)> {
        let compared = |missing, is_last| Event::Compared { compared: 10, missing, is_last };
        vec![
            ("window compared", compared(0, false)),
            ("last window compared", compared(0, true)),
            ("too much is missing", compared(6, false)),
            ("chunk made good", Event::MadeGood { is_last: false }),
            ("nothing left to make good", Event::MadeGood { is_last: true }),
            ("window checked", Event::Checked { is_last: false }),
            ("last window checked", Event::Checked { is_last: true }),
            ("hindered", Event::Hindered("why".to_owned())),
            ("impossible", Event::Impossible("why".to_owned())),
        ]
    }

    #[test]
    fn a_run_is_the_one_that_is_drawn() {
        let mut arrows = BTreeSet::from([
            // A person's part, and the end of what it was held for.
            arrow(State::Held, State::Comparing, "approved"),
            arrow(State::Held, State::MakingGood, "approved, all compared"),
            arrow(State::Held, State::Ended, "relieved"),
        ]);
        for phase in PHASES {
            for (name, event) in events() {
                let (state, _) = run(phase).on(event);
                if state != State::from(phase) {
                    arrows.insert(arrow(State::from(phase), state, name));
                }
            }
        }
        assert_eq!(arrows, drawn("reconcile run"));
    }

    #[test]
    fn a_run_that_is_held_goes_on_where_it_was() {
        let compared = |is_last| Event::Compared { compared: 10, missing: 6, is_last };
        let (state, actions) = run(Phase::Compare).on(compared(true));
        assert_eq!(state, State::Held);
        assert!(matches!(&actions[..], [Action::Begin(Phase::MakeGood), Action::Hold(_)]));
        let (_, actions) = run(Phase::Compare).on(compared(false));
        assert!(matches!(&actions[..], [Action::Hold(_)]));
        let approved = RunRules { approved: true, ..run(Phase::Compare) };
        assert_eq!(approved.on(compared(false)), (State::Comparing, vec![]));
    }

    #[test]
    fn a_rehearsal_makes_nothing_good_whatever_is_missing() {
        let rehearsal = RunRules { dry_run: true, ..run(Phase::Compare) };
        for missing in [0, 1, 6] {
            let (state, actions) =
                rehearsal.on(Event::Compared { compared: 10, missing, is_last: true });
            assert_ne!(state, State::MakingGood);
            assert!(!actions.contains(&Action::Begin(Phase::MakeGood)), "{missing}: {actions:?}");
        }
    }

    #[test]
    fn only_a_whole_run_that_is_no_rehearsal_covers_gaps() {
        let last = || Event::Checked { is_last: true };
        let covers = |run: RunRules| run.on(last()).1.contains(&Action::Cover);
        let whole = run(Phase::Conflicts);
        assert!(covers(whole));
        assert!(
            !covers(RunRules { dry_run: true, ..whole })
                && !covers(RunRules { is_sweep: false, ..whole })
        );
        let (_, actions) = whole.on(Event::Hindered("why".to_owned()));
        assert!(actions.contains(&Action::Cover), "the payments were all compared");
    }
}
