//! Runs and findings on a screen, or as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::print::{self, or_dash};
use crate::store::report::reconcile::{Finding, JobProgress, RunSummary};
use rules::problem::Problem;

/// A job in a line or two.
pub fn job(job: &JobProgress) -> String {
    let at = |time: Option<Timestamp>| time.map_or_else(|| "nothing yet".to_owned(), print::short);
    let mut text = format!(
        "job {}: compared up to {}, last sweep {}, looked {}\n",
        job.job,
        at(job.cursor_at),
        at(job.swept_at),
        at(job.looked_at)
    );
    if let Some(notice) = &job.notice {
        text += &format!("  {}\n", print::visible(notice, false));
    }
    text
}

/// Runs as a table.
pub fn runs(runs: &[RunSummary]) -> Result<(), Problem> {
    let headings = [
        "RUN",
        "STATE",
        "JOB",
        "REQUESTED (UTC)",
        "BY",
        "SINCE",
        "UNTIL",
        "COMPARED",
        "MISSING",
        "MADE GOOD",
        "GONE",
        "QUARANTINED",
        "CONFLICTS",
        "WHY",
    ];
    let rows = runs.iter().map(|r| {
        let state = if r.dry_run { format!("{} (dry)", r.state) } else { r.state.to_string() };
        vec![
            r.run.to_string(),
            state,
            or_dash(r.job.clone()),
            print::short(r.requested_at),
            format!("{} ({})", r.requested_by, r.requested_via),
            or_dash(r.since.map(print::short)),
            or_dash(r.until.map(print::short)),
            r.compared.to_string(),
            r.missing.to_string(),
            r.made_good.to_string(),
            r.gone.to_string(),
            r.quarantined.to_string(),
            r.conflicts.to_string(),
            r.error.clone().or(r.held.clone()).or(r.reason.clone()).unwrap_or_default(),
        ]
    });
    print::table(&headings, rows)
}

/// A run in full, and findings.
pub fn sheet(run: Option<&RunSummary>, findings: &[Finding], limit: u32) -> Result<(), Problem> {
    let mut text = run.map(run_sheet).unwrap_or_default();
    if !findings.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &table(findings);
        if findings.len() == limit as usize {
            say!("only the first {limit} findings are shown; --limit shows more");
        }
    } else if run.is_none() {
        say!("no finding is open");
    }
    print::data(&text)
}

fn run_sheet(r: &RunSummary) -> String {
    let time = |at: Option<Timestamp>| or_dash(at.map(print::short));
    let mut pairs = vec![
        ("run", r.run.to_string()),
        ("job", or_dash(r.job.clone())),
        ("state", if r.dry_run { format!("{}, a dry run", r.state) } else { r.state.to_string() }),
        (
            "requested",
            format!("{} by {} ({})", print::short(r.requested_at), r.requested_by, r.requested_via),
        ),
        ("payments", format!("{} to {}", time(r.since), time(r.until))),
        ("phase", r.phase.to_string()),
        ("compared", r.compared.to_string()),
        ("missing", r.missing.to_string()),
        ("made good", r.made_good.to_string()),
        ("gone", r.gone.to_string()),
        ("quarantined", r.quarantined.to_string()),
        ("conflicts", r.conflicts.to_string()),
        ("started", time(r.started_at)),
        ("finished", time(r.finished_at)),
    ];
    pairs.extend(r.reason.clone().map(|why| ("for", why)));
    pairs.extend(r.approved_by.clone().map(|who| ("approved by", who)));
    pairs.extend(r.held.clone().map(|why| ("held", why)));
    pairs.extend(r.error.clone().map(|why| ("error", why)));
    let mut text = print::sheet(&pairs);
    if let Some(Value::Array(items)) = &r.sample {
        let cell = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
        let rows =
            items.iter().map(|i| ["kind", "payment", "paid_at"].map(|n| cell(i, n)).to_vec());
        text += &format!("\n{}", print::table_text(&["WOULD FIND", "PAYMENT", "PAID AT"], rows));
    }
    text
}

fn table(findings: &[Finding]) -> String {
    let headings =
        ["FINDING", "KIND", "PAYMENT", "PAID AT (UTC)", "FIRST SEEN (UTC)", "ENDED", "DETAIL"];
    let rows = findings.iter().map(|f| {
        vec![
            f.finding.to_string(),
            f.kind.clone(),
            f.payment.clone(),
            or_dash(f.paid_at.map(print::short)),
            print::short(f.first_seen_at),
            f.resolution.clone().unwrap_or_else(|| "open".to_owned()),
            f.detail.clone().or(f.note.clone()).unwrap_or_default(),
        ]
    });
    print::table_text(&headings, rows)
}

/// Everything as one document.
pub fn document(run: Option<&RunSummary>, findings: &[Finding]) -> Value {
    json!({
        "run": run.map(run_object),
        "findings": findings.iter().map(finding_object).collect::<Vec<_>>(),
    })
}

/// A run as JSON.
pub fn run_object(r: &RunSummary) -> Value {
    json!({
        "run": r.run, "job": r.job, "state": r.state.as_str(), "dry_run": r.dry_run, "phase": r.phase.as_str(),
        "requested_by": r.requested_by, "requested_via": r.requested_via,
        "requested_at": r.requested_at, "since": r.since, "until": r.until,
        "compared": r.compared, "missing": r.missing, "made_good": r.made_good, "gone": r.gone,
        "quarantined": r.quarantined, "conflicts": r.conflicts, "held": r.held,
        "approved_by": r.approved_by, "place_at": r.place_at, "started_at": r.started_at,
        "finished_at": r.finished_at, "error": r.error, "sample": r.sample,
        "reason": r.reason,
    })
}

/// A finding as JSON.
pub fn finding_object(f: &Finding) -> Value {
    json!({
        "finding": f.finding, "job": f.job, "payment": f.payment, "kind": f.kind,
        "paid_at": f.paid_at, "expected": f.expected, "found": f.found, "detail": f.detail,
        "run": f.run, "first_seen_at": f.first_seen_at, "resolved_at": f.resolved_at,
        "resolution": f.resolution, "resolved_by": f.resolved_by, "note": f.note,
        "quarantine_id": f.quarantine_id,
    })
}
