//! What the payments table knows is made good, whatever became of the event: once, through the same
//! path, and never against what a person decided.

mod brake;
mod clock;
mod commands;
mod decisions;
mod elsewhere;
mod files;
mod findings;
mod gaps;
mod lag;
mod race;
mod requests;
mod roles;
mod statuses;
mod story;
mod stuck;
mod times;
mod transactions;
mod unseen;
mod windows;
mod zones;

use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::eventually;
use crate::support::rig::Rig;

/// A run as its view shows it.
#[derive(Clone, Debug)]
pub struct Run {
    pub state: String,
    pub compared: i64,
    pub missing: i64,
    pub made_good: i64,
    pub gone: i64,
    pub quarantined: i64,
    pub conflicts: i64,
    pub held: Option<String>,
    pub error: Option<String>,
}

impl Rig {
    /// Writes payments into the host's table, paid so many seconds ago.
    pub async fn record(&self, paid: &[Payment], seconds_ago: f64) {
        let ids: Vec<_> = paid.iter().map(|p| p.id).collect();
        let students: Vec<_> = paid.iter().map(|p| p.student).collect();
        let courses: Vec<_> = paid.iter().map(|p| p.course).collect();
        let amounts: Vec<_> = paid.iter().map(|p| p.amount.as_str()).collect();
        let currencies: Vec<_> = paid.iter().map(|p| p.currency.as_str()).collect();
        let sql = "INSERT INTO payments (id, student_id, course_id, amount, currency, created_at, updated_at)
                   SELECT id, student, course, amount::numeric, currency, now() - make_interval(secs => $6::float8 + 1),
                          now() - make_interval(secs => $6::float8) + n * interval '1 microsecond'
                   FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[])
                       WITH ORDINALITY p (id, student, course, amount, currency, n)";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&ids, &students, &courses, &amounts, &currencies, &seconds_ago];
        self.client.execute(sql, &values).await.unwrap();
    }

    /// Starts a daemon whose job has these settings, and waits until its first sweep is done.
    pub async fn reconciler(&self, job: &str) -> Daemon {
        let daemon = self.reconciler_with("", job);
        self.swept().await;
        daemon
    }

    /// Starts a daemon whose route and job have these settings.
    pub fn reconciler_with(&self, route: &str, job: &str) -> Daemon {
        let path = self.config_file(&self.url(), route, &job_section(job));
        Daemon::start(&path, 0)
    }

    /// Waits until a sweep over all payments is done.
    pub async fn swept(&self) {
        let sql = "SELECT count(*) FROM makegood.runs WHERE state = 'done' AND since IS NULL";
        eventually("the first sweep", || async { (self.number(sql).await > 0).then_some(()) })
            .await;
    }

    /// Asks for a run in SQL.
    pub async fn ask(&self, arguments: &str) -> i64 {
        self.number(&format!("SELECT makegood.reconcile({arguments})")).await
    }

    /// Waits until a run is in one of some states.
    pub async fn run_is(&self, run: i64, states: &[&str]) -> Run {
        eventually(&format!("run {run} to be {states:?}"), || async {
            let found = self.run(run).await;
            states.contains(&found.state.as_str()).then_some(found)
        })
        .await
    }

    /// Asks for a run, waits for its end, and expects it to be done.
    pub async fn reconcile(&self, arguments: &str) -> Run {
        let run = self.ask(arguments).await;
        let run = self.run_is(run, &["done", "failed", "held"]).await;
        assert_eq!(run.state, "done", "{run:?}");
        run
    }

    /// A run.
    pub async fn run(&self, run: i64) -> Run {
        let sql = "SELECT * FROM makegood.reconcile_runs WHERE run = $1";
        let row = self.client.query_one(sql, &[&run]).await.unwrap();
        Run {
            state: row.get("state"),
            compared: row.get("compared"),
            missing: row.get("missing"),
            made_good: row.get("made_good"),
            gone: row.get("gone"),
            quarantined: row.get("quarantined"),
            conflicts: row.get("conflicts"),
            held: row.get("held"),
            error: row.get("error"),
        }
    }

    /// Findings as `kind resolution`, counted.
    pub async fn findings(&self) -> Vec<(String, i64)> {
        let sql = "SELECT concat(kind, ' ', coalesce(resolution, 'open')), count(*)
                   FROM makegood.reconcile_findings GROUP BY 1 ORDER BY 1";
        let rows = self.client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// A purchase as somebody makes it by hand, without an event.
    pub async fn by_hand(&self, paid: &[Payment]) {
        let sql = "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency)
                   VALUES ($1, $2, $3, $4::text::numeric, $5)";
        for p in paid {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&p.id, &p.student, &p.course, &p.amount, &p.currency];
            self.client.execute(sql, &values).await.unwrap();
        }
    }
}

/// The configuration's section for the job: no grace and no schedule, unless the settings say otherwise.
pub fn job_section(settings: &str) -> String {
    let default = |key: &str, value: &str| {
        let line = format!("{key} = \"{value}\"\n");
        if settings.contains(&format!("{key} = ")) { String::new() } else { line }
    };
    let (grace, every) = (default("grace", "0s"), default("every", "1h"));
    format!(
        "[[reconcile]]\nname = \"purchases\"\ninbox = \"purchases\"\n{grace}{every}{settings}\n\
         [log]\nlevel = \"info,makegood=debug\"\n"
    )
}

/// How a list of findings reads.
pub fn found(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect()
}

/// Payments that the host has recorded long ago, and nobody has purchased.
pub async fn recorded(rig: &Rig, count: usize) -> Vec<Payment> {
    let paid = payments(count);
    rig.record(&paid, 3.0 * 3600.0).await;
    paid
}
