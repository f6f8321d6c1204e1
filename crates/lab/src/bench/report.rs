//! The figures as people read them.

use std::time::Duration;

use super::daemon::Pace;
use super::load::EVENT_BYTES;
use rules::numfmt::{grouped, quantile};

/// One round's figures.
pub struct Round {
    /// How long COPY took in its text form.
    pub text: Duration,
    /// And in its binary form.
    pub binary: Duration,
    /// How makegood did.
    pub makegood: Pace,
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
         makegood    from the first batch's BEGIN to the last one's COMMIT; `from start`: of the process\n\n\
         {:<8}{:>14}{:>14}{:>14}{:>9}{:>11}{:>12}{:>14}\n",
        thousands(events as f64),
        (events * EVENT_BYTES) as f64 / 1_048_576.0,
        partitions,
        rounds,
        "round",
        "COPY text",
        "binary",
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
        "{name:<8}{:>14}{:>14}{:>14}{of_text:>9.2}{of_binary:>11.2}{:>10.2} s{:>14}",
        rate(round.text),
        rate(round.binary),
        rate(round.makegood.applying),
        round.makegood.from_start.as_secs_f64(),
        memory(round.makegood.peak_memory),
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
        peak_memory: rounds.iter().filter_map(|r| r.makegood.peak_memory).max(),
    };
    let ratio = |of: usize| middle(rounds.iter().map(|round| round.ratios()[of]).collect());
    let round = Round { text: of(|r| r.text)?, binary: of(|r| r.binary)?, makegood };
    Some((round, [ratio(0)?, ratio(1)?]))
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

/// The quantiles of some times, and how they are spread.
pub fn distribution(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let mut text = String::new();
    for (name, permille) in
        [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1000)]
    {
        let Some(took) = quantile(&sorted, permille) else { return text };
        text += &format!("{name:<8}{:>12}\n", millis(took));
    }
    text.push('\n');
    let most = |below: u64| sorted.partition_point(|t| *t < Duration::from_millis(below));
    let bounds = [0, 2, 4, 6, 8, 10, 15, 20, 30, 40, 60, 100, 200, 500, 1000, 60_000];
    for pair in bounds.windows(2) {
        let count = most(pair[1]) - most(pair[0]);
        let bar = "#".repeat((count * 60).div_ceil(sorted.len()));
        if count > 0 {
            text += &format!("{:>4} to {:>5} ms{count:>8} {bar}\n", pair[0], pair[1]);
        }
    }
    text
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
            makegood: Pace {
                applying: Duration::from_secs(makegood),
                from_start: Duration::from_secs(makegood + 1),
                peak_memory: Some(copy),
            },
        };
        let (median, ratios) = median(&[round(1, 4), round(6, 8), round(2, 2)]).unwrap();
        assert_eq!((median.binary.as_secs(), median.makegood.applying.as_secs()), (2, 4));
        assert_eq!((ratios, median.makegood.peak_memory), ([1.5, 0.75], Some(6)));
        assert!(super::median(&[]).is_none());
    }

    #[test]
    fn numbers_have_commas_every_three_digits() {
        let shown = [0.4, 999.0, 1000.0, 1_234_567.0].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
