//! The `makegood-lab` binary; `bin/demo`, `bin/bench`, `bin/torture` and `bin/mutants` build and call it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab::{bench, demo, mutants, torture};

/// Shows, measures and proves makegood with private servers; everything it starts and writes is gone when it ends.
#[derive(Parser)]
#[command(name = "makegood-lab", version, arg_required_else_help = true)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the promise at work: private servers, a load with a ledger, a worker killed in the middle.
    Demo(demo::DemoArgs),
    /// Measure this machine: how fast, beside the fastest there is.
    Bench(bench::Args),
    /// Prove the promise: faults under load from a seed, judged by a stranger.
    Torture(torture::TortureArgs),
    /// Prove the proof: rules taken back one at a time, each of which must be noticed.
    Mutants(mutants::MutantsArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args).await.map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args).await,
        Command::Torture(args) => Box::pin(torture::run(&args)).await,
        Command::Mutants(args) => mutants::run(&args),
    };
    ended.unwrap_or_else(|problem| {
        eprintln!("{problem}");
        ExitCode::from(problem.code.exit())
    })
}
