//! The last hour in memory, for the page's plots and rates. A restart begins it anew; Prometheus keeps more.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Overview, age};
use rules::outcome::Counter;

/// The pause between two samples that are kept, and how many are.
const EVERY: Duration = Duration::from_secs(15);
const KEPT: usize = 240;
/// What a rate is measured over, and the least that says anything.
const SPAN: Duration = Duration::from_secs(60);
const LEAST: Duration = Duration::from_secs(4);

/// Some numbers of all routes together at one moment. What could not be asked then is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// Events that the outbox has ever been given.
    pub accepted: Option<f64>,
    /// Events of the outbox that Kafka has ever acknowledged.
    pub published: Option<f64>,
    /// Events that wait in the outbox.
    pub pending: Option<f64>,
    /// Records that Kafka has ever been given.
    pub produced: Option<f64>,
    /// Records that wait in Kafka.
    pub lag: Option<f64>,
    /// How long the oldest of them has waited, in seconds.
    pub wait: Option<f64>,
    /// Records ever taken in, whatever they came to.
    pub taken: Option<f64>,
    /// Purchases ever made.
    pub applied: Option<f64>,
    /// Records in quarantine.
    pub quarantine: Option<f64>,
    /// Payments without a purchase.
    pub unpurchased: Option<f64>,
}

/// The samples of the last hour, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    kept: Vec<Sample>,
    newest: Sample,
}

impl Sample {
    /// The numbers of an overview.
    fn of(at: Timestamp, overview: &Overview) -> Sample {
        let known = overview.trouble.is_none() && !overview.routes.is_empty();
        let sum = |number: &dyn Fn(&super::RouteOverview) -> i64| {
            known.then(|| float(overview.routes.iter().map(number).sum()))
        };
        let status = overview.outbox.as_ref().and_then(|outbox| outbox.status.as_ref().ok());
        let looks: Option<Vec<_>> = overview.routes.iter().map(|r| r.look.as_ref().ok()).collect();
        let looks = looks.filter(|looks| !looks.is_empty());
        let ends = |l: &super::TopicSnapshot| l.ends.values().map(|ends| ends.high.0).sum::<i64>();
        let oldest = looks.as_ref().map(|looks| {
            let waiting = looks.iter().flat_map(|look| look.waiting_since.values());
            waiting.map(|since| age(overview.present(), *since).as_secs_f64()).fold(0.0, f64::max)
        });
        let is_counted = overview.routes.iter().all(|route| route.counted_at.is_some());
        Sample {
            at,
            accepted: status.map(|s| float(s.published + s.pending + s.parked)),
            published: status.map(|s| float(s.published)),
            pending: status.map(|s| float(s.pending)),
            produced: looks.as_ref().map(|looks| float(looks.iter().map(|look| ends(look)).sum())),
            lag: sum(&|r| r.partitions.iter().filter_map(|p| p.lag).sum()),
            wait: oldest.filter(|_| known),
            taken: sum(&|r| r.counts.iter().map(|count| count.1).sum()),
            applied: sum(&|r| {
                r.counts.iter().filter(|c| c.0 == Counter::Applied).map(|c| c.1).sum()
            }),
            quarantine: sum(&|r| r.quarantine.iter().map(|q| q.1).sum()),
            unpurchased: sum(&|r| r.unpurchased.0).filter(|n| *n > 0.0 || is_counted),
        }
    }
}

impl History {
    /// The history with one moment more, and without what is older than an hour.
    pub fn with(&self, at: Timestamp, overview: &Overview) -> Arc<History> {
        let newest = Sample::of(at, overview);
        let mut kept = self.kept.clone();
        if kept.last().is_none_or(|last| age(at, last.at) >= EVERY) {
            kept.push(newest.clone());
        }
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        Arc::new(History { kept, newest })
    }

    /// The newest moment.
    pub fn newest(&self) -> &Sample {
        &self.newest
    }

    /// The samples, the newest moment last.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        let newest = (self.kept.last() != Some(&self.newest)).then_some(&self.newest);
        self.kept.iter().chain(newest)
    }

    /// How fast a number that only grows grew over the last minute, per second. `None` until two moments
    /// are far enough apart, and when the newest one could not be asked.
    pub fn rate(&self, number: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let now = number(&self.newest)?;
        let recent = |s: &&Sample| age(self.newest.at, s.at) <= SPAN && number(s).is_some();
        let first = self.kept.iter().find(recent)?;
        let passed = age(self.newest.at, first.at);
        let grown = now - number(first)?;
        (passed >= LEAST).then(|| grown.max(0.0) / passed.as_secs_f64())
    }
}

#[allow(clippy::cast_precision_loss, reason = "a plot is exact enough")]
fn float(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    fn history(samples: &[(i64, Option<f64>)]) -> History {
        let sample = |(second, applied): &(i64, _)| Sample {
            at: at(*second),
            applied: *applied,
            ..Sample::default()
        };
        let kept: Vec<Sample> = samples.iter().map(sample).collect();
        History { newest: kept.last().cloned().unwrap_or_default(), kept }
    }

    #[test]
    fn a_rate_is_of_the_last_minute_and_of_what_was_known() {
        let rate = |samples: &[_]| history(samples).rate(|s| s.applied);
        assert_eq!(rate(&[(0, Some(0.0)), (50, Some(100.0)), (110, Some(160.0))]), Some(1.0));
        assert_eq!(rate(&[(50, None), (60, Some(0.0)), (70, Some(5.0))]), Some(0.5));
        assert_eq!(rate(&[(50, Some(9.0)), (60, None)]), None, "the database is away");
        assert_eq!(rate(&[(50, Some(9.0)), (60, Some(0.0))]), Some(0.0), "it went back in time");
        assert_eq!(rate(&[(50, Some(9.0))]), None);
        assert_eq!(history(&[]).rate(|s| s.applied), None);
    }
}
