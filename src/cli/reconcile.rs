//! `makegood reconcile`: ask for runs, watch them, read what they found, let held ones go on.

mod show;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::print::{self, Format, Output};
use super::session::Session;
use super::{Globals, wait};
use crate::config;
use crate::store::report::reconcile::{self as report, FindingFilter, RunRequest};
use rules::ids::RunId;
use rules::problem::{Code, Problem};
use rules::states::RunState;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Compare payments with purchases, and make good what is missing.
    #[command(after_help = "\
This writes the request down, as `SELECT makegood.reconcile()` does; a running
daemon takes it, and one that is down finds it when it starts. It only ever adds
purchases that were paid. Too many at once (max_backfill) wait for `reconcile
approve`.

Examples:
  makegood reconcile run --wait
  makegood reconcile run --since 2026-01-07T00:00:00Z --dry-run --wait")]
    Run(RunArgs),
    /// List runs, the newest first, and what hinders a job.
    #[command(after_help = "Example:\n  makegood reconcile list -o json")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Show a run and its findings; without a run, the findings that are open.
    #[command(after_help = "\
Examples:
  makegood reconcile show
  makegood reconcile show 42 -o json
  psql -c \"SELECT makegood.dismiss(7, 'refunded by hand')\"")]
    Show {
        /// The run's number
        run: Option<RunId>,
        /// At most so many findings
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Let a held run go on where it stopped, without the brake.
    #[command(after_help = "Example:\n  makegood reconcile approve 42")]
    Approve {
        /// The run's number
        run: RunId,
    },
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The job; not needed if there is only one
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only payments that became paid from then on: a time with its zone, or an age such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only payments that became paid before then [default: now less the job's grace]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Change nothing, and report what would be done
    #[arg(long)]
    dry_run: bool,
    /// Wait for the end and show progress; Ctrl-C ends the wait, and the run goes on
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    output: Output,
}

/// A time, or how long ago.
#[derive(Clone, Copy, Debug)]
enum Moment {
    At(Timestamp),
    Ago(std::time::Duration),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(age) = config::duration(text) {
        return Ok(Moment::Ago(age));
    }
    text.parse().map(Moment::At).map_err(|_| {
        "write a time with its zone such as 2026-01-07T00:00:00Z, or an age such as 2h".to_owned()
    })
}

impl Moment {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Ago(age) => rules::schedule::earlier(now, age),
        }
    }
}

pub async fn run(globals: &Globals, action: Action) -> Result<ExitCode, Problem> {
    let session = Session::open(globals).await?;
    match action {
        Action::Run(args) => return ask(&session, args).await,
        Action::List { limit, output } => list(&session, limit, output.output).await?,
        Action::Show { run, limit, output } => show(&session, run, limit, output.output).await?,
        Action::Approve { run } => {
            report::approve(&session.store, run).await.map_err(|fault| {
                let problem = fault.problem("cannot approve");
                match fault.sqlstate() {
                    Some("42501") => problem.advice("another role must approve it"),
                    _ => problem.advice("`makegood reconcile list` shows which runs are held"),
                }
            })?;
            say!("run {run} goes on; `makegood reconcile show {run}` follows it");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(session: &Session, args: RunArgs) -> Result<ExitCode, Problem> {
    let now = report::now(&session.store).await.map_err(unreadable)?;
    let ask = RunRequest {
        job: args.job,
        since: args.since.map(|m| m.at(now)),
        until: args.until.map(|m| m.at(now)),
        dry_run: args.dry_run,
    };
    let run = report::ask(&session.store, &ask).await.map_err(|fault| {
        let problem = fault.problem("cannot ask for a run");
        match fault.sqlstate() {
            Some("22023") => problem.advice(
                "say --job NAME, and times in their order; `makegood reconcile list` shows the jobs",
            ),
            _ => problem,
        }
    })?;
    if !args.wait {
        if args.output.output == Format::Table {
            say!("asked for; `makegood reconcile show {run}` tells what becomes of it");
            print::data(&format!("run {run}\n"))?;
        } else {
            show(session, Some(run), 0, args.output.output).await?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let follow = format!("`makegood reconcile show {run}` follows it");
    let ended =
        wait::until_ctrl_c(watch::watch(session, run), &format!("run {run} goes on"), &follow)
            .await?;
    show(session, Some(run), 20, args.output.output).await?;
    match ended.state {
        RunState::Done => Ok(ExitCode::SUCCESS),
        RunState::Held => Err(Problem::new(Code::Confirmation, format!("run {run} is held"))
            .advice(ended.held.unwrap_or_default())),
        _ => Err(Problem::new(Code::Postgres, format!("run {run} failed"))
            .advice(ended.error.unwrap_or_default())),
    }
}

async fn list(session: &Session, limit: u32, format: Format) -> Result<(), Problem> {
    let runs = report::runs(&session.store, i64::from(limit)).await.map_err(unreadable)?;
    let jobs = report::jobs(&session.store).await.map_err(unreadable)?;
    match format {
        Format::Table => {
            for job in &jobs {
                eprint!("{}", show::job(job));
            }
            if runs.is_empty() {
                say!("there is no run yet; `makegood reconcile run` asks for one");
                return Ok(());
            }
            show::runs(&runs)
        }
        Format::Json => print::json("runs", runs.iter().map(show::run_object).collect()),
        Format::Jsonl => print::lines(runs.iter().map(show::run_object)),
    }
}

async fn show(
    session: &Session,
    run: Option<RunId>,
    limit: u32,
    format: Format,
) -> Result<(), Problem> {
    let found = match run {
        None => None,
        Some(id) => {
            let found = report::run(&session.store, id).await.map_err(unreadable)?;
            Some(found.ok_or_else(|| {
                Problem::new(Code::NotFound, format!("there is no run {id}"))
                    .advice("`makegood reconcile list` shows which there are")
            })?)
        }
    };
    let filter = FindingFilter { run, limit: i64::from(limit) };
    let findings = report::findings(&session.store, &filter).await.map_err(unreadable)?;
    match format {
        Format::Table => show::sheet(found.as_ref(), &findings, limit),
        Format::Json => print::document(show::document(found.as_ref(), &findings)),
        Format::Jsonl => print::lines(findings.iter().map(show::finding_object)),
    }
}

fn unreadable(fault: crate::store::Fault) -> Problem {
    fault.problem("cannot read the reconciler's runs")
}
