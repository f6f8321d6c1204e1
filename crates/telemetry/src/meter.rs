//! What is counted, and how the loops count it. The names stand in [`catalog`]; only counting is here, so that
//! no layer needs to know of the one that shows it.

pub mod catalog;
pub mod recent;

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use catalog::{METRICS, MetricKind};

/// From a millisecond to half a minute, and for ages on to a day.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const AGES: [f64; 13] =
    [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];
const RECORDS: [f64; 9] = [1.0, 5.0, 20.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0];

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
pub enum Unmeasured {
    /// The settings are not to the library's liking.
    #[error("the metrics cannot be set up: {0}")]
    Settings(#[from] BuildError),
    /// Somebody else counts already.
    #[error("metrics are counted already in this process")]
    Twice,
}

/// Begins to count, once a process. Before, and where nobody calls this, counting does nothing.
pub fn begin() -> Result<PrometheusHandle, Unmeasured> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_age_seconds".into()), &AGES)?
        .set_buckets_for_metric(Matcher::Suffix("_records".into()), &RECORDS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| Unmeasured::Twice)?;
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    Ok(handle)
}

/// A count of this process since its start.
pub fn count(name: &'static str, label: &'static str, value: &str) {
    counter!(name, label => value.to_owned()).increment(1);
}

/// Has a counter of this process be there before anything is counted.
pub fn zero(name: &'static str, label: &'static str, value: &str) {
    counter!(name, label => value.to_owned()).absolute(0);
}

/// A batch was applied: how many records, how long its transaction took, how old its oldest record was.
pub fn applied(route: &str, records: usize, took: Duration, age: Option<Duration>) {
    let label = [("route", route.to_owned())];
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    histogram!(catalog::BATCH_RECORDS, &label).record(f64::from(records));
    histogram!(catalog::APPLY_SECONDS, &label).record(took);
    if let Some(age) = age {
        histogram!(catalog::EVENT_AGE, &label).record(age);
    }
}

/// Kafka acknowledged a message of the outbox, so long after it was handed over.
pub fn acknowledged(took: Duration) {
    histogram!(catalog::PUBLISH_SECONDS).record(took);
    recent::acknowledged(took);
}

/// Payments made good by a reconciliation job.
pub fn made_good(job: &str, payments: u64) {
    counter!(catalog::MADE_GOOD, "reconcile" => job.to_owned()).increment(payments);
}

/// An error of PostgreSQL, by the first two characters of its SQLSTATE; without one the connection broke.
pub fn database_error(sqlstate: Option<&str>) {
    let class = sqlstate.and_then(|code| code.get(..2)).unwrap_or("lost");
    counter!(catalog::DATABASE_ERRORS, "class" => class.to_owned()).increment(1);
}

/// Sets a gauge to a number of things.
pub fn set_count<const N: usize>(
    name: &'static str,
    labels: [(&'static str, &str); N],
    count: usize,
) {
    set(name, labels, f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// Sets a gauge.
pub fn set<const N: usize>(name: &'static str, labels: [(&'static str, &str); N], value: f64) {
    gauge!(name, &labels.map(|(label, value)| (label, value.to_owned()))).set(value);
}

/// Sets a counter whose truth is kept elsewhere; it never goes back.
pub fn total<const N: usize>(name: &'static str, labels: [(&'static str, &str); N], value: i64) {
    let value = u64::try_from(value).unwrap_or_default();
    counter!(name, &labels.map(|(label, value)| (label, value.to_owned()))).absolute(value);
}
