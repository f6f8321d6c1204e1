//! Names, types and help of the metrics do not change by accident, and the reference says the same.

use crate::golden::assert_golden;
use makegood::meter::catalog::{METRICS, Metric, MetricKind, MetricScope};

const HEAD: &str = "\
# Metrics

What `/metrics` answers, in Prometheus' text format. A scrape reads numbers that the daemon has; it asks neither
database nor Kafka, and works while they are away: `makegood_database_read_timestamp_seconds` then says how old
the numbers from the database are.

*shared* metrics are read from makegood's tables: they survive a restart, and every daemon shows the same, so take
their `max`, never their `sum`, over daemons. *process* metrics are one daemon's, since its start: add them up.

Labels have few values: routes and jobs are configured, partitions beyond the 200th of a route and reasons or kinds
beyond the 50th go by the name `other`. Beside these there are `process_*`, the usual ones of the operating system.

| metric | type | whose | labels | meaning |
|---|---|---|---|---|
";

fn kind(metric: &Metric) -> &'static str {
    match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    }
}

fn reference() -> String {
    let row = |metric: &Metric| {
        let scope = match metric.scope {
            MetricScope::Shared => "shared",
            MetricScope::Process => "process",
        };
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let (name, kind, labels, help) =
            (metric.name, kind(metric), labels.join(", "), metric.help);
        format!("| `{name}` | {kind} | {scope} | {labels} | {help} |\n")
    };
    HEAD.to_owned() + &METRICS.iter().map(row).collect::<String>()
}

fn described() -> String {
    let mut lines: Vec<String> = METRICS
        .iter()
        .flat_map(|m| {
            [format!("# HELP {} {}\n", m.name, m.help), format!("# TYPE {} {}\n", m.name, kind(m))]
        })
        .collect();
    lines.sort();
    lines.concat()
}

#[test]
fn names_types_and_help_are_as_agreed() {
    assert_golden("tests/golden/metrics.txt", &described());
    assert_golden("docs/reference/metrics.md", &reference());
}

#[test]
fn names_follow_the_conventions() {
    for metric in METRICS {
        let Metric { name, help, .. } = metric;
        assert!(name.starts_with("makegood_") && help.ends_with('.'), "{name}");
        let is_total = name.ends_with("_total");
        assert_eq!(is_total, metric.kind == MetricKind::Counter, "{name}");
        for unit in ["_ms", "_us", "_millis", "_minutes", "_kb", "_mb", "_percent"] {
            assert!(!name.contains(unit), "{name} is not in base units");
        }
    }
}
