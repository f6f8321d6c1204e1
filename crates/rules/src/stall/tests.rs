use super::*;
use crate::ids::Offset;

const PATIENCE: Duration = Duration::from_secs(30);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn well() -> StallFacts {
    StallFacts {
        patience: PATIENCE,
        assigned: Some(3),
        assigned_for: seconds(600),
        unread_for: None,
        owed: Vec::new(),
        silent: None,
        open_transaction: None,
        silent_for: Duration::ZERO,
        database: Database::Unasked,
        held: None,
        isolating: false,
        applying_for: None,
        kafka_away: None,
        trouble: None,
        unexcused_for: seconds(600),
    }
}

fn owed(age: u64) -> Vec<Owed> {
    vec![Owed { partition: 2, age: seconds(age), records: 7, in_hand: false }]
}

fn found(facts: &StallFacts) -> Option<&'static str> {
    judge(facts).map(|finding| finding.cause.as_str())
}

#[test]
fn causes_are_named_in_the_order_in_which_they_explain_each_other() {
    let mut facts = StallFacts {
        owed: owed(60),
        unread_for: Some(seconds(60)),
        silent_for: seconds(60),
        database: Database::Away("refused".into()),
        held: Some("held".into()),
        isolating: true,
        applying_for: Some(seconds(60)),
        kafka_away: Some(("down".into(), seconds(1))),
        trouble: Some(Diagnosis::new(crate::diagnosis::Code::Kafka, "no grant")),
        ..well()
    };
    assert_eq!(found(&facts), Some("database_down"));
    facts.database = Database::Locked("psql".into(), 7);
    assert_eq!(found(&facts), Some("locked"));
    let soon =
        StallFacts { owed: owed(6), unread_for: None, silent_for: seconds(0), ..facts.clone() };
    assert_eq!(found(&soon), Some("locked"), "who can end a lock is told soon");
    assert_eq!(found(&StallFacts { database: Database::Up, ..soon }), None);
    facts.database = Database::Up;
    assert_eq!(found(&facts), Some("held"));
    facts.held = None;
    assert_eq!(found(&facts), Some("isolating"));
    facts.isolating = false;
    assert_eq!(found(&facts), Some("applying"));
    facts.applying_for = None;
    assert_eq!(found(&facts), Some("kafka_down"));
    facts.kafka_away = None;
    assert_eq!(found(&facts), Some("kafka_refuses"));
    facts.trouble = None;
    assert_eq!(found(&facts), Some("poll_thread_silent"));
    facts.silent_for = Duration::ZERO;
    assert_eq!(found(&facts), Some("no_position"));
    facts.unread_for = None;
    assert_eq!(found(&facts), Some("unknown"));
    facts.owed = Vec::new();
    assert_eq!(found(&facts), None);
}

#[test]
fn a_group_that_settles_is_given_minutes_and_an_open_transaction_its_time() {
    let joining = |age| StallFacts { assigned: None, assigned_for: seconds(age), ..well() };
    assert_eq!(found(&joining(359)), None);
    assert_eq!(found(&joining(360)), Some("not_assigned"));
    let open = |age| StallFacts { open_transaction: Some((vec![1], seconds(age))), ..well() };
    assert_eq!(found(&open(29)), None);
    assert_eq!(found(&open(30)), Some("open_transaction"));
}

#[test]
fn what_came_from_outside_is_not_held_against_the_client_afterwards() {
    let facts = |unexcused| StallFacts {
        owed: owed(3600),
        unexcused_for: seconds(unexcused),
        database: Database::Up,
        ..well()
    };
    assert_eq!(found(&facts(19)), None);
    assert_eq!(found(&facts(20)), Some("unknown"));
}

/// The rungs of a stall that nothing ends, with the seconds at which each is due.
fn rungs(facts: impl Fn(u64) -> StallFacts) -> Vec<(u64, Rung)> {
    let mut ladder = Ladder::default();
    let mut due = Vec::new();
    for now in 0..2000 {
        let facts = facts(now);
        let settled = is_settled(&facts);
        let rung = ladder.climb(seconds(now), PATIENCE, judge(&facts).as_ref(), settled);
        due.extend(rung.map(|rung| (now, rung)));
        if rung == Some(Rung::GiveUp) {
            break;
        }
    }
    due
}

#[test]
fn an_unknown_stall_climbs_the_ladder_with_ever_longer_pauses() {
    let stalled = |now| StallFacts { owed: owed(now), ..well() };
    assert_eq!(
        rungs(stalled),
        [
            (20, Rung::Say),
            (30, Rung::Reclaim),
            (40, Rung::Rebuild),
            (100, Rung::Rebuild),
            (220, Rung::Rebuild),
            (270, Rung::GiveUp)
        ]
    );
}

#[test]
fn a_thread_that_does_not_listen_is_replaced_at_once() {
    let silent = |now| {
        let age = seconds(now % 40);
        StallFacts { silent_for: age, assigned: None, assigned_for: age, ..well() }
    };
    let due = rungs(silent);
    assert_eq!(due[..2], [(20, Rung::Say), (30, Rung::Rebuild)]);
    assert!(matches!(due.last(), Some((240..400, Rung::GiveUp))), "{due:?}");
}

#[test]
fn nothing_is_done_about_what_lies_outside_however_long_it_lasts() {
    let outside = |now| StallFacts {
        owed: owed(now),
        database: Database::Away("refused".into()),
        unexcused_for: Duration::ZERO,
        ..well()
    };
    assert_eq!(rungs(outside), [(20, Rung::Say)]);
}

#[test]
fn a_transaction_without_an_answer_for_minutes_ends_the_process() {
    let lost = |now| StallFacts { owed: owed(now), applying_for: Some(seconds(now)), ..well() };
    assert_eq!(rungs(lost), [(20, Rung::Say), (300, Rung::GiveUp)]);
}

#[test]
fn a_position_below_the_end_owes_nothing_once_the_client_came_to_the_end() {
    let mut debts = Debts::default();
    let seen = |covered, end| PartitionSeen {
        partition: 0,
        covered: Offset(covered),
        in_hand: false,
        end: Some(Offset(end)),
        high: Some(Offset(end)),
    };
    debts.look(seconds(0), &[0], &[seen(9, 10)]);
    assert_eq!(debts.owed(seconds(5), Duration::ZERO).len(), 1);
    debts.look(seconds(6), &[0], &[seen(10, 10)]);
    assert_eq!(debts.owed(seconds(60), Duration::ZERO), []);
    // A rewind is no progress, and what comes after it is.
    debts.look(seconds(60), &[0], &[seen(4, 10)]);
    debts.look(seconds(70), &[0], &[seen(4, 12)]);
    assert_eq!(debts.owed(seconds(70), Duration::ZERO)[0].age, seconds(10));
    debts.look(seconds(71), &[0], &[seen(5, 12)]);
    assert_eq!(debts.owed(seconds(71), Duration::ZERO)[0].age, Duration::ZERO);
    // Nobody was there to look.
    assert_eq!(debts.owed(seconds(100), seconds(98))[0].age, seconds(2));
    debts.look(seconds(100), &[], &[]);
    assert_eq!(debts.owed(seconds(100), Duration::ZERO), []);
}

#[test]
fn a_partition_that_cannot_be_seen_is_said_and_held_against_nobody() {
    let facts =
        |age| StallFacts { silent: Some((vec![1], "no leader".into(), seconds(age))), ..well() };
    assert_eq!(found(&facts(19)), None);
    let finding = judge(&facts(20)).unwrap();
    assert_eq!(
        (finding.cause.as_str(), finding.partitions.as_slice()),
        ("partition_down", &[1][..])
    );
    assert!(finding.cause.is_outside());
    let others = StallFacts { owed: owed(60), ..facts(60) };
    assert_eq!(found(&others), Some("unknown"), "another partition is stuck for its own reasons");
}
