//! The figures as people read them.

use std::time::Duration;

use super::daemon::{Pace, Used};
use super::figures::MeasuredCase;
use super::load::EVENT_BYTES;
use super::usage::Cost;
use rules::numfmt::grouped;

/// One round's figures.
pub struct Round {
    /// How long COPY took in its text form.
    pub text: Duration,
    /// And in its binary form.
    pub binary: Duration,
    /// How many events a second, in a transaction each.
    pub one_by_one: f64,
    /// How makegood did.
    pub makegood: Pace,
    /// What makegood's run cost.
    pub cost: Cost,
    /// The most that the broker held, in KiB.
    pub broker_memory: Option<u64>,
}

impl Round {
    /// makegood's rate as a part of COPY's, in its text and its binary form.
    pub fn ratios(&self) -> [f64; 2] {
        let ratio = |copy: Duration| copy.as_secs_f64() / self.makegood.applying.as_secs_f64();
        [ratio(self.text), ratio(self.binary)]
    }
}

/// What is measured, and the head of the table.
pub fn introduction(events: usize, partitions: usize, rounds: usize) -> String {
    format!(
        "load        {} events of {EVENT_BYTES} bytes ({:.1} MiB) in {} partitions, {} rounds\n\n\
         COPY        the same rows from memory over two connections, one COPY a table and connection,\n\
         \x20           as text (the server parses it) and in binary (it does not)\n\
         one by one  the same rows from memory over two connections, one transaction an event\n\
         makegood    from the first batch's BEGIN to the last one's COMMIT; `from start`: of the process\n\n\
         {:<8}{:>14}{:>14}{:>12}{:>14}{:>9}{:>11}{:>12}{:>14}\n",
        thousands(events as f64),
        (events * EVENT_BYTES) as f64 / 1_048_576.0,
        partitions,
        rounds,
        "round",
        "COPY text",
        "binary",
        "one by one",
        "makegood",
        "of text",
        "of binary",
        "from start",
        "peak memory",
    )
}

/// One line of the table.
pub fn line(name: &str, events: usize, round: &Round, ratios: [f64; 2]) -> String {
    let rate = |took: Duration| format!("{}/s", thousands(events as f64 / took.as_secs_f64()));
    let [of_text, of_binary] = ratios;
    format!(
        "{name:<8}{:>14}{:>14}{:>12}{:>14}{of_text:>9.2}{of_binary:>11.2}{:>10.2} s{:>14}",
        rate(round.text),
        rate(round.binary),
        format!("{}/s", thousands(round.one_by_one)),
        rate(round.makegood.applying),
        round.makegood.from_start.as_secs_f64(),
        memory(round.makegood.used.peak_memory),
    )
}

/// The medians of each figure (of memory the most), and those of the ratios; nothing of no round.
pub fn median(rounds: &[Round]) -> Option<(Round, [f64; 2])> {
    let of = |figure: fn(&Round) -> Duration| {
        middle(rounds.iter().map(|r| figure(r).as_secs_f64()).collect())
            .map(Duration::from_secs_f64)
    };
    let makegood = Pace {
        applying: of(|r| r.makegood.applying)?,
        from_start: of(|r| r.makegood.from_start)?,
        seen_per_second: middle(rounds.iter().map(|r| r.makegood.seen_per_second).collect())?,
        used: Used {
            peak_memory: rounds.iter().filter_map(|r| r.makegood.used.peak_memory).max(),
            postgres_memory: rounds.iter().filter_map(|r| r.makegood.used.postgres_memory).max(),
            cpu: rounds.last()?.makegood.used.cpu,
        },
    };
    let ratio = |of: usize| middle(rounds.iter().map(|round| round.ratios()[of]).collect());
    let round = Round {
        text: of(|r| r.text)?,
        binary: of(|r| r.binary)?,
        one_by_one: middle(rounds.iter().map(|r| r.one_by_one).collect())?,
        makegood,
        // Of one round: costs are spread less than times.
        cost: rounds.last()?.cost,
        broker_memory: rounds.last()?.broker_memory,
    };
    Some((round, [ratio(0)?, ratio(1)?]))
}

/// What a million events cost, and what memory the servers held.
pub fn costs(events: usize, round: &Round) -> String {
    let of = |seconds: Option<f64>| seconds.map_or(f64::NAN, |s| s * 1e6 / events as f64);
    let (cost, used) = (&round.cost, &round.makegood.used);
    format!(
        "a million events cost {:.1} s of a processor in the daemon, {:.1} s in PostgreSQL, {:.1} s in the broker,\n\
         from start to end, and {} bytes of PostgreSQL's log each; most memory: {}, {} and {}\n",
        of(cost.daemon_cpu),
        of(cost.postgres_cpu),
        of(cost.broker_cpu),
        thousands(cost.wal_bytes as f64 / events as f64),
        memory(used.peak_memory),
        memory(used.postgres_memory),
        memory(round.broker_memory),
    )
}

/// The same for programs.
pub fn case(events: usize, round: &Round, ratios: [f64; 2]) -> MeasuredCase {
    let rate = |took: Duration| events as f64 / took.as_secs_f64();
    let kib = |memory: Option<u64>| memory.map(|kib| kib as f64);
    MeasuredCase::new("median")
        .with("copy_text_per_second", rate(round.text))
        .with("copy_binary_per_second", rate(round.binary))
        .with("one_by_one_per_second", round.one_by_one)
        .with("makegood_per_second", rate(round.makegood.applying))
        .with("ratio_to_text", ratios[0])
        .with("ratio_to_binary", ratios[1])
        .with("daemon_peak_kib", kib(round.makegood.used.peak_memory))
        .with("postgres_peak_kib", kib(round.makegood.used.postgres_memory))
        .with("broker_peak_kib", kib(round.broker_memory))
        .with_cost(&round.cost, events)
}

/// The median; nothing of nothing.
pub fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// An amount of memory, given in KiB.
pub fn memory(kib: Option<u64>) -> String {
    kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0))
}

/// A time in milliseconds.
pub fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

/// A whole number with commas.
pub fn thousands(number: f64) -> String {
    grouped(&format!("{number:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ratio_is_that_of_a_round_and_not_of_other_medians() {
        let round = |copy, makegood| Round {
            text: Duration::from_secs(2 * copy),
            binary: Duration::from_secs(copy),
            one_by_one: 1.0,
            makegood: Pace {
                applying: Duration::from_secs(makegood),
                from_start: Duration::from_secs(makegood + 1),
                seen_per_second: 1.0,
                used: Used { peak_memory: Some(copy), ..Used::default() },
            },
            cost: Cost::default(),
            broker_memory: None,
        };
        let (median, ratios) = median(&[round(1, 4), round(6, 8), round(2, 2)]).unwrap();
        assert_eq!((median.binary.as_secs(), median.makegood.applying.as_secs()), (2, 4));
        assert_eq!((ratios, median.makegood.used.peak_memory), ([1.5, 0.75], Some(6)));
        assert!(super::median(&[]).is_none());
    }

    #[test]
    fn numbers_have_commas_every_three_digits() {
        let shown = [0.4, 999.0, 1000.0, 1_234_567.0].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
