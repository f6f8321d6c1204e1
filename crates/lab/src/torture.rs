//! The proof: real servers under load, faults from a seed, and a judge that shares no code with makegood.

mod course;
mod daemon;
mod environment;
mod faults;
mod judge;
mod ledger;
mod load;
mod pairs;
mod report;
mod round;
mod well;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::servers::host::PrivateFolder;
use course::Course;
use judge::Judge;
use round::Plan;
use rules::problem::{Code, Problem};

/// What `makegood-lab torture` can be told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Each round starts a PostgreSQL, an Apache Kafka and the daemon, all private. A payment service and another
producer make payments and records while faults strike; then it is quiet, and all must become well
without help. A judge, which shares no code with makegood, compares what was done with what came of it.
A round that broke an invariant leaves its evidence in target/torture.

Examples:
  bin/torture --list
  bin/torture --minutes 60
  bin/torture --kills 1000
  bin/torture --pairs --minutes 240
  bin/torture --fault daemon-kill --fault commit-answer-lost --seed 7")]
pub struct TortureArgs {
    /// Begin rounds for so many minutes; at least one
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub minutes: u64,
    /// The first round's seed; each further round has the next number
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Strike with this fault instead of two to four at random; may be given again
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// Strike with each fault alone, one round each
    #[arg(long, conflicts_with = "fault")]
    pub each: bool,
    /// Kill the daemon so many times, the servers staying; the judge looks every 240 seconds
    #[arg(long, value_name = "N", conflicts_with_all = ["fault", "each"])]
    pub kills: Option<u64>,
    /// Have each step inside the daemon fail, in each way that means something there
    #[arg(long, conflicts_with_all = ["fault", "each", "kills"])]
    pub failpoints: bool,
    /// Bring together the pairs of faults that never struck in one round
    #[arg(long, conflicts_with_all = ["fault", "each", "kills", "failpoints"])]
    pub pairs: bool,
    /// How long faults strike in each round, in seconds, instead of 45
    #[arg(long, value_name = "N")]
    pub safety: Option<u64>,
    /// Test the judge instead: plant faults in what a round left, and see each named
    #[arg(long, conflicts_with_all = ["fault", "each"])]
    pub plants: bool,
    /// Name the faults, and why this machine cannot do some of them
    #[arg(long)]
    pub list: bool,
    /// Write what all rounds so far gave, as a document
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Where rounds leave their verdicts, and those that broke an invariant their evidence: beside what was built.
fn left() -> Result<PathBuf, Problem> {
    let program = crate::daemon::program()?;
    let built = program.ancestors().nth(2).ok_or_else(|| system("makegood lies in no folder"))?;
    Ok(built.join("torture"))
}

/// Runs rounds until the time is over. Ends with exit code 1 once an invariant was broken.
pub async fn run(args: &TortureArgs) -> Result<ExitCode, Problem> {
    if args.list {
        println!("{}", report::list());
        return Ok(ExitCode::SUCCESS);
    }
    let left = left()?;
    fs::create_dir_all(left.join("rounds"))
        .map_err(|e| system(format!("{}: {e}", left.display())))?;
    if args.plants {
        return plants().await;
    }
    let mut broken = 0;
    let strikes = args.each || args.pairs || args.failpoints || args.kills.is_some();
    if args.report.is_none() || strikes || !args.fault.is_empty() || args.seed.is_some() {
        broken = rounds(args, &left).await?;
    }
    if let Some(file) = &args.report {
        report::write(&left.join("rounds"), file)?;
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn plants() -> Result<ExitCode, Problem> {
    let tools = PrivateFolder::new("judge", None)?;
    let judge = Judge::lay_out(tools.path())?;
    let folder = tools.path().join("round");
    fs::create_dir_all(&folder).map_err(|e| system(format!("{}: {e}", folder.display())))?;
    let (said, all) = Box::pin(round::plants(&folder, &judge)).await?;
    print!("{said}");
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn rounds(args: &TortureArgs, left: &std::path::Path) -> Result<usize, Problem> {
    let tools = PrivateFolder::new("judge", None)?;
    let judge = Judge::lay_out(tools.path())?;
    // Failpoints go round by the seed.
    let chosen = if args.failpoints { 0 } else { fastrand::u64(1..1_000_000) };
    let mut seed = args.seed.unwrap_or(chosen);
    let mut course = Course::of(args, &left.join("rounds"))?;
    let (mut done, mut broken) = (0, 0);
    while let Some(faults) = course.next(seed, done == 0) {
        let plan = Plan { seed, faults, safety: course.safety(args.safety) };
        let document = one(&plan, left, &judge).await?;
        broken += usize::from(report::is_broken(&document));
        course.ran(&document);
        (seed, done) = (seed + 1, done + 1);
    }
    eprintln!("{done} rounds, {broken} with broken invariants");
    Ok(broken)
}

/// One round, its line, and what it leaves: its verdict as it is kept.
async fn one(plan: &Plan, left: &std::path::Path, judge: &Judge) -> Result<Value, Problem> {
    let names: Vec<&str> = plan.faults.iter().map(|fault| fault.name).collect();
    let folder = left.join(format!("{}-{}", plan.seed, names.join("-")));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|e| system(format!("{}: {e}", folder.display())))?;
    eprint!("seed {} {} ", plan.seed, names.join(" "));
    let verdict = Box::pin(round::run(plan, &folder, judge)).await;
    let verdict = verdict.inspect_err(|_| eprintln!("could not be run"))?;
    let kept = report::keep(&left.join("rounds"), plan, &verdict)?;
    let held = verdict.said.is_empty();
    eprintln!("{}", report::line(&verdict));
    if held {
        let _ = fs::remove_dir_all(&folder);
    } else {
        eprintln!("{}evidence: {}", verdict.said, folder.display());
    }
    Ok(kept)
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}
