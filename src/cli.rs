//! The command line: parsing, printing, exit codes.

pub mod config;

use std::process::ExitCode;

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let a: Vec<String> = std::env::args().collect();
    if a.get(1).is_some_and(|name| name == "bench") {
        return bench();
    }
    let l = match config::load_here(&crate::config::Overrides {
        config: a.get(3).map(Into::into),
        ..Default::default()
    }) {
        Ok(l) => l,
        Err(p) => {
            eprintln!("{p}");
            return ExitCode::from(p.code.exit());
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(&l.config.log.level))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let Ok(rt) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    match rt.block_on(crate::daemon::run(l.config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(p) => {
            eprintln!("{p}");
            ExitCode::from(p.code.exit())
        }
    }
}

#[derive(clap::Parser)]
struct Provisional {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(subcommand)]
    Bench(crate::bench::Bench),
}

fn bench() -> ExitCode {
    let Command::Bench(what) = <Provisional as clap::Parser>::parse().command;
    let Ok(rt) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    rt.block_on(crate::bench::run(&what)).unwrap_or_else(|p| {
        eprintln!("{p}");
        ExitCode::from(p.code.exit())
    })
}
