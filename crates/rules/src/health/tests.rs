use super::*;
use crate::ids::Offset;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn partition(lag: i64, waiting: Option<Duration>, progress: Option<Duration>) -> [Partition; 1] {
    [Partition { number: 0, lag: Some(lag), waiting, progress }]
}

fn facts(partitions: &[Partition]) -> Facts<'_> {
    Facts {
        topic: "purchase-confirmed",
        group: "purchase-creation-workers",
        alive: 1,
        seen: Some(SECOND),
        held: None,
        stalled: None,
        joining: None,
        kafka: Kafka::Same,
        partitions,
        unread: &[],
        unseen: None,
        taken: 10,
        other_type: 0,
        unknown_type: None,
        quarantined: 0,
        suspects: None,
        gaps: (0, 0),
        gap: None,
        uncovered: None,
        unpurchased: (0, None),
        late: None,
        statuses: None,
        failed: None,
        mismatches: 0,
        start: "makegood run",
    }
}

fn judged(facts: &Facts<'_>) -> (Verdict, String) {
    let health = judge(facts);
    let (start, _) = health.sentence.split_once([':', ' ']).unwrap();
    assert!(health.verdict.as_str().starts_with(start), "{health:?} starts with its verdict");
    (health.verdict, health.sentence)
}

#[test]
fn an_idle_route_is_ok_however_old_its_last_progress_is() {
    let idle = partition(0, None, Some(4 * SECOND));
    assert_eq!(
        judged(&facts(&idle)),
        (Verdict::Ok, "ok: nothing is waiting, last progress 4 s ago".to_owned())
    );
    assert_eq!(judged(&facts(&partition(0, None, Some(99 * HOUR)))).0, Verdict::Ok);
    assert_eq!(judged(&facts(&partition(0, None, None))).0, Verdict::Ok);
}

#[test]
fn a_connected_daemon_that_does_not_process_is_stalled() {
    let stuck = partition(1, Some(5 * MINUTE), None);
    let (verdict, sentence) = judged(&facts(&stuck));
    assert_eq!(verdict, Verdict::Stalled);
    assert!(
        sentence.contains("partition 0 never moved though 1 record is waiting, the oldest for 5"),
        "{sentence}"
    );
    let stuck = partition(7, Some(5 * MINUTE), Some(6 * MINUTE));
    assert_eq!(judged(&facts(&stuck)).0, Verdict::Stalled);
}

#[test]
fn what_the_watchdog_of_a_daemon_found_is_told_in_its_words() {
    let reason = "partition 0 has not moved for 20 s: a table is locked by pid 7 (psql)";
    let advice = "let it finish, or end it: SELECT pg_terminate_backend(7)";
    let found = Held { age: 20 * SECOND, reason, advice };
    let waiting = partition(1, Some(SECOND), None);
    let (verdict, sentence) = judged(&Facts { stalled: Some(found), ..facts(&waiting) });
    assert_eq!(
        (verdict, sentence),
        (Verdict::Stalled, format!("stalled for 20 s: {reason}; {advice}"))
    );
}

#[test]
fn a_record_that_just_arrived_on_an_idle_topic_is_no_stall() {
    let fresh = partition(1, Some(SECOND), Some(9 * HOUR));
    assert_eq!(judged(&facts(&fresh)).0, Verdict::Behind);
}

#[test]
fn catching_up_on_old_records_is_no_stall() {
    let busy = partition(100_000, Some(9 * HOUR), Some(SECOND));
    let (verdict, sentence) = judged(&facts(&busy));
    assert_eq!(verdict, Verdict::Behind);
    assert_eq!(sentence, "behind: 100000 records are waiting, last progress 1 s ago");
}

#[test]
fn one_stalled_partition_counts_though_another_moves() {
    let two = [
        Partition { number: 0, lag: Some(0), waiting: None, progress: Some(SECOND) },
        Partition {
            number: 1,
            lag: Some(3),
            waiting: Some(2 * MINUTE),
            progress: Some(2 * MINUTE),
        },
    ];
    let (verdict, sentence) = judged(&facts(&two));
    assert_eq!(verdict, Verdict::Stalled);
    assert!(sentence.contains("partition 1 last moved 2 min ago"), "{sentence}");
}

#[test]
fn payments_that_nobody_can_look_at_are_no_good_news() {
    let idle = partition(0, None, Some(SECOND));
    let why = "payments have not been compared with purchases for 3 h: permission denied";
    let blind = Facts { late: Some(why), ..facts(&idle) };
    let (verdict, sentence) = judged(&blind);
    assert_eq!(verdict, Verdict::Unpurchased);
    assert!(sentence.starts_with(&format!("unpurchased: {why}; ")), "{sentence}");
}

#[test]
fn a_purchase_that_contradicts_its_payment_is_not_ok() {
    let idle = partition(0, None, Some(SECOND));
    let (verdict, sentence) = judged(&Facts { mismatches: 1, quarantined: 3, ..facts(&idle) });
    assert_eq!(verdict, Verdict::Mismatch);
    assert!(sentence.starts_with("mismatch: 1 purchase contradicts its payment, see `makegood"));
    assert!(!verdict.is_fine());
}

#[test]
fn a_type_that_is_ignored_without_anybodys_word_is_not_ok() {
    let idle = partition(0, None, Some(SECOND));
    let unknown = Facts { other_type: 9, unknown_type: Some(("REFUND", 2)), ..facts(&idle) };
    let (verdict, sentence) = judged(&unknown);
    assert_eq!(verdict, Verdict::Ignoring);
    assert!(
        sentence.starts_with("ignoring: 2 records of other types, most of them REFUND, "),
        "{sentence}"
    );
    assert_eq!(judged(&Facts { other_type: 9, ..facts(&idle) }).0, Verdict::Ok);
}

#[test]
fn a_run_that_failed_is_no_good_news() {
    let idle = partition(0, None, Some(SECOND));
    let (verdict, sentence) = judged(&Facts { failed: Some("no such column."), ..facts(&idle) });
    assert_eq!(verdict, Verdict::Unpurchased);
    assert!(sentence.contains("the reconciler's last run failed: no such column; "), "{sentence}");
}

#[test]
fn a_payment_without_a_purchase_is_told_though_nothing_waits() {
    let idle = partition(0, None, Some(SECOND));
    let paid = Facts { unpurchased: (3, Some(2 * HOUR)), quarantined: 1, ..facts(&idle) };
    let (verdict, sentence) = judged(&paid);
    assert_eq!(verdict, Verdict::Unpurchased);
    assert!(
        sentence.contains("3 payments are paid and not purchased, the oldest for 2 h"),
        "{sentence}"
    );
    assert!(!verdict.is_fine());
}

#[test]
fn a_hold_says_since_when_why_and_what_to_do() {
    let held = Held {
        age: 3 * MINUTE,
        reason: "column \"start_date\" does not exist (SQLSTATE 42703)",
        advice: "Your schema and apply.sql disagree.",
    };
    let stuck = partition(1, Some(5 * MINUTE), None);
    let (verdict, sentence) = judged(&Facts { held: Some(held), ..facts(&stuck) });
    assert_eq!(verdict, Verdict::Held);
    assert_eq!(
        sentence,
        "held for 3 min: column \"start_date\" does not exist (SQLSTATE 42703). \
         Your schema and apply.sql disagree."
    );
}

#[test]
fn without_a_daemon_the_route_is_down_whatever_else_is_known() {
    let down = Facts { alive: 0, seen: Some(2 * HOUR), kafka: Kafka::NoTopic, ..facts(&[]) };
    assert_eq!(
        judged(&down).1,
        "down: no makegood daemon has been seen for 2 h; start one with `makegood run`"
    );
    let left = Facts { alive: 0, seen: Some(3 * SECOND), ..facts(&[]) };
    assert_eq!(
        judged(&left).1,
        "down: no makegood daemon runs any more, the last one was seen 3 s ago; start one with `makegood run`"
    );
    let held = Held { age: MINUTE, reason: "no such column", advice: "Add it." };
    for held in [None, Some(held)] {
        let silent = Facts { seen: Some(SILENT + SECOND), held, ..facts(&[]) };
        let (verdict, sentence) = judged(&silent);
        assert_eq!(verdict, Verdict::Down, "what it last said is not the present");
        assert!(sentence.contains("no daemon has been heard of for 9 s"), "{sentence}");
    }
    let never = Facts { alive: 0, seen: None, ..facts(&[]) };
    assert_eq!(
        judged(&never).1,
        "down: no makegood daemon has ever run this route; start one with `makegood run`"
    );
}

#[test]
fn a_topic_made_anew_or_missing_is_said() {
    let idle = partition(0, None, Some(SECOND));
    let anew = Facts { kafka: Kafka::Recreated, ..facts(&idle) };
    assert_eq!(judged(&anew).0, Verdict::TopicRecreated);
    let missing = Facts { kafka: Kafka::NoTopic, ..facts(&idle) };
    assert_eq!(judged(&missing).0, Verdict::NoTopic);
}

#[test]
fn a_partition_that_somebody_else_reads_is_said() {
    let idle = partition(0, None, Some(SECOND));
    let unseen = Facts { unseen: Some((3, "it has no leader")), ..facts(&idle) };
    let (verdict, sentence) = judged(&unseen);
    assert_eq!(verdict, Verdict::Unknown);
    assert!(
        sentence.contains("partition 3") && sentence.contains("it has no leader"),
        "{sentence}"
    );
    let (verdict, sentence) = judged(&Facts { unread: &[1, 2], ..facts(&idle) });
    assert_eq!(verdict, Verdict::Unread);
    assert!(sentence.contains("partitions 1, 2") && sentence.contains("purchase-creation-workers"));
}

#[test]
fn without_kafka_a_fresh_look_is_good_enough_and_an_old_one_is_not() {
    let idle = partition(0, None, Some(SECOND));
    let at = |age| Facts { kafka: Kafka::Unreachable(age), ..facts(&idle) };
    assert_eq!(
        judged(&at(Some(4 * SECOND))).1,
        "ok: nothing is waiting as of 4 s ago, last progress 1 s ago"
    );
    assert_eq!(judged(&at(Some(STALE_LOOK + SECOND))).0, Verdict::Unknown);
    assert_eq!(judged(&at(None)).0, Verdict::Unknown);
    let rejoining = Facts { joining: Some(MINUTE), ..at(Some(MINUTE)) };
    assert_eq!(judged(&rejoining).0, Verdict::Unknown, "nobody else in the group is to blame");
    assert_eq!(judged(&Facts { joining: Some(SECOND), ..at(Some(SECOND)) }).0, Verdict::Joining);
}

#[test]
fn a_route_that_has_only_ever_ignored_says_so() {
    let idle = partition(0, None, Some(SECOND));
    let deaf = Facts { taken: 0, other_type: 40, ..facts(&idle) };
    assert_eq!(judged(&deaf).0, Verdict::Ignoring);
    assert_eq!(judged(&Facts { taken: 1, ..deaf }).0, Verdict::Ok);
}

#[test]
fn open_quarantine_is_a_finding() {
    let idle = partition(0, None, Some(SECOND));
    let (verdict, sentence) = judged(&Facts { quarantined: 1, ..facts(&idle) });
    assert_eq!(verdict, Verdict::Quarantine);
    assert!(sentence.starts_with("quarantine: 1 record needs a decision"), "{sentence}");
    assert!(!verdict.is_fine());
}

#[test]
fn the_headline_is_about_the_worst_route() {
    let idle = partition(0, None, Some(SECOND));
    let ok = judge(&facts(&idle));
    let down = judge(&Facts { alive: 0, ..facts(&idle) });
    let told = |routes: &[(&str, &Health)]| headline(routes, None);
    assert_eq!(told(&[("a", &ok)]), ok.sentence);
    assert_eq!(told(&[("a", &down)]), down.sentence);
    assert_eq!(told(&[("a", &ok), ("b", &ok)]), "ok: nothing is waiting on any of 2 routes");
    assert_eq!(told(&[("a", &ok), ("b", &down)]), format!("b: {}", down.sentence));
    assert!(told(&[]).starts_with("down: "));
}

#[test]
fn the_headline_names_the_outbox_where_that_is_what_is_wrong() {
    let idle = partition(0, None, Some(SECOND));
    let ok = judge(&facts(&idle));
    let down = judge(&Facts { alive: 0, ..facts(&idle) });
    let sentence = unasked(Verdict::Unknown, "its database is away", "");
    let stuck = Health::new(Verdict::Unknown, sentence);
    let well = Health::new(Verdict::Ok, "ok: nothing is waiting");
    assert_eq!(headline(&[("a", &ok)], Some(&well)), ok.sentence);
    assert_eq!(headline(&[("a", &ok)], Some(&stuck)), "outbox: unknown: its database is away");
    assert_eq!(headline(&[("a", &down)], Some(&stuck)), down.sentence);
    assert_eq!(headline(&[], Some(&stuck)), "outbox: unknown: its database is away");
}

#[test]
fn a_database_out_of_reach_is_the_worst_and_needs_no_routes_name() {
    let sentence = unasked(Verdict::Unreachable, "PostgreSQL is out of reach", "start it\nor not");
    assert_eq!(sentence, "unreachable: PostgreSQL is out of reach; start it");
    let away = Health::new(Verdict::Unreachable, sentence);
    assert_eq!(headline(&[("a", &away)], Some(&away)), away.sentence);
    assert!(!away.verdict.is_fine());
    // The last word's place tells how many there are.
    assert!(Verdict::ALL.is_sorted() && Verdict::ALL.len() == away.verdict as usize + 1);
}

#[test]
fn an_age_is_told_in_its_largest_unit() {
    let told = |s| age(Duration::from_secs(s));
    assert_eq!(told(0), "0 s");
    assert_eq!(told(59), "59 s");
    assert_eq!(told(60), "1 min");
    assert_eq!(told(7199), "119 min");
    assert_eq!(told(7200), "2 h");
    assert_eq!(told(3 * 86_400), "3 d");
    assert!(age(Duration::MAX).ends_with(" d"));
}

#[test]
fn what_was_never_read_is_told_until_it_is_covered_and_missing_purchases_come_first() {
    let idle = partition(0, None, Some(SECOND));
    let (verdict, sentence) = judged(&Facts { gaps: (2, 17), ..facts(&idle) });
    assert_eq!(verdict, Verdict::Gap);
    assert!(sentence.starts_with("gap: 17 records in 2 ranges were never read"), "{sentence}");
    assert!(sentence.contains("covers them with a sweep by itself"), "{sentence}");
    let gap = Some((3, Offset(10), Offset(27), "first_start"));
    let nobody = Some("no job does, for `reconcile` turns paid's off");
    let (verdict, sentence) =
        judged(&Facts { gaps: (2, 17), gap, uncovered: nobody, ..facts(&idle) });
    assert_eq!(verdict, Verdict::Gap);
    assert!(
        sentence.contains("(partition 3 from 10 to 26, first_start, and 1 more)"),
        "{sentence}"
    );
    assert!(sentence.contains("nobody covers them: no job does"), "{sentence}");
    // What hinders the reconciler is why a gap stays: both are said.
    let late = Some("payments have not been compared with purchases for 2 min");
    let (verdict, sentence) = judged(&Facts { gaps: (1, 17), gap, late, ..facts(&idle) });
    assert_eq!(verdict, Verdict::Unpurchased);
    assert!(sentence.contains("17 records were never read (partition 3"), "{sentence}");
    assert!(!verdict.is_fine());
    let known = Facts { gaps: (1, 1), unpurchased: (3, None), ..facts(&idle) };
    assert_eq!(judged(&known).0, Verdict::Unpurchased);
}

#[test]
fn a_record_of_which_nobody_knows_since_when_it_waits_is_not_taken_for_young() {
    let still = partition(1, None, Some(2 * MINUTE));
    let (verdict, sentence) = judged(&facts(&still));
    assert_eq!(verdict, Verdict::Stalled);
    assert!(sentence.contains("1 record is waiting; look"), "{sentence}");
    assert_eq!(judged(&facts(&partition(1, None, Some(SECOND)))).0, Verdict::Behind);
}

#[test]
fn a_refused_record_that_nobody_has_judged_is_not_ok() {
    let idle = partition(0, None, Some(4 * SECOND));
    let why = Held { age: MINUTE, reason: "no such column (SQLSTATE 42703)", advice: "Add it." };
    let (verdict, sentence) = judged(&Facts { suspects: Some((1, why)), ..facts(&idle) });
    assert_eq!(verdict, Verdict::Suspect);
    assert!(sentence.starts_with("suspect for 1 min: 1 record was refused"), "{sentence}");
    assert!(sentence.ends_with("42703). Add it."), "{sentence}");
}
