//! The last hour as small plots: lines in SVG, drawn here, so that they need no script and no style.

use std::fmt::Write as _;

use super::words::{about, length, or_dash};
use crate::overview::{History, Sample, age};

/// The drawing's width and height.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;
/// What is drawn: the shortest of these that takes in all there is, in minutes.
const SPANS: [u32; 3] = [5, 15, 60];
/// Two samples further apart have nothing between them.
const GAP: f64 = 60.0;

/// The plots, all of the same time.
pub struct Plots {
    pub minutes: u32,
    pub list: Vec<Plot>,
}

/// One plot.
pub struct Plot {
    pub name: &'static str,
    /// The value now, and the highest of the hour.
    pub now: String,
    pub known: bool,
    pub most: String,
    /// The line, and the area below it.
    pub line: String,
    pub area: String,
    /// The same for those who do not see it.
    pub told: String,
}

/// What is plotted: a name, the number, and whether its growth rather than itself is meant.
type Kind = (&'static str, fn(&Sample) -> Option<f64>, fn(f64) -> String, bool);

const KINDS: [Kind; 6] = [
    ("Purchases made per minute", |s| s.applied, about, true),
    ("Records behind in Kafka", |s| s.lag, about, false),
    ("Longest wait in Kafka", |s| s.wait, length, false),
    ("Events pending in the outbox", |s| s.pending, about, false),
    ("Records in quarantine", |s| s.quarantine, about, false),
    ("Paid, not purchased", |s| s.unpurchased, about, false),
];

pub(super) fn all(history: &History) -> Plots {
    let samples: Vec<&Sample> = history.samples().collect();
    let past = samples.first().map_or(0.0, |first| before(&samples, first));
    let minutes =
        SPANS.into_iter().find(|minutes| past <= f64::from(*minutes) * 60.0).unwrap_or(60);
    Plots { minutes, list: KINDS.iter().map(|kind| plot(&samples, kind, minutes)).collect() }
}

fn plot(samples: &[&Sample], (name, number, show, is_growth): &Kind, minutes: u32) -> Plot {
    let points = match is_growth {
        true => growth(samples, *number),
        false => samples.iter().map(|s| (before(samples, s), number(s))).collect(),
    };
    let most = points.iter().filter_map(|(_, value)| *value).fold(0.0, f64::max);
    let now = points.last().and_then(|(_, value)| *value);
    let known = points.iter().any(|(_, value)| value.is_some());
    let now = or_dash(now, show);
    let (line, area) = draw(&points, most, f64::from(minutes) * 60.0);
    let most = show(most);
    Plot {
        name,
        told: format!("{name}, last {minutes} minutes: now {now}, at most {most}"),
        now,
        known,
        most,
        line,
        area,
    }
}

/// How many seconds before the newest sample.
fn before(samples: &[&Sample], sample: &Sample) -> f64 {
    samples.last().map_or(0.0, |newest| age(newest.at, sample.at).as_secs_f64())
}

/// By how much a number that only grows grew a minute, from each sample to the next.
fn growth(samples: &[&Sample], number: fn(&Sample) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
    let pairs = samples.iter().zip(samples.iter().skip(1));
    // The newest moment may be too near to the one before to say anything.
    let apart = pairs.filter(|(a, b)| age(b.at, a.at).as_secs() >= 10);
    let point = |(a, b): (&&Sample, &&Sample)| {
        let grown = number(b).zip(number(a)).map(|(b, a)| (b - a).max(0.0));
        let passed = age(b.at, a.at).as_secs_f64();
        (before(samples, b), grown.map(|grown| grown * 60.0 / passed))
    };
    apart.map(point).collect()
}

/// The line as an SVG path, and the area between it and zero. It is broken where nothing is known.
fn draw(points: &[(f64, Option<f64>)], most: f64, span: f64) -> (String, String) {
    let scale = if most > 0.0 { (HEIGHT - 3.0) / most } else { 0.0 };
    let (mut line, mut area) = (String::new(), String::new());
    let mut last: Option<(f64, f64)> = None;
    for (before, value) in points {
        let x = WIDTH * (1.0 - before / span);
        let Some(value) = value.filter(|_| x >= 0.0) else {
            close(&mut area, &mut last);
            continue;
        };
        let y = HEIGHT - 1.0 - value * scale;
        if last.is_some_and(|(at, _)| x - at > GAP / span * WIDTH) {
            close(&mut area, &mut last);
        }
        // Writing into a text does not fail.
        let _ = match last {
            None => {
                write!(line, "M{x:.1} {y:.1}").and(write!(area, "M{x:.1} {HEIGHT}L{x:.1} {y:.1}"))
            }
            Some(_) => write!(line, "L{x:.1} {y:.1}").and(write!(area, "L{x:.1} {y:.1}")),
        };
        last = Some((x, y));
    }
    close(&mut area, &mut last);
    (line, area)
}

fn close(area: &mut String, last: &mut Option<(f64, f64)>) {
    if let Some((x, _)) = last.take() {
        let _ = write!(area, "L{x:.1} {HEIGHT}Z");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let points = [
            (3600.0, Some(0.0)),
            (3585.0, Some(10.0)),
            (3570.0, None),
            (15.0, Some(5.0)),
            (0.0, Some(10.0)),
        ];
        let (line, area) = draw(&points, 10.0, 3600.0);
        assert_eq!(line, "M0.0 47.0L1.0 2.0M239.0 24.5L240.0 2.0");
        assert_eq!(area.matches('Z').count(), 2);
        assert_eq!(draw(&[], 0.0, 300.0), (String::new(), String::new()));
    }
}
