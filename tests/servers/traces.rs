//! A payment's trace goes on to its purchase: in the log always, as spans where makegood is built with them.

#[cfg(feature = "otel")]
mod export;

use serde_json::Value;

use super::support::daemon::Daemon;
use super::support::events::{Payment, raw, with_header};
use super::support::eventually;
use super::support::rig::Rig;

/// A `traceparent` of its own for each number.
fn traceparent(number: u8, flags: &str) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e47{number:02x}-00f067aa0ba902{number:02x}-{flags}")
}

fn trace_id(number: u8) -> String {
    traceparent(number, "01")[3..35].to_owned()
}

/// The trace that each line with this message names.
fn traces_of(daemon: &Daemon, message: &str) -> Vec<Option<String>> {
    let lines = daemon.log();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["message"].as_str().is_some_and(|text| text.contains(message)))
        .map(|line| line["trace_id"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_trace_of_a_batch_and_of_what_is_parked() {
    let rig = Rig::new(1).await;
    let daemon = rig.daemon();
    rig.send(&with_header(Payment::new(0).record(), "traceparent", &traceparent(1, "00"))).await;
    rig.caught_up().await;
    rig.send(&with_header(Payment::new(1).record(), "traceparent", "no trace at all")).await;
    rig.caught_up().await;
    rig.send(&with_header(raw(None, Some(b"no JSON")), "traceparent", &traceparent(2, "01"))).await;
    rig.caught_up().await;
    let applied = eventually("a line for each batch", || async {
        let lines = traces_of(&daemon, "batch applied");
        (lines.len() == 3).then_some(lines)
    })
    .await;
    assert_eq!(applied, [Some(trace_id(1)), None, Some(trace_id(2))]);
    assert_eq!(traces_of(&daemon, "need a look"), [Some(trace_id(2))]);
}
