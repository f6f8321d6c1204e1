//! The overview as JSON. The names are stable; new ones may come.

use serde_json::{Map, Value, json};

use super::{Overview, RouteOverview, made_anew};
use crate::store::gaps::Gap;
use crate::store::report::{JobStatus, PositionStatus, Running, Worker};
use rules::outcome::Counter;

impl Overview {
    /// One document of everything, with the version of its shape.
    pub fn document(&self) -> Value {
        json!({
            "schema_version": 1,
            "sentence": self.headline(),
            "ok": self.is_fine(),
            "at": self.now,
            "database": {
                "place": self.database, "reachable": self.trouble.is_none(),
                "error": self.trouble.as_ref().map(|problem| &problem.reason),
            },
            "routes": self.routes.iter().map(RouteOverview::object).collect::<Vec<_>>(),
            "jobs": self.jobs.iter().map(job).collect::<Vec<_>>(),
            "outbox": self.outbox.as_ref().map(super::Outbox::object),
        })
    }
}

impl RouteOverview {
    /// What records came to. How many were ever put into quarantine is left out beside how many are
    /// there: two numbers of one name are one too many.
    pub fn counted(&self) -> impl Iterator<Item = (Counter, i64)> {
        self.counts.iter().filter(|count| count.0 != Counter::Quarantined).copied()
    }

    /// For a program.
    pub fn object(&self) -> Value {
        let route = self;
        let look = route.look.as_ref();
        let counts: Map<String, Value> =
            route.counted().map(|(name, n)| (name.to_string(), json!(n))).collect();
        let reasons: Map<String, Value> =
            route.quarantine.iter().map(|(reason, n)| (reason.clone(), json!(n))).collect();
        json!({
            "route": route.name, "topic": route.topic, "group": route.group,
            "verdict": route.health.verdict.as_str(), "ok": route.health.verdict.is_fine(),
            "sentence": route.health.sentence,
            "topic_recreated": made_anew(route),
            "topic_id": route.partitions.first().map(|p| p.topic_id),
            "kafka": {
                "reachable": look.is_ok(),
                "error": look.err().map(|problem| &problem.reason),
                "topic_id": look.ok().and_then(|look| look.topic_id),
            },
            "counts": counts,
            "quarantine": {
                "open": route.quarantine.iter().map(|q| q.1).sum::<i64>(), "by_reason": reasons,
            },
            "suspects": route.suspects.as_ref().map(|s| json!({
                "records": s.records, "since": s.since, "reason": s.detail, "advice": s.advice,
            })),
            "events_believed": route.believes,
            "ignored_types": route.ignored.iter().map(|of| json!({
                "type": of.event_type, "records": of.records, "last_at": of.last_at,
            })).collect::<Vec<_>>(),
            "gaps": route.gaps.iter().map(gap).collect::<Vec<_>>(),
            "gaps_uncovered_because": route.uncovered.as_ref().filter(|_| !route.gaps.is_empty()),
            "mismatches": route.mismatches,
            "late": route.late.as_ref().map(|late| &late.what),
            "statuses": route.statuses,
            "paid_not_purchased": {
                "payments": route.unpurchased.0, "oldest_paid_at": route.unpurchased.1,
                "counted_at": route.counted_at,
            },
            "partitions": route.partitions.iter().map(position).collect::<Vec<_>>(),
            "workers": route.workers.iter().map(worker).collect::<Vec<_>>(),
        })
    }
}

fn position(p: &PositionStatus) -> Value {
    json!({
        "partition": p.partition, "position": p.next_offset, "log_start": p.log_start,
        "log_end": p.log_end, "lag": p.lag, "log_seen_at": p.log_seen_at,
        "progress_at": p.progress_at, "epoch": p.epoch,
    })
}

fn gap(gap: &Gap) -> Value {
    json!({ "partition": gap.partition, "from": gap.from, "to": gap.to, "reason": gap.reason })
}

/// A daemon; of one that is gone the last word is nobody's present.
fn worker(w: &Worker) -> Value {
    let said = |verdict: &Option<String>| verdict.clone().filter(|_| w.alive);
    json!({
        "host": w.host, "pid": w.pid, "version": w.version,
        "state": if w.alive { w.state.as_str() } else { "gone" }, "alive": w.alive,
        "state_since": w.state_since, "started_at": w.started_at, "seen_at": w.seen_at,
        "reason": said(&w.reason), "advice": said(&w.advice),
        "partitions": if w.alive { w.partitions.as_slice() } else { &[] },
    })
}

fn job(job: &JobStatus) -> Value {
    let findings: Map<String, Value> =
        job.findings.iter().map(|(kind, n)| (kind.clone(), json!(n))).collect();
    json!({
        "job": job.name, "route": job.route, "looked_at": job.looked_at, "notice": job.notice,
        "succeeded_at": job.succeeded_at, "took_seconds": job.took, "held_runs": job.held_runs,
        "findings": findings, "run": job.run.as_ref().map(running),
    })
}

fn running(run: &Running) -> Value {
    json!({
        "run": run.run, "phase": run.phase.as_str(), "compared": run.compared, "missing": run.missing,
        "made_good": run.made_good, "place_at": run.place_at, "until": run.until,
        "waits": run.held,
    })
}
